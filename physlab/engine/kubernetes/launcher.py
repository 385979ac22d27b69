"""Starts pods as flow runs of `run-node`, and watches all of them with one question."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.context import TaskRunContext
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.states import Crashed

from physlab.engine.kubernetes.endings import (
    Phase,
    Seen,
    ending,
    given_up,
    is_unsubmitted,
    overdue,
    phase_of,
    unsaid,
)
from physlab.engine.kubernetes.leftovers import TAG, cancel_run
from physlab.engine.kubernetes.look import RUN, from_cluster, from_logs, remove_jobs, standing
from physlab.engine.kubernetes.pool import Pool, find_pool
from physlab.engine.ownership import POD, owner_labels
from physlab.errors import PhyslabError, ResourceError, WorkerLostError
from physlab.settings import KubernetesSiteSettings
from physlab.sites.kubernetes.launching import Ended, PodOrder
from physlab.sites.kubernetes.variables import GRACE_S, added_to, job_variables

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

PAGE = 200
PAUSE_S = (0.3, 5.0)
"""Between two questions: the shorter when something has just changed [s]."""
ANSWER_S = 60.0
"""So long the server may take for an answer [s]."""
SUBMIT_S = 60.0
"""A worker that has not made a job after so long has died over it [s]."""
REST_S = (1.0, 15.0)
"""Before a pod is tried once more whose job the cluster did not take; it doubles [s]."""
LAST_WORDS_S = 25.0
"""A pod whose programs save where they are may speak so long after it was told to end [s]."""
BLIND_S = 60.0
"""A cluster that cannot be read from here is not tried again for so long [s]."""
LOOK_S = 15.0
"""So often the cluster is asked, where it may be, whether it still has all pods: workers may be dead [s]."""
HEARD_S = 2.0
"""So long a pod waits for the server to hear of its node's task run [s]."""
_log = logging.getLogger("physlab.engine")
T = TypeVar("T")


@dataclass(eq=False)
class _Pod:
    order: PodOrder
    ended: Ended
    run_id: UUID
    phase: Phase = "waiting"
    since: float = field(default_factory=time.monotonic)
    begun: float = field(default_factory=time.monotonic)
    starts: int = 1
    rests_until: float | None = None
    missed: int = 0


class PrefectLauncher:
    """Starts pods through the server of the current Prefect settings.

    Args:
        name: What the lab calls the site.
        site: `[sites.kubernetes.NAME]`.
    """

    def __init__(self, name: str, site: KubernetesSiteSettings) -> None:
        self.name, self.site = name, site
        self._context = contextvars.copy_context()  # which server is meant stands there, and threads do not inherit it
        self._guard = threading.Lock()
        self._pods: dict[str, _Pod] = {}
        self._wake = threading.Event()
        self._closed = False
        self._watching: threading.Thread | None = None
        self._looked = time.monotonic()
        self._blind_until, self._sees = 0.0, False

    @cached_property
    def _client(self) -> SyncPrefectClient:
        own = {"timeout": ANSWER_S}  # inside a flow run only a client with settings of its own is not the flow's
        return self._context.run(lambda: get_client(own, sync_client=True)).__enter__()

    @cached_property
    def _pool(self) -> Pool:
        return self._asked(lambda: find_pool(self._client, self.site.pool, self.name))

    def here(self) -> Any:
        """Return the task run of the present thread's node, if there is one."""
        running = TaskRunContext.get()
        return running.task_run.id if running is not None else None

    def start(self, order: PodOrder, ended: Ended) -> None:
        """Start a pod; `ended` is called once, from a thread of the launcher.

        Raises:
            PhyslabError: It cannot be started.
        """
        with self._guard:
            pool = self._pool
        run = self._asked(lambda: self._create(pool, order, 1))
        with self._guard:
            if not self._closed:
                self._pods[order.token] = _Pod(order, ended, run.id)
                if self._watching is None:
                    self._watching = threading.Thread(
                        target=self._context.copy().run, args=(self._watch,), name=f"{self.name}-pods", daemon=True
                    )
                    self._watching.start()
                self._wake.set()
                return
        self._asked(lambda: cancel_run(self._client, run, "The run was stopped."))

    def _create(self, pool: Pool, order: PodOrder, start: int) -> FlowRun:
        given: dict[str, Any] = {
            "parameters": {"order": order.digest, "store": self.site.store, "endpoint": self.site.store_endpoint},
            "name": order.name[:200], "tags": [TAG], "idempotency_key": f"{order.token}-{start}",
            "job_variables": added_to(pool.usual, job_variables(self.site, order.shape)),
            "labels": {POD: self.name, **owner_labels()},
        }  # fmt: skip
        above = order.above if self._is_known(order.above) else None
        return self._client.create_flow_run_from_deployment(pool.deployment, parent_task_run_id=above, **given)

    def _is_known(self, task_run: UUID | None) -> bool:
        """Say whether the server has heard of a task run, which it does a little late."""
        until = time.monotonic() + HEARD_S
        while task_run is not None and time.monotonic() < until and not self._closed:
            try:
                return bool(self._client.read_task_run(task_run))
            except ObjectNotFound:
                time.sleep(0.2)
        return False

    def stop(self, token: str) -> None:
        """Cancel a pod's flow run; its end is not told."""
        with self._guard:
            pod = self._pods.pop(token, None)
        if pod is not None:
            self._cancel([pod], "Nobody waits for it any more.")

    def close(self) -> None:
        """Cancel all flow runs; a second time does nothing."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            left, self._pods = list(self._pods.values()), {}
        self._cancel(left, "The run was stopped.")
        self._wake.set()
        if self._watching is not None:
            self._watching.join()
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.__exit__(None, None, None)

    def _cancel(self, pods: Sequence[_Pod], why: str) -> None:
        for pod in pods:
            try:
                cancel_run(self._client, self._client.read_flow_run(pod.run_id), why)
            except ObjectNotFound:
                continue
            except (httpx.HTTPError, PrefectException) as error:
                _log.warning("Flow run %s could not be cancelled (%r): the next run does it.", pod.run_id, error)
        waiting = [pod for pod in pods if pod.phase == "pending"]
        if waiting and not self._removed(waiting):
            _log.warning("Jobs that have not begun are left on '%s': physlab site check %s", self.name, self.name)

    def _removed(self, pods: Iterable[_Pod]) -> bool:
        """Delete the jobs of pods that have not begun, which nobody else does; say whether that was possible."""
        return remove_jobs(self._place, [pod.run_id for pod in pods])

    # --- watching ---------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        pause = PAUSE_S[0]
        while True:
            self._wake.wait(pause)
            self._wake.clear()
            with self._guard:
                if self._closed:
                    return
                pods = list(self._pods.values())
            try:
                moved = self._look(pods)
            except (httpx.HTTPError, PrefectException) as silent:  # nothing is concluded from that
                _log.warning("The Prefect server does not answer: %r", silent)
                moved = self._look_without_server(pods)
            except Exception:  # noqa: BLE001 - all pods hang on this thread: the next look follows, whatever this met
                _log.exception("A look at the pods of '%s' failed", self.name)
                moved = False
            pause = PAUSE_S[0] if moved else min(PAUSE_S[1], 1.3 * pause)

    def _look(self, pods: list[_Pod]) -> bool:
        """Ask for all flow runs, and take in what changed; say whether something did."""
        for pod in pods:
            if pod.rests_until is not None and pod.rests_until <= time.monotonic():
                self._start_again(pod)
        pods = [pod for pod in pods if pod.rests_until is None]
        found: dict[UUID, FlowRun] = {}
        for start in range(0, len(pods), PAGE):
            ids = [pod.run_id for pod in pods[start : start + PAGE]]
            asked = FlowRunFilter.model_validate({"id": {"any_": ids}})
            found |= {run.id: run for run in self._client.read_flow_runs(flow_run_filter=asked, limit=PAGE)}
        moved = [self._hear_of(pod, found.get(pod.run_id)) for pod in pods]
        if time.monotonic() - self._looked > LOOK_S:
            self._compare([pod for pod in pods if pod.phase == "running"], found)
            self._looked = time.monotonic()
        return any(moved)

    def _compare(self, pods: list[_Pod], runs: Mapping[UUID, FlowRun]) -> None:
        """Take pods for lost that the cluster has no more, twice in a row: a dead worker does not tell Prefect."""
        if not pods or time.monotonic() < self._blind_until:
            return
        there = standing(self._place)
        if there is None:
            self._blind_until = time.monotonic() + BLIND_S
            return
        for pod in [pod for pod in pods if pod.run_id in runs]:
            seen = there.get(str(pod.run_id))
            self._sees |= seen is not None  # else it may be another cluster than the worker's
            well = seen is not None and not seen.reason
            pod.missed = 0 if well or not self._sees else pod.missed + 1
            if pod.missed > 1:
                why = unsaid(runs[pod.run_id], seen or Seen())
                self._client.set_flow_run_state(pod.run_id, Crashed(message=why.message))
                self._tell(pod, why)

    @property
    def _place(self) -> KubernetesSiteSettings:
        """The site, with the namespace that its pods are in."""
        usual = self._pool.usual.get("namespace")
        return self.site if self.site.namespace else self.site.model_copy(update={"namespace": usual})

    def _rest(self, pod: _Pod) -> bool:
        """Try a pod once more after a while: the cluster has not taken its job, so that nothing of it has begun."""
        pod.rests_until = time.monotonic() + min(REST_S[1], REST_S[0] * 2 ** (pod.starts - 1))
        return True

    def _start_again(self, pod: _Pod) -> None:
        run = self._create(self._pool, pod.order, pod.starts + 1)
        with self._guard:
            pod.run_id, pod.phase, pod.since = run.id, "waiting", time.monotonic()
            pod.starts, pod.rests_until = pod.starts + 1, None
            waited_for = not self._closed and pod.order.token in self._pods
        if not waited_for:
            cancel_run(self._client, run, "Nobody waits for it any more.")

    def _hear_of(self, pod: _Pod, run: FlowRun | None) -> bool:
        """Take in what became of one pod; what goes wrong over it is no trouble for the others."""
        try:
            return self._hear(pod, run)
        except (httpx.HTTPError, PrefectException):
            raise
        except Exception:  # noqa: BLE001 - and no trouble for this one, which is looked at again
            _log.exception("A look at the pod of %s failed", pod.order.name)
            return False

    def _closer(self, pod: _Pod, run: FlowRun) -> Seen:
        """Return why a pod came to nothing; nobody is asked about one that did not."""
        if (run.state is not None and run.state.is_completed()) or _answered(pod):
            return Seen()
        seen: Seen | None = Seen()
        if time.monotonic() >= self._blind_until:
            seen = from_cluster(self._place, run)
            if seen is None:
                self._blind_until = time.monotonic() + BLIND_S
        return seen if seen is not None and seen.reason else from_logs(self._client, run)

    def _hear(self, pod: _Pod, run: FlowRun | None) -> bool:
        if run is None:
            gone = WorkerLostError("its flow run was deleted.", details={"ended": "worker_lost"})
            return self._tell(pod, gone)
        phase, before = phase_of(run), pod.phase
        if phase != before:
            pod.phase, pod.since = phase, time.monotonic()
        took_s = time.monotonic() - pod.since
        patient = time.monotonic() - pod.begun < self.site.pending_s
        if phase == "over" and patient and is_unsubmitted(run):
            return self._rest(pod)
        if phase == "over" and took_s < LAST_WORDS_S and self._may_speak(pod, run):
            return phase != before
        if phase == "over":
            return self._tell(pod, ending(run, self._closer(pod, run)))
        if phase == "again":  # somebody wants to start it once more, behind the lab's back
            cancel_run(self._client, run, "Its pod was lost; the lab sends its nodes again.")
            return self._tell(pod, ending(run, self._closer(pod, run)))
        if phase == "pending" and patient and not run.infrastructure_pid and took_s > SUBMIT_S:
            cancel_run(self._client, run, "Its worker has not made a job; another flow run is started.")
            return self._rest(pod)
        if phase in ("waiting", "pending") and took_s > self.site.pending_s:
            why = given_up(run, phase, self.site, self._workers(), self._closer(pod, run))
            cancel_run(self._client, run, why.message)
            if phase == "pending" and not self._removed([pod]):
                why.hint += f" Its job is left: kubectl delete job -l {RUN}={run.id}"
            return self._tell(pod, why)
        if phase == "running" and took_s > pod.order.shape.walltime_s + GRACE_S:
            cancel_run(self._client, run, "Its time is over.")
            return self._tell(pod, overdue(took_s))
        return phase != before

    @staticmethod
    def _may_speak(pod: _Pod, run: FlowRun) -> bool:
        """Say whether a pod may still be saving where it is: the observer calls it lost as soon as it has to end."""
        crashed = run.state is not None and run.state.is_crashed()
        return pod.order.saves and crashed and not _answered(pod)

    def _look_without_server(self, pods: list[_Pod]) -> bool:
        """Take replies that are there: a pod may have ended without being able to say so."""
        gone = WorkerLostError("the Prefect server is gone.", details={"ended": "worker_lost"})
        told = [self._tell(pod, gone) for pod in pods if _answered(pod)]
        return any(told)

    def _tell(self, pod: _Pod, error: PhyslabError) -> bool:
        with self._guard:
            if self._pods.pop(pod.order.token, None) is None:
                return False
        pod.ended(error)
        return True

    def _workers(self) -> list[str]:
        """Return the workers of the pool whose heart beats."""
        from prefect.client.schemas.filters import WorkerFilter

        beating = WorkerFilter.model_validate({"status": {"any_": ["ONLINE"]}})
        return [worker.name for worker in self._client.read_workers_for_work_pool(self.site.pool, beating)]

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except (httpx.HTTPError, PrefectException) as error:
            raise ResourceError(
                f"The Prefect server cannot start a pod of '{self.name}': {error}",
                hint="Does it answer? physlab server status",
            ) from error


def _answered(pod: _Pod) -> bool:
    """Say whether a pod's reply is in the store; a store that is out of reach has none for now."""
    try:
        return pod.order.answered()
    except PhyslabError:
        return False
