"""Garbage: bytes that nothing needs any more, found by reachability and removed after a time of grace.

Everything that any record mentions is needed, but for results of nodes: those are needed while they can be hits, while
a run that is kept holds them, and while anything else mentions them. Bytes leave in two steps: first out of sight, and,
when nothing that happened meanwhile needs them, for good. A process that is killed in between loses nothing: the next
one puts everything back first.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson

from physlab.durable import force_folder
from physlab.errors import ResourceError
from physlab.store import Store, schema
from physlab.store.journal import Position

GRACE_S = 14 * 86_400.0
"""Younger bytes stay: somebody may be about to write down that they are needed [s]."""
BEGIN = Position(1, 0, 0)
_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_PER_NODE = ("node", "retract", "gc")
"""Kinds of records that need nothing by themselves."""
BLOCKERS = ("backup", "transfer", "repository")
"""Leases of those who read the whole store."""


@dataclass
class Garbage:
    """What is not needed.

    Attributes:
        blobs: SHA-256 of the bytes → their size [bytes].
        runs: Runs whose results are let go, oldest first.
        keys: Keys of results that will be no hits any more.
        young: How many more there are that are too young.
        kept: How many files are needed.
        upto: How far the ledger was read.
    """

    blobs: dict[str, int] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    young: int = 0
    kept: int = 0
    upto: Position = BEGIN

    @property
    def size(self) -> int:
        """How much room it takes [bytes]."""
        return sum(self.blobs.values())


def find_garbage(store: Store, *, grace_s: float = GRACE_S, before: str | None = None) -> Garbage:
    """Return what is not needed; nothing is changed.

    Args:
        store: The store.
        grace_s: Bytes younger than this stay [s].
        before: Let go of results of runs that began before this time (ISO 8601, UTC) and of no later one, unless
            something else needs them: a version, a hold, a job, a share, a notebook entry.
    """
    put_back(store)
    store.refresh()
    reading = _Reading(before or "")
    for kind, digest, body, place in store.journal.texts():
        reading.take(kind, digest, body)
        reading.upto = Position(place.segment, place.offset + place.length, 0)
    needed, dropped = reading.needed({row["digest"]: row["key"] for row in _hits(store)})
    needed |= _in_lists(store, needed) | _in_parts(store)
    found = Garbage(runs=reading.old_runs, keys=sorted(dropped), upto=reading.upto)
    youngest = time.time() - grace_s
    for digest in store.blobs.all():
        if digest in needed:
            found.kept += 1
            continue
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(store.blobs.path(digest))
            if status.st_mtime > youngest:
                found.young += 1
            else:
                found.blobs[digest] = status.st_size
    return found


def _hits(store: Store) -> list[dict[str, str]]:
    return store.index.rows(schema.nodes.select().with_only_columns(schema.nodes.c.digest, schema.nodes.c.key))


class _Reading:
    """What the ledger says, read once from its beginning to its end."""

    def __init__(self, before: str) -> None:
        self.before = before
        self.nodes: dict[str, set[str]] = {}  # record of a node → what it mentions
        self.roots: set[str] = set()  # what everything else mentions
        self.runs: dict[str, set[str]] = {}  # record of a run → what it mentions
        self.old_runs: list[str] = []
        self.old: set[str] = set()  # records of nodes in old runs
        self.upto = BEGIN

    def take(self, kind: str, digest: str, body: bytes) -> None:
        mentioned = {item.decode() for item in _DIGEST.findall(body)}
        if kind == "node":
            self.nodes[digest] = mentioned
        elif kind == "run" and self.before and self._began(body) < self.before:
            self.old_runs.append(str(orjson.loads(body)["run_id"]))
            self.old |= mentioned
            self.runs[digest] = mentioned
        elif kind not in _PER_NODE:
            self.roots |= mentioned

    @staticmethod
    def _began(body: bytes) -> str:
        return str(orjson.loads(body)["started_at"])

    def needed(self, hits: dict[str, str]) -> tuple[set[str], set[str]]:
        """Return every digest that is needed, and the keys of results that are let go."""
        for run in self.runs.keys() & self.roots:  # an entry of a notebook speaks of it: its results stay
            self.roots |= self.runs[run]
        dropped = {record for record in hits if record in self.old and record not in self.roots}
        live = {record for record in self.nodes if record in self.roots or (record in hits and record not in dropped)}
        open_ones, needed, seen = list(live), set(self.roots), set(live)
        while open_ones:
            for name in self.nodes[open_ones.pop()]:
                needed.add(name)
                if name in self.nodes and name not in seen:
                    seen.add(name)
                    open_ones.append(name)
        still = {key for record, key in hits.items() if record in seen}
        return needed, {hits[record] for record in dropped} - still


def _in_lists(store: Store, needed: set[str]) -> set[str]:
    """Return what the lists of needed folders name."""
    found: set[str] = set()
    table = schema.versions
    for row in store.index.rows(table.select().where(table.c.kind == "folder")):
        if row["sha256"] in needed:
            with contextlib.suppress(OSError):  # a list that is lost or damaged names nothing; verify tells
                found.update(item.decode() for item in _DIGEST.findall(store.blobs.read(row["sha256"])))
    return found


def _in_parts(store: Store) -> set[str]:
    """Return what finished parts of unfinished nodes name."""
    found: set[str] = set()
    for path in store.parts.folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.update(item.decode() for item in _DIGEST.findall(path.read_bytes()))
    return found


def collect(store: Store, garbage: Garbage, *, grace_s: float = GRACE_S) -> tuple[int, int]:
    """Remove garbage for good; return how many files and bytes that were.

    Raises:
        ResourceError: Somebody else collects, or reads the whole store.
        StoreError: The store cannot be written; nothing that is needed is gone.
    """
    busy = [name for name in store.leases.held() if name in BLOCKERS]
    if busy or not store.leases.acquire("gc"):
        raise ResourceError(
            f"The store is in use: {', '.join(busy) or 'another collection'}.", hint="Try again when that is over."
        )
    try:
        away = _hide(store, garbage.blobs)
        doubtful = _mentioned_since(store, garbage.upto) | _in_parts(store)
        gone = {digest: path for digest, path in away.items() if not _is_wanted(path, digest, doubtful, grace_s)}
        for digest in away.keys() - gone.keys():
            _return(store, digest)
        records = [("retract", {"kind": "retract", "key": key}) for key in garbage.keys]
        size = sum(garbage.blobs[digest] for digest in gone)
        now = datetime.now(UTC).isoformat()
        told = {"kind": "gc", "at": now, "removed": sorted(gone), "bytes": size, "runs": garbage.runs}
        store.append_all([*records, ("gc", told)])
        store.flush()
        for path in gone.values():
            path.unlink()
        return len(gone), size
    finally:
        store.leases.release("gc")


def _trash(store: Store) -> Path:
    return store.root / "trash"


def _hide(store: Store, digests: Iterable[str]) -> dict[str, Path]:
    trash = _trash(store)
    trash.mkdir(exist_ok=True)
    found = {}
    for digest in digests:
        with contextlib.suppress(FileNotFoundError):
            os.rename(store.blobs.path(digest), trash / digest)
            found[digest] = trash / digest
    force_folder(trash)
    return found


def _mentioned_since(store: Store, place: Position) -> set[str]:
    """Return what records mention that were written after a place in the ledger."""
    found: set[str] = set()
    for _, _, body, _ in store.journal.texts(place.segment, place.offset):
        found.update(item.decode() for item in _DIGEST.findall(body))
    return found


def _is_wanted(path: Path, digest: str, doubtful: set[str], grace_s: float) -> bool:
    return digest in doubtful or os.stat(path).st_mtime > time.time() - grace_s


def _return(store: Store, digest: str) -> None:
    target = store.blobs.path(digest)
    target.parent.mkdir(exist_ok=True)
    os.rename(_trash(store) / digest, target)  # over one that was kept anew: they are the same bytes


def put_back(store: Store) -> int:
    """Put back what a collection had hidden that was killed; return how many files."""
    trash = _trash(store)
    if not trash.is_dir() or "gc" in store.leases.held():
        return 0
    names = list(_hidden(trash))
    for digest in names:
        with contextlib.suppress(FileNotFoundError):
            _return(store, digest)
    return len(names)


def _hidden(trash: Path) -> Iterator[str]:
    for path in trash.iterdir():
        if len(path.name) == 64:
            yield path.name
