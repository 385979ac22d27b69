"""What the API server fills in when an object is made or changed."""

from __future__ import annotations

import base64
from typing import Any

from physlab.testing.kubernetes.kinds import Kind
from physlab.testing.kubernetes.objects import Obj, name_of, uid_of

TRACKING = "batch.kubernetes.io/job-tracking"
_POD = {
    "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
    "securityContext": {}, "terminationGracePeriodSeconds": 30, "enableServiceLinks": True,
}  # fmt: skip
_CONTAINER = {
    "resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
}  # fmt: skip
_JOB = {
    "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False, "manualSelector": False,
    "podReplacementPolicy": "TerminatingOrFailed",
}  # fmt: skip
_CRONJOB = {
    "concurrencyPolicy": "Allow", "suspend": False, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
}  # fmt: skip
_NO_EXECUTE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def fill(kind: Kind, obj: Obj, created: bool) -> None:
    """Fill in the defaults of a kind.

    Args:
        kind: The kind.
        obj: The object, changed in place.
        created: Whether the object is new; then its status is what a new one has.
    """
    known = {
        "pods": _pod_object, "jobs": _job, "cronjobs": _cronjob, "secrets": _secret, "namespaces": _namespace,
        "persistentvolumeclaims": _claim, "nodes": _node,
    }  # fmt: skip
    if kind.plural in known:
        known[kind.plural](obj, created)


def _take(target: Obj, defaults: dict[str, Any]) -> None:
    for key, value in defaults.items():
        target.setdefault(key, dict(value) if isinstance(value, dict) else value)


def _pod_object(obj: Obj, created: bool) -> None:
    spec = obj["spec"]
    pod_spec(spec)
    if not created:
        return
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    tolerations = spec.setdefault("tolerations", [])
    for key in _NO_EXECUTE:
        if not any(one.get("key") in (key, None) and one.get("effect") in ("NoExecute", None) for one in tolerations):
            tolerations.append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            )  # fmt: skip
    obj["status"] = {"phase": "Pending", "qosClass": _quality(spec)}


def _quality(spec: Obj) -> str:
    asked = [container.get("resources") or {} for container in spec["containers"]]
    if not any(one.get("limits") or one.get("requests") for one in asked):
        return "BestEffort"
    whole = all(
        one.get("limits", {}).get(name) is not None
        and one.get("requests", one["limits"]).get(name, one["limits"][name]) == one["limits"][name]
        for one in asked
        for name in ("cpu", "memory")
    )
    return "Guaranteed" if whole else "Burstable"


def pod_spec(spec: Obj) -> None:
    """Fill in the defaults of a pod's specification, in a pod or in a template."""
    _take(spec, _POD)
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        _take(container, _CONTAINER)
        image = str(container.get("image") or "")
        latest = ":" not in image.rpartition("/")[2] or image.endswith(":latest")
        container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
        limits = container["resources"].get("limits") or {}
        if limits:
            requests = container["resources"].setdefault("requests", {})
            for name, quantity in limits.items():
                requests.setdefault(name, quantity)
        for one in container.get("env") or []:
            if "fieldRef" in (one.get("valueFrom") or {}):
                one["valueFrom"]["fieldRef"].setdefault("apiVersion", "v1")
    for volume in spec.get("volumes") or []:
        if not set(volume) - {"name"}:
            volume["emptyDir"] = {}
        for name in ("secret", "configMap", "downwardAPI", "projected"):
            if isinstance(volume.get(name), dict):
                volume[name].setdefault("defaultMode", 0o644)
        if isinstance(volume.get("hostPath"), dict):
            volume["hostPath"].setdefault("type", "")


def _job(obj: Obj, created: bool) -> None:
    spec = obj["spec"]
    _job_spec(spec)
    if not created:
        return
    obj["status"] = {}
    uid, name = uid_of(obj), name_of(obj)
    labels = {
        "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name, "controller-uid": uid,
        "job-name": name,
    }  # fmt: skip
    if not spec["manualSelector"]:
        metadata = spec["template"].setdefault("metadata", {})
        metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    own = obj["metadata"].get("labels") or spec["template"].get("metadata", {}).get("labels")
    if own and "labels" not in obj["metadata"]:
        obj["metadata"]["labels"] = dict(own)


def _job_spec(spec: Obj) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    spec.setdefault("parallelism", 1)
    if spec.get("podFailurePolicy"):
        spec.setdefault("podReplacementPolicy", "Failed")
    if spec.get("backoffLimitPerIndex") is not None:
        spec.setdefault("backoffLimit", 2**31 - 1)
    _take(spec, _JOB)
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    pod_spec(template.setdefault("spec", {}))


def _cronjob(obj: Obj, created: bool) -> None:
    spec = obj["spec"]
    _take(spec, _CRONJOB)
    inner = spec.setdefault("jobTemplate", {})
    inner.setdefault("metadata", {})
    template = inner.setdefault("spec", {}).setdefault("template", {})
    template.setdefault("metadata", {})
    pod_spec(template.setdefault("spec", {}))
    if created:
        obj["status"] = {}


def _secret(obj: Obj, created: bool) -> None:
    data = obj.pop("stringData", None) or {}
    if data:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}
    obj.setdefault("type", "Opaque")


def _namespace(obj: Obj, created: bool) -> None:
    if created:
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}
    labels = obj["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = name_of(obj)


def _claim(obj: Obj, created: bool) -> None:
    obj["spec"].setdefault("volumeMode", "Filesystem")
    obj["spec"].setdefault("storageClassName", "standard")
    if created:
        obj["status"] = {"phase": "Pending"}


def _node(obj: Obj, created: bool) -> None:
    obj.setdefault("spec", {})
    obj.setdefault("status", {})
