"""One lab's files on their way into a store: small ones whole, of large ones the chunks that are not there yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from physlab.errors import StoreError
from physlab.keys import digest_bytes, hasher
from physlab.store.blobs import Blobs, damaged, missing
from physlab.transfer.chunks import LARGE, average_for, cut
from physlab.transfer.codec import choose
from physlab.transfer.lanes import Lanes
from physlab.transfer.layout import Chunk, FileList, path_of
from physlab.transfer.packs import Packer
from physlab.transfer.remote import RemoteStore

MayLeave = Callable[[str], str | None]
"""Takes the digest of a file; returns the reason why it may not leave the lab, or None."""


@dataclass(frozen=True)
class Estimate:
    """What would travel.

    Attributes:
        files: How many files.
        size: How many bytes, before they are packed.
    """

    files: int
    size: int


class Sender:
    """Brings files of a lab into a store.

    Args:
        blobs: The lab's.
        remote: The store.
    """

    def __init__(self, blobs: Blobs, remote: RemoteStore) -> None:
        self._blobs, self._remote = blobs, remote

    def send(self, digests: Iterable[str], *, learn: bool = True) -> None:
        """Send files, each of which counts as there when it is complete.

        Args:
            digests: Which.
            learn: Look first which chunks are there; False where the notes are right.

        Raises:
            StoreError: A file is missing or damaged here, or the store cannot be written.
        """
        small, large = self._sorted(digests)
        with Lanes() as lanes:
            for digest in small:
                lanes.do(self._send_small, digest)
        if large:
            if learn:
                self._remote.learn()
            for digest in large:
                self._send_large(digest)

    def estimate(self, digests: Iterable[str]) -> Estimate:
        """Say what `send` would send; large files are cut for it, nothing is written there."""
        small, large = self._sorted(digests)
        size = sum(self._blobs.path(digest).stat().st_size for digest in small)
        if large:
            self._remote.learn()
        new: set[str] = set()
        for digest in large:
            with self._opened(digest) as stream:
                for data in cut(stream, average_for(self._blobs.path(digest).stat().st_size)):
                    name = digest_bytes(data)
                    if name not in new and self._remote.known.find(name) is None:
                        new.add(name)
                        size += len(data)
        return Estimate(len(small) + len(large), size)

    def _sorted(self, digests: Iterable[str]) -> tuple[list[str], list[str]]:
        small: list[str] = []
        large: list[str] = []
        for digest in digests:
            path = self._blobs.path(digest)
            try:
                (large if path.stat().st_size > LARGE else small).append(digest)
            except OSError as error:
                raise missing(digest, path) from error
        return small, large

    def _opened(self, digest: str) -> BinaryIO:
        path = self._blobs.path(digest)
        try:
            return open(path, "rb")
        except OSError as error:
            raise missing(digest, path) from error

    def _send_small(self, digest: str) -> None:
        data = self._blobs.read(digest)
        name = path_of("blobs", self._remote.digits("blobs", digest))
        self._remote.write(name, self._remote.seal(data))
        self._remote.count()

    def _send_large(self, digest: str) -> None:
        path = self._blobs.path(digest)
        size = path.stat().st_size
        known, rows, state = self._remote.known, list[tuple[str, int, Chunk | None]](), hasher()
        with self._opened(digest) as stream, Lanes() as lanes:
            codec = choose(lambda start, length: _part(stream, start, length), size)
            stream.seek(0)
            packer = Packer(self._remote.key, lambda *pack: lanes.do(self._send_pack, *pack))
            for data in cut(stream, average_for(size)):
                state.update(data)
                name = digest_bytes(data)
                there = known.find(name)
                rows.append((name, len(data), there))
                if there is None:
                    packer.add(name, data, codec)
            packer.flush()
        if state.hexdigest() != digest:
            raise damaged(digest, path)
        chunks = tuple(there or packer.sent[name] for name, _, there in rows)
        self._remote.write_list(FileList(digest, size, chunks))
        self._remote.count()

    def _send_pack(self, pack: str, data: bytes, chunks: list[Chunk]) -> None:
        self._remote.write(path_of("packs", pack), data)
        self._remote.known.add(chunks)


def _part(stream: BinaryIO, start: int, length: int) -> bytes:
    stream.seek(start)
    return stream.read(length)


def refuse_held(digests: Iterable[str], may_leave: MayLeave | None) -> None:
    """Let nothing leave that may not.

    Raises:
        StoreError: Something may not; each of the first ones is named with its reason.
    """
    held = held_back(digests, may_leave)
    if held:
        shown = "; ".join(f"{digest[:12]}…: {reason}" for digest, reason in sorted(held.items())[:5])
        more = f" … and {len(held) - 5} more" if len(held) > 5 else ""
        raise StoreError(
            f"{len(held)} of the files may not leave this lab: {shown}{more}. Nothing was sent.",
            hint="Leave them out, with the records that name them: physlab store push NAME --without-held",
            details={"held": held},
        )


def held_back(digests: Iterable[str], may_leave: MayLeave | None) -> dict[str, str]:
    """Return the files that may not leave, with the reason of each."""
    if may_leave is None:
        return {}
    return {digest: reason for digest in digests if (reason := may_leave(digest)) is not None}
