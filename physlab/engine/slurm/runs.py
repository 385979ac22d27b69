"""The flow runs of a pool on the Prefect server: read together with their jobs, and brought to their end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter, WorkerFilter, WorkPoolFilter
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry, Crashed, Pending

from physlab.engine.slurm.cluster import Cluster
from physlab.engine.slurm.ending import becomes, describe
from physlab.engine.slurm.reconcile import KnownRun
from physlab.engine.slurm.watch import Followed
from physlab.errors import PhyslabError
from physlab.model.job import JobStatus

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State, WorkPool

PAGE = 200
OWNER = "prefect.worker.name"  # Prefect's own label
CLUSTER, FOLDER, EARLIER = "physlab.slurm.cluster", "physlab.slurm.folder", "physlab.slurm.earlier"
UNFINISHED = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING, StateType.PAUSED)
PHASES: Mapping[StateType, Literal["pending", "running", "paused", "done"]] = {
    StateType.PENDING: "pending",
    StateType.RUNNING: "running",
    StateType.CANCELLING: "running",
    StateType.PAUSED: "paused",
    StateType.COMPLETED: "done",
    StateType.FAILED: "done",
    StateType.CRASHED: "done",  # its process said so, and Slurm's reason comes with the end of the job
}


@dataclass
class Census:
    """Flow runs, as the server has them, and the jobs that wait or run, as `cluster:job`.

    Attributes:
        runs: Unfinished flow runs of the pool, and finished ones that still have a job.
        jobs: The jobs of each.
        gone: Flow runs that have a job and were deleted.
        silent: What clusters said that do not answer, by name.
        online: The workers of the pool whose heart beats.
    """

    runs: dict[UUID, FlowRun]
    jobs: dict[UUID, list[str]] = field(default_factory=dict)
    gone: set[UUID] = field(default_factory=set)
    silent: dict[str, PhyslabError] = field(default_factory=dict)
    online: set[str] = field(default_factory=set)


class Runs:
    """The flow runs of one work pool."""

    def __init__(self, client: PrefectClient, pool: WorkPool) -> None:
        self._client, self._pool = client, pool

    async def open(self, *kinds: StateType) -> list[FlowRun]:
        """Return those whose state is of these types; without any, all that are unfinished."""
        asked = _with({"state": {"type": {"any_": list(kinds or UNFINISHED)}}})
        of_pool = WorkPoolFilter.model_validate({"name": {"any_": [self._pool.name]}})
        found: list[FlowRun] = []
        while page := await self._client.read_flow_runs(
            flow_run_filter=asked, work_pool_filter=of_pool, limit=PAGE, offset=len(found)
        ):
            found += page
            if len(page) < PAGE:
                break
        return found

    async def census(self, runs: Iterable[FlowRun], clusters: Iterable[Cluster]) -> Census:
        """Return unfinished flow runs, read before, together with the jobs of the pool."""
        census = Census({run.id: run for run in runs})
        for cluster in clusters:
            try:
                marked = await cluster.marked(self._pool.id)
            except PhyslabError as error:
                census.silent[cluster.name] = error
                continue
            for run_id, job_ids in marked.items():
                census.jobs.setdefault(run_id, []).extend(f"{cluster.name}:{job_id}" for job_id in job_ids)
        others = [run_id for run_id in census.jobs if run_id not in census.runs]
        for start in range(0, len(others), PAGE):
            asked = _with({"id": {"any_": others[start : start + PAGE]}})
            census.runs |= {run.id: run for run in await self._client.read_flow_runs(flow_run_filter=asked, limit=PAGE)}
        census.gone = {run_id for run_id in others if run_id not in census.runs}
        beating = WorkerFilter.model_validate({"status": {"any_": ["ONLINE"]}})
        workers = await self._client.read_workers_for_work_pool(self._pool.name, beating)
        census.online = {worker.name for worker in workers}
        return census

    async def is_still(self, run: FlowRun) -> bool:
        """Say whether a flow run is in the state that it was read in."""
        now = await self._client.read_flow_run(run.id)
        return now.state is not None and run.state is not None and now.state.id == run.state.id

    async def set_state(self, run_id: UUID, state: State[Any]) -> None:
        """Give a flow run a state; one that was deleted needs none."""
        with suppress(ObjectNotFound):
            await self._client.set_flow_run_state(run_id, state, force=True)

    async def put_back(self, run_id: UUID, when: datetime, message: str) -> None:
        """Let a flow run be submitted at a time, as if it never had been."""
        await self.set_state(run_id, AwaitingRetry(scheduled_time=when, message=message))

    async def wait_again(self, followed: Followed) -> None:
        """Note that Slurm is going to start a flow run once more."""
        message = f"Slurm starts job {followed.pid} again: its machine failed, or it was preempted or requeued."
        await self.set_state(followed.run_id, Pending(message=message))

    async def conclude(self, followed: Followed, status: JobStatus) -> State[Any] | None:
        """Give a flow run whose job is over its last state; return it, or None where it has the right one."""
        try:
            run = await self._client.read_flow_run(followed.run_id)
        except ObjectNotFound:
            return None
        if becomes(run.state, status, "") is None:
            return None
        tail = await followed.cluster.log_tail(followed.folder)
        return await self.finish(run, status, describe(followed.pid, status, followed.folder, tail))

    async def finish(self, run: FlowRun, status: JobStatus, message: str) -> State[Any] | None:
        """Give a flow run, and its tasks, the state that belongs to the end of its job."""
        state = becomes(run.state, status, message)
        if state is not None:
            await self.set_state(run.id, state)
            await self._close_tasks(run.id, message)
        return state

    async def _close_tasks(self, run_id: UUID, message: str) -> None:
        unfinished = {"state": {"type": {"any_": [StateType.RUNNING, StateType.PENDING]}}}
        asked = TaskRunFilter.model_validate(unfinished)
        mine = _with({"id": {"any_": [run_id]}})
        while tasks := await self._client.read_task_runs(flow_run_filter=mine, task_run_filter=asked, limit=PAGE):
            for task in tasks:
                await self._client.set_task_run_state(task.id, Crashed(message=message), force=True)


def known_run(run: FlowRun, *, busy: bool, followed: str | None, abandoned: bool) -> KnownRun:
    """Return what the decisions need of a flow run.

    Args:
        run: As the server has it.
        busy: It is being submitted.
        followed: The job whose end this worker waits for.
        abandoned: Its worker is gone.
    """
    named, earlier = run.infrastructure_pid, run.labels.get(EARLIER)
    age_s = (datetime.now(UTC) - run.state.timestamp).total_seconds() if run.state else 0.0
    return KnownRun(
        id=run.id,
        phase=PHASES.get(run.state.type, "over") if run.state else "pending",
        age_s=age_s,
        job_id=followed or (named if named != earlier else None),
        busy=busy,
        followed=followed is not None,
        abandoned=abandoned,
    )


def _with(fields: dict[str, Any]) -> FlowRunFilter:
    return FlowRunFilter.model_validate(fields)
