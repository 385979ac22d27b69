"""Optional libraries: imported where they are used, and named with their install line when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from physlab.errors import MissingExtraError

DISTRIBUTIONS = {"h5py": "h5py", "astropy.io.fits": "astropy", "uproot": "uproot", "pywt": "PyWavelets"}
DISTRIBUTIONS |= {"onnxruntime": "onnxruntime", "skimage": "scikit-image"}
ML = ("onnxruntime", "skimage")


def require(module: str, purpose: str) -> Any:
    """Return an optional module of the extra `data` or `ml`.

    Args:
        module: Its import name, a key of `DISTRIBUTIONS` or below one.
        purpose: What needs it, for the message.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module if module in DISTRIBUTIONS else module.partition(".")[0]
        extra = "ml" if package in ML else "data"
        raise MissingExtraError(
            f"{purpose} needs {DISTRIBUTIONS[package]}, which cannot be imported: {error}.",
            hint=f"Install it: pip install 'physlab[{extra}]'.",
            details={"module": module, "extra": extra},
        ) from error
