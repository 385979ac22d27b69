"""Whether a job that did not succeed is submitted again, and what it asks for then."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from physlab.errors import ComputationError
from physlab.model import Resources
from physlab.model.job import JobResources, JobStatus
from physlab.planning.again import Tries
from physlab.service.jobs.cluster import Cluster
from physlab.service.jobs.finish import failure
from physlab.service.jobs.ledger import KnownJob
from physlab.service.jobs.submit import Asked

MORE_TIME = 2.0
NEVER_AGAIN = ("completed", "cancelled", "rejected")


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
class Attempt:
    """A job with what became of it so far.

    Attributes:
        asked: What is asked for.
        job: Its latest submission.
        tries: What it may still cost; None is submitted once.
        status: How that ended.
        unmade: It completed without what was to be kept.
    """

    asked: Asked
    job: KnownJob
    tries: Tries | None
    status: JobStatus | None = None
    unmade: ComputationError | None = None


def new_tries(cluster: Cluster, asked: Asked, policy: Policy) -> Tries | None:
    """Return the attempts that a job has; the site's memory is the most that it is given."""
    if not policy.retries:
        return None
    resources = cluster.complete(asked.request).resources
    memory_gb = None if resources.memory_mb is None else resources.memory_mb * 2**20 / 1e9
    return Tries(Resources(memory_gb=memory_gb), policy.retries, most_memory_gb=cluster.most_memory_gb(resources))


def is_worth_another(cluster: Cluster, attempt: Attempt, policy: Policy) -> bool:
    """Say whether a job is submitted again, and let it ask for what it lacked."""
    status, tries, request = attempt.status, attempt.tries, attempt.asked.request
    if tries is None or status is None or status.state in NEVER_AGAIN or attempt.unmade is not None:
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
