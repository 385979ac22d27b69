"""What became of a Job and its pods, in our words: the state, the reason in the cluster's own, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from physlab.model.job import JobStatus, State

Object = dict[str, Any]
WORK = "job"
"""The container that runs what the user asked for; the others are ours."""
FETCH, KEEP = "fetch", "keep"
UNMADE, SIGTERM = 75, 15
"""Exit code of `keep` when a file that had to be there is not."""
LOST_POD: dict[str, State] = {  # reasons of the condition DisruptionTarget, and of the pod itself
    "PreemptionByScheduler": "preempted", "PreemptionByKubeScheduler": "preempted", "Preempting": "preempted",
    "EvictionByEvictionAPI": "preempted", "Evicted": "preempted", "TerminationByKubelet": "preempted",
    "DeletionByTaintManager": "node_fail", "DeletionByPodGC": "node_fail", "NodeLost": "node_fail",
    "NodeShutdown": "node_fail", "Shutdown": "node_fail", "Terminated": "node_fail", "NodeAffinity": "node_fail",
}  # fmt: skip
IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
         "RegistryUnavailable", "SignatureValidationFailed")  # fmt: skip
CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
NEVER = "1971"
"""Before that nothing began: a container that could not be started carries the epoch."""
STARTING = ("PodInitializing", "ContainerCreating", "")
ADVICE = (  # a word of the reason → what to do
    (IMAGE, "Check the image's name and tag, and whether the cluster may pull it (image_pull_secrets)."),
    (CONFIG, "Check the secrets, config maps, claims and the user that the pod names; an image that must run as root "
             "needs run_as_user: 0."),
    (("persistentvolumeclaim", "serviceaccount", "service account", "FailedMount"),
     "Check the names of claims, secrets, config maps and the service account: kubectl get pvc,secret,configmap,sa."),
    (("Unschedulable",), "Ask for less, drop the node selector, add a toleration, or give a busy cluster more time: "
                         "pending_s in the cluster's settings."),
    (("FailedCreate", "quota"), "Ask for less, wait until others end, or have the quota raised."),
    (("OOMKilled",), "Raise its memory, or say retries: it is given more then."),
    (("DeadlineExceeded",), "Raise time_limit."),
    (("StartError", "ContainerCannotRun"), "Is the program in the image? Check the first word of the command."),
)  # fmt: skip


def judge(job: Object, pods: Sequence[Object], job_id: str) -> JobStatus:
    """Return what is known of a Job.

    Args:
        job: The Job.
        pods: Its pods, those that are gone as they were seen last.
        job_id: What it is called.
    """
    found: JobStatus | None
    if _condition(job, "Complete"):
        found = JobStatus(job_id=job_id, state="completed", reason="Complete", exit_code=0)
    elif failed := _condition(job, "Failed"):
        found = _failure(failed, pods, job_id)
    else:
        found = _going(job, pods, job_id)
    return found.model_copy(update=_measures(pods))


def advice(reason: str) -> str:
    """Return what to do about a reason; nothing where it says all."""
    return next((said for words, said in ADVICE if any(word in reason for word in words)), "")


def waiting_reason(pod: Object) -> str:
    """Return why a pod's containers do not run yet; empty when they do, or when it just began."""
    scheduled = next((item for item in _conditions(pod) if item["type"] == "PodScheduled"), {})
    if scheduled.get("status") == "False":
        return _join(scheduled.get("reason", "Unschedulable"), scheduled.get("message", ""))
    for container in _containers(pod):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason", "") not in STARTING:
            return _join(waiting["reason"], waiting.get("message", ""))
    return ""


def container_state(pod: Object, name: str) -> tuple[str, Object]:
    """Return `waiting`, `running` or `terminated` of a pod's container, with its particulars."""
    for container in _containers(pod):
        if container["name"] == name:
            state: Object = container.get("state") or {}
            return next(((kind, state[kind]) for kind in ("terminated", "running") if kind in state), ("waiting", {}))
    return "waiting", {}


def has_ended(job: Object) -> bool:
    """Say whether nothing more will become of a Job."""
    return bool(_condition(job, "Complete") or _condition(job, "Failed"))


def has_begun(pods: Sequence[Object]) -> bool:
    """Say whether one of the pods is at work: fetching inputs is work, not being able to go on after that is none."""
    return any(
        container_state(pod, WORK)[0] != "waiting"
        or (container_state(pod, FETCH)[0] != "waiting" and not waiting_reason(pod))
        for pod in pods
    )


def is_suspended(job: Object) -> bool:
    """Say whether somebody holds a Job back."""
    return bool(job["spec"].get("suspend"))


def admitted_s(job: Object) -> float | None:
    """Return how long ago a Job was let in, by the clock of this machine [s]; None where nobody has said when.

    The job controller says it, and says it anew when a Job that was held back may go on.
    """
    began = (job.get("status") or {}).get("startTime")
    return None if began is None else (datetime.now(UTC) - _time(began)).total_seconds()


def pod_index(pod: Object) -> int | None:
    """Return which of an indexed Job's pods it is; None where the Job has no indices."""
    labels = {**(pod["metadata"].get("annotations") or {}), **(pod["metadata"].get("labels") or {})}
    text = labels.get("batch.kubernetes.io/job-completion-index")
    return None if text is None else int(text)


def _going(job: Object, pods: Sequence[Object], job_id: str) -> JobStatus:
    if has_begun(pods):
        return JobStatus(job_id=job_id, state="running", reason="Running")
    reasons = [reason for pod in pods if (reason := waiting_reason(pod))]
    suspended = "Suspended" if is_suspended(job) else ""
    return JobStatus(job_id=job_id, state="pending", reason=(reasons or [suspended or "Pending"])[0][:500])


def _failure(failed: Object, pods: Sequence[Object], job_id: str) -> JobStatus:
    why = _join(failed.get("reason", "Failed"), failed.get("message", ""))
    if failed.get("reason") == "DeadlineExceeded":
        return JobStatus(job_id=job_id, state="timeout", reason=why)
    told = [status for pod in sorted(pods, key=_ended_at) if (status := _pod_failure(pod, job_id)) is not None]
    own = [status for status in told if status.signal != SIGTERM]  # the others were ended for its sake
    blamed = next(iter(own or told), None)
    return blamed or JobStatus(job_id=job_id, state="failed", reason=why)


def _pod_failure(pod: Object, job_id: str) -> JobStatus | None:
    """Return how a pod failed; None when it did not."""
    status = pod.get("status") or {}
    target = next((item for item in _conditions(pod) if item["type"] == "DisruptionTarget"), None)
    lost = target if target is not None and target.get("status") == "True" else status
    if lost.get("reason") in LOST_POD:
        reason = _join(
            str(status.get("reason") or lost["reason"]), str(status.get("message") or lost.get("message", ""))
        )
        return JobStatus(job_id=job_id, state=LOST_POD[lost["reason"]], reason=reason[:500])
    if status.get("reason") == "DeadlineExceeded":
        return JobStatus(job_id=job_id, state="timeout", reason=_join("DeadlineExceeded", status.get("message", "")))
    for name in (FETCH, WORK, KEEP):
        kind, ended = container_state(pod, name)
        code = ended.get("exitCode", 0)
        if kind == "terminated" and (code or ended.get("reason") == "OOMKilled"):
            return _container_failure(name, ended, code, job_id)
    if pod["metadata"].get("deletionTimestamp") and status.get("phase") != "Succeeded":
        return JobStatus(job_id=job_id, state="preempted", reason="its pod was deleted")
    return None


def _container_failure(name: str, ended: Object, code: int, job_id: str) -> JobStatus:
    message = ended.get("message", "")
    if name != WORK:
        what = {FETCH: "its inputs could not be fetched", KEEP: "what it made could not be kept"}[name]
        if code == UNMADE:
            what = "it ended without making a file that had to be there"
        return JobStatus(job_id=job_id, state="failed", reason=_join(what, message)[:500], exit_code=code)
    if ended.get("reason") == "OOMKilled":
        return JobStatus(job_id=job_id, state="out_of_memory", reason=_join("OOMKilled", message), signal=9)
    reason = _join(ended.get("reason", "Error"), message)[:500]
    if code > 128:
        return JobStatus(job_id=job_id, state="failed", reason=reason, signal=code - 128)
    return JobStatus(job_id=job_id, state="failed", reason=reason, exit_code=code)


def _measures(pods: Sequence[Object]) -> dict[str, Any]:
    machines = tuple(dict.fromkeys(pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")))
    spans = [container_state(pod, WORK)[1] for pod in pods]
    ran = [(_time(span["startedAt"]), _time(span["finishedAt"])) for span in spans
           if span.get("startedAt", NEVER) > NEVER and span.get("finishedAt")]  # fmt: skip
    elapsed = (max(end for _, end in ran) - min(start for start, _ in ran)).total_seconds() if ran else None
    return {"machines": machines, "elapsed_s": elapsed}


def _containers(pod: Object) -> Iterator[Object]:
    status = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def _conditions(item: Object) -> Sequence[Object]:
    return (item.get("status") or {}).get("conditions") or ()


def _condition(item: Object, kind: str) -> Object | None:
    return next((each for each in _conditions(item) if each["type"] == kind and each["status"] == "True"), None)


def _ended_at(pod: Object) -> str:
    return str(container_state(pod, WORK)[1].get("finishedAt") or "9")


def _join(reason: str, message: str) -> str:
    message = " ".join(message.split())
    return f"{reason}: {message}" if message else reason


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
