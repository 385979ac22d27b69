"""What travels with a node between a lab and a cluster: by digest, in pieces, verified where it arrives."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from physlab.errors import StoreError
from physlab.model import Work, WorkResult, is_stored_array, is_stored_file
from physlab.store.blobs import Blobs

INLINE_BYTES = 4 << 20
"""Files up to so much in all travel with a result; larger ones are fetched in pieces."""
PIECE_BYTES = 4 << 20


def given_digests(work: Work) -> list[str]:
    """Return the digests of what a piece of work takes."""
    return list(dict.fromkeys([*_digests([work.params, *work.parts]), *work.checkpoint.values()]))


def made_digests(result: WorkResult) -> list[str]:
    """Return the digests of what a piece of work gave."""
    found = [*_digests(result.fields), *_digests(result.meta), *(item.sha256 for item in result.artifacts)]
    return list(dict.fromkeys([*found, *([result.log] if result.log else [])]))


def left_digests(details: Mapping[str, Any]) -> list[str]:
    """Return the digests of what a failed piece of work left: its log, and what it saved to go on from."""
    log = [str(details["log"]).removeprefix("sha256:")] if details.get("log") else []
    return [*log, *dict(details.get("checkpoint", {})).values()]


def _digests(value: Any) -> Iterator[str]:
    if is_stored_array(value):
        yield value["$array"]["sha256"]
    elif is_stored_file(value):
        yield value["$file"]["sha256"]
    elif isinstance(value, dict):
        for item in value.values():
            yield from _digests(item)
    elif isinstance(value, list):
        for item in value:
            yield from _digests(item)


def read_piece(store: str, digest: str, start: int) -> bytes:
    """Return a piece of a file of a store, empty behind its end."""
    with open(Blobs(Path(store)).path(digest), "rb") as stream:
        stream.seek(start)
        return stream.read(PIECE_BYTES)


def write_piece(store: str, name: str, start: int, data: bytes) -> None:
    """Write a piece of a file that is being brought into a store."""
    path = Blobs(Path(store)).incoming / name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, data, start)
    finally:
        os.close(descriptor)


def finish(store: str, name: str, digest: str) -> None:
    """Take a file that was brought piece by piece into a store.

    Raises:
        StoreError: It is not what was announced.
    """
    blobs = Blobs(Path(store))
    path = blobs.incoming / name
    try:
        found, _ = blobs.put(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    if found != digest.removeprefix("sha256:"):
        blobs.remove(found)
        raise StoreError(f"What arrived as {digest[:19]}… is {found[:12]}….", hint="Run again.")


def fetch(blobs: Blobs, digest: str, read: Callable[[int], bytes], name: str) -> None:
    """Fetch a file into a store, piece by piece.

    Args:
        blobs: The store.
        digest: What is fetched.
        read: Gives the piece that begins at an offset, an empty one at the end.
        name: A name of its own for the unfinished file.

    Raises:
        StoreError: What arrived is something else.
    """
    start = 0
    store = str(blobs.objects.parent)
    while data := read(start):
        write_piece(store, name, start, data)
        start += len(data)
    if not start:
        write_piece(store, name, 0, b"")
    finish(store, name, digest)
