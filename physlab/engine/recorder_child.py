"""The process that writes task runs into Prefect's own database.

A program of its own, not to be imported: `recorder` starts it by path. It reads lines of JSON from standard input: a
header, then batches of task-run events in Prefect's own form; and answers each with a line when it is written.
The end of its input ends it, so it does not outlive the run.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

UPDATED = (
    "name", "state_type", "state_name", "state_timestamp", "state_id", "run_count", "expected_start_time",
    "start_time", "end_time", "total_run_time", "flow_run_run_count", "task_inputs", "tags", "updated",
)  # fmt: skip


def answer(reply: dict[str, Any]) -> None:
    """Write one line to the parent."""
    sys.stdout.buffer.write(orjson.dumps(reply) + b"\n")
    sys.stdout.buffer.flush()


def moment(text: str | None) -> datetime | None:
    """Read a time in ISO form."""
    return datetime.fromisoformat(text) if text else None


def plain(table: Any) -> Any:
    """Return a table whose JSON columns take JSON as it is, instead of checking each value against a model."""
    import sqlalchemy as sa
    from prefect.server.utilities.database import JSON, Pydantic

    kinds = {column.name: JSON if isinstance(column.type, Pydantic) else column.type for column in table.columns}
    return sa.table(table.name, *(sa.column(name, kind) for name, kind in kinds.items()))


def rows(event: dict[str, Any], flow_run_id: UUID, now: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the row of a task run and the row of its state, from one event."""
    run, state = event["payload"]["task_run"], event["payload"]["validated_state"]
    run_id, state_id = UUID(event["resource"]["prefect.resource.id"].rpartition(".")[2]), UUID(event["id"])
    at = datetime.fromisoformat(event["occurred"])
    task_run = {
        "id": run_id,
        "created": now,
        "updated": now,
        "name": run["name"],
        "flow_run_id": flow_run_id,
        "flow_run_run_count": run["flow_run_run_count"],
        "task_key": run["task_key"],
        "dynamic_key": run["dynamic_key"],
        "empirical_policy": run["empirical_policy"],
        "task_inputs": run["task_inputs"],
        "tags": run["tags"],
        "labels": {},
        "run_count": run["run_count"],
        "expected_start_time": moment(run["expected_start_time"]),
        "start_time": moment(run["start_time"]),
        "end_time": moment(run["end_time"]),
        "total_run_time": timedelta(seconds=run["total_run_time"]),
        "state_id": state_id,
        "state_type": state["type"],
        "state_name": state["name"],
        "state_timestamp": at,
    }
    task_run_state = {
        "id": state_id,
        "created": now,
        "updated": now,
        "task_run_id": run_id,
        "type": state["type"],
        "name": state["name"],
        "message": state["message"] or "",
        "timestamp": at,
        "state_details": {"flow_run_id": str(flow_run_id), "task_run_id": str(run_id)},
    }
    return task_run, task_run_state


async def serve(flow_run_id: UUID) -> None:
    """Write batches until the input ends; the first answer says whether this is the server's database."""
    import sqlalchemy as sa
    from prefect.server.database import provide_database_interface

    db = provide_database_interface()
    async with db.session_context() as session:
        known = await session.scalar(sa.select(sa.func.count()).where(db.FlowRun.id == flow_run_id))
    answer({"ready": bool(known)})
    insert = db.queries.insert(task_runs := plain(db.TaskRun.__table__))
    upsert = insert.on_conflict_do_update(
        index_elements=["flow_run_id", "task_key", "dynamic_key"],
        set_={column: getattr(insert.excluded, column) for column in UPDATED},
        where=task_runs.c.state_timestamp < insert.excluded.state_timestamp,
    )
    add_states = db.queries.insert(plain(db.TaskRunState.__table__)).on_conflict_do_nothing(index_elements=["id"])
    while line := sys.stdin.buffer.readline():
        runs: dict[UUID, dict[str, Any]] = {}
        states = []
        for event in orjson.loads(line):
            task_run, state = rows(event, flow_run_id, datetime.now(UTC))
            runs[task_run["id"]] = task_run
            states.append(state)
        async with db.session_context(begin_transaction=True, with_for_update=True) as session:
            await session.execute(upsert, list(runs.values()))
            await session.execute(add_states, states)
        answer({"written": len(states)})


def main() -> None:
    """Read the header and serve."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # meant for the whole group; the parent drains, its end ends us
        signal.signal(stop, signal.SIG_IGN)
    header = orjson.loads(sys.stdin.buffer.readline())
    from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL, temporary_settings

    with temporary_settings({PREFECT_SERVER_DATABASE_CONNECTION_URL: header["database_url"]}):
        asyncio.run(serve(UUID(header["flow_run_id"])))


if __name__ == "__main__":
    main()
