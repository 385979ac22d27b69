"""Optional libraries: imported where they are used, and named with their install line when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from physlab.errors import MissingExtraError

DISTRIBUTIONS = {"h5py": "h5py", "astropy.io.fits": "astropy", "uproot": "uproot", "pywt": "PyWavelets"}


def require(module: str, purpose: str) -> Any:
    """Return an optional module of the extra `data`.

    Args:
        module: Its import name, a key of `DISTRIBUTIONS`.
        purpose: What needs it, for the message.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs {DISTRIBUTIONS[module]}, which cannot be imported: {error}.",
            hint="Install it: pip install 'physlab[data]'.",
            details={"module": module, "extra": "data"},
        ) from error
