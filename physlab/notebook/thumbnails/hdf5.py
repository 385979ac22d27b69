"""HDF5 files: what lies in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from physlab.errors import MissingExtraError
from physlab.notebook.thumbnails.npy import shape_of
from physlab.notebook.thumbnails.thumbnail import ROWS, Thumbnail, short
from physlab.tools.extras import require

SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs")
MOST = 1000


def look(path: Path, width_px: int, scratch: Path) -> Thumbnail:
    """Return the datasets with shape, type and unit; links to other files are not followed."""
    try:
        h5py = require("h5py", "A look into an HDF5 file")
    except MissingExtraError as error:
        return Thumbnail("file", f"HDF5 file ({error.hint})")
    found: list[tuple[str, ...]] = []

    def visit(name: str, item: Any) -> bool | None:
        if isinstance(item, h5py.Dataset):
            unit = item.attrs.get("units", item.attrs.get("unit", ""))
            told = unit.decode(errors="replace") if isinstance(unit, bytes) else str(unit)
            shape = shape_of(item.shape) if item.shape is not None else "empty"
            found.append((short(name, 40), shape, short(str(item.dtype)), short(told)))
        return True if len(found) >= MOST else None

    with h5py.File(path, "r", locking=False) as file:
        file.visititems(visit)
    count = f"{len(found)}{' or more' if len(found) >= MOST else ''}"
    words = f"HDF5 file of {count} datasets" + (f": {', '.join(row[0] for row in found[:3])}" if found else "")
    return Thumbnail("arrays", words, rows=(("dataset", "shape", "type", "unit"), *found[:ROWS]) if found else ())
