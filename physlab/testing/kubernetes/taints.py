"""What becomes of pods on nodes that are lost or gone: they are told to go when their patience is over."""

from __future__ import annotations

import time

from physlab.testing.kubernetes.controller import Controller, Key
from physlab.testing.kubernetes.kinds import NODES, PODS
from physlab.testing.kubernetes.objects import TERMINAL, Obj, deleting, name_of, now, phase_of, seconds, set_condition
from physlab.testing.kubernetes.scheduler import toleration
from physlab.testing.kubernetes.store import Change

_TAINTED = "Taint manager: deleting due to NoExecute taint"
_ORPHANED = "PodGC: node no longer exists"


class TaintController(Controller):
    """Looks after the pods of a node."""

    kind = NODES

    def keys(self, change: Change) -> list[Key]:
        """A change of a node, or of a pod on one."""
        if change.kind is PODS and change.type == "ADDED" and change.obj["spec"].get("nodeName"):
            return [("", change.obj["spec"]["nodeName"])]
        return super().keys(change)

    def look(self, namespace: str, name: str) -> None:
        """Tell the pods of a node to go that do not tolerate what is the matter with it."""
        node = self.store.find(NODES, "", name)
        for pod in [pod for pod in self.store.all(PODS) if pod["spec"].get("nodeName") == name]:
            if node is None:
                self._abandon(pod)
            elif phase_of(pod) not in TERMINAL and not deleting(pod):
                self._patience(pod, node)

    def _patience(self, pod: Obj, node: Obj) -> None:
        for taint in node["spec"].get("taints") or []:
            if taint["effect"] != "NoExecute":
                continue
            why = toleration(pod["spec"], taint)
            if why is not None and why.get("tolerationSeconds") is None:
                continue
            since = seconds(taint["timeAdded"]) if taint.get("timeAdded") else 0
            left = since + (why or {}).get("tolerationSeconds", 0) - time.time() if why else 0
            if left > 0:
                self.again(("", name_of(node)), left)
                continue
            told = self.store.update(PODS, pod, lambda one: _disrupted(one, "DeletionByTaintManager", _TAINTED))
            said = f"Marking for deletion Pod {pod['metadata']['namespace']}/{name_of(pod)}"
            self.plane.event(told, "TaintManagerEviction", said, component="taint-eviction-controller")
            self.plane.delete(PODS, told)
            return

    def _abandon(self, pod: Obj) -> None:
        def change(target: Obj) -> None:
            if phase_of(target) not in TERMINAL:
                target["status"]["phase"] = "Failed"
                _disrupted(target, "DeletionByPodGC", _ORPHANED)

        gone = self.store.update(PODS, pod, change)
        if self.store.current(PODS, gone) is not None:
            self.plane.delete(PODS, gone, grace=0)


def _disrupted(pod: Obj, reason: str, message: str) -> None:
    new = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message, "lastProbeTime": None,
           "lastTransitionTime": now()}  # fmt: skip
    set_condition(pod["status"].setdefault("conditions", []), new)
