"""The SQL index of the ledger: a view that can be rebuilt from the journal at any time."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from physlab.errors import ConfigurationError, StoreError
from physlab.keys import digest
from physlab.store import schema
from physlab.store.journal import Line, Position

MANY = 500  # values in one IN (...)
BATCH = 2000  # lines taken at once


@dataclass(frozen=True, slots=True)
class Entry:
    """What the planner needs to know of a computed node.

    Attributes:
        key: Content key.
        recipe: Recipe it was made by (the latest that gave this key).
        record: Digest of its record.
        fields: Digest of each returned field.
        artifacts: Its artifacts as JSON objects.
        blobs: Digests of every byte it needs in the store.
    """

    key: str
    recipe: str
    record: str
    tool: str
    method: str | None
    node_id: str
    run_id: str
    device: str
    fields: dict[str, str]
    artifacts: list[dict[str, Any]]
    blobs: list[str]
    started_at: str
    duration_ms: float


class Index:
    """The index of one store.

    Args:
        url: SQLAlchemy URL; `sqlite:///…` or `postgresql+psycopg://…`.
    """

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        try:
            self.engine = sa.create_engine(self.url, pool_pre_ping=not url.startswith("sqlite"))
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError) as error:
            raise ConfigurationError(
                f"The index URL '{self.url}' cannot be used: {error}.",
                hint="Use sqlite:///path, or postgresql+psycopg://… after: pip install 'physlab[postgres]'.",
            ) from error
        if self.engine.dialect.name == "sqlite":
            sa.event.listen(self.engine, "connect", _tune_sqlite)
        self._asking = threading.Lock()
        self._asker: sa.Connection | None = None
        self._insert: Callable[..., Any] = sqlite.insert
        if self.engine.dialect.name == "postgresql":
            from sqlalchemy.dialects import postgresql

            self._insert = postgresql.insert

    def create(self) -> None:
        """Bring the tables to this version.

        Raises:
            StoreError: The database cannot be opened or written.
        """
        from physlab.store.migrate import upgrade

        try:
            upgrade(self.engine)
        except sa.exc.SQLAlchemyError as error:
            raise self._unusable(error) from error

    @contextlib.contextmanager
    def _connection(self, *, write: bool = False) -> Iterator[sa.Connection]:
        try:
            with self.engine.begin() if write else self.engine.connect() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> StoreError:
        return StoreError(
            f"The index {self.url} cannot be used: {getattr(error, 'orig', error)}.",
            hint="Check the disk and the rights; 'physlab store reindex' rebuilds it from the journal.",
        )

    def apply(self, lines: Sequence[Line], replay: Callable[[Position], Iterator[Line]]) -> None:
        """Take adjoining lines into the index, or everything it lacks when it is not where they start.

        Args:
            lines: Lines of the journal that follow each other; may be empty.
            replay: Gives the lines from a position on, for an index that is behind.
        """
        with self._connection(write=True) as connection:
            mark = self._lock(connection)
            first = lines[0].position if lines else None
            current = first is not None and mark == (first.segment, first.offset)
            self._take(connection, lines if current else replay(Position(*mark, 0)))

    def catch_up(self, end_of: Callable[[], Position], replay: Callable[[Position], Iterator[Line]]) -> None:
        """Take what others wrote to the journal; begin anew when the journal is an older one than was indexed.

        Args:
            end_of: Gives the end of the journal; asked after the mark, so that a journal that grows is never behind it.
            replay: Gives the lines from a position on.
        """
        mark, end = self.mark(), end_of()
        if mark > (end.segment, end.offset):
            self.rebuild(replay)
        elif mark < (end.segment, end.offset):
            self.apply((), replay)

    def rebuild(self, replay: Callable[[Position], Iterator[Line]]) -> None:
        """Fill the projection from the whole journal; until that is done others see the old one."""
        with self._connection(write=True) as connection:
            self._lock(connection)
            for table in schema.PROJECTION:
                connection.execute(table.delete())
            connection.execute(schema.progress.update().values(segment=1, position=0))
            self._take(connection, replay(Position(1, 0, 0)))

    def mark(self) -> tuple[int, int]:
        """Return up to where the journal is indexed: segment and offset [bytes]."""
        with self._connection() as connection:
            segment, offset = connection.execute(_MARK).one()
            return segment, offset

    def _lock(self, connection: sa.Connection) -> tuple[int, int]:
        """Keep other writers out until the transaction ends (a row that is written is locked in every database)."""
        connection.execute(schema.progress.update().values(id=1))
        segment, offset = connection.execute(_MARK).one()
        return segment, offset

    def _take(self, connection: sa.Connection, lines: Iterable[Line]) -> None:
        rest = iter(lines)
        while batch := list(itertools.islice(rest, BATCH)):
            self._take_batch(connection, batch)
            last = batch[-1].position
            connection.execute(
                schema.progress.update().values(segment=last.segment, position=last.offset + last.length)
            )

    def _take_batch(self, connection: sa.Connection, lines: Sequence[Line]) -> None:
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("records", "nodes", "runs", "dags", "versions")}

        def flush() -> None:
            for name, values in rows.items():
                if values:
                    table = schema.metadata.tables[name]
                    connection.execute(self._insert(table).on_conflict_do_nothing(), values)
                    rows[name] = []

        for line in lines:
            rows["records"].append(_record_row(line))
            if line.kind == "retract":
                flush()
                connection.execute(schema.nodes.delete().where(schema.nodes.c.key == line.record["key"]))
            elif line.kind == "run":
                flush()
                connection.execute(schema.runs.delete().where(schema.runs.c.run_id == line.record["run_id"]))
                rows["runs"].append(_run_row(line))
            elif line.kind in _ROWS:
                table, make = _ROWS[line.kind]
                rows[table].append(make(line))
        flush()

    def by_recipe(self, recipes: Sequence[str]) -> dict[str, Entry]:
        """Return the latest result of each recipe that is known."""
        return self._lookup(schema.nodes.c.recipe, recipes, lambda entry: entry.recipe)

    def by_key(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the latest result of each key that is known."""
        return self._lookup(schema.nodes.c.key, keys, lambda entry: entry.key)

    def by_record(self, digests: Sequence[str]) -> dict[str, Entry]:
        """Return the computed nodes with these record digests."""
        return self._lookup(schema.nodes.c.digest, digests, lambda entry: entry.record)

    def _lookup(self, column: sa.Column[str], wanted: Sequence[str], name: Callable[[Entry], str]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        mark = "?" if self.engine.dialect.paramstyle == "qmark" else "%s"
        for start in range(0, len(wanted), MANY):
            part = tuple(wanted[start : start + MANY])
            marks = ",".join([mark] * len(part))
            query = f"SELECT {_COLUMNS} FROM nodes WHERE {column.name} IN ({marks}) ORDER BY seq"  # noqa: S608
            for row in self._ask(query, part):
                entry = _entry(row)
                found[name(entry)] = entry
        return found

    def _ask(self, query: str, values: tuple[str, ...]) -> Sequence[Any]:
        """Ask straight on a connection that stays open: a cold run does so once for each node."""
        with self._asking:
            kept = self._asker is not None
            try:
                if self._asker is None:
                    self._asker = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                return self._asker.exec_driver_sql(query, values).fetchall()
            except sa.exc.SQLAlchemyError as error:
                self._hang_up()
                if not kept:
                    raise self._unusable(error) from error
        return self._ask(query, values)  # the database may have closed a connection that was idle

    def _hang_up(self) -> None:
        if self._asker is not None:
            self._asker.invalidate()
            self._asker.close()
            self._asker = None

    def close(self) -> None:
        """Close the connections."""
        with self._asking:
            self._hang_up()
        self.engine.dispose()

    def entries(self, where: Any = None, limit: int | None = None) -> list[Entry]:
        """Return computed nodes, latest first."""
        query = sa.select(*_ENTRY).order_by(schema.nodes.c.seq.desc())
        if where is not None:
            query = query.where(where)
        if limit is not None:
            query = query.limit(limit)
        with self._connection() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def rows(self, query: Any) -> list[dict[str, Any]]:
        """Return the rows of a query as mappings."""
        with self._connection() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def position(self, digest: str) -> Position | None:
        """Return where the record with this digest lies."""
        table = schema.records
        query = sa.select(table.c.segment, table.c.position, table.c.length).where(table.c.digest == digest)
        with self._connection() as connection:
            row = connection.execute(query).first()
        return Position(*row) if row else None

    def memos(self, paths: Sequence[str]) -> dict[str, tuple[int, int, int, str]]:
        """Return what is remembered of files: inode, mtime [ns], size [bytes], SHA-256."""
        table, found = schema.stat_memo, {}
        with self._connection() as connection:
            for start in range(0, len(paths), MANY):
                query = sa.select(table).where(table.c.path.in_(paths[start : start + MANY]))
                for path, *rest in connection.execute(query):
                    found[path] = tuple(rest)
        return found

    def remember(self, memos: Sequence[tuple[str, int, int, int, str]]) -> None:
        """Remember the digests of files by their inode, time and size."""
        if not memos:
            return
        names = ("inode", "mtime_ns", "size", "sha256")
        values = [dict(zip(("path", *names), memo, strict=True)) for memo in memos]
        statement = self._insert(schema.stat_memo)
        update = statement.on_conflict_do_update(
            index_elements=["path"], set_={name: getattr(statement.excluded, name) for name in names}
        )
        with self._connection(write=True) as connection:
            connection.execute(update, values)


_MARK = sa.select(schema.progress.c.segment, schema.progress.c.position)
_ENTRY = [schema.nodes.c[name] for name in (
    "key", "recipe", "digest", "tool", "method", "node_id", "run_id", "device", "fields", "artifacts", "blobs",
    "started_at", "duration_ms",
)]  # fmt: skip

_COLUMNS = ", ".join(column.name for column in _ENTRY)


def _entry(row: Any) -> Entry:
    artifacts = [] if row[9] == "[]" else orjson.loads(row[9])
    blobs = [] if row[10] == "[]" else orjson.loads(row[10])
    values = (*row[:8], orjson.loads(row[8]), artifacts, blobs, *row[11:])
    return Entry(*values)


def _record_row(line: Line) -> dict[str, Any]:
    at = line.position
    return {"digest": line.digest, "kind": line.kind, "seq": line.seq,
            "segment": at.segment, "position": at.offset, "length": at.length}  # fmt: skip


def _node_row(line: Line) -> dict[str, Any]:
    record = line.record
    blobs = [item["sha256"] for item in record.get("artifacts", ())]
    blobs += stored_digests(record["fields"])
    if record.get("log"):
        blobs.append(record["log"])
    copied = ("key", "recipe", "tool", "node_id", "run_id", "device", "started_at", "duration_ms")
    return {
        "seq": line.seq,
        "digest": line.digest,
        "method": record.get("method"),
        "fields": json.dumps(record["field_digests"]),
        "artifacts": json.dumps(record.get("artifacts", [])),
        "blobs": json.dumps(sorted(set(blobs))),
        **{name: record[name] for name in copied},
    }


def stored_digests(value: Any) -> list[str]:
    """Return the digests of every array and file inside stored fields."""
    if isinstance(value, dict):
        for marker in ("$array", "$file"):
            if len(value) == 1 and marker in value:
                return [value[marker]["sha256"]]
        return [digest for item in value.values() for digest in stored_digests(item)]
    if isinstance(value, list):
        return [digest for item in value for digest in stored_digests(item)]
    return []


def _run_row(line: Line) -> dict[str, Any]:
    record = {"status": "running", "duration_ms": 0.0, "nodes": [], **line.record}
    names = ("run_id", "dag_id", "title", "status", "started_at", "duration_ms")
    cached = sum(node["status"] == "cached" for node in record["nodes"])
    return {"digest": line.digest, "seq": line.seq, "total": len(record["nodes"]), "cached": cached,
            **{name: record[name] for name in names}}  # fmt: skip


def _dag_row(line: Line) -> dict[str, Any]:
    record = line.record
    title, face = record["dag"].get("title", ""), dag_face(record)
    return {"dag_id": record["dag_id"], "digest": line.digest, "seq": line.seq, "title": title, "face": face}


def dag_face(record: Mapping[str, Any]) -> str:
    """Return the digest of what the record of a graph says beside its nodes: with `dag_id`, it tells a graph."""
    return digest({**record["dag"], "nodes": None, "base_dir": record.get("base_dir")})


def _version_row(line: Line) -> dict[str, Any]:
    record, content = line.record, line.record["content"]
    names = ("artifact", "lineage_id", "registered_at")
    return {"seq": line.seq, "digest": line.digest, "sha256": content["sha256"], "size": content["size"],
            "kind": content.get("kind", "file"),
            **{name: record[name] for name in names}}  # fmt: skip


_ROWS: dict[str, tuple[str, Callable[[Line], dict[str, Any]]]] = {
    "node": ("nodes", _node_row),
    "run_begin": ("runs", _run_row),
    "dag": ("dags", _dag_row),
    "version": ("versions", _version_row),
}


def _tune_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def sqlite_url(path: Path) -> str:
    """Return the SQLAlchemy URL of a SQLite file."""
    return f"sqlite:///{path}"
