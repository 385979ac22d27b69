"""Files on their way out of a store: into a waiting room first, each byte checked, going on where it stopped."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from physlab.errors import StoreError
from physlab.keys import digest_bytes, digest_stream, hasher
from physlab.transfer.codec import decode
from physlab.transfer.lanes import Lanes
from physlab.transfer.layout import Chunk, FileList, check_digest, path_of
from physlab.transfer.remote import RemoteStore
from physlab.transfer.sending import Source

SPAN = 8 << 20


class Fetcher:
    """Brings files of a store into a folder on the file system of the lab.

    Args:
        blobs: The lab's; what it has of a large file is taken from there.
        remote: The store.
        folder: The waiting room; what is whole in it stays for the next try.
    """

    def __init__(self, blobs: Source, remote: RemoteStore, folder: Path) -> None:
        self._blobs, self._remote, self._folder = blobs, remote, folder
        self._pack: tuple[str, bytes] = ("", b"")

    def fetch(self, digests: Iterable[str]) -> dict[str, Path]:
        """Fetch files; return where each lies, checked and forced to disk.

        Raises:
            StoreError: One is not there, or not what its name says; the error names it.
        """
        wanted = [check_digest(digest) for digest in digests]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with Lanes() as lanes:
                large: list[str] = []
                for digest in wanted:
                    lanes.do(self._fetch_small, digest, large)
            self._learn(large)
            for digest in large:
                self._fetch_large(digest)
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(
                f"{self._folder} cannot be written: {error.strerror or error}.",
                hint="Free disk space; what is whole is kept, go on with the same command.",
            ) from error
        return {digest: self._folder / digest for digest in wanted}

    def _learn(self, large: list[str]) -> None:
        if large:
            self._remote.learn()  # which of their chunks lie in files that are here

    def _fetch_small(self, digest: str, large: list[str]) -> None:
        """Fetch a file that lies whole; note one that does not."""
        target = self._folder / digest
        if target.exists() and _is(target, digest):
            return
        name = path_of("blobs", self._remote.digits("blobs", digest))
        raw = self._remote.read(name)
        if raw is None:
            large.append(digest)
            return
        data = self._remote.unseal(raw, name)
        if digest_bytes(data) != digest:
            raise _changed(self._remote, name, digest)
        with open(target.with_suffix(".part"), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(target.with_suffix(".part"), target)
        self._remote.count()

    def _fetch_large(self, digest: str) -> None:
        found = self._remote.file_list(digest)
        if found is None:
            raise StoreError(
                f"The store '{self._remote.name}' ({self._remote.place.url}) lacks {digest}.",
                hint=f"Where it is says: physlab store replicas; or push it again: physlab store push "
                f"{self._remote.name} --all",
            )
        draft, state = self._folder / f"{digest}.part", hasher()
        with open(draft, "a+b") as stream:
            begun = _resume(stream, found, state)
            for chunk, data in self._chunks(found, begun):
                if digest_bytes(data) != chunk.digest:
                    raise _changed(self._remote, path_of("packs", chunk.pack), digest)
                state.update(data)
                stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if state.hexdigest() != digest:
            draft.unlink()
            raise _changed(self._remote, path_of("files", self._remote.digits("files", digest)), digest)
        os.replace(draft, self._folder / digest)
        self._remote.count()

    def _chunks(self, file: FileList, begun: int) -> Iterable[tuple[Chunk, bytes]]:
        """Yield the chunks from a number on: what a file here has, the rest in stretches that lie together there."""
        span: list[Chunk] = []
        for chunk in file.chunks[begun:]:
            here = self._from_here(chunk)
            if span and (here is not None or not _follows(span, chunk)):
                yield from self._from_there(span)
                span = []
            if here is not None:
                yield chunk, here
            else:
                span.append(chunk)
        if span:
            yield from self._from_there(span)

    def _from_here(self, chunk: Chunk) -> bytes | None:
        for digest, offset in self._remote.known.places(chunk.digest):
            for path in (self._blobs.path(digest), self._folder / digest):
                try:
                    with open(path, "rb") as stream:
                        stream.seek(offset)
                        data = stream.read(chunk.size)
                except OSError:
                    continue
                if digest_bytes(data) == chunk.digest:
                    return data
        return None

    def _from_there(self, span: list[Chunk]) -> Iterable[tuple[Chunk, bytes]]:
        name, start = path_of("packs", span[0].pack), span[0].offset
        data = self._part_of_pack(span[0].pack, name, start, span[-1].offset + span[-1].length - start)
        for chunk in span:
            packed = data[chunk.offset - start : chunk.offset - start + chunk.length]
            yield chunk, decode(packed, chunk.codec, chunk.size, self._remote.what(name))

    def _part_of_pack(self, pack: str, name: str, start: int, length: int) -> bytes:
        if self._remote.key is None:
            data = self._remote.read_part(name, start, length)
        else:
            if self._pack[0] != pack:
                raw = self._remote.read(name)
                self._pack = (pack, b"" if raw is None else self._remote.unseal(raw, name))
            data = self._pack[1][start : start + length]
        if data is None or len(data) != length:
            raise StoreError(
                f"{self._remote.what(name)} is {'gone' if not data else 'cut'}.", hint="Mend it: physlab store repair"
            )
        return data


def _follows(span: list[Chunk], chunk: Chunk) -> bool:
    last = span[-1]
    together = chunk.pack == last.pack and chunk.offset == last.offset + last.length
    return together and chunk.offset + chunk.length - span[0].offset <= SPAN


def _resume(stream: BinaryIO, file: FileList, state: object) -> int:
    """Keep the chunks that a draft has already; return how many, with the stream behind them."""
    stream.seek(0)
    count, end = 0, 0
    for chunk in file.chunks:
        data = stream.read(chunk.size)
        if digest_bytes(data) != chunk.digest:
            break
        state.update(data)  # type: ignore[attr-defined]
        count, end = count + 1, end + chunk.size
    stream.truncate(end)
    stream.seek(end)
    return count


def _is(path: Path, digest: str) -> bool:
    with open(path, "rb") as stream:
        return digest_stream(stream)[0] == digest


def _changed(remote: RemoteStore, name: str, digest: str) -> StoreError:
    return StoreError(
        f"{remote.what(name)} was changed: it does not give {digest}.",
        hint="Nothing was taken. Mend it from another copy: physlab store repair",
        details={"sha256": digest, "file": name},
    )
