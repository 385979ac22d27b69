"""One node as one Prefect task run: Prefect's own task engine, with its states handed to our recorder.

The engine's life cycle, retries, run context, hooks and logger are used as they are. Three things differ. Its states go
to `record` instead of one message each to Prefect's events worker, which drops them when a run is large. The task run
gets its tags when it starts running: given earlier, the engine would ask the server for a concurrency slot per tag
before each node (the walk has a queue of its own for that). And what serves Prefect's result cache and assets
(transactions, result stores, a context entered twice) is left out: a node returns nothing, its result is in the store.
That is half of the engine's time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State, StateDetails, TaskRun
from prefect.states import Cancelled, Completed, Pending
from prefect.task_engine import SyncTaskRunEngine
from prefect.types import DateTime

from physlab.engine.taskevents import TASK_KEY
from physlab.errors import CancelledError
from physlab.submitter import Step, is_retryable

Recording = Callable[[TaskRun, State, State], None]
TICK = timedelta(microseconds=1)


@dataclass
class NodeRun(SyncTaskRunEngine[Any, None]):
    """Prefect's task engine for one node.

    Attributes:
        record: Called with the task run, its new state and the one before, at each change of state.
        tags: Tags of the task run.
    """

    record: Recording = field(kw_only=True)
    tags: list[str] = field(kw_only=True)
    _why: str = field(default="", init=False)

    def carry_out(self) -> None:
        """Run the task to its end, as `prefect.task_engine.run_task_sync` does; raise the body's last error."""
        with self.start():
            while self.is_running():
                self.wait_until_ready()
                try:
                    self.task.fn(**(self.parameters or {}))
                    self.set_state(Completed())
                    self._return_value = None
                except Exception as error:  # noqa: BLE001 - the engine decides what becomes of it
                    self.handle_exception(error)
        self.result()

    def set_state(self, state: State, force: bool = False) -> State:
        """Move the task run to a state and record it."""
        run, before = cast(TaskRun, self.task_run), self.state
        if state.name in ("Retrying", "AwaitingRetry"):
            state.message = self._why
        state.timestamp = max(state.timestamp, before.timestamp + TICK)
        state.state_details.task_run_id, state.state_details.flow_run_id = run.id, run.flow_run_id
        run.state, run.state_id, run.state_type, run.state_name = state, state.id, state.type, state.name
        if before.is_running():
            run.total_run_time += state.timestamp - before.timestamp
        if state.is_running():
            run.run_count += 1
            run.tags = self.tags
        if state.is_final():
            run.end_time = cast(DateTime, state.timestamp)
        self.record(run, state, before)
        return state

    def handle_exception(self, exc: Exception) -> None:
        """End the task run as Cancelled when somebody stopped it, otherwise as Prefect does, and keep why."""
        self._why = str(exc)
        if not isinstance(exc, CancelledError):
            return super().handle_exception(exc)
        self.set_state(Cancelled(message=str(exc)))
        self._raised = exc

    def log_finished_message(self) -> None:
        """Say nothing: ten thousand lines of "Finished in state Completed()" hide the one that matters."""


def new_task_run(step: Step, id: UUID, flow_run: FlowRun) -> TaskRun:
    """Return a task run that has not begun."""
    state: State[None] = Pending(state_details=StateDetails(task_run_id=id, flow_run_id=flow_run.id))
    return TaskRun(
        id=id,
        name=step.id,
        flow_run_id=flow_run.id,
        task_key=TASK_KEY,
        dynamic_key=step.id,
        expected_start_time=state.timestamp,
        state_id=state.id,
        state_type=state.type,
        state_name=state.name,
        state=state,
    )


@lru_cache
def node_task(retries: int) -> Task[[Callable[[], None]], None]:
    """Return the task that calls a node's body."""
    return task(
        name="node",
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=retries,
        retry_condition_fn=_may_help,
    )(_call)


def _call(body: Callable[[], None]) -> None:
    body()


def _may_help(task: Any, run: TaskRun, state: State) -> bool:
    return is_retryable(cast(BaseException, state.data))
