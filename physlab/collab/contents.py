"""Which files belong to which session: read off the ledger, as far as it was not read before.

A run belongs to the session that it was started in, a version and a notebook's entry say theirs. A file belongs to
every session in which something holds it, and to no other: its bytes are kept once, its name is told to those who see
one of these.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from physlab.collab import schema
from physlab.collab.database import Database
from physlab.store import Store
from physlab.store import schema as ledger

KINDS = ("run", "version", "notebook_entry")
BATCH = 200  # records taken at once
FEW = 500  # values in one IN (...)
NAME = "contents"


_HOLDS = (
    sa.select(schema.contents)
    .where(schema.contents.c.session == sa.bindparam("session"), schema.contents.c.sha256 == sa.bindparam("sha256"))
    .limit(1)
)
_RUN = sa.select(schema.runs).where(
    schema.runs.c.session == sa.bindparam("session"), schema.runs.c.run_id == sa.bindparam("run_id")
)
_RUN_NAMES = tuple(str.__str__(column.name) for column in schema.runs.c)
"""As plain texts: what SQLAlchemy gives costs ten times as much to write as JSON."""
_RUNS = (
    sa.select(schema.runs)
    .where(schema.runs.c.session == sa.bindparam("session"), schema.runs.c.seq < sa.bindparam("before"))
    .order_by(schema.runs.c.seq.desc())
    .limit(sa.bindparam("limit"))
)


@dataclass(frozen=True, slots=True)
class Held:
    """A file of a session.

    Attributes:
        sha256: Its bytes.
        name: What it is called.
        media_type: Its kind.
        size: Of it [bytes].
        run_id: The run that made it; empty for versions and attachments.
        node_id: The node, or the record that holds it.
        at: When.
    """

    sha256: str
    name: str
    media_type: str
    size: int
    run_id: str
    node_id: str
    at: str


class Contents:
    """The files of the sessions of a lab.

    Args:
        database: Where they are listed.
        store: Whose ledger says so.
    """

    def __init__(self, database: Database, store: Store) -> None:
        self.database = database
        self.store = store
        self._seen: object = None

    def catch_up(self) -> None:
        """List what came into the ledger since the last time."""
        end = self.store.journal.end()
        if end == self._seen:
            return
        self.store.refresh()
        table, mark = ledger.records, self._mark()
        query = sa.select(table.c.seq, table.c.digest).where(table.c.kind.in_(KINDS), table.c.seq > mark)
        rows = self.store.index.rows(query.order_by(table.c.seq))
        for start in range(0, len(rows), BATCH):
            self._take(rows[start : start + BATCH])
        self._seen = end

    def _mark(self) -> int:
        """Return up to where the ledger was read; begin anew when it is another one, such as after a restore."""
        table = schema.marks
        with self.database.reading() as connection:
            row = connection.execute(sa.select(table).where(table.c.name == NAME)).one_or_none()
        if row is None:
            return 0
        known = sa.select(ledger.records.c.digest).where(ledger.records.c.seq == row.seq)
        if [{"digest": row.record}] == [dict(found) for found in self.store.index.rows(known)]:
            return int(row.seq)
        with self.database.writing() as connection:
            connection.execute(schema.contents.delete())
            connection.execute(schema.runs.delete())
            connection.execute(table.delete().where(table.c.name == NAME))
        return 0

    def _take(self, rows: Sequence[dict[str, Any]]) -> None:
        records = [(row, self.store.record(row["digest"])) for row in rows]
        found = [held for row, record in records for held in self._files(record, row["digest"])]
        runs = [_run(record, row) for row, record in records if _is_over(record)]
        table, last = schema.contents, rows[-1]
        insert = (sqlite if self.database.is_file else postgresql).insert
        with self.database.writing() as connection:
            if found:
                connection.execute(insert(table).on_conflict_do_nothing(), found)
            if runs:
                connection.execute(insert(schema.runs).on_conflict_do_nothing(), runs)
            marks = schema.marks
            values = {"seq": last["seq"], "record": last["digest"]}
            if connection.execute(marks.update().where(marks.c.name == NAME).values(values)).rowcount == 0:
                connection.execute(marks.insert().values(name=NAME, **values))

    def _files(self, record: dict[str, Any], digest: str) -> Iterator[dict[str, Any]]:
        if record["kind"] == "run":
            yield from self._of_run(record)
        elif record["kind"] == "version":
            content = record["content"]
            if content.get("kind", "file") == "file":
                name = record["artifact"].rstrip("/").rpartition("/")[2]
                yield _row(record.get("session", "lab"), content, name, "application/octet-stream", digest,
                           record["registered_at"])  # fmt: skip
        else:
            for item in record["attachments"]:
                yield _row(record["notebook"], item, item["name"], item["media_type"], digest, record["at"])

    def _of_run(self, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if not _is_over(record):
            return
        session = record["meta"].get("session", "lab")
        made = {node["record"]: node["id"] for node in record["nodes"] if node.get("record")}
        table, digests = ledger.nodes.c, list(made)
        for start in range(0, len(digests), FEW):
            part = digests[start : start + FEW]
            for row in self.store.index.rows(sa.select(table.digest, table.artifacts).where(table.digest.in_(part))):
                for item in json.loads(row["artifacts"]):
                    yield _row(session, item, item["name"], item["media_type"], made[row["digest"]],
                               record["started_at"], record["run_id"])  # fmt: skip

    def sessions(self) -> list[str]:
        """Return the sessions that have a run or a file."""
        runs, files = schema.runs.c.session, schema.contents.c.session
        with self.database.reading() as connection:
            found = connection.execute(sa.union(sa.select(runs), sa.select(files))).scalars()
            return sorted(found)

    def knows(self, session: str) -> bool:
        """Say whether the ledger tells of a run or a file of a session."""
        return bool(self.runs(session, 1)) or bool(self.listed(session, limit=1))

    def holds(self, session: str, sha256: str, among: Sequence[str] | None = None) -> Held | None:
        """Return a file of a session, None when it has none with these bytes; `among`: only in these runs."""
        query = _HOLDS if among is None else _HOLDS.where(schema.contents.c.run_id.in_(among))
        with self.database.reading() as connection:
            row = connection.execute(query, {"session": session, "sha256": sha256}).one_or_none()
        return None if row is None else _held(row)

    def runs(
        self, session: str, limit: int = 100, before: int | None = None, among: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """Return runs of a session, the latest first.

        Args:
            session: Its name.
            limit: At most so many.
            before: Only those whose `seq` is less.
            among: Only these; None: all.
        """
        query = _RUNS if among is None else _RUNS.where(schema.runs.c.run_id.in_(among))
        given = {"session": session, "before": 2**62 if before is None else before, "limit": limit}
        with self.database.reading() as connection:
            return [dict(zip(_RUN_NAMES, row, strict=True)) for row in connection.execute(query, given)]

    def run(self, session: str, run_id: str) -> dict[str, Any] | None:
        """Return a run of a session by its id, None when it has none."""
        with self.database.reading() as connection:
            row = connection.execute(_RUN, {"session": session, "run_id": run_id}).one_or_none()
        return None if row is None else dict(zip(_RUN_NAMES, row, strict=True))

    def listed(
        self, session: str, run_id: str | None = None, limit: int = 100, after: tuple[str, str, str] | None = None,
        among: Sequence[str] | None = None,
    ) -> list[Held]:  # fmt: skip
        """Return files of a session, ordered by bytes, run and node.

        Args:
            session: Its name.
            run_id: Only of this run.
            limit: At most so many.
            after: Only those after this one: its `sha256`, `run_id` and `node_id`.
            among: Only of these runs; None: all.
        """
        table = schema.contents
        order = (table.c.sha256, table.c.run_id, table.c.node_id)
        query = sa.select(table).where(table.c.session == session).order_by(*order).limit(limit)
        if run_id is not None:
            query = query.where(table.c.run_id == run_id)
        if among is not None:
            query = query.where(table.c.run_id.in_(among))
        if after is not None:
            query = query.where(sa.tuple_(*order) > sa.tuple_(*(sa.literal(each) for each in after)))
        with self.database.reading() as connection:
            return [_held(row) for row in connection.execute(query).all()]


def _is_over(record: dict[str, Any]) -> bool:
    return record["kind"] == "run" and record.get("status") != "running"


def _run(record: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    statuses = [node.get("status") for node in record["nodes"]]
    return {
        **{name: record[name] for name in ("run_id", "dag_id", "title", "status", "started_at")},
        "session": record["meta"].get("session", "lab"), "seq": row["seq"], "record": row["digest"],
        "duration_ms": round(record["duration_ms"]), "total": len(statuses), "cached": statuses.count("cached"),
    }  # fmt: skip


def _row(
    session: str, item: dict[str, Any], name: str, media_type: str, holder: str, at: str, run_id: str = ""
) -> dict[str, Any]:
    return {"session": session, "sha256": item["sha256"], "run_id": run_id, "node_id": holder, "name": name,
            "media_type": media_type, "size": item["size"], "at": at}  # fmt: skip


def _held(row: Any) -> Held:
    return Held(row.sha256, row.name, row.media_type, row.size, row.run_id, row.node_id, row.at)
