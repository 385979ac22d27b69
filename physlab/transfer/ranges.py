"""What `Range` asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re

MOST = 16
_ONE = re.compile(r"(\d{0,18})-(\d{0,18})")


def read_ranges(text: str, size: int) -> list[tuple[int, int]] | None:
    """Return what a header asks for as starts and ends (behind the last byte).

    Args:
        text: The header, such as `bytes=0-499,-500`.
        size: Size of the file [bytes].

    Returns:
        None when the header is to be ignored: another unit, not understood, or more than a few pieces that overlap.
        An empty list when nothing of it is in the file.
    """
    unit, found, rest = text.partition("=")
    if not found or unit.strip().lower() != "bytes":
        return None
    wanted = []
    for piece in rest.split(","):
        match = _ONE.fullmatch(piece.strip())
        if match is None or not (match[1] or match[2]):
            return None
        if match[1]:
            start, end = int(match[1]), int(match[2]) + 1 if match[2] else size
            if end <= start and match[2]:
                return None
        else:
            start, end = max(0, size - int(match[2])), size
        if start < min(end, size):
            wanted.append((start, min(end, size)))
    if len(wanted) > MOST or sum(end - start for start, end in wanted) > 2 * size:
        return None  # many small or overlapping pieces cost the server more than the whole file
    return wanted
