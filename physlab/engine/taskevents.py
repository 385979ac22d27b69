"""Task runs as the events that Prefect's client and server exchange about them.

The form is the one that Prefect's own task engine sends (`prefect.utilities.engine.emit_task_run_state_change_event`),
so feeds and automations see what they always see; making it here lets a run send many at once.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

import orjson
from prefect.client.schemas.objects import FlowRun, State, TaskRun

from physlab.submitter import Step

TASK_KEY = "physlab.node"
EDGES = 5000
"""Most edges of one node; Prefect refuses an event above 1.5 MB, and draws no graph above 10,000 nodes."""
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
MESSAGE = 10_000
"""Most characters of a message."""


Inputs = dict[str, list[dict[str, str]]]
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Stage:
    """One state of a task run."""

    id: UUID
    type: str
    name: str
    message: str
    at: datetime

    @classmethod
    def of(cls, state: State) -> Stage:
        """Return what is recorded of a Prefect state."""
        return cls(state.id, state.type.value, state.name or "", (state.message or "")[:MESSAGE], state.timestamp)

    def brief(self) -> dict[str, Any]:
        """Return it as the events spell it."""
        return {"type": self.type, "name": self.name, "message": self.message or None, "state_details": {}}


@dataclass(frozen=True, slots=True)
class Record:
    """A task run that has reached a state.

    Attributes:
        id: Task run.
        kind: `node` for one that was carried out, `shown` for a hit or a skip.
        stage: The state.
        before: The one before, if any.
        run: The task run as it is then.
    """

    id: UUID
    kind: str
    stage: Stage
    before: Stage | None
    run: dict[str, Any]

    @property
    def final(self) -> bool:
        """Whether the state ends the task run."""
        return self.stage.type in FINAL

    def row(self) -> bytes:
        """Return it as JSON for the process that writes into the database."""
        stage = self.stage
        state = {"id": stage.id, "type": stage.type, "name": stage.name, "message": stage.message, "at": stage.at}
        return orjson.dumps({"id": self.id, "state": state, "run": self.run}, default=datetime.isoformat)


class Scribe:
    """Writes the events of one flow run.

    Args:
        flow_run: The flow run that the nodes belong to.
        flow_name: Name of its flow.
        tags: Tags that every task run carries.
    """

    def __init__(self, flow_run: FlowRun, flow_name: str, tags: Iterable[str] = ()) -> None:
        self.flow_run = flow_run
        self._tags = set(tags)
        self._ids: dict[str, UUID] = {}
        self._related = [
            _resource("flow-run", flow_run.id, flow_run.name),
            _resource("flow", flow_run.flow_id, flow_name),
            *([_resource("deployment", flow_run.deployment_id)] if flow_run.deployment_id else []),
            *(_resource("tag", tag) for tag in sorted(flow_run.tags)),
        ]

    def task_run_id(self, node: str) -> UUID:
        """Return the identity of a node's task run: the same when the flow run is retried or replayed."""
        known = self._ids.get(node)
        if known is None:
            known = self._ids[node] = uuid5(self.flow_run.id, node)
        return known

    def tags(self, step: Step) -> list[str]:
        """Return all tags of a node."""
        return sorted(self._tags.union(step.tags))

    def inputs(self, step: Step, hidden: Container[str] = ()) -> Inputs:
        """Return the edges of a node, except to nodes that are not shown."""
        shown = [node for node in step.upstream[:EDGES] if node not in hidden]
        if not shown:
            return {}
        return {"inputs": [{"input_type": "task_run", "id": str(self.task_run_id(node))} for node in shown]}

    def state(self, step: Step, run: TaskRun, state: State, before: State, inputs: Inputs) -> Record:
        """Record the state that a task run has just reached."""
        return self._record(
            run.id,
            "node",
            Stage.of(state),
            Stage.of(before),
            {
                "name": step.id,
                "tags": self.tags(step),
                "task_inputs": inputs,
                "empirical_policy": {"retries": step.retries, "retry_delay": 0},
                "run_count": run.run_count,
                "expected_start_time": run.expected_start_time,
                "start_time": run.start_time,
                "end_time": run.end_time,
                "total_run_time": run.total_run_time.total_seconds(),
            },
        )

    def shown(self, step: Step, type: str, name: str, message: str, inputs: Inputs, span: Span | None = None) -> Record:
        """Record a node that nobody carries out; `span` is when it was, for one of an earlier run."""
        start, end = span or (datetime.now(UTC),) * 2
        stage = Stage(uuid4(), type, name, message[:MESSAGE], end)
        run = {
            "name": step.id,
            "tags": self.tags(step),
            "task_inputs": inputs,
            "empirical_policy": {},
            "run_count": 0 if span is None else 1,
            "expected_start_time": start,
            "start_time": start,
            "end_time": end,
            "total_run_time": (end - start).total_seconds(),
        }
        return self._record(self.task_run_id(step.id), "shown", stage, None, run)

    def _record(self, id: UUID, kind: str, stage: Stage, before: Stage | None, run: dict[str, Any]) -> Record:
        run |= {
            "task_key": TASK_KEY,
            "dynamic_key": run["name"],
            "flow_run_run_count": self.flow_run.run_count,
        }
        return Record(id, kind, stage, before, run)

    def event(self, record: Record) -> bytes:
        """Return a record as the JSON of an event."""
        stage, run = record.stage, record.run
        event = {
            "id": stage.id,
            "occurred": stage.at,
            "event": f"prefect.task-run.{stage.name}",
            "resource": {
                "prefect.resource.id": f"prefect.task-run.{record.id}",
                "prefect.resource.name": run["name"],
                "prefect.run-count": str(run["run_count"]),
                "prefect.state-message": stage.message,
                "prefect.state-name": stage.name,
                "prefect.state-timestamp": stage.at,
                "prefect.state-type": stage.type,
                "prefect.orchestration": "client",
            },
            "related": self._related + [_resource("tag", tag) for tag in run["tags"]],
            "payload": {
                "intended": {"from": record.before.type if record.before else None, "to": stage.type},
                "initial_state": record.before.brief() if record.before else None,
                "validated_state": {**stage.brief(), "message": stage.message, "data": None},
                "task_run": run,
            },
        }
        return orjson.dumps(event, default=datetime.isoformat)


def _resource(kind: str, id: object, name: str | None = None) -> dict[str, str]:
    resource = {"prefect.resource.id": f"prefect.{kind}.{id}", "prefect.resource.role": kind}
    return {**resource, "prefect.resource.name": name} if name else resource
