"""FITS files: what lies in them, and their first picture."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from physlab.errors import MissingExtraError
from physlab.notebook.thumbnails.npy import picture_of, shape_of
from physlab.notebook.thumbnails.thumbnail import PIXELS, ROWS, Thumbnail, short
from physlab.tools.extras import require

SUFFIXES = (".fits", ".fit", ".fts")
MOST = 200


def look(path: Path, width_px: int, scratch: Path) -> Thumbnail:
    """Return the parts with shape, type and unit, and the first picture among them."""
    try:
        fits = require("astropy.io.fits", "A look into a FITS file")
    except MissingExtraError as error:
        return Thumbnail("file", f"FITS file ({error.hint})")
    rows: list[tuple[str, ...]] = []
    png = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path, memmap=True, lazy_load_hdus=True, ignore_missing_end=False) as parts:
            for number, part in enumerate(parts):
                if number >= MOST:
                    break
                rows.append(_row(number, part))
                png = png or _picture(part, width_px)
    kinds = ", ".join(f"{row[0]} {row[1]}" for row in rows[:3])
    words = f"FITS file of {len(rows)} part{'' if len(rows) == 1 else 's'}: {kinds}"
    return Thumbnail("arrays", words, png, (("part", "shape", "type", "unit"), *rows[:ROWS]))


def _row(number: int, part: Any) -> tuple[str, ...]:
    header = part.header
    shape = tuple(int(header.get(f"NAXIS{axis}", 0)) for axis in range(int(header.get("NAXIS", 0)), 0, -1))
    columns = getattr(part, "columns", None)
    kind = f"table: {', '.join(columns.names)}" if columns is not None else f"BITPIX {header.get('BITPIX')}"
    return short(part.name or f"part {number}"), shape_of(shape), short(kind, 40), short(str(header.get("BUNIT", "")))


def _picture(part: Any, width_px: int) -> bytes | None:
    import numpy as np

    header = part.header
    size = int(
        np.prod([int(header.get(f"NAXIS{axis}", 0)) for axis in range(1, int(header.get("NAXIS", 0)) + 1)] or [0])
    )
    if getattr(part, "columns", None) is not None or not 0 < size <= PIXELS:
        return None
    values = np.asarray(part.data, dtype=float)
    while values.ndim > 2:
        values = values[0]
    return picture_of(values[::-1] if values.ndim == 2 else values, width_px)
