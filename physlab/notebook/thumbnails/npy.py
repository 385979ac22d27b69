"""Arrays in the format of NumPy; never what is pickled in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from physlab.notebook.thumbnails.image import encode, grey, shrunk
from physlab.notebook.thumbnails.thumbnail import PIXELS, Thumbnail

SUFFIXES = (".npy",)


def look(path: Path, width_px: int, scratch: Path) -> Thumbnail:
    """Return shape, type and range of an array; a table of numbers as a picture, a row of them as a curve."""
    import numpy as np

    values: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    words = f"array of shape {shape_of(values.shape)}, {values.dtype}"
    if values.dtype.kind not in "iufb" or not 0 < values.size <= PIXELS:
        return Thumbnail("arrays", words)
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if finite.size:
        words += f", from {finite.min():.6g} to {finite.max():.6g}"
    return Thumbnail("arrays", words, picture_of(np.asarray(values, dtype=float), width_px))


def shape_of(shape: tuple[int, ...]) -> str:
    """Return a shape as `(100, 3)`."""
    return f"({', '.join(map(str, shape))})"


def picture_of(values: Any, width_px: int) -> bytes | None:
    """Return numbers as a picture: a table as grey levels, a row as a curve; None of other shapes."""
    if values.ndim == 2 and min(values.shape) > 1:
        return encode(shrunk(_enlarged(grey(values), width_px), width_px))
    flat = values.reshape(-1) if values.ndim and values.size == max(values.shape) else None
    return None if flat is None or flat.size < 2 else encode(_curve(flat, width_px))


def _enlarged(picture: Any, width_px: int) -> Any:
    """Return a picture of few points with each as a square that can be seen."""
    times = max(1, min(width_px // picture.width, width_px // picture.height))
    return picture.resize((picture.width * times, picture.height * times), 0)


def _curve(values: Any, width_px: int) -> Any:
    """Draw a row of numbers against their place, on a grid of points twice as fine as the picture."""
    import numpy as np
    from PIL import Image, ImageDraw

    wide, high, edge = 2 * width_px, width_px, 12
    shown = values[np.linspace(0, values.size - 1, min(values.size, wide)).astype(int)]
    low, high_value = (np.nanmin(shown), np.nanmax(shown)) if np.isfinite(shown).any() else (0.0, 1.0)
    x = np.linspace(edge, wide - edge, shown.size)
    y = high - edge - (shown - low) / ((high_value - low) or 1.0) * (high - 2 * edge)
    picture = Image.new("RGB", (wide, high), "white")
    points = [(float(a), float(b)) for a, b in zip(x, y, strict=True) if np.isfinite(b)]
    ImageDraw.Draw(picture).line(points, fill="#0a4f86", width=3)
    return shrunk(picture, width_px)
