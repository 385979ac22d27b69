"""What the end of a pod's flow run means when there is no reply: pure decisions, with the cluster's reason in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from prefect.client.schemas.objects import FlowRun

from physlab.errors import CancelledError, ConfigurationError, PhyslabError, ResourceError, WorkerLostError
from physlab.settings import KubernetesSiteSettings

Phase = Literal["waiting", "pending", "running", "again", "over"]
WORDS = (  # of Prefect and the cluster → how it ended
    (r"OOMKilled|exit(?:ed with)? (?:status )?code:? ?(?:-9|137)\b", "out_of_memory"),
    (r"DeadlineExceeded", "timeout"),
    (r"NodeLost|NodeShutdown|node .*(?:not ready|unreachable)|DeletionByTaintManager|DeletionByPodGC", "node_fail"),
    (r"Evicted|[Pp]reempt|SIGTERM|termination signal|has begun before|Job .*deleted|pod was deleted", "preempted"),
    (r"ErrImage|ImagePull|InvalidImageName|Forbidden(?!.*exceeded quota)|is invalid|job: Not Found", "never"),
    (r"Failed to submit flow run|Unable to create Kubernetes job", "unsubmitted"),
)


@dataclass(frozen=True)
class Seen:
    """What was found out about a pod beside its flow run's state.

    Attributes:
        reason: In the cluster's words.
        ended: How it ended, where that is plain: `out_of_memory`, `preempted`, `node_fail`, `timeout`, `never`,
            `unsubmitted`.
    """

    reason: str = ""
    ended: str = ""


def phase_of(run: FlowRun) -> Phase:
    """Return where a flow run stands."""
    state = run.state
    if state is None:
        return "waiting"
    if state.is_final():
        return "over"
    if state.is_scheduled():
        return "again" if run.run_count or state.name == "AwaitingRetry" else "waiting"
    return "pending" if state.is_pending() else "running"


def is_unsubmitted(run: FlowRun) -> bool:
    """Say whether a flow run ended because the cluster took no job then: it may take one later."""
    state = run.state
    return state is not None and state.is_crashed() and ended_by(state.message or "") == "unsubmitted"


def ending(run: FlowRun, seen: Seen) -> PhyslabError:
    """Return the error that the end of a flow run is, for work whose reply is not there."""
    state = run.state
    said = (state.message or "") if state is not None else ""
    if state is not None and state.is_cancelled():
        return CancelledError(f"its flow run '{run.name}' was cancelled in Prefect. {said}".strip())
    ended = seen.ended or ended_by(said)
    if not ended and state is not None and state.is_failed():  # the flow said so itself: another pod would say the same
        return ResourceError(f"its pod failed: {said}", details={"flow_run": str(run.id)})
    ended = ended or "worker_lost"
    name = state.name if state is not None and state.name else "over"
    reason = " ".join(part for part in (seen.reason, said if said not in seen.reason else "") if part)
    message = f"its pod came to nothing ({name}): {reason or 'no reason is known'}"
    details = {"ended": ended, "reason": reason[:500], "flow_run": str(run.id)}
    if ended == "never":
        return _never(message, details)
    if ended == "unsubmitted":
        return ResourceError(message, hint="Does the cluster answer its worker? kubectl get jobs", details=details)
    return WorkerLostError(
        message, hint="It is run again where that may help; see the attempts in the record.", details=details
    )


def given_up(
    run: FlowRun, phase: Phase, site: KubernetesSiteSettings, workers: Sequence[str], seen: Seen
) -> PhyslabError:
    """Return the error of a pod that did not begin in time."""
    late = f"its pod did not begin within {site.pending_s:g} s"
    details = {"reason": seen.reason[:500], "flow_run": str(run.id)}
    if phase == "waiting" and not workers:
        return ConfigurationError(
            f"{late}: no worker serves the work pool '{site.pool}'.",
            hint=f"Start one beside the cluster: prefect worker start --pool {site.pool} --type kubernetes",
            details=details,
        )
    if phase == "waiting":
        return ResourceError(
            f"{late}: no worker of the pool '{site.pool}' took it ({', '.join(workers)}).",
            hint="Is the pool paused, or its limit of concurrent runs used up?", details=details,
        )  # fmt: skip
    if seen.ended == "never":
        return _never(f"{late}: {seen.reason}", details)
    return ResourceError(
        f"{late}: {seen.reason or 'the cluster says no reason'}",
        hint=f"Ask for less, or give it more time: pending_s in [sites.kubernetes]. kubectl get events -n "
        f"{site.namespace or 'default'} says more.",
        details=details,
    )


def overdue(took_s: float) -> PhyslabError:
    """Return the error of a pod that ran longer than it may."""
    return WorkerLostError(f"its pod still ran after {took_s:.0f} s and was stopped.", details={"ended": "timeout"})


def unsaid(run: FlowRun, seen: Seen) -> PhyslabError:
    """Return the error of a pod that the cluster has no more while Prefect believes that it runs."""
    reason = seen.reason or "the cluster does not know it any more"
    details = {"ended": seen.ended or "worker_lost", "reason": reason[:500], "flow_run": str(run.id)}
    return WorkerLostError(
        f"its pod is gone, and no worker told Prefect so: {reason}", hint="Is the worker up? physlab site check",
        details=details,
    )  # fmt: skip


def ended_by(text: str) -> str:
    """Return how a pod ended by what Prefect or the cluster said; empty when that is not plain."""
    return next((ended for pattern, ended in WORDS if re.search(pattern, text)), "")


def _never(message: str, details: dict[str, str]) -> PhyslabError:
    error = ConfigurationError(
        message, hint="Correct the image, the namespace or the rights; then run again.", details=details
    )
    error.again = False
    return error
