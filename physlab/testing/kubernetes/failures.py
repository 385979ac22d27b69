"""How the failures of a job's pods are judged: restarts, the pod failure policy, and when a pod ended."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from physlab.testing.kubernetes.objects import Obj, name_of, namespace_of, seconds


def statuses(pod: Obj) -> list[Obj]:
    """Return the states of a pod's containers, those that begin it first."""
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def ended_at(pod: Obj) -> float:
    """Return when the last container of a pod ended [s since 1970]."""
    ends = [one["state"]["terminated"]["finishedAt"] for one in statuses(pod) if "terminated" in one["state"]]
    if ends:
        return max(map(seconds, ends))
    moved = [one["lastTransitionTime"] for one in (pod.get("status") or {}).get("conditions") or []]
    return max(map(seconds, moved)) if moved else time.time()


def restarts_exceeded(spec: Obj, active: Sequence[Obj]) -> bool:
    """Return whether containers that start again in their pods did so too often."""
    if spec["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    count = sum(one.get("restartCount", 0) for pod in active for one in statuses(pod))
    return bool(count >= spec["backoffLimit"] if spec["backoffLimit"] else count > 0)


def _matches(rule: Obj, pod: Obj) -> str | None:
    """Return what a rule says about a pod; None when it does not match."""
    where = f"pod {namespace_of(pod)}/{name_of(pod)}"
    codes = rule.get("onExitCodes")
    if codes:
        for one in statuses(pod):
            ended = one["state"].get("terminated")
            if ended is None or ended["exitCode"] == 0 or codes.get("containerName") not in (None, one["name"]):
                continue
            if (ended["exitCode"] in codes["values"]) == (codes["operator"] == "In"):
                return f"Container {one['name']} for {where} failed with exit code {ended['exitCode']}"
        return None
    for wanted in rule.get("onPodConditions") or []:
        for has in (pod.get("status") or {}).get("conditions") or []:
            if has["type"] == wanted["type"] and has["status"] == wanted.get("status", "True"):
                return f"Pod {namespace_of(pod)}/{name_of(pod)} has condition {has['type']}"
    return None


def _judged(job: Obj, pod: Obj) -> Iterator[tuple[int, str, str]]:
    for index, rule in enumerate((job["spec"].get("podFailurePolicy") or {}).get("rules") or []):
        if (said := _matches(rule, pod)) is not None:
            yield index, rule["action"], said
            return


def failing(job: Obj, failed: Sequence[Obj]) -> tuple[str, str] | None:
    """Return why a rule of the job ends it because of pods that failed; None if none does."""
    for pod in failed:
        for index, action, said in _judged(job, pod):
            if action == "FailJob":
                return "PodFailurePolicy", f"{said} matching FailJob rule at index {index}"
    return None


def ignored(job: Obj, pod: Obj) -> bool:
    """Return whether a rule of the job lets a pod's failure not count."""
    return any(action == "Ignore" for _, action, _ in _judged(job, pod))
