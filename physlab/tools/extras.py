"""Libraries that are not always installed: imported where they are used, and named when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from physlab.errors import MissingExtraError

EXTRAS = {  # import name of a package: its distribution, and the extra that brings it
    "h5py": ("h5py", "data"),
    "astropy": ("astropy", "data"),
    "uproot": ("uproot", "data"),
    "pywt": ("PyWavelets", "data"),
    "nbformat": ("nbformat", "export"),
    "nbconvert": ("nbconvert", "export"),
    "trimesh": ("trimesh", "export"),
    "onnxruntime": ("onnxruntime", "ml"),
    "pyoperon": ("pyoperon", "ml"),
    "skimage": ("scikit-image", "ml"),
}


def require(module: str, purpose: str) -> Any:
    """Return an optional module.

    Args:
        module: Its import name; its package is a key of `EXTRAS`.
        purpose: What needs it, for the message.

    Raises:
        MissingExtraError: It is not installed.
    """
    distribution, extra = EXTRAS[module.partition(".")[0]]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs {distribution}, which cannot be imported: {error}.",
            hint=f"Install it: pip install 'physlab[{extra}]'.",
            details={"module": module, "extra": extra},
        ) from error
