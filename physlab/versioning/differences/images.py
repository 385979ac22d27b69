"""Images: their sizes, and how many pixels differ by how much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

MOST_PIXELS = 50_000_000


def compare(before: Path, after: Path) -> tuple[list[str], dict[str, Any]] | None:
    """Compare two images; None when one of them is none, or has more pixels than are opened unseen."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(before) as old, Image.open(after) as new:
            sizes = [list(old.size), list(new.size)]
            if max(size[0] * size[1] for size in sizes) > MOST_PIXELS:
                return None
            a, b = (np.asarray(image.convert("RGBA"), dtype=np.int16) for image in (old, new))
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None
    if sizes[0] != sizes[1]:
        return [f"{_told(sizes[0])} → {_told(sizes[1])} pixels"], {"size": sizes}
    gap = np.abs(a - b).max(axis=2)
    changed = int(np.count_nonzero(gap))
    if not changed:
        return ["only the file differs: every pixel is the same"], {"size": sizes[0], "changed": 0}
    rows, columns = np.nonzero(gap)
    box = [int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())]
    part, most, mean = changed / gap.size, int(gap.max()), float(gap.mean())
    far = f"by at most {most} of 255, mean {mean:.3g}, within {box}"
    figures = {"size": sizes[0], "changed": changed, "largest": most, "mean": mean, "box": box}
    return [f"{changed} of {gap.size} pixels differ ({part:.2%}), {far}"], figures


def _told(size: list[int]) -> str:
    return f"{size[0]} × {size[1]}"
