"""Pictures of pixels."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

from physlab.errors import ValidationError
from physlab.notebook.thumbnails.thumbnail import PIXELS, Thumbnail

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""Readers that start no program of their own."""


def look(path: Path, width_px: int, scratch: Path) -> Thumbnail:
    """Return a small copy of a picture, drawn anew from its pixels."""
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path, formats=FORMATS) as picture:
            wide, high, mode, frames = *picture.size, picture.mode, getattr(picture, "n_frames", 1)
            insist(wide, high)
            picture.draft("RGB", (width_px, width_px))
            small = shrunk(ImageOps.exif_transpose(_eight_bit(picture)), width_px)
            words = f"{picture.format} picture, {wide} × {high} pixels, {_MODES.get(mode, mode)}"
    return Thumbnail("picture", words + (f", {frames} frames" if frames > 1 else ""), encode(small))


_MODES = {"RGB": "colour", "RGBA": "colour with transparency", "L": "grey", "P": "palette", "1": "black and white",
          "I;16": "grey, uint16", "I": "grey, int32", "F": "grey, float32", "CMYK": "four colours"}  # fmt: skip


def insist(wide: int, high: int) -> None:
    """Refuse a picture of too many pixels, before they are read.

    Raises:
        ValidationError: It has more than `PIXELS`.
    """
    if wide * high > PIXELS:
        raise ValidationError(
            f"The picture has {wide} × {high} pixels.",
            hint=f"Pictures of at most {PIXELS // 10**6} megapixels are shown.",
        )


def _eight_bit(picture: Any) -> Any:
    """Return a picture whose numbers are scaled to what a screen shows, where they were measured."""
    if picture.mode not in ("I;16", "I;16B", "I;16L", "I", "F"):
        return picture
    import numpy as np

    return grey(np.asarray(picture, dtype=float))


def grey(values: Any) -> Any:
    """Return a table of numbers as a picture: from its lowest percent to its highest, dark to bright."""
    import numpy as np
    from PIL import Image

    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [1, 99]) if finite.size else (0.0, 1.0)
    spread = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / ((high - low) or 1.0)
    return Image.fromarray((np.clip(spread, 0, 1) * 255).astype("uint8"))


def shrunk(picture: Any, width_px: int) -> Any:
    """Return a picture on white, no wider than asked, and not higher than twice that."""
    from PIL import Image

    scale = min(1.0, width_px / picture.width, 2 * width_px / picture.height)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        above = picture.convert("RGBA").resize(size, Image.Resampling.LANCZOS)
        white = Image.new("RGBA", size, "white")
        white.alpha_composite(above)
        return white.convert("RGB")
    return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def encode(picture: Any) -> bytes:
    """Return a picture as PNG, with nothing in it but its pixels."""
    target = io.BytesIO()
    picture.info.clear()
    picture.save(target, "PNG")
    return target.getvalue()
