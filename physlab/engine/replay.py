"""Showing a run that Prefect did not see (without server, or with one that forgot) in the lab's Prefect server."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from physlab import graph
from physlab.engine.conduct import database_url
from physlab.engine.ownership import begin_run
from physlab.engine.pages import publish_pages
from physlab.engine.submitter import PrefectSubmitter
from physlab.engine.taskevents import Span
from physlab.errors import ResourceError
from physlab.lab import Lab, slug
from physlab.model import NodeRecord, NodeRun, RunRecord
from physlab.submitter import Step

STATES = {
    "completed": ("COMPLETED", "Completed"),
    "cached": ("COMPLETED", "Cached"),
    "failed": ("FAILED", "Failed"),
    "skipped": ("CANCELLED", "Skipped"),
    "cancelled": ("CANCELLED", "Cancelled"),
}


def replay(lab: Lab, name: str) -> dict[str, Any]:
    """Show a finished run as a flow run of `run-dag`, each node a task run with the times it had.

    Args:
        lab: The lab; its Prefect server is the one that the present settings name.
        name: Run id, `latest`, or the id or title of a graph.

    Returns:
        `run_id`, and how many task runs were `shown`.

    Raises:
        ResourceError: The server did not take all of them.
    """
    record = lab.find_run(name)
    shown: dict[str, Any] = {}

    def run_dag(run_id: str) -> State[Any]:
        begin_run(f"{slug(record.title) or record.dag_id} {run_id} (replayed)")
        shown.update(_show(lab, record))
        publish_pages(record, {})
        return _final(record)

    flow(name="run-dag", persist_result=False)(run_dag)(run_id=record.run_id, return_state=True)
    if "recording_problem" in shown:
        raise ResourceError(f"The run {record.run_id} was not replayed whole: {shown['recording_problem']}")
    return {"run_id": record.run_id, "shown": len(record.nodes)}


def _show(lab: Lab, record: RunRecord) -> dict[str, Any]:
    connected = graph.connect(lab.find_dag(record.dag_id).dag)
    needs = {node.id: tuple(graph.needs(node)) for node in connected.nodes}
    submitter = PrefectSubmitter(database_url=database_url(lab.settings))
    submitter.open(len(record.nodes))
    for node in record.nodes:
        kind, state = STATES[node.status]
        step = Step(id=node.id, tags=(node.tool,), upstream=needs.get(node.id, ()))
        message = node.why or str((node.error or {}).get("message", ""))
        submitter.replay(step, kind, state, message, _span(lab, node))
    return submitter.close()


def _span(lab: Lab, node: NodeRun) -> Span | None:
    """Return when a computed node ran; a hit or a skip took no time."""
    if node.status != "completed" or node.record is None:
        return None
    made = NodeRecord.model_validate(lab.store.record(node.record))
    start = datetime.fromisoformat(made.started_at)
    return start, start + timedelta(milliseconds=made.duration_ms)


def _final(record: RunRecord) -> State[Any]:
    if record.status == "completed":
        return Completed(message=f"Replayed: {len(record.nodes)} nodes.")
    return (Cancelled if record.status == "cancelled" else Failed)(message=f"Replayed: the run {record.status}.")
