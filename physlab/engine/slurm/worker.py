"""The worker: submits flow runs as Slurm jobs, follows them to their end, and finds them again after it was killed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio
import anyio.abc
import httpx
from prefect.client.schemas.objects import StateType
from prefect.exceptions import InfrastructureNotAvailable, InfrastructureNotFound, PrefectException
from prefect.settings import get_current_settings
from prefect.workers.base import BaseWorker, BaseWorkerResult

from physlab.engine.slurm.cluster import Cluster
from physlab.engine.slurm.clusters import Clusters
from physlab.engine.slurm.desk import Desk, Order
from physlab.engine.slurm.job import ENVIRONMENT, SlurmJobConfiguration, SlurmVariables
from physlab.engine.slurm.marks import Mark
from physlab.engine.slurm.reconcile import Again, Drop, Follow, KnownRun, Step, decide
from physlab.engine.slurm.runs import CLUSTER, EARLIER, FOLDER, OWNER, Runs, known_run
from physlab.engine.slurm.watch import Followed, Watch
from physlab.errors import PhyslabError, ResourceError
from physlab.model.job import JobStatus
from physlab.settings import own_variables

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State

CANCEL_GRACE_S = 30.0  # so long a flow that is cancelled may take to end by itself
CLAIM_S = 300.0  # so long a worker may take from choosing a flow run to labelling it as its own
AT_ONCE = 8  # flow runs told to the server at the same time: a hundred would lock each other out of its database
TROUBLE = (PhyslabError, httpx.HTTPError, PrefectException, OSError)


class SlurmWorkerResult(BaseWorkerResult):
    """How the job of a flow run ended."""


class SlurmWorker(BaseWorker[SlurmJobConfiguration, SlurmVariables, SlurmWorkerResult]):
    """Runs each flow run as one Slurm job."""

    type = "physlab-slurm"
    job_configuration = SlurmJobConfiguration
    job_configuration_variables = SlurmVariables
    _description = "Run each flow run as one job of a Slurm cluster; what dies there is Crashed here, with the reason."
    _display_name = "Slurm (physlab)"

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._watch = Watch()
        self._clusters = Clusters()
        self._desk = Desk(self._arriving)
        self._served: set[UUID] = set()
        self._doubtful: set[UUID] = set()
        self._leaving = anyio.Event()
        self._gate = anyio.Semaphore(AT_ONCE)
        self._inside: set[UUID] = set()

    async def setup(self) -> None:
        """Connect, and begin to tend jobs."""
        await super().setup()
        self._group.start_soon(self._tend)

    async def teardown(self, *exc_info: Any) -> None:
        """Leave; unless all is waited for, jobs go on and the next worker takes them over."""
        self._leaving.set()
        await super().teardown(*exc_info)

    @property
    def _group(self) -> anyio.abc.TaskGroup:
        if self._runs_task_group is None:
            raise RuntimeError("The worker was not set up.")
        return self._runs_task_group

    @property
    def _runs(self) -> Runs:
        return Runs(self.client, self.work_pool)

    async def _submit_run(self, flow_run: FlowRun) -> None:
        await self._gate.acquire()
        self._inside.add(flow_run.id)
        try:
            await super()._submit_run(flow_run)
        finally:
            self._let_next_in(flow_run.id)

    def _let_next_in(self, run_id: UUID) -> None:
        if run_id in self._inside:
            self._inside.discard(run_id)
            self._gate.release()

    async def run(
        self,
        flow_run: FlowRun,
        configuration: SlurmJobConfiguration,
        task_status: anyio.abc.TaskStatus[Any] | None = None,
    ) -> SlurmWorkerResult:
        """Submit a flow run and wait for the end of its job."""
        try:
            followed = await self._submit(flow_run, configuration)
        except PhyslabError as error:
            self._served.add(flow_run.id)
            await self._refuse(flow_run, error)
            if task_status is not None:
                task_status.started(error)
            return SlurmWorkerResult(identifier="none", status_code=0)
        self._served.add(flow_run.id)
        self._watch.add(followed)
        if task_status is not None:
            task_status.started(followed.pid)
        return await self._follow(followed)

    async def _submit(self, flow_run: FlowRun, configuration: SlurmJobConfiguration) -> Followed:
        cluster = await self._clusters.find(configuration.site, self.client)
        folder = configuration.root(cluster.site, self._clusters.home) / str(flow_run.id)
        mark = Mark("run", flow_run.id, self.work_pool.id)
        request = configuration.request(cluster.site)
        if flow_run.id in self._doubtful:  # nobody knows whether an earlier attempt was accepted
            known = (await cluster.marked(mark.pool)).get(flow_run.id)
            self._doubtful.discard(flow_run.id)
            if known:
                return Followed(flow_run.id, cluster, known[0], folder)
        labels = {CLUSTER: cluster.name, FOLDER: str(folder), EARLIER: flow_run.infrastructure_pid or ""}
        try:
            await self._label(flow_run.id, labels)
        except httpx.HTTPError as error:
            raise ResourceError(f"The Prefect server does not answer: {error}", hint="Is it overloaded?") from error
        own = own_variables() if cluster.site.host is None else {}
        files = {ENVIRONMENT: configuration.environment_file(own)}
        order = Order(cluster, request, mark, configuration.comment, folder, files)
        self._let_next_in(flow_run.id)
        return Followed(flow_run.id, cluster, await self._desk.submit(order), folder)

    async def _give_worker_labels_to_flow_run(self, flow_run_id: UUID) -> None:
        """Leave it to `_submit`, which writes all labels at once: the server is slow with them."""

    async def _label(self, run_id: UUID, more: Mapping[str, str]) -> None:
        """Write down that a flow run is this worker's, and more."""
        ours = {OWNER: self.name, "prefect.worker.type": self.type}
        ours |= {"prefect.work-pool.name": self.work_pool.name, "prefect.work-pool.id": str(self.work_pool.id)}
        await self.client.update_flow_run_labels(run_id, {**ours, **more})

    def _arriving(self) -> int:
        """Count the flow runs of this round that have not come as far as being submitted."""
        self._served &= self._submitting_flow_run_ids
        return len(self._submitting_flow_run_ids - self._served)

    async def _refuse(self, flow_run: FlowRun, error: PhyslabError) -> None:
        """Give up a flow run that can never be submitted; try again later when the cluster does not answer."""
        log = self.get_flow_run_logger(flow_run)
        if isinstance(error, ResourceError):
            self._doubtful.add(flow_run.id)
            later = datetime.now(UTC) + timedelta(seconds=self.heartbeat_interval_seconds)
            log.warning("Not submitted, and tried again at %s: %s", f"{later:%H:%M:%S} UTC", error)
            await self._runs.put_back(flow_run.id, later, str(error))
        else:
            log.error("Not submitted: %s", error)
            await self._propose_crashed_state(flow_run, str(error))

    async def _follow(self, followed: Followed) -> SlurmWorkerResult:
        try:
            status = await followed.end
            state = await self._conclude(followed, status)
        finally:
            self._watch.drop(followed)
        code = (status.exit_code or status.signal or 1) if state is not None and state.is_crashed() else 0
        return SlurmWorkerResult(identifier=followed.pid, status_code=code)

    async def _conclude(self, followed: Followed, status: JobStatus) -> State[Any] | None:
        """Tell the server how a job ended, however long that takes; return the state that its flow run was given."""
        while self._watch.get(followed.run_id) is followed:  # else it has another job by now, as after a retry
            try:
                async with self._gate:
                    state = await self._runs.conclude(followed, status)
            except TROUBLE as error:
                self._logger.warning("Job %s has ended, its flow run cannot be told yet: %s", followed.pid, error)
                await anyio.sleep(self.heartbeat_interval_seconds)
                continue
            if state is not None:
                self._logger.warning("Flow run %s is %s. %s", followed.run_id, state.name, state.message)
            return state
        return None

    async def _tend(self) -> None:
        """Look after jobs as often as Prefect is asked for work; nothing that goes wrong ends this."""
        due = 0.0
        while self._submitting_flow_run_ids or len(self._watch) or not self._leaving.is_set():
            try:
                if time.monotonic() >= due and self._work_pool is not None:
                    due = time.monotonic() + self.heartbeat_interval_seconds
                    await self._reconcile()
                if len(self._watch):
                    await self._look()
            except TROUBLE as error:
                self._logger.warning("Tending jobs: %s", error)
            with anyio.move_on_after(get_current_settings().worker.query_seconds):
                await (anyio.sleep_forever() if self._leaving.is_set() else self._leaving.wait())

    async def _look(self) -> None:
        """Hear of jobs that ended or wait again, and cancel those of flow runs that are cancelled."""
        again, silent = await self._watch.look()
        for error in silent:
            self._logger.warning("Watching jobs: %s", error)
        for followed in again:
            await self._runs.wait_again(followed)
        for flow_run in await self._runs.open(StateType.CANCELLING):
            asked = self._watch.get(flow_run.id)
            if asked is not None and not asked.cancelled and _may_cancel(flow_run):
                await asked.cluster.cancel([asked.job_id])
                asked.cancelled = True

    async def _reconcile(self) -> None:
        """Bring flow runs and jobs together again."""
        unfinished = await self._runs.open()
        clusters = await self._clusters_of(unfinished)
        census = await self._runs.census(unfinished, clusters.values())
        for error in census.silent.values():
            self._logger.warning("Looking for jobs: %s", error)
        known = [
            self._known(run, census.online)
            for run in census.runs.values()
            if run.labels.get(CLUSTER) in (None, *(clusters.keys() - census.silent))
        ]
        known += [KnownRun(run_id, "over", float("inf")) for run_id in census.gone]
        for step in decide(known, census.jobs, self.heartbeat_interval_seconds):
            await self._carry_out(step, census.runs.get(step.run.id), clusters)

    async def _clusters_of(self, unfinished: list[FlowRun]) -> dict[str, Cluster]:
        """Return the clusters that flow runs were submitted to, and the one that the pool names."""
        variables = self.work_pool.base_job_template.get("variables", {}).get("properties", {})
        names = {variables.get("site", {}).get("default")}
        names |= {str(run.labels[CLUSTER]) for run in unfinished if CLUSTER in run.labels}
        found: dict[str, Cluster] = {}
        for name in names:
            try:
                cluster = await self._clusters.find(name, self.client)
                found[cluster.name] = cluster
            except PhyslabError as error:
                self._logger.warning("Flow runs of the cluster '%s' are left alone: %s", name, error)
        return found

    def _known(self, run: FlowRun, online: set[str]) -> KnownRun:
        followed, others = self._watch.get(run.id), online - {self.name}
        owner = run.labels.get(OWNER)
        known = known_run(
            run, busy=run.id in self._submitting_flow_run_ids, followed=followed.pid if followed else None
        )
        # one that nobody claimed yet may be in the hands of another worker, unless there is none
        return replace(known, abandoned=owner not in others if owner else not others or known.age_s > CLAIM_S)

    async def _carry_out(self, step: Step, run: FlowRun | None, clusters: dict[str, Cluster]) -> None:
        if isinstance(step, Drop):
            name, _, job_id = step.job_id.rpartition(":")
            self._logger.warning("Cancelling job %s: flow run %s does not want it.", step.job_id, step.run.id)
            await clusters[name].cancel([job_id])
        elif run is None or run.id in self._submitting_flow_run_ids or not await self._runs.is_still(run):
            return  # it went on meanwhile
        elif isinstance(step, Follow):
            await self._take_over(run, step.job_id)
        elif isinstance(step, Again):
            self._logger.warning("Flow run %s has no job: it is scheduled again.", run.id)
            message = "The worker that was about to submit this run is gone; there is no job of it."
            await self._runs.put_back(run.id, datetime.now(UTC), message)
        else:
            message = "There is no Slurm job of this run: its worker ended before it was noted, and the job is over."
            await self._runs.finish(run, JobStatus(job_id="", state="unknown"), message)

    async def _take_over(self, run: FlowRun, pid: str) -> None:
        """Follow the job of another worker, which may have been this one before it was killed."""
        name, _, job_id = pid.rpartition(":")
        cluster = await self._clusters.find(name, self.client)
        folder = Path(str(run.labels.get(FOLDER) or self._clusters.home / "jobs" / "flow-runs" / str(run.id)))
        followed = Followed(run.id, cluster, job_id, folder)
        self._watch.add(followed)
        if self._limiter is not None:
            with suppress(anyio.WouldBlock, RuntimeError):
                self._limiter.acquire_on_behalf_of_nowait(run.id)
        self._group.start_soon(self._follow_taken, followed)
        self._logger.info("Job %s of flow run %s is followed from now on.", pid, run.id)
        await self._label(run.id, {})
        if run.infrastructure_pid != pid:
            await self.client.update_flow_run(run.id, infrastructure_pid=pid)

    async def _follow_taken(self, followed: Followed) -> None:
        try:
            await self._follow(followed)
        finally:
            self._release_limit_slot(followed.run_id)

    async def kill_infrastructure(
        self, infrastructure_pid: str, configuration: SlurmJobConfiguration, grace_seconds: int = 30
    ) -> None:
        """Cancel the job of a flow run; one that has ended is left alone.

        Args:
            infrastructure_pid: `cluster:job`.
            configuration: The job variables of the flow run.
            grace_seconds: Not used: the time between SIGTERM and SIGKILL is the cluster's (KillWait).

        Raises:
            InfrastructureNotFound: Slurm does not know it, or it is no job of a cluster.
            InfrastructureNotAvailable: Its cluster does not answer, or is unknown here.
        """
        name, _, job_id = infrastructure_pid.rpartition(":")
        if not name or not job_id.replace("_", "").isdigit():
            raise InfrastructureNotFound(f"'{infrastructure_pid}' is not the job of a cluster, such as hpc:123.")
        try:
            cluster = await self._clusters.find(name, self.client)
            status = (await cluster.poll({job_id: Path("/nonexistent")}))[job_id]
            if status.state == "unknown":
                raise InfrastructureNotFound(f"The cluster '{name}' does not know job {job_id}.")
            if not status.ended:
                await cluster.cancel([job_id])
        except PhyslabError as error:
            raise InfrastructureNotAvailable(str(error)) from error


def _may_cancel(run: FlowRun) -> bool:
    """Say whether the job of a cancelled flow run may be cancelled: what runs gets time to end by itself."""
    if run.start_time is None or run.state is None:
        return True
    return (datetime.now(UTC) - run.state.timestamp).total_seconds() > CANCEL_GRACE_S
