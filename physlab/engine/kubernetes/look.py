"""Looking closer at a pod that came to nothing: at the cluster where it may be read, else at what Prefect was told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
from prefect.client.schemas.filters import LogFilter
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import PrefectException

from physlab.engine.kubernetes.endings import Seen, ended_by
from physlab.errors import PhyslabError
from physlab.settings import KubernetesSiteSettings
from physlab.sites.kubernetes import reasons
from physlab.sites.kubernetes.api import KubeApi, Object

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

RUN = "prefect.io/flow-run-id"
NO_JOB: Object = {"status": {}, "spec": {}}
ERROR = 40
LINES = 12
FEW = 40
"""So many flow runs are named in one question."""
ANSWER_S = 8.0
"""A cluster that does not answer in time is not asked further: this is the thread that watches all pods [s]."""


def from_cluster(site: KubernetesSiteSettings, run: FlowRun) -> Seen | None:
    """Return why a pod came to nothing, or does not begin; None where the cluster cannot be read from here."""
    try:
        return asyncio.run(asyncio.wait_for(_from_cluster(site, run), ANSWER_S))
    except (PhyslabError, TimeoutError, OSError):
        return None


async def _from_cluster(site: KubernetesSiteSettings, run: FlowRun) -> Seen:
    """Return what the cluster says of a flow run's job and pods; nothing where it does not know them."""
    mine = f"{RUN}={run.id}"
    async with await KubeApi.open(site.kubeconfig, site.context, site.namespace) as api:
        jobs, _ = await api.list("jobs", labels=mine)
        pods, _ = await api.list("pods", labels=mine)
        if not jobs and not pods:
            return Seen()
        if not pods:  # a quota, an admission rule, a missing account
            events, _ = await api.list("events", fields=f"involvedObject.name={jobs[-1]['metadata']['name']}")
            said = [f"{event['reason']}: {event['message']}" for event in events if event.get("type") == "Warning"]
            return Seen(said[-1] if said else "")
    return judged(jobs[-1] if jobs else NO_JOB, pods)


def standing(site: KubernetesSiteSettings) -> dict[str, Seen] | None:
    """Return how the pods of all flow runs stand, by flow run; None where the cluster cannot be read from here.

    A flow run whose reason is empty is well.
    """
    try:
        return asyncio.run(asyncio.wait_for(_all_of(site), ANSWER_S))
    except (PhyslabError, TimeoutError, OSError):
        return None


async def _all_of(site: KubernetesSiteSettings) -> dict[str, Seen]:
    async with await KubeApi.open(site.kubeconfig, site.context, site.namespace) as api:
        jobs, _ = await api.list("jobs", labels=RUN)
        pods, _ = await api.list("pods", labels=RUN)
    mine: dict[str, list[Object]] = {job["metadata"]["labels"][RUN]: [] for job in jobs}
    for pod in pods:
        mine.setdefault(pod["metadata"]["labels"][RUN], []).append(pod)
    latest = {job["metadata"]["labels"][RUN]: job for job in jobs}
    found = {}
    for run, theirs in mine.items():
        seen = judged(latest.get(run, NO_JOB), theirs)
        over = run in latest and not seen.reason and reasons.has_ended(latest[run])
        found[run] = Seen("its job is over") if over else seen
    return found


def judged(job: Object, pods: Sequence[Object]) -> Seen:
    """Return what a job and its pods say of each other; nothing where they are well."""
    status = reasons.judge(job, [_as_ours(pod) for pod in pods], "")
    if status.state in ("completed", "running") or status.reason in ("", "Pending"):
        return Seen()
    reason = status.reason
    if status.signal and status.state == "failed":
        reason = f"{reason}, signal {status.signal}"
    if status.machines:
        reason = f"{reason} (on {', '.join(status.machines)})"
    if any(word in reason for word in (*reasons.IMAGE, *reasons.CONFIG)):
        return Seen(reason, "never")
    plain = status.state if status.state in ("out_of_memory", "preempted", "node_fail", "timeout") else ""
    return Seen(reason, plain or ended_by(reason))


def _as_ours(pod: Object) -> Object:
    """Return a pod of Prefect's as one of ours: they differ in what the container is called."""
    status = pod.get("status") or {}
    named = [{**item, "name": reasons.WORK} for item in status.get("containerStatuses") or ()]
    return {**pod, "status": {**status, "containerStatuses": named}}


def remove_jobs(site: KubernetesSiteSettings, runs: Iterable[UUID]) -> bool:
    """Delete the jobs of flow runs that Prefect leaves there; False where that is not possible from here."""
    try:
        asyncio.run(asyncio.wait_for(_remove(site, [str(run) for run in runs]), ANSWER_S))
    except (PhyslabError, TimeoutError, OSError):
        return False
    return True


async def _remove(site: KubernetesSiteSettings, runs: Sequence[str]) -> None:
    async with await KubeApi.open(site.kubeconfig, site.context, site.namespace) as api:
        for start in range(0, len(runs), FEW):
            jobs, _ = await api.list("jobs", labels=f"{RUN} in ({','.join(runs[start : start + FEW])})")
            for job in jobs:
                await api.delete("jobs", job["metadata"]["name"], uid=job["metadata"]["uid"])


def from_logs(client: SyncPrefectClient, run: FlowRun) -> Seen:
    """Return what the worker's observer wrote: its diagnosis, or the last lines of the container."""
    asked = LogFilter.model_validate({"flow_run_id": {"any_": [run.id]}, "level": {"ge_": ERROR}})
    try:
        logs = client.read_logs(asked, limit=200)
    except (httpx.HTTPError, PrefectException):
        return Seen()
    lines = [line.message for line in logs if line.name.endswith("observer")]
    text = " ".join(" ".join(lines[-LINES:]).split())
    return Seen(text[-600:], ended_by(text))
