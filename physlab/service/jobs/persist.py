"""Jobs to their ends, and again where that helps: on another machine, with more memory, with more time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from physlab.lab import Lab
from physlab.model.job import JobStatus
from physlab.service.jobs.attempts import Attempt, Policy, is_worth_another, new_tries
from physlab.service.jobs.cluster import Cluster
from physlab.service.jobs.finish import failure, finish
from physlab.service.jobs.ledger import KnownJob
from physlab.service.jobs.submit import Asked, submit_many
from physlab.service.jobs.watch import Say, watch


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
    all_of_them = [Attempt(item, job, new_tries(cluster, item, policy)) for item, job in zip(asked, jobs, strict=True)]
    going = all_of_them
    while going:
        to_the_end(lab, cluster, going, deadline - time.monotonic(), say)
        going = [attempt for attempt in going if is_worth_another(cluster, attempt, policy)]
        again = submit_many(lab, cluster, [attempt.asked for attempt in going]) if going else []
        for attempt, job in zip(going, again, strict=True):
            if say is not None and attempt.tries is not None:
                say(f"Job {attempt.job.job_id} is submitted again as {job.job_id}: {attempt.tries.history[-1]}")
            attempt.job, attempt.status = replace(job, attempt=attempt.job.attempt + 1), None
    _raise_failures(cluster, all_of_them)
    return [(attempt.job, attempt.status) for attempt in all_of_them if attempt.status is not None]


def to_the_end(
    lab: Lab, cluster: Cluster, going: Sequence[Attempt], timeout_s: float, say: Say | None,
    on_failure: Callable[[KnownJob], None] = lambda job: None,
) -> None:  # fmt: skip
    """Wait for jobs, and keep what they make; their attempts say then how they ended.

    Raises:
        TimeLimitError: They did not end in time; they go on.
    """
    by_folder: dict[Path, Attempt] = {attempt.job.folder: attempt for attempt in going}

    def end(told: list[tuple[KnownJob, JobStatus]]) -> None:
        for item in finish(lab, cluster, told):
            attempt = by_folder[item.job.folder]
            attempt.job, attempt.status, attempt.unmade = item.job, item.status, item.unmade
            if item.status.state != "completed":
                on_failure(item.job)

    watch(cluster, [attempt.job for attempt in going], timeout_s, say=say, on_end=end)


def _raise_failures(cluster: Cluster, attempts: Sequence[Attempt]) -> None:
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
