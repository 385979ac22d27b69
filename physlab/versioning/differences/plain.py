"""Text line by line, and bytes."""

from __future__ import annotations

import difflib
import filecmp
from pathlib import Path
from typing import Any

LARGEST = 8 << 20
"""Larger files are not compared line by line [bytes]."""
MOST_LINES = 400


def same(before: Path, after: Path) -> bool:
    """Say whether two files have the same bytes."""
    return filecmp.cmp(before, after, shallow=False)


def compare_text(before: Path, after: Path) -> tuple[list[str], dict[str, Any]] | None:
    """Return the lines that differ as `diff -u` writes them; None for what is no text, or too large."""
    if max(before.stat().st_size, after.stat().st_size) > LARGEST:
        return None
    try:
        old, new = (path.read_bytes().decode().splitlines() for path in (before, after))
    except UnicodeDecodeError:
        return None
    if any("\0" in line for line in (*old[:50], *new[:50])):
        return None
    lines = list(difflib.unified_diff(old, new, "before", "after", lineterm=""))
    added = sum(line.startswith("+") for line in lines[2:])
    removed = sum(line.startswith("-") for line in lines[2:])
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"… {len(lines) - MOST_LINES} more lines"]
    return lines, {"added": added, "removed": removed}


def compare_bytes(before: Path, after: Path) -> tuple[list[str], dict[str, Any]]:
    """Return the sizes of two files, and where they begin to differ."""
    first = _first_difference(before, after)
    sizes = [before.stat().st_size, after.stat().st_size]
    said = f"{sizes[0]} bytes before, {sizes[1]} after; they differ from byte {first} on"
    return [said], {"sizes": sizes, "first_difference": first}


def _first_difference(before: Path, after: Path) -> int:
    place = 0
    with open(before, "rb") as old, open(after, "rb") as new:
        while True:
            a, b = old.read(1 << 20), new.read(1 << 20)
            if a != b or not a:
                common = next((index for index, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
                return place + (min(len(a), len(b)) if common is None else common)
            place += len(a)
