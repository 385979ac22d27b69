"""Jobs to their ends, and again where that helps: on another machine, with more memory, with more time."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from physlab.errors import PhyslabError
from physlab.lab import Lab
from physlab.model import Resources
from physlab.model.job import JobResources, JobStatus
from physlab.planning.again import Tries
from physlab.service.jobs.cluster import Cluster
from physlab.service.jobs.finish import failure, finish
from physlab.service.jobs.ledger import KnownJob
from physlab.service.jobs.submit import Asked, submit_many
from physlab.service.jobs.watch import Say, watch

MORE_TIME = 2.0


@dataclass(frozen=True)
class Policy:
    """How often and with what a job that did not succeed is submitted again.

    Attributes:
        retries: How often after a failure of its own; 0 never submits again, whatever the reason.
        most_time_s: Time limit that a job that ran too long may be given in the end [s]; None gives it no more.
    """

    retries: int = 0
    most_time_s: float | None = None


@dataclass
class _Attempt:
    """A job with what became of it so far."""

    asked: Asked
    job: KnownJob
    tries: Tries | None
    status: JobStatus | None = None
    unmade: PhyslabError | None = None


def persist(
    lab: Lab, cluster: Cluster, asked: Sequence[Asked], jobs: Sequence[KnownJob], policy: Policy, timeout_s: float,
    say: Say | None = None,
) -> list[tuple[KnownJob, JobStatus]]:  # fmt: skip
    """Wait for jobs, keep what they make, and submit again those for which it helps; return the last of each.

    Raises:
        ComputationError: One of them did not succeed in the end; with the end of its log.
        ResourceError: So, for want of memory, time or machines.
        TimeLimitError: They did not end in time; they go on.
    """
    deadline = time.monotonic() + timeout_s
    all_of_them = [_Attempt(item, job, _tries(cluster, item, policy)) for item, job in zip(asked, jobs, strict=True)]
    going = all_of_them
    while going:
        _to_the_end(lab, cluster, going, deadline - time.monotonic(), say)
        going = [attempt for attempt in going if _is_worth_another(cluster, attempt, policy)]
        again = submit_many(lab, cluster, [attempt.asked for attempt in going]) if going else []
        for attempt, job in zip(going, again, strict=True):
            if say is not None and attempt.tries is not None:
                say(f"Job {attempt.job.job_id} is submitted again as {job.job_id}: {attempt.tries.history[-1]}")
            attempt.job, attempt.status = replace(job, attempt=attempt.job.attempt + 1), None
    _raise_failures(cluster, all_of_them)
    return [(attempt.job, attempt.status) for attempt in all_of_them if attempt.status is not None]


def _to_the_end(
    lab: Lab, cluster: Cluster, going: Sequence[_Attempt], timeout_s: float, say: Say | None
) -> None:  # fmt: skip
    by_folder: dict[Path, _Attempt] = {attempt.job.folder: attempt for attempt in going}

    def end(told: list[tuple[KnownJob, JobStatus]]) -> None:
        for item in finish(lab, cluster, told):
            attempt = by_folder[item.job.folder]
            attempt.job, attempt.status, attempt.unmade = item.job, item.status, item.unmade

    watch(cluster, [attempt.job for attempt in going], timeout_s, say=say, on_end=end)


def _tries(cluster: Cluster, asked: Asked, policy: Policy) -> Tries | None:
    if not policy.retries:
        return None
    resources = cluster.complete(asked.request).resources
    memory_gb = None if resources.memory_mb is None else resources.memory_mb * 2**20 / 1e9
    most_gb = cluster.settings.most_memory_gb
    if most_gb is None and (most := cluster.client.largest_memory_mb(resources.partition)) is not None:
        most_gb = most * 2**20 / 1e9
    return Tries(Resources(memory_gb=memory_gb), policy.retries, most_memory_gb=most_gb)


def _is_worth_another(cluster: Cluster, attempt: _Attempt, policy: Policy) -> bool:
    """Say whether a job is submitted again, and let it ask for what it lacked."""
    status, tries, request = attempt.status, attempt.tries, attempt.asked.request
    if tries is None or status is None or status.state in ("completed", "cancelled") or attempt.unmade is not None:
        return False
    changes = more_resources(request.resources, status, policy.most_time_s)
    if status.state == "timeout" and not changes:
        return False  # it would run too long again
    error = failure(cluster, attempt.job, status)
    error.details |= {"ended": status.state, "memory_mb": status.memory_mb}
    if not tries.again(error):
        return False
    if tries.resources.memory_gb is not None:
        changes["memory_mb"] = math.ceil(tries.resources.memory_gb * 1e9 / 2**20)
    resources = request.resources.model_copy(update=changes)
    attempt.asked = replace(attempt.asked, request=request.model_copy(update={"resources": resources}))
    return True


def more_resources(asked: JobResources, status: JobStatus, most_time_s: float | None) -> dict[str, object]:
    """Return what a job shall ask for otherwise next time, beside memory.

    Args:
        asked: What it asked for.
        status: How it ended.
        most_time_s: Time limit that it may be given at most [s].
    """
    if status.state == "node_fail" and status.machines:
        return {"exclude": tuple(dict.fromkeys((*asked.exclude, *status.machines)))}
    had = asked.walltime_s or status.elapsed_s
    if status.state == "timeout" and most_time_s is not None and had is not None and had < most_time_s:
        return {"walltime_s": min(most_time_s, MORE_TIME * had)}
    return {}


def _raise_failures(cluster: Cluster, attempts: Sequence[_Attempt]) -> None:
    unmade = next((attempt for attempt in attempts if attempt.unmade is not None), None)
    failed = [item for item in attempts if item.status is not None and item.status.state != "completed"]
    if unmade is not None and unmade.unmade is not None:
        raise unmade.unmade
    if not failed or failed[0].status is None:
        return
    first = failure(cluster, failed[0].job, failed[0].status)
    tried = f" It was submitted {failed[0].job.attempt} times." if failed[0].job.attempt > 1 else ""
    if len(attempts) == 1:
        raise type(first)(first.message + tried, hint=first.hint, details=first.details)
    states = {item.job.job_id: item.status.model_dump(mode="json") for item in attempts if item.status is not None}
    raise type(first)(
        f"{len(failed)} of {len(attempts)} jobs did not succeed. The first: {first.message}{tried}",
        hint=f"What the others made is kept: physlab job list. {first.hint}",
        details={"jobs": states},
    )
