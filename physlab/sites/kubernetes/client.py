"""A cluster's jobs for those who do not wait: one thread asks and listens, all others read what it knows."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Coroutine, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from physlab.errors import PhyslabError, ResourceError
from physlab.model.job import JobStatus
from physlab.settings import KubernetesSiteSettings
from physlab.sites.kubernetes import reasons
from physlab.sites.kubernetes.api import KubeApi, Object
from physlab.sites.kubernetes.listener import Listener
from physlab.sites.kubernetes.manifest import LABEL

FORGOTTEN = "the cluster does not know it (any more)"
DELETED = "its Job was deleted"
LISTED_S = 60.0
EVENTS_S = 5.0
STUCK_S = 4.0
"""A pod whose containers have not begun after so long is asked about [s]."""
GRACE_S = 45.0
CLOSING_S = 0.05
NEWS_S = 0.1
"""News of so long are taken in together [s]."""
T = TypeVar("T")


class KubernetesClient:
    """Submits Jobs, knows what became of them, and hears what they write.

    Args:
        site: The cluster's settings.
        scratch: A folder for the logs that are being read.
    """

    def __init__(self, site: KubernetesSiteSettings, scratch: Path) -> None:
        self._site, self._scratch = site, scratch
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kubernetes", daemon=True)
        self._api: KubeApi | None = None
        self._listeners: dict[str, Listener] = {}
        self._given_up: dict[str, JobStatus] = {}
        self._pending: dict[str, float] = {}  # since when they are seen to wait
        self._events: dict[str, tuple[float, str]] = {}
        self._news = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(PhyslabError):
            self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def connect(self) -> None:
        """Read how to reach the cluster.

        Raises:
            ConfigurationError: There is no way.
        """
        self._run(self._opened())

    def submit(self, body: Object) -> str:
        """Make a Job or CronJob and return what it is called: `namespace/name`.

        Raises:
            ValidationError: It is refused; with the API's words.
        """
        return self._run(self._submit(body))

    def poll(self, jobs: Iterable[str], *, cron: frozenset[str] = frozenset()) -> dict[str, JobStatus]:
        """Return what is known of jobs; the cluster is not asked about each, its changes are listened to.

        Args:
            jobs: `namespace/name`.
            cron: Those among them that are CronJobs.

        Raises:
            PhyslabError: The cluster does not answer, or does not allow it.
        """
        return self._run(self._poll(list(jobs), cron))

    def remove(self, jobs: Iterable[str], *, cron: frozenset[str] = frozenset()) -> None:
        """Delete Jobs with their pods; those that are not there need no deletion."""
        self._run(self._remove(list(jobs), cron))

    def runs(self, job: str) -> dict[str, str]:
        """Return the runs that a CronJob has begun, with their times."""
        return self._run(self._runs(job))

    def present(self, namespace: str | None = None) -> dict[str, str]:
        """Return the Jobs of physlab that are there: `namespace/name` → label."""
        return self._run(self._present(namespace))

    def schedules(self, namespace: str | None = None) -> dict[str, str]:
        """Return the CronJobs of physlab that are there: `namespace/name` → label; the cluster is asked each time."""
        return self._run(self._schedules(namespace))

    def rest(self, longest_s: float) -> None:
        """Wait for news of jobs, pods or logs, at most so long [s]."""
        if self._news.wait(longest_s):
            time.sleep(NEWS_S)
            self._news.clear()

    def log(self, job: str, *, to_the_end: bool = False) -> Path:
        """Return where a job's log is written as it comes; with `to_the_end` when all of it is there."""
        return self._run(self._log(job, to_the_end))

    def has_heard(self, job: str) -> bool:
        """Say whether all that a job wrote was read, so that nothing of it is lost with its pods."""
        return self._run(self._has_heard(job))

    # --- in the thread that listens ---------------------------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError as error:
            raise ResourceError("The connection to the cluster was closed.") from error
        except KeyboardInterrupt:
            future.cancel()
            raise

    async def _close(self) -> None:
        for listener in self._listeners.values():
            await listener.close()
        if self._api is not None:
            await self._api.close()
            await asyncio.sleep(CLOSING_S)  # connections with TLS end a little later

    async def _opened(self) -> KubeApi:
        if self._api is None:
            site = self._site
            self._api = await KubeApi.open(site.kubeconfig, site.context, site.namespace)
        return self._api

    async def _listener(self, namespace: str) -> Listener:
        if namespace not in self._listeners:
            api = await self._opened()
            self._listeners[namespace] = Listener(api, namespace, self._scratch, self._news.set)
        await self._listeners[namespace].ready(LISTED_S)
        return self._listeners[namespace]

    async def _submit(self, body: Object) -> str:
        api = await self._opened()
        namespace = body["metadata"].get("namespace") or api.namespace
        listener = await self._listener(namespace)
        if body["kind"] == "CronJob":
            made = await api.create("cronjobs", body, namespace)
        else:
            made = await api.create("jobs", body, namespace)
            listener.expect(made)
            await listener.log(made["metadata"]["name"])  # a pod that is deleted takes its log with it
        return f"{namespace}/{made['metadata']['name']}"

    async def _poll(self, jobs: list[str], cron: frozenset[str]) -> dict[str, JobStatus]:
        found = {}
        for job in jobs:
            namespace, _, name = job.partition("/")
            listener = await self._listener(namespace)
            found[job] = await (self._cron(listener, job, name) if job in cron else self._job(listener, job, name))
        return found

    async def _job(self, listener: Listener, job: str, name: str) -> JobStatus:
        if job in self._given_up:
            return self._given_up[job]
        there, pods = listener.jobs.get(name), listener.pods(name)
        if there is None:
            gone = listener.gone.get(name)
            if gone is None:
                return JobStatus(job_id=job, state="unknown", reason=FORGOTTEN, forgotten=True)
            status = reasons.judge(gone, pods, job)
            return status if status.ended else status.model_copy(update={"state": "cancelled", "reason": DELETED})
        status = reasons.judge(there, pods, job)
        if status.state != "pending":
            self._pending.pop(job, None)
            return status
        waited_s = self._waited_s(job, there)
        stuck = bool(pods) and status.reason == "Pending" and waited_s > STUCK_S
        about = ("Pod", pods[0]["metadata"]["name"]) if stuck else ("Job", name)
        if (stuck or not pods) and (why := await self._warning(listener, *about)):
            status = status.model_copy(update={"reason": why[:500]})
        if waited_s < self._site.pending_s:
            return status
        await (await self._opened()).delete("jobs", name, listener.namespace, uid=there["metadata"]["uid"])
        told = f"{status.reason} (given up after pending_s = {self._site.pending_s:g} s)"
        self._given_up[job] = status.model_copy(update={"state": "rejected", "reason": told})
        return self._given_up[job]

    def _waited_s(self, job: str, there: Object) -> float:
        """Return how long a Job has waited since it was let in, no longer than it was seen to [s]: clocks differ."""
        if reasons.is_suspended(there):
            self._pending.pop(job, None)
            return 0.0
        seen_s = time.monotonic() - self._pending.setdefault(job, time.monotonic())
        admitted_s = reasons.admitted_s(there)
        return seen_s if admitted_s is None else min(seen_s, admitted_s)

    async def _warning(self, listener: Listener, kind: str, name: str) -> str:
        """Return what the events say of a Job without a pod, or a pod without containers: a quota, a missing secret."""
        asked, said = self._events.get(name, (0.0, ""))
        if time.monotonic() - asked > EVENTS_S:
            api, fields = await self._opened(), f"involvedObject.name={name},involvedObject.kind={kind},type=Warning"
            with contextlib.suppress(PhyslabError):  # without the right to read them the reason stays unknown
                events, _ = await api.list("events", listener.namespace, fields=fields)
                said = f"{events[-1]['reason']}: {events[-1]['message']}" if events else ""
            self._events[name] = (time.monotonic(), said)
        return said

    async def _cron(self, listener: Listener, job: str, name: str) -> JobStatus:
        api = await self._opened()
        there = await api.get("cronjobs", name, listener.namespace)
        if there is None:
            return JobStatus(job_id=job, state="unknown", reason=FORGOTTEN, forgotten=True)
        last = (there.get("status") or {}).get("lastScheduleTime", "never")
        return JobStatus(job_id=job, state="running", reason=f"{there['spec']['schedule']}; last begun: {last}")

    async def _runs(self, job: str) -> dict[str, str]:
        namespace, _, token = job.partition("/")
        heads = [item["metadata"] for item in (await self._listener(namespace)).jobs.values()]
        mine = [head for head in heads if head["labels"].get(LABEL) == token and head["name"] != token]
        return {f"{namespace}/{head['name']}": head["creationTimestamp"].replace("Z", "+00:00") for head in mine}

    async def _present(self, namespace: str | None) -> dict[str, str]:
        namespace = namespace or (await self._opened()).namespace
        listener = await self._listener(namespace)
        jobs: Mapping[str, Object] = listener.jobs
        return {f"{namespace}/{name}": item["metadata"]["labels"][LABEL] for name, item in jobs.items()}

    async def _schedules(self, namespace: str | None) -> dict[str, str]:
        api = await self._opened()
        items, _ = await api.list("cronjobs", namespace := namespace or api.namespace, labels=LABEL)
        heads = [item["metadata"] for item in items]
        return {f"{namespace}/{head['name']}": head["labels"][LABEL] for head in heads}

    async def _remove(self, jobs: list[str], cron: frozenset[str]) -> None:
        api = await self._opened()
        for job in jobs:
            namespace, _, name = job.partition("/")
            await api.delete("cronjobs" if job in cron else "jobs", name, namespace)

    async def _has_heard(self, job: str) -> bool:
        namespace, _, name = job.partition("/")
        return (await self._listener(namespace)).has_heard(name)

    async def _log(self, job: str, to_the_end: bool) -> Path:
        namespace, _, name = job.partition("/")
        listener = await self._listener(namespace)
        return await listener.log(name, GRACE_S if to_the_end else 0.0)
