"""Arrays of numbers: shapes, and by how much the values differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

MOST = 50_000_000
"""Values that are compared at once."""


def compare(before: Path, after: Path) -> tuple[list[str], dict[str, Any]] | None:
    """Compare two `.npy` files; None when one of them is none."""
    try:
        old, new = (np.load(path, mmap_mode="r", allow_pickle=False) for path in (before, after))
    except (ValueError, OSError, EOFError):
        return None
    lines, figures = compare_values("values", old, new)
    return lines, {"values": figures}


def compare_values(name: str, old: Any, new: Any) -> tuple[list[str], dict[str, Any]]:
    """Return how two arrays differ.

    Args:
        name: What to call them.
        old: Array of any shape.
        new: Array of any shape.

    Returns:
        Lines for people, none when all values are the same; shapes, dtypes, how many values differ, and the largest
        absolute and relative difference, relative to the larger of the two magnitudes.
    """
    figures: dict[str, Any] = {"shape": [list(old.shape), list(new.shape)], "dtype": [str(old.dtype), str(new.dtype)]}
    if old.shape != new.shape or old.dtype.kind not in "biufc" or new.dtype.kind not in "biufc" or old.size > MOST:
        equal = old.shape == new.shape and old.size <= MOST and bool(np.array_equal(old, new))
        lines = [] if equal else [f"{name}: {_told(old)} → {_told(new)}"]
        return lines, {**figures, "equal": equal}
    gap = _gap(old, new)
    count = int(np.count_nonzero(gap))
    if not count:
        kinds = "" if old.dtype == new.dtype else f"{name}: {old.dtype} → {new.dtype}, same values"
        return [kinds] if kinds else [], {**figures, "equal": not kinds, "changed": 0}
    scale = np.maximum(np.abs(old), np.abs(new)).astype(float)
    relative = np.divide(gap, scale, out=np.where(np.isinf(gap), np.inf, 0.0), where=(scale > 0) & np.isfinite(gap))
    most, rel = float(np.max(gap)), float(np.max(relative))
    place = [int(i) for i in np.unravel_index(int(np.argmax(gap)), gap.shape)]
    said = f"{name}: {count} of {gap.size} values differ, by at most {most:.3g} (relative {rel:.3g}) at {place}"
    return [said], {
        **figures, "equal": False, "changed": count, "largest": _json(most), "largest_relative": _json(rel),
        "at": place,
    }  # fmt: skip


def _gap(old: Any, new: Any) -> Any:
    """Return the absolute differences; two that are not a number are the same, one of them is infinitely far off."""
    a, b = (np.asarray(item).astype(complex if item.dtype.kind == "c" else float) for item in (old, new))
    with np.errstate(invalid="ignore"):
        gap = np.where(a == b, 0.0, np.abs(a - b))
    both = np.isnan(a) & np.isnan(b)
    return np.atleast_1d(np.where(both, 0.0, np.where(np.isnan(gap), np.inf, gap)))


def _json(value: float) -> float | str:
    return value if np.isfinite(value) else "infinite"


def _told(array: Any) -> str:
    return f"{array.dtype} {tuple(array.shape)}"
