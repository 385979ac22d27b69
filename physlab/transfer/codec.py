"""How a chunk is kept: as it is, through zstd, or with the bytes of its numbers sorted by place and then through zstd.

Neighbouring numbers of a series differ in their last bytes only; sorted by place, the equal ones stand together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import zstandard

from physlab.errors import StoreError

LEVEL = 3
LEAST_GAIN = 0.05
SAMPLE_BYTES = 1 << 16
SAMPLES = 5
RAW = "raw"
_WIDTHS = {"zstd": 1, "shuffle2+zstd": 2, "shuffle4+zstd": 4, "shuffle8+zstd": 8, "shuffle16+zstd": 16}
_BY_WIDTH = {width: name for name, width in _WIDTHS.items()}
CODECS = (RAW, *_WIDTHS)


def shuffle(data: bytes, width: int) -> bytes:
    """Return bytes sorted by their place in numbers of so many bytes; what is left over stays at the end."""
    whole = len(data) - len(data) % width
    grid = np.frombuffer(data, np.uint8, whole).reshape(-1, width)
    return grid.T.tobytes() + data[whole:]


def unshuffle(data: bytes, width: int) -> bytes:
    """Return what `shuffle` was given."""
    whole = len(data) - len(data) % width
    grid = np.frombuffer(data, np.uint8, whole).reshape(width, -1)
    return grid.T.tobytes() + data[whole:]


def encode(data: bytes, codec: str) -> tuple[bytes, str]:
    """Return a chunk as it is kept, and the codec; it stays as it is where that is no larger."""
    if codec == RAW:
        return data, RAW
    width = _WIDTHS[codec]
    small = zstandard.ZstdCompressor(level=LEVEL).compress(shuffle(data, width) if width > 1 else data)
    return (small, codec) if len(small) < len(data) * (1 - LEAST_GAIN) else (data, RAW)


def decode(data: bytes, codec: str, size: int, what: str) -> bytes:
    """Return a chunk as it was.

    Args:
        data: What is kept.
        codec: One of `CODECS`.
        size: What it must have [bytes]; never more is made.
        what: Its name, for the error.

    Raises:
        StoreError: It cannot be decoded, or is of another size.
    """
    if codec == RAW:
        plain = data
    else:
        width = _WIDTHS[codec]
        try:
            plain = _bounded(data, size)
        except zstandard.ZstdError as error:
            raise _broken(what, str(error)) from error
        plain = unshuffle(plain, width) if width > 1 else plain
    if len(plain) != size:
        raise _broken(what, f"{len(plain)} bytes instead of {size}")
    return plain


def _bounded(data: bytes, size: int) -> bytes:
    """Decompress up to one byte more than there should be, whatever the data says of itself."""
    with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(data) as reader:
        return bytes(reader.read(size + 1))


def _broken(what: str, why: str) -> StoreError:
    return StoreError(f"{what} is damaged: {why}.", hint="Mend it from another copy: physlab store repair")


def choose(read: Callable[[int, int], bytes], size: int) -> str:
    """Return the codec for a file by samples of it; `raw` where none gains 5 %.

    Args:
        read: Gives so many bytes from an offset.
        size: Size of the file [bytes].
    """
    starts = {round(step * max(0, size - SAMPLE_BYTES) / (SAMPLES - 1)) for step in range(SAMPLES)}
    sample = [read(start, SAMPLE_BYTES) for start in sorted(starts)]
    total = sum(map(len, sample))
    if not total:
        return RAW
    best, kept = total * (1 - LEAST_GAIN), RAW
    for width in (1, *_widths(read(0, 256))):
        small = sum(len(_packed(piece, width)) for piece in sample)
        if small < best * (1 if kept == RAW else 1 - LEAST_GAIN):
            best, kept = small, _BY_WIDTH[width]
    return kept


def _packed(piece: bytes, width: int) -> bytes:
    return zstandard.ZstdCompressor(level=LEVEL).compress(shuffle(piece, width) if width > 1 else piece)


def _widths(head: bytes) -> tuple[int, ...]:
    """Return how wide the numbers of a file may be: what an .npy file says, else what is usual."""
    if not head.startswith(b"\x93NUMPY"):
        return (8, 4)
    _, found, rest = head.partition(b"'descr': '")
    digits = rest[2:].partition(b"'")[0]
    if not found or not digits.isdigit():
        return (8, 4)
    width, kind = int(digits), rest[1:2]
    both = (width // 2, width) if kind == b"c" else (width,)
    return tuple(one for one in both if one in _BY_WIDTH and one > 1)
