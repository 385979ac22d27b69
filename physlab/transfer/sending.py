"""One lab's files on their way into a store: small ones whole, of large ones the chunks that are not there yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from physlab.errors import StoreError
from physlab.keys import digest_bytes, hasher
from physlab.store.blobs import damaged, missing
from physlab.transfer.chunks import LARGE, average_for, cut
from physlab.transfer.codec import choose
from physlab.transfer.lanes import Lanes
from physlab.transfer.layout import Chunk, FileList, digits_of, path_of
from physlab.transfer.packs import Packer
from physlab.transfer.remote import RemoteStore

TRIES = 8
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


class Source(Protocol):
    """Where files are taken from, by their digests: the blobs of a lab, or others."""

    def path(self, digest: str) -> Path:
        """Return where a file lies."""

    def read(self, digest: str) -> bytes:
        """Return the bytes of a small file, checked."""


class Sender:
    """Brings files of a lab into a store.

    Args:
        blobs: The lab's.
        remote: The store.
    """

    def __init__(self, blobs: Source, remote: RemoteStore) -> None:
        self._blobs, self._remote = blobs, remote
        self._relied: dict[str, str] = {}
        self._packs, self._condemned = set[str](), set[str]()

    def there(self, digests: Iterable[str]) -> set[str]:
        """Return which files are there and need not be sent; from now on `settle` watches over them."""
        found = self._remote.find(digests)
        lasting = self._remote.marks.lasting(found.values())
        self._condemned.update(set(found.values()) - lasting)
        self._relied.update((name, digest) for digest, name in found.items() if name in lasting)
        return {digest for digest, name in found.items() if name in lasting}

    def settle(self) -> None:
        """See, before anything names the files, that a collection of garbage takes none of them; else send it again.

        Raises:
            StoreError: A collection removes some of them at this moment, or the store does not keep them.
        """
        for _ in range(TRIES):
            if not (lost := self._lost()):
                return
            self.send(sorted(lost))
        raise StoreError(
            f"The store '{self._remote.name}' does not keep what is written to it.",
            hint=f"Is its clock right, does anything else remove files there? See: physlab store scrub "
            f"{self._remote.name}",
        )

    def _lost(self) -> set[str]:
        """Return the files that were there or were sent, and are condemned or gone."""
        marks, names = self._remote.marks, {*self._relied, *self._packs}
        taken = sorted(names & marks.being_removed())
        if taken:
            raise StoreError(
                f"A collection of garbage removes {len(taken)} files of the store '{self._remote.name}' now that this "
                f"needs, such as {taken[0]}.",
                hint=f"Let it end, or end it where it was cut off (physlab store gc {self._remote.name} --delete); "
                "then the same command again.",
            )
        when = marks.condemned()
        self._condemned.update(names & when.keys())
        lost = {name for name in self._condemned & names if not marks.is_spared(name, max(when.get(name, (0.0,))))}
        files = {self._relied[name] for name in lost if name in self._relied}
        for name in lost - self._relied.keys():
            files |= self._remote.known.files_with(str(digits_of(name))) & set(self._relied.values())
            self._remote.known.forget_pack(str(digits_of(name)))
            self._packs.discard(name)
        return files

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
        self._relied[name] = digest
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
        file = FileList(digest, size, chunks)
        self._remote.write_list(file)
        self._relied[path_of("files", self._remote.digits("files", digest))] = digest
        self._packs.update(path_of("packs", chunk.pack) for chunk in chunks)
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
