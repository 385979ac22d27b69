"""What `kubectl get` prints: the API server itself makes the table."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiohttp import web

from physlab.testing.kubernetes.kinds import Kind
from physlab.testing.kubernetes.objects import TERMINAL, Obj, deleting, is_true, name_of, phase_of, seconds

Cells = list[tuple[str, str, Callable[[Obj], object]]]


def shown(request: web.Request, kind: Kind, answer: Obj) -> Obj:
    """Return an answer as it was asked for: as a table, or as it is."""
    accepted = request.headers.get("Accept", "").replace(" ", "").split(",")[0]
    if "as=Table" not in accepted:
        return answer
    columns = [*_COLUMNS.get(kind.plural, []), ("Age", "string", _age)]
    several = "items" in answer and str(answer.get("kind", "")).endswith("List")
    rows = []
    for obj in answer["items"] if several else [answer]:
        cells = [name_of(obj), *(cell(obj) for _, _, cell in columns)]
        part = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
        full = request.query.get("includeObject") == "Object"
        thing = {"apiVersion": kind.api_version, "kind": kind.kind, **obj} if full else part
        rows.append({"cells": cells, "object": thing})
    heads = [{"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}]
    heads += [{"name": name, "type": sort, "format": "", "description": "", "priority": 0} for name, sort, _ in columns]
    metadata = answer["metadata"] if several else {"resourceVersion": answer["metadata"]["resourceVersion"]}
    return {
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": heads, "rows": rows
    }  # fmt: skip


def duration(length_s: float) -> str:
    """Return a time as kubectl prints it: 5s, 3m20s, 5h, 3d."""
    whole = int(max(0, length_s))
    if whole < 120:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10:
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    return f"{minutes // 60}h" if minutes < 2880 else f"{minutes // 1440}d"


def _age(obj: Obj) -> str:
    return duration(time.time() - seconds(obj["metadata"]["creationTimestamp"]))


def _containers(pod: Obj) -> list[Obj]:
    return pod["status"].get("containerStatuses") or []


def _pod_ready(pod: Obj) -> str:
    return f"{sum(one['ready'] for one in _containers(pod))}/{len(pod['spec']['containers'])}"


def _pod_status(pod: Obj) -> str:
    """Return the word for a pod's state, found as the real server finds it."""
    word = pod["status"].get("reason") or phase_of(pod)
    for one in _containers(pod):
        state = one["state"]
        if reason := (state.get("waiting") or {}).get("reason") or (state.get("terminated") or {}).get("reason"):
            word = reason
    if not pod["status"].get("reason"):
        initial = pod["status"].get("initContainerStatuses") or []
        for index, one in enumerate(initial):
            ended = one["state"].get("terminated")
            if ended and ended["exitCode"] == 0:
                continue
            waits = (one["state"].get("waiting") or {}).get("reason")
            if ended:
                word = f"Init:{ended.get('reason') or ended['exitCode']}"
            elif waits and waits != "PodInitializing":
                word = f"Init:{waits}"
            else:
                word = f"Init:{index}/{len(initial)}"
            break
    if deleting(pod):
        return "Unknown" if pod["status"].get("reason") == "NodeLost" else (
            "Terminating" if phase_of(pod) not in TERMINAL else str(word)
        )  # fmt: skip
    return str(word)


def _restarts(pod: Obj) -> str:
    return str(sum(one["restartCount"] for one in _containers(pod)))


def _job_status(job: Obj) -> str:
    for kind, word in (("Complete", "Complete"), ("Failed", "Failed"), ("Suspended", "Suspended"),
                       ("FailureTarget", "FailureTarget"), ("SuccessCriteriaMet", "SuccessCriteriaMet")):  # fmt: skip
        if is_true(job, kind):
            return word
    return "Terminating" if deleting(job) else "Running"


def _completions(job: Obj) -> str:
    done, wanted = job["status"].get("succeeded", 0), job["spec"].get("completions")
    return f"{done}/{wanted}" if wanted is not None else f"{done}/1 of {job['spec']['parallelism']}"


def _job_duration(job: Obj) -> str:
    begun, ended = job["status"].get("startTime"), job["status"].get("completionTime")
    if not begun:
        return ""
    return duration((seconds(ended) if ended else time.time()) - seconds(begun))


def _since(cron: Obj) -> str:
    last = cron["status"].get("lastScheduleTime")
    return duration(time.time() - seconds(last)) if last else "<none>"


_COLUMNS: dict[str, Cells] = {
    "pods": [
        ("Ready", "string", _pod_ready), ("Status", "string", _pod_status), ("Restarts", "string", _restarts),
    ],
    "jobs": [
        ("Status", "string", _job_status), ("Completions", "string", _completions),
        ("Duration", "string", _job_duration),
    ],
    "cronjobs": [
        ("Schedule", "string", lambda cron: cron["spec"]["schedule"]),
        ("Timezone", "string", lambda cron: cron["spec"].get("timeZone") or "<none>"),
        ("Suspend", "string", lambda cron: str(cron["spec"]["suspend"])),
        ("Active", "integer", lambda cron: len(cron["status"].get("active") or [])),
        ("Last Schedule", "string", _since),
    ],
    "nodes": [
        ("Status", "string", lambda node: "Ready" if is_true(node, "Ready") else "NotReady"),
        ("Roles", "string", lambda node: "<none>"),
    ],
    "namespaces": [("Status", "string", phase_of)],
    "persistentvolumeclaims": [("Status", "string", phase_of)],
    "secrets": [
        ("Type", "string", lambda secret: secret["type"]),
        ("Data", "integer", lambda secret: len(secret.get("data") or {})),
    ],
    "configmaps": [("Data", "integer", lambda config: len(config.get("data") or {}))],
    "events": [
        ("Type", "string", lambda event: event["type"]), ("Reason", "string", lambda event: event["reason"]),
        ("Message", "string", lambda event: event["message"]),
    ],
}  # fmt: skip
