"""A node and its kubelet: runs the pods that are bound to it, and ends those that are deleted."""

from __future__ import annotations

import asyncio
from pathlib import Path

from physlab.testing.kubernetes.kinds import NODES, PODS
from physlab.testing.kubernetes.objects import (
    TERMINAL,
    Obj,
    deleting,
    now,
    phase_of,
    set_condition,
    uid_of,
)
from physlab.testing.kubernetes.plan import NodePlan
from physlab.testing.kubernetes.plane import ControlPlane
from physlab.testing.kubernetes.pods import PodRunner
from physlab.testing.kubernetes.store import Change

UNREACHABLE = "node.kubernetes.io/unreachable"
_LOST = "Kubelet stopped posting node status."


class Kubelet:
    """The agent of one node.

    Args:
        plane: The control plane.
        plan: The node.
        base: Folder of the cluster.
        isolated: Whether containers get their own mounts and process numbers.
        path: PATH of containers.

    Attributes:
        runners: Its pods, by identity.
        dead: Whether the node has no power.
    """

    def __init__(self, plane: ControlPlane, plan: NodePlan, base: Path, isolated: bool, path: str) -> None:
        self.plane, self.plan, self.base, self.isolated, self.path = plane, plan, base, isolated, path
        self.runners: dict[str, PodRunner] = {}
        self._ending: set[str] = set()
        self.dead = False
        plane.store.listen(self._heard)

    def register(self) -> None:
        """Make the node known."""
        plan = self.plan
        room = {"cpu": plan.cpu, "memory": plan.memory, "pods": str(plan.pods), "ephemeral-storage": "100Gi"}
        if plan.gpus:
            room["nvidia.com/gpu"] = str(plan.gpus)
        labels = {"kubernetes.io/hostname": plan.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        conditions = [_ready("True", "KubeletReady", "kubelet is posting ready status")]
        info = {"kubeletVersion": "v1.36.2", "containerRuntimeVersion": "processes://1", "operatingSystem": "linux",
                "architecture": "amd64", "osImage": "physlab test cluster"}  # fmt: skip
        spec: Obj = {"taints": [dict(taint) for taint in plan.taints]} if plan.taints else {}
        self.plane.create(NODES, "", {
            "metadata": {"name": plan.name, "labels": {**labels, **plan.labels}}, "spec": spec,
            "status": {
                "capacity": room, "allocatable": dict(room), "conditions": conditions, "nodeInfo": info,
                "addresses": [
                    {"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": plan.name},
                ],
            },
        })  # fmt: skip

    def _heard(self, change: Change) -> None:
        pod = change.obj
        if change.kind is not PODS or pod["spec"].get("nodeName") != self.plan.name or self.dead:
            return
        uid = uid_of(pod)
        if change.type == "DELETED":
            runner = self.runners.pop(uid, None)
            self._ending.discard(uid)
            if runner is not None and not runner.over:
                self.plane.spawn(runner.stop(0))
            return
        if uid not in self.runners and phase_of(pod) not in TERMINAL and not deleting(pod):
            self.runners[uid] = PodRunner(self, pod)
            self.plane.spawn(self.runners[uid].run())
        if deleting(pod) and uid not in self._ending:
            self._ending.add(uid)
            self.plane.spawn(self._end(pod))

    async def _end(self, pod: Obj) -> None:
        runner = self.runners.get(uid_of(pod))
        if runner is not None:
            await runner.stop(float(pod["metadata"].get("deletionGracePeriodSeconds") or 0))
        if not self.dead:
            self.let_go(pod)

    def let_go(self, pod: Obj) -> None:
        """Tell the API that nothing of a deleted pod runs any more."""
        current = self.plane.store.current(PODS, pod)
        if current is not None:
            self.plane.store.update(PODS, current, lambda one: one["metadata"].update(deletionGracePeriodSeconds=0))

    def find(self, pod: Obj) -> PodRunner | None:
        """Return who runs a pod."""
        return self.runners.get(uid_of(pod))

    # --- power ------------------------------------------------------------------------------------------------------

    def die(self) -> None:
        """Lose all power: what runs here dies, and nobody hears of it."""
        self.dead = True
        for runner in self.runners.values():
            runner.vanish()
        asyncio.get_running_loop().call_later(self.plane.plan.node_grace_s, self._missed)

    def _missed(self) -> None:
        node = self.plane.store.find(NODES, "", self.plan.name)
        if node is None or not self.dead:
            return

        def change(target: Obj) -> None:
            set_condition(target["status"]["conditions"], _ready("Unknown", "NodeStatusUnknown", _LOST))
            taints = target["spec"].setdefault("taints", [])
            for effect in ("NoSchedule", "NoExecute"):
                taints.append({"key": UNREACHABLE, "effect": effect, "timeAdded": now()})

        node = self.plane.store.update(NODES, node, change)
        said = f"Node {self.plan.name} status is now: NodeNotReady"
        self.plane.event(node, "NodeNotReady", said, component="node-controller")
        for pod in self._mine():
            self.plane.store.update(PODS, pod, _unready)
            self.plane.event(pod, "NodeNotReady", "Node is not ready", warning=True, component="node-controller")

    def _mine(self) -> list[Obj]:
        return [
            pod
            for pod in self.plane.store.all(PODS)
            if pod["spec"].get("nodeName") == self.plan.name and phase_of(pod) not in TERMINAL
        ]

    def revive(self) -> None:
        """Get power again: the node is ready, and what ran on it is told to be lost."""
        if not self.dead:
            return
        self.dead = False
        node = self.plane.store.find(NODES, "", self.plan.name)
        if node is None:
            self.register()
        else:
            self.plane.store.update(NODES, node, _well)
        for pod in self._mine():
            if not deleting(pod):
                self.plane.store.update(PODS, pod, _unknown)
        for pod in list(self.plane.store.all(PODS)):
            if pod["spec"].get("nodeName") == self.plan.name and deleting(pod):
                self.let_go(pod)


def _ready(status: str, reason: str, message: str) -> Obj:
    return {
        "type": "Ready", "status": status, "reason": reason, "message": message, "lastHeartbeatTime": now(),
        "lastTransitionTime": now(),
    }  # fmt: skip


def _unready(pod: Obj) -> None:
    conditions = pod["status"].setdefault("conditions", [])
    new = {"type": "Ready", "status": "False", "lastProbeTime": None, "lastTransitionTime": now()}
    set_condition(conditions, new)


def _well(node: Obj) -> None:
    set_condition(node["status"]["conditions"], _ready("True", "KubeletReady", "kubelet is posting ready status"))
    left = [taint for taint in node["spec"].get("taints") or [] if taint["key"] != UNREACHABLE]
    node["spec"]["taints"] = left
    if not left:
        del node["spec"]["taints"]


def _unknown(pod: Obj) -> None:
    """Say of every container of a pod that nobody knows how it ended."""
    said = "The container could not be located when the pod was terminated"
    for state in pod["status"].get("containerStatuses") or []:
        if "terminated" not in state["state"]:
            ended = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": said, "startedAt": None,
                     "finishedAt": None}  # fmt: skip
            state.update(state={"terminated": {**ended, "startedAt": now(), "finishedAt": now()}}, ready=False)
    pod["status"]["phase"] = "Failed"
    _unready(pod)
