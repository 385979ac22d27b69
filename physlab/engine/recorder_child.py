"""The process that writes task runs into Prefect's own database.

A program of its own, not to be imported: `recorder` starts it by path. It reads lines of JSON from standard input: a
header, then batches of task runs, each with the state it has reached; and answers each with a line when it is written.
The end of its input ends it, so it does not outlive the run.

SQLite is written with Python's own driver, in the form in which Prefect stores its values there: without Prefect's
imports, which take longer than recording thousands of nodes. Other databases are written through Prefect's interface.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import orjson

Rows = tuple[list[dict[str, Any]], list[dict[str, Any]]]
UPDATED = (
    "name", "state_type", "state_name", "state_timestamp", "state_id", "run_count", "expected_start_time",
    "start_time", "end_time", "total_run_time", "flow_run_run_count", "task_inputs", "tags", "updated",
)  # fmt: skip
UNIQUE = ("flow_run_id", "task_key", "dynamic_key")
PATIENCE_S = 120.0  # for a database that another process holds


def answer(reply: dict[str, Any]) -> None:
    """Write one line to the parent."""
    sys.stdout.buffer.write(orjson.dumps(reply) + b"\n")
    sys.stdout.buffer.flush()


@dataclass(frozen=True)
class Form:
    """How the values of a row are spelled."""

    id: Callable[[str], Any]
    json: Callable[[Any], Any]
    span: Callable[[timedelta], Any]
    moment: Callable[[datetime], Any]


def stamp(at: datetime) -> str:
    """Spell a time as SQLAlchemy stores it in SQLite."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def same(value: Any) -> Any:
    """Return the value."""
    return value


SQLITE = Form(str, json.dumps, lambda span: stamp(datetime(1970, 1, 1, tzinfo=UTC) + span), stamp)
PYTHON = Form(UUID, same, same, same)  # SQLAlchemy spells them


def rows(batch: bytes, flow_run_id: str, form: Form) -> Rows:
    """Return the rows of the task runs of a batch, each as it is in the end, and the rows of all their states."""
    now = form.moment(datetime.now(UTC))

    def moment(text: str | None) -> Any:
        return form.moment(datetime.fromisoformat(text)) if text else None

    runs: dict[str, dict[str, Any]] = {}
    states = []
    for item in orjson.loads(batch):
        run_id, run, state = item["id"], item["run"], item["state"]
        at = moment(state["at"])
        runs[run_id] = {
            "id": form.id(run_id),
            "created": now,
            "updated": now,
            "name": run["name"],
            "flow_run_id": form.id(flow_run_id),
            "flow_run_run_count": run["flow_run_run_count"],
            "task_key": run["task_key"],
            "dynamic_key": run["dynamic_key"],
            "empirical_policy": form.json(run["empirical_policy"]),
            "task_inputs": form.json(run["task_inputs"]),
            "tags": form.json(run["tags"]),
            "labels": form.json({}),
            "run_count": run["run_count"],
            "expected_start_time": moment(run["expected_start_time"]),
            "start_time": moment(run["start_time"]),
            "end_time": moment(run["end_time"]),
            "total_run_time": form.span(timedelta(seconds=run["total_run_time"])),
            "state_id": form.id(state["id"]),
            "state_type": state["type"],
            "state_name": state["name"],
            "state_timestamp": at,
        }
        states.append(
            {
                "id": form.id(state["id"]),
                "created": now,
                "updated": now,
                "task_run_id": form.id(run_id),
                "type": state["type"],
                "name": state["name"],
                "message": state["message"],
                "timestamp": at,
                "state_details": form.json({"flow_run_id": flow_run_id, "task_run_id": run_id}),
            }
        )
    return list(runs.values()), states


def serve_sqlite(path: str, flow_run_id: str) -> None:
    """Write batches until the input ends; the first answer says whether this is the server's database."""
    import sqlite3

    base = sqlite3.connect(f"file:{quote(path)}?mode=rw", uri=True, timeout=PATIENCE_S, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        base.execute(f"PRAGMA {pragma}")
    answer({"ready": base.execute("SELECT count(*) FROM flow_run WHERE id = ?", (flow_run_id,)).fetchone()[0] == 1})
    while line := sys.stdin.buffer.readline():
        runs, states = rows(line, flow_run_id, SQLITE)
        changes = ", ".join(f"{name} = excluded.{name}" for name in UPDATED)
        newer = "task_run.state_timestamp < excluded.state_timestamp"
        base.execute("BEGIN IMMEDIATE")
        base.executemany(
            f"{insert('task_run', runs[0])} ON CONFLICT ({', '.join(UNIQUE)}) DO UPDATE SET {changes} WHERE {newer}",
            runs,
        )
        base.executemany(f"{insert('task_run_state', states[0])} ON CONFLICT (id) DO NOTHING", states)
        base.execute("COMMIT")
        answer({"written": len(states)})


def insert(table: str, row: dict[str, Any]) -> str:
    """Return the statement that inserts rows with the columns of this one."""
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"  # noqa: S608


async def serve_any(flow_run_id: str) -> None:
    """Do what `serve_sqlite` does for any database of Prefect's."""
    import sqlalchemy as sa
    from prefect.server.database import provide_database_interface

    db = provide_database_interface()
    async with db.session_context() as session:
        known = await session.scalar(sa.select(sa.func.count()).where(db.FlowRun.id == UUID(flow_run_id)))
    answer({"ready": bool(known)})
    insertion = db.queries.insert(task_runs := plain(db.TaskRun.__table__))
    upsert = insertion.on_conflict_do_update(
        index_elements=list(UNIQUE),
        set_={column: getattr(insertion.excluded, column) for column in UPDATED},
        where=task_runs.c.state_timestamp < insertion.excluded.state_timestamp,
    )
    add_states = db.queries.insert(plain(db.TaskRunState.__table__)).on_conflict_do_nothing(index_elements=["id"])
    while line := sys.stdin.buffer.readline():
        runs, states = rows(line, flow_run_id, PYTHON)
        async with db.session_context(begin_transaction=True, with_for_update=True) as session:
            await session.execute(upsert, runs)
            await session.execute(add_states, states)
        answer({"written": len(states)})


def plain(table: Any) -> Any:
    """Return a table whose JSON columns take JSON as it is, instead of checking each value against a model."""
    import sqlalchemy as sa
    from prefect.server.utilities.database import JSON, Pydantic

    kinds = {column.name: JSON if isinstance(column.type, Pydantic) else column.type for column in table.columns}
    return sa.table(table.name, *(sa.column(name, kind) for name, kind in kinds.items()))


def main() -> None:
    """Read the header and serve."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # meant for the whole group; the parent drains, its end ends us
        signal.signal(stop, signal.SIG_IGN)
    header = orjson.loads(sys.stdin.buffer.readline())
    url, flow_run_id = header["database_url"], header["flow_run_id"]
    scheme, _, path = url.partition(":///")
    if scheme.startswith("sqlite") and path and "?" not in path:
        return serve_sqlite(path, flow_run_id)
    import asyncio

    from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL, temporary_settings

    with temporary_settings({PREFECT_SERVER_DATABASE_CONNECTION_URL: url}):
        asyncio.run(serve_any(flow_run_id))


if __name__ == "__main__":
    main()
