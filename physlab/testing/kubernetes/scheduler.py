"""The scheduler: gives each pod a node that has room and is wanted, or says why there is none."""

from __future__ import annotations

from collections import Counter
from typing import Any

from physlab.testing.kubernetes.controller import Controller, Key
from physlab.testing.kubernetes.kinds import BY_PLURAL, NODES, PODS
from physlab.testing.kubernetes.objects import (
    TERMINAL,
    Obj,
    amount,
    deleting,
    is_true,
    labels_of,
    name_of,
    namespace_of,
    now,
    phase_of,
    pod_requests,
    set_condition,
)
from physlab.testing.kubernetes.store import Change

CLAIMS = BY_PLURAL["persistentvolumeclaims"]
_HELPLESS = ("Insufficient", "Too many pods")


class Scheduler(Controller):
    """Looks after pods without a node."""

    kind = PODS

    def keys(self, change: Change) -> list[Key]:
        """A new pod; or all that wait, when room may have come."""
        if change.kind is PODS and change.type == "ADDED":
            return super().keys(change)
        ended = change.kind is PODS and (change.type == "DELETED" or phase_of(change.obj) in TERMINAL)
        if ended or change.kind in (NODES, CLAIMS):
            return [(namespace_of(pod), name_of(pod)) for pod in self.store.all(PODS) if waits(pod)]
        return []

    def look(self, namespace: str, name: str) -> None:
        """Find a node for a pod."""
        pod = self.store.find(PODS, namespace, name)
        if pod is None or not waits(pod):
            return
        why = self._claims(pod)
        if why:
            self._refuse(pod, why)
            return
        nodes = list(self.store.all(NODES))
        refused: Counter[str] = Counter()
        fits = []
        for node in nodes:
            problems = self._problems(pod, node)
            refused.update(problems)
            if not problems:
                fits.append(node)
        if not fits:
            self._refuse(pod, _said(len(nodes), refused))
            return
        chosen = min(fits, key=lambda node: (len(self._on(node)), name_of(node)))
        self._bind(pod, name_of(chosen))

    def _bind(self, pod: Obj, node: str) -> None:
        def change(target: Obj) -> None:
            target["spec"]["nodeName"] = node
            conditions = target["status"].setdefault("conditions", [])
            set_condition(conditions, _scheduled("True"))

        bound = self.store.update(PODS, pod, change)
        said = f"Successfully assigned {namespace_of(pod)}/{name_of(pod)} to {node}"
        self.plane.event(bound, "Scheduled", said, component="default-scheduler")

    def _refuse(self, pod: Obj, why: str) -> None:
        def change(target: Obj) -> None:
            new = {**_scheduled("False"), "reason": "Unschedulable", "message": why}
            set_condition(target["status"].setdefault("conditions", []), new)

        waiting = self.store.update(PODS, pod, change)
        self.plane.event(waiting, "FailedScheduling", why, warning=True, component="default-scheduler")

    def _claims(self, pod: Obj) -> str:
        count = len(list(self.store.all(NODES)))
        for volume in pod["spec"].get("volumes") or []:
            wanted = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if not wanted:
                continue
            claim = self.store.find(CLAIMS, namespace_of(pod), wanted)
            if claim is None:
                return _whole(count, f'persistentvolumeclaim "{wanted}" not found')
            if claim["status"].get("phase") != "Bound":
                return _whole(count, "pod has unbound immediate PersistentVolumeClaims")
        return ""

    def _on(self, node: Obj) -> list[Obj]:
        return [
            pod
            for pod in self.store.all(PODS)
            if pod["spec"].get("nodeName") == name_of(node) and phase_of(pod) not in TERMINAL
        ]

    def _problems(self, pod: Obj, node: Obj) -> list[str]:
        spec = pod["spec"]
        for taint in node["spec"].get("taints") or []:
            if taint["effect"] != "PreferNoSchedule" and not tolerates(spec, taint):
                value = taint.get("value", "")
                return [f"node(s) had untolerated taint(s) {{{taint['key']}: {value}}}"]
        if node["spec"].get("unschedulable"):
            return ["node(s) were unschedulable"]
        if not is_true(node, "Ready"):
            return ["node(s) were not ready"]
        if not selected(spec, node):
            return ["node(s) didn't match Pod's node affinity/selector"]
        there = self._on(node)
        room = {name: amount(value) for name, value in node["status"]["allocatable"].items()}
        problems = []
        if len(there) + 1 > room.get("pods", 110):
            problems.append("Too many pods")
        for name, wanted in sorted(pod_requests(spec).items()):
            taken = sum(pod_requests(other["spec"]).get(name, 0) for other in there)
            if wanted and taken + wanted > room.get(name, 0) + 1e-9:
                problems.append(f"Insufficient {name}")
        return problems


def waits(pod: Obj) -> bool:
    """Return whether a pod has no node yet."""
    return not pod["spec"].get("nodeName") and phase_of(pod) == "Pending" and not deleting(pod)


def _scheduled(status: str) -> Obj:
    return {"type": "PodScheduled", "status": status, "lastProbeTime": None, "lastTransitionTime": now()}


def _whole(count: int, why: str) -> str:
    tail = f"preemption: 0/{count} nodes are available: {count} Preemption is not helpful for scheduling."
    return f"0/{count} nodes are available: {why}. {tail}"


def _said(count: int, refused: Counter[str]) -> str:
    reasons = ", ".join(sorted(f"{number} {why}" for why, number in refused.items()))
    crowded = sum(number for why, number in refused.items() if why.startswith(_HELPLESS))
    other = count - min(crowded, count)
    tail = []
    if crowded:
        tail.append(f"{min(crowded, count)} No preemption victims found for incoming pod")
    if other:
        tail.append(f"{other} Preemption is not helpful for scheduling")
    preemption = f"preemption: 0/{count} nodes are available: {', '.join(tail)}."
    return f"0/{count} nodes are available: {reasons}. no new claims to deallocate, {preemption}"


def tolerates(spec: Obj, taint: Any) -> bool:
    """Return whether a pod tolerates a taint."""
    return toleration(spec, taint) is not None


def toleration(spec: Obj, taint: Any) -> Obj | None:
    """Return what lets a pod tolerate a taint; None if nothing does."""
    for one in spec.get("tolerations") or []:
        if one.get("effect") not in (None, "", taint["effect"]):
            continue
        if one.get("key") not in (None, "", taint["key"]):
            continue
        exists = one.get("operator") == "Exists"
        if exists or (one.get("value") or "") == (taint.get("value") or ""):
            found: Obj = one
            return found
    return None


def selected(spec: Obj, node: Obj) -> bool:
    """Return whether a node is one that a pod wants."""
    labels = labels_of(node)
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if not affinity:
        return True
    return any(
        all(_expression(labels, one) for one in term.get("matchExpressions") or [])
        for term in affinity.get("nodeSelectorTerms") or []
    )


def _expression(labels: dict[str, str], wanted: Obj) -> bool:
    has, values = labels.get(wanted["key"]), wanted.get("values") or []
    known = {
        "In": has in values, "NotIn": has not in values, "Exists": has is not None, "DoesNotExist": has is None,
        "Gt": has is not None and has.isdigit() and int(has) > int(values[0]) if values else False,
        "Lt": has is not None and has.isdigit() and int(has) < int(values[0]) if values else False,
    }  # fmt: skip
    return known[wanted["operator"]]
