"""Optional libraries: imported where they are used, and named with their install line when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from physlab.errors import MissingExtraError

DISTRIBUTIONS = {"h5py": "h5py", "astropy.io.fits": "astropy", "uproot": "uproot", "pywt": "PyWavelets"}
MACHINE_LEARNING = {"pyoperon": "pyoperon"}


def require(module: str, purpose: str) -> Any:
    """Return an optional module of the extras `data` and `ml`.

    Args:
        module: Its import name, a key of `DISTRIBUTIONS` or `MACHINE_LEARNING`.
        purpose: What needs it, for the message.

    Raises:
        MissingExtraError: It is not installed.
    """
    extra, known = ("ml", MACHINE_LEARNING) if module in MACHINE_LEARNING else ("data", DISTRIBUTIONS)
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs {known[module]}, which cannot be imported: {error}.",
            hint=f"Install it: pip install 'physlab[{extra}]'.",
            details={"module": module, "extra": extra},
        ) from error
