"""The Merkle tree over a log, as RFC 6962 (section 2.1) defines it: its root, and proofs that it only grew.

Of a log of n entries the peaks are the roots of the full trees that n's binary digits count, largest first. They are
all that appending needs, and a proof needs no more than the hashes of the entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from physlab.errors import ValidationError
from physlab.keys import hasher

EMPTY = bytes(hasher().digest())
"""The root of nothing."""


def leaf(line: bytes) -> bytes:
    """Return the hash of an entry."""
    state = hasher()
    state.update(b"\0")
    state.update(line)
    return bytes(state.digest())


def node(left: bytes, right: bytes) -> bytes:
    """Return the hash of two trees side by side."""
    state = hasher()
    state.update(b"\1" + left + right)
    return bytes(state.digest())


class Peaks:
    """The peaks of a log that grows.

    Args:
        size: How many entries it has.
        peaks: Of it, largest first.
    """

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self.peaks = list(peaks)

    def add(self, hashed: bytes) -> None:
        """Append the hash of an entry."""
        full = self.size
        while full & 1:
            hashed = node(self.peaks.pop(), hashed)
            full >>= 1
        self.peaks.append(hashed)
        self.size += 1

    @property
    def root(self) -> bytes:
        """The root of the whole tree."""
        if not self.peaks:
            return EMPTY
        found = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            found = node(peak, found)
        return found


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root of a tree over hashed entries."""
    peaks = Peaks()
    for hashed in leaves:
        peaks.add(hashed)
    return peaks.root


def consistency(leaves: Sequence[bytes], size: int) -> list[bytes]:
    """Return the proof that the first `size` entries of a log are still its beginning (RFC 6962, 2.1.2).

    Raises:
        ValidationError: The log has not so many entries.
    """
    if not 0 < size <= len(leaves):
        raise ValidationError(f"The log has {len(leaves)} entries, not {size}.", hint="Take a later checkpoint.")
    return _subproof(leaves, size, whole=True)


def _subproof(leaves: Sequence[bytes], size: int, *, whole: bool) -> list[bytes]:
    if size == len(leaves):
        return [] if whole else [root_of(leaves)]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if size <= half:
        return [*_subproof(leaves[:half], size, whole=whole), root_of(leaves[half:])]
    return [*_subproof(leaves[half:], size - half, whole=False), root_of(leaves[:half])]


def extends(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Say whether a proof shows that a log of `size` entries begins with another one (RFC 9162, 2.1.4.2)."""
    if old_size == size:
        return not proof and old_root == root
    if not 0 < old_size < size or not proof:
        return False
    path = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    one, last = old_size - 1, size - 1
    while one & 1:
        one, last = one >> 1, last >> 1
    first = second = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if one & 1 or one == last:
            first, second = node(each, first), node(each, second)
            while not one & 1 and one:
                one, last = one >> 1, last >> 1
        else:
            second = node(second, each)
        one, last = one >> 1, last >> 1
    return last == 0 and first == old_root and second == root
