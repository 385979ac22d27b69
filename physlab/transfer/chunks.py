"""Cutting files where their content says so: a change moves the cuts around it only, so that the rest is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

LARGE = 1 << 20
"""A file of more bytes travels in chunks, a smaller one whole."""
AVERAGE = 64 << 10
MOST_CHUNKS = 1 << 18
WINDOW = 8 << 20


def average_for(size: int) -> int:
    """Return the average size of the chunks of a file [bytes]: 64 KiB, more where the list would be too long."""
    average = AVERAGE
    while size / average > MOST_CHUNKS:
        average *= 2
    return average


def cut(stream: BinaryIO, average: int = AVERAGE) -> Iterator[bytes]:
    """Yield the chunks of a stream, reading a window at a time."""
    from fastcdc.fastcdc_cy import fastcdc_cy

    largest = average * 4
    window = max(WINDOW, largest * 4)
    kept, ended = b"", False
    while not ended:
        piece = stream.read(window - len(kept))
        ended = not piece
        data = memoryview(kept + piece)
        start = 0
        for found in fastcdc_cy(data, average // 4, average, largest) if len(data) else ():
            if not ended and len(data) - found.offset < largest:  # the cut may lie in what is not read yet
                break
            yield bytes(data[found.offset : found.offset + found.length])
            start = found.offset + found.length
        kept = bytes(data[start:])
