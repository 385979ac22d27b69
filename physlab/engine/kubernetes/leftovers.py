"""Flow runs of pods that nobody waits for any more: their conductor was killed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Cancelling

from physlab.engine.ownership import PAGE, is_gone

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

TAG = "physlab-pod"
UNFINISHED = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING)


def cancel_run(client: SyncPrefectClient, run: FlowRun, why: str) -> None:
    """Cancel a flow run through Prefect: one that runs ends itself in its pod, another one at once."""
    if run.state is not None and (run.state.is_final() or run.state.is_cancelling()):
        return
    running = run.state is not None and run.state.is_running()
    state: State[Any] = Cancelling(message=why) if running else Cancelled(message=why)
    with suppress(ObjectNotFound):
        client.set_flow_run_state(run.id, state, force=True)


def cancel_leftovers(client: SyncPrefectClient) -> list[UUID]:
    """Cancel the flow runs of pods whose lab's process on this machine has ended; return them."""
    asked = FlowRunFilter.model_validate({"tags": {"all_": [TAG]}, "state": {"type": {"any_": list(UNFINISHED)}}})
    found: list[UUID] = []
    offset = 0
    while page := client.read_flow_runs(flow_run_filter=asked, limit=PAGE, offset=offset):
        for run in page:
            if is_gone(run.labels):
                cancel_run(client, run, "The run that it belongs to was killed.")
                found.append(run.id)
            else:
                offset += 1
    return found
