"""Optional libraries: imported where they are used, and named with their install line when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from physlab.errors import MissingExtraError

DISTRIBUTIONS = {
    "h5py": "h5py", "astropy.io.fits": "astropy", "uproot": "uproot", "pywt": "PyWavelets",
    "nbformat": "nbformat", "nbconvert": "nbconvert", "trimesh": "trimesh",
}  # fmt: skip


def require(module: str, purpose: str, extra: str = "data") -> Any:
    """Return an optional module.

    Args:
        module: Its import name, a key of `DISTRIBUTIONS`.
        purpose: What needs it, for the message.
        extra: The extra of physlab that brings it.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs {DISTRIBUTIONS[module]}, which cannot be imported: {error}.",
            hint=f"Install it: pip install 'physlab[{extra}]'.",
            details={"module": module, "extra": extra},
        ) from error
