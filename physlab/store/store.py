"""The store: blobs, journal, index and leases of one lab, as one thing."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import sqlalchemy as sa

from physlab.errors import ConfigurationError, StoreError, ValidationError
from physlab.keys import digest_stream
from physlab.store import schema
from physlab.store.archived import copy_index, is_archived
from physlab.store.blobs import Blobs
from physlab.store.index import Entry, Index, sqlite_url
from physlab.store.journal import Journal, Line, Position
from physlab.store.lease import Leases
from physlab.store.parts import KeptParts

FORMAT = 1
INDEX = "index.sqlite"
VAULT = "vault"
"""Folder in the home of a lab that is locked, or about to be."""
FLUSH_S = 0.1
SETTLED_NS = 2_000_000_000  # a file younger than this may change again without a new mtime


class Store:
    """One lab's memory.

    A record counts as soon as `append` returned: a killed process does not lose it. It is forced to disk at the latest
    `FLUSH_S` later and at `flush`. The index follows the journal; whoever reads it first lets it catch up.

    Args:
        root: Folder of the store.
        index_url: SQLAlchemy URL of the index; SQLite in the folder by default.
        scratch: Temporary folder that goes when the store is closed.
    """

    def __init__(
        self, root: Path, index_url: str | None = None, scratch: TemporaryDirectory[str] | None = None
    ) -> None:
        self.root = root
        self.blobs = Blobs(root)
        self.journal = Journal(root)
        self.leases = Leases(root)
        self.parts = KeptParts(root)
        self.index = Index(index_url or sqlite_url((Path(scratch.name) if scratch else root) / INDEX))
        self._scratch = scratch
        self._pending: list[Line] = []
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._flushing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def append(self, kind: str, record: Mapping[str, Any]) -> str:
        """Write a record to the journal and return its digest.

        Raises:
            StoreError: It could not be written.
            ValidationError: It holds something that JSON cannot.
        """
        return self.append_all([(kind, record)])[0]

    def append_all(self, records: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
        """Write records, each with its kind, together: all of them count or none; return their digests.

        Raises:
            StoreError: They could not be written.
            ValidationError: One holds something that JSON cannot.
        """
        with self._guard:
            lines = self.journal.append((kind, dict(record)) for kind, record in records)
            self._pending.extend(lines)
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="ledger", daemon=True)
                self._thread.start()
        self._wake.set()
        return [line.digest for line in lines]

    def _follow(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            with contextlib.suppress(StoreError):  # the journal has the record; the next reader sees the error itself
                self.flush()
            time.sleep(FLUSH_S)

    def flush(self) -> None:
        """Force everything to disk and bring the index up to date."""
        with self._flushing:
            with self._guard:
                lines, self._pending = self._pending, []
            if lines:
                self.journal.force()
                self.index.apply(lines if _adjoin(lines) else (), self._replay)

    def others(self) -> int:
        """Return a number that stays the same as long as no other process writes."""
        with self._guard:
            return self.journal.others()

    def refresh(self) -> None:
        """Let the index catch up with what any process wrote."""
        self.flush()
        self.index.catch_up(self.journal.end, self._replay)

    def _replay(self, position: Position) -> Iterator[Line]:
        return self.journal.replay(position.segment, position.offset)

    def reindex(self) -> int:
        """Rebuild the index from the journal; return how many records it holds."""
        self.flush()
        self.index.rebuild(self._replay)
        return len(self.index.rows(schema.records.select()))

    def record(self, digest: str) -> dict[str, Any]:
        """Return a record by its digest.

        Raises:
            StoreError: There is none, or it is damaged.
        """
        bare = digest.removeprefix("sha256:")
        position = self.index.position(bare)
        if position is None:
            self.refresh()
            position = self.index.position(bare)
        if position is None:
            raise StoreError(f"The ledger has no record {bare[:12]}.", hint="See: physlab runs.")
        return self.journal.read(position)

    def records_of(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the records of some kinds, oldest first."""
        table = schema.records
        rows = self.index.rows(table.select().where(table.c.kind.in_(kinds)).order_by(table.c.seq))
        return [self.journal.read(Position(row["segment"], row["position"], row["length"])) for row in rows]

    def texts_of(self, *kinds: str) -> Iterator[tuple[str, bytes]]:
        """Yield digest and canonical JSON of the records of some kinds, oldest first."""
        table = schema.records
        rows = self.index.rows(table.select().where(table.c.kind.in_(kinds)).order_by(table.c.seq))
        return self.journal.read_texts(Position(row["segment"], row["position"], row["length"]) for row in rows)

    def hits_by_recipe(self, recipes: Sequence[str]) -> dict[str, Entry]:
        """Return the results of recipes, as far as they are known and their bytes are intact."""
        return self._intact(self.index.by_recipe(recipes))

    def hits_by_key(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the results of keys, as far as they are known and their bytes are intact."""
        return self._intact(self.index.by_key(keys))

    def _intact(self, found: dict[str, Entry]) -> dict[str, Entry]:
        wanted = {blob for entry in found.values() for blob in entry.blobs}
        if not wanted:
            return found
        bad = wanted - self.check_blobs(wanted)
        return {name: entry for name, entry in found.items() if not bad.intersection(entry.blobs)} if bad else found

    def check_blobs(self, digests: Iterable[str]) -> set[str]:
        """Return the digests whose bytes are there and unchanged; a damaged one is removed, so that it is made anew."""
        paths = {str(self.blobs.path(digest)): digest for digest in digests}
        memos, good, fresh = self.index.memos(list(paths)), set(), []
        for path, digest in paths.items():
            try:
                stat = os.stat(path)
            except OSError:
                continue
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size, digest)
            if memos.get(path) == seen:
                good.add(digest)
            elif self.blobs.intact(digest):
                good.add(digest)
                if _settled(stat.st_mtime_ns):
                    fresh.append((path, *seen))
            else:
                self.blobs.remove(digest)
        self.index.remember(fresh)
        return good

    def digest_files(self, paths: Iterable[Path]) -> dict[Path, str]:
        """Return the SHA-256 of files, read only when they changed since the last time.

        The time of change tells, which no program can set back, not the time of modification, which copying keeps.

        Raises:
            ValidationError: A file cannot be read.
        """
        names = {path: str(path.resolve()) for path in paths}
        memos = self.index.memos(list(names.values()))
        found, fresh = {}, []
        for path, name in names.items():
            try:
                stat = path.stat()
                memo, seen = memos.get(name), (stat.st_ino, stat.st_ctime_ns, stat.st_size)
                if memo is not None and memo[:3] == seen:
                    found[path] = memo[3]
                    continue
                with open(path, "rb") as stream:
                    found[path] = digest_stream(stream)[0]
            except OSError as error:
                raise ValidationError(
                    f"The file '{path}' cannot be read: {error.strerror or error}.", hint="Check its path and rights."
                ) from error
            if _settled(stat.st_ctime_ns):
                fresh.append((name, *seen, found[path]))
        self.index.remember(fresh)
        return found

    def verify(self) -> Iterator[str]:
        """Yield everything that is wrong: the chain, the index, every blob's bytes, every missing blob."""
        self.flush()
        damage = [*self.journal.verify()]
        yield from damage
        mark, end = self.index.mark(), self.journal.end()
        if mark > (end.segment, end.offset):
            yield f"{self.journal.file(end.segment).name}: lines after byte {end.offset} are gone that were indexed"
        elif not damage:
            yield from self._verify_index()
        wanted: set[str] = set()
        for entry in self.index.entries():
            wanted.update(entry.blobs)
        present = set(self.blobs.all())
        for digest in sorted(present):
            if not self.blobs.intact(digest):
                yield f"{self.blobs.path(digest)}: the bytes are not those of sha256:{digest}"
        for digest in sorted(wanted - present):
            yield f"sha256:{digest} is missing; the nodes that made it will run again"
        table = schema.versions
        kept = sa.select(table.c.sha256, table.c.artifact).where(table.c.kind != "external").distinct()
        for row in self.index.rows(kept.order_by(table.c.artifact)):
            if row["sha256"] not in present | wanted:
                yield f"sha256:{row['sha256']} is missing, a version of {row['artifact']}: get it back from a backup"

        for digest, noted in self._attached():
            if digest not in present | wanted:
                yield f"sha256:{digest} is missing, a file of the notebook entry {noted}: get it back from a backup"

    def _attached(self) -> Iterator[tuple[str, str]]:
        """Yield the files of notebook entries, each with the entry's name."""
        for _, text in self.texts_of("notebook_entry"):
            record = orjson.loads(text)
            yield from ((item["sha256"], record["entry_id"]) for item in record["attachments"])

    def _verify_index(self) -> Iterator[str]:
        self.refresh()
        lines = {digest: kind for kind, digest, _, _ in self.journal.texts()}
        table = schema.records
        rows = {row["digest"]: row["kind"] for row in self.index.rows(sa.select(table.c.digest, table.c.kind))}
        missing, extra = lines.keys() - rows.keys(), rows.keys() - lines.keys()
        for digest in sorted(lines.keys() & rows.keys()):
            if lines[digest] != rows[digest]:  # no line after the last one vouches for it
                yield f"the index has record {digest[:12]} as {rows[digest]}, the journal as {lines[digest]}"
        if missing or extra:
            yield f"the index lacks {len(missing)} records and has {len(extra)} of its own: run physlab store reindex"

    def close(self) -> None:
        """Write what is pending and let go."""
        self._closed = True
        self._wake.set()
        self.flush()
        self.leases.close()
        self.index.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _adjoin(lines: Sequence[Line]) -> bool:
    return all(
        after.position.segment == before.position.segment
        and after.position.offset == before.position.offset + before.position.length
        for before, after in itertools.pairwise(lines)
    )


def _settled(changed_ns: int) -> bool:
    return time.time_ns() - changed_ns > SETTLED_NS


def require_open(home: Path) -> None:
    """Refuse to work in a home that is locked.

    Raises:
        ConfigurationError: It is.
    """
    if (home / VAULT).exists():
        raise ConfigurationError(f"The lab at {home} is locked.", hint="Open it: physlab store unlock")


def open_store(root: Path, index_url: str | None = None) -> Store:
    """Open a lab's store, creating it on first use; one that cannot be written is opened for reading.

    Raises:
        ConfigurationError: It was written by a newer physlab, or the folder is not a store.
        StoreError: The folder cannot be written.
    """
    marker = root / "store.json"
    require_open(root.parent)
    if is_archived(root, marker):
        return _open_archived(root, index_url, marker)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with open(root / ".lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            store = Store(root, index_url)
            if marker.exists():
                _check_format(marker)
            for part in (store.blobs, store.journal, store.leases, store.parts):
                part.create()
            store.index.create()
            if not marker.exists():
                temporary = root / "store.json.new"
                temporary.write_text(json.dumps({"format": FORMAT}))
                os.replace(temporary, marker)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"The store at {root} cannot be opened: {error.strerror or error}.",
            hint="Make the folder writable, or set PHYSLAB_HOME to another one.",
        ) from error
    store.blobs.sweep(older_than_s=86_400, now=time.time())
    return store


def _open_archived(root: Path, index_url: str | None, marker: Path) -> Store:
    _check_format(marker)
    store = Store(root, index_url, None if index_url else copy_index(root, INDEX))
    store.index.create()
    return store


def _check_format(marker: Path) -> None:
    try:
        found = json.loads(marker.read_text())["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{marker} is damaged.", hint=f'Its content is {{"format": {FORMAT}}}; restore it.'
        ) from error
    if found > FORMAT:
        raise ConfigurationError(
            f"The store at {marker.parent} was written by a newer physlab (format {found}, this one knows {FORMAT}).",
            hint="Upgrade physlab, or set PHYSLAB_HOME to another folder.",
        )
