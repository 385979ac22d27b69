"""Pull: files and records of a store into a lab, all or nothing.

Files gather in a waiting room outside of the lab's store. When all are there and checked they are moved in, and the
records are written in one piece. A pull that was killed goes on with what waits.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from physlab.errors import ConfigurationError
from physlab.store import Store
from physlab.transfer.fetching import Fetcher
from physlab.transfer.push import no_such
from physlab.transfer.records import Travelling, closure, roots, their_records
from physlab.transfer.remote import RemoteStore
from physlab.transfer.taking import alone, take, unknown

WAITING_S = 7 * 86_400


@dataclass(frozen=True)
class Pulled:
    """What a pull did, or with `dry_run` would do.

    Attributes:
        store: Name of the store.
        files: Files that were fetched.
        size: Bytes that travelled, as they lie there.
        records: Records that are new here.
        here: Files that were here before.
        missing: Digests of files that the records need and neither side has.
    """

    store: str
    files: int
    size: int
    records: int
    here: int
    missing: tuple[str, ...] = ()


def pull(store: Store, remote: RemoteStore, name: str | None = None, *, dry_run: bool = False) -> Pulled:
    """Bring a run, a version, or everything of a store into a lab, as far as it is not here.

    Args:
        store: The lab's.
        remote: Where from.
        name: A run, a version, or `sha256:…`; None for everything.
        dry_run: Only say what would travel.

    Raises:
        ConfigurationError: There is no store.
        ValidationError: Nothing there has this name.
        StoreError: Something is missing or damaged; the lab is as before.
    """
    if not remote.check():
        raise ConfigurationError(
            f"There is no store in {remote.place.url} yet.", hint=f"Make it: physlab store push {remote.name} --all"
        )
    records = their_records(remote)
    if name is not None:
        begun = roots(records, name)
        if not begun:
            raise no_such(records, name)
        records = closure(records, begun)
    if dry_run:
        return _preview(store, remote, records)
    room = remote.folder / "incoming"
    with alone(remote.folder):
        records = with_lists(store, remote, records, room)
        found = _compare(store, remote, records, store.check_blobs)
        _sweep(room)
        fetched = Fetcher(store.blobs, remote, room).fetch(found.lacking)
        count = take(store, remote.name, remote.place.url, fetched, records)
        shutil.rmtree(room, ignore_errors=True)
    files = len(found.lacking)
    return Pulled(remote.name, files, remote.tally.received, count, found.here, found.missing)


def with_lists(
    store: Store, remote: RemoteStore, records: Mapping[str, Travelling], room: Path
) -> dict[str, Travelling]:
    """Return records with what the lists of their folders name; a list that is not here is fetched."""
    sheets = {one.sheet for one in records.values() if one.sheet is not None}
    away = remote.has(sheets - store.check_blobs(sheets))
    paths = {sheet: store.blobs.path(sheet) for sheet in sheets} | Fetcher(store.blobs, remote, room).fetch(away)
    listed = {sheet: path.read_bytes() for sheet, path in paths.items() if path.exists()}
    return {digest: one.listing(listed[one.sheet]) if one.sheet in listed else one for digest, one in records.items()}


class _Compared(NamedTuple):
    lacking: list[str]
    here: int
    missing: tuple[str, ...]


def _compare(
    store: Store,
    remote: RemoteStore,
    records: Mapping[str, Travelling],
    look: Callable[[set[str]], set[str]],
) -> _Compared:
    """Say which files that records name are here, which only there, and which that are needed in neither place."""
    named = set[str]().union(*(one.named for one in records.values()))
    here = look(named)
    lacking = remote.has(named - here)
    needed = set[str]().union(*(one.needed() for one in records.values()))
    return _Compared(sorted(lacking), len(here), tuple(sorted(needed - here - lacking)))


def _preview(store: Store, remote: RemoteStore, records: Mapping[str, Travelling]) -> Pulled:
    found = _compare(store, remote, records, lambda named: {one for one in named if store.blobs.path(one).exists()})
    size, new = _sizes(remote, found.lacking), len(unknown(store, records))
    return Pulled(remote.name, len(found.lacking), size, new, found.here, found.missing)


def _sizes(remote: RemoteStore, digests: list[str]) -> int:
    """Return how many bytes files have in a store, packed as they lie there."""
    total = 0
    small = {remote.digits("blobs", digest): digest for digest in digests}
    for digits, size in remote.listed("blobs"):
        if small.pop(digits, None):
            total += size
    for digest in small.values():
        found = remote.file_list(digest)
        total += sum(chunk.length for chunk in set(found.chunks)) if found else 0
    return total


def _sweep(room: Path) -> None:
    """Forget what an earlier pull left behind long ago."""
    for path in room.iterdir() if room.is_dir() else ():
        if time.time() - path.stat().st_mtime > WAITING_S:
            path.unlink(missing_ok=True)
