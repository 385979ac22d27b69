"""What a test can let happen to a cluster, beside what it asks of the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from physlab.testing.kubernetes.api import ApiServer
from physlab.testing.kubernetes.cronjobs import CronJobController
from physlab.testing.kubernetes.kinds import BY_PLURAL, CRONJOBS, PODS
from physlab.testing.kubernetes.kubelet import Kubelet
from physlab.testing.kubernetes.objects import now
from physlab.testing.kubernetes.plane import ControlPlane
from physlab.testing.kubernetes.pods import PodRunner
from physlab.testing.kubernetes.runs import End

_EVICTED = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 20Mi. "


class Drills:
    """Carries out the commands of a test."""

    def __init__(
        self, plane: ControlPlane, api: ApiServer, kubelets: Mapping[str, Kubelet], crons: CronJobController
    ) -> None:
        self._plane, self._api, self._kubelets, self._crons = plane, api, kubelets, crons
        self._known: dict[str, Callable[..., Any]] = {
            "end_container": self.end_container, "evict": self.evict, "kill_node": self.kill_node,
            "start_node": self.start_node, "missing_image": self.missing_image, "image_back": self.image_back,
            "cut_log": self.cut_log, "due": self.due, "token": self.token, "audit": self.audit,
            "fault": api.faults.add, "clear_faults": api.faults.clear, "go_down": api.faults.go_down,
            "cut_watches": self.cut_watches, "forget": plane.store.forget,
        }  # fmt: skip

    def obey(self, command: Mapping[str, Any]) -> Any:
        """Carry out one command and return its answer."""
        return self._known[command["do"]](**command.get("with", {}))

    def _runner(self, namespace: str, pod: str) -> PodRunner:
        obj = self._plane.store.get(PODS, namespace, pod)
        node = obj["spec"].get("nodeName")
        runner = self._kubelets[node].find(obj) if node else None
        if runner is None:
            raise ValueError(f"pod {namespace}/{pod} runs nowhere")
        return runner

    def end_container(self, namespace: str, pod: str, container: str, code: int, reason: str) -> None:
        """Kill a container, and say that it ended so."""
        self._runner(namespace, pod).end_container(container, End(code, reason))

    def evict(self, namespace: str, pod: str, message: str = _EVICTED) -> None:
        """Let a node throw a pod out because it runs short of something."""
        runner = self._runner(namespace, pod)
        disruption = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet",
                      "message": message, "lastProbeTime": None, "lastTransitionTime": now()}  # fmt: skip
        obj = self._plane.store.get(PODS, namespace, pod)

        def change(target: dict[str, Any]) -> None:
            target["status"].setdefault("conditions", []).append(disruption)

        self._plane.store.update(PODS, obj, change)
        runner.say("Evicted", message, warning=True)
        runner.fail("Evicted", message)

    def kill_node(self, name: str) -> None:
        """Let a node lose its power."""
        self._kubelets[name].die()

    def start_node(self, name: str) -> None:
        """Let it come back."""
        self._kubelets[name].revive()

    def missing_image(self, name: str) -> None:
        """Let an image be nowhere."""
        self._plane.missing.add(name)

    def image_back(self, name: str) -> None:
        """Let it be there again."""
        self._plane.missing.discard(name)

    def cut_log(self, namespace: str, pod: str) -> None:
        """Break every stream that follows the output of a pod."""
        for state in self._runner(namespace, pod).states.values():
            for output in state.outputs:
                output.cut_followers()

    def due(self, namespace: str, name: str) -> bool:
        """Let a cron job be due now; tell whether it started a job."""
        cron = self._plane.store.get(CRONJOBS, namespace, name)
        return self._crons.start(cron, datetime.now(UTC))

    def token(self, namespace: str, account: str) -> str:
        """Return a new token of a service account."""
        self._plane.store.get(BY_PLURAL["serviceaccounts"], namespace, account)
        return self._plane.gate.account_token(namespace, account)

    def audit(self) -> list[dict[str, Any]]:
        """Return who asked for what since the last time."""
        found = list(self._api.audit)
        self._api.audit.clear()
        return found

    def cut_watches(self) -> None:
        """End every watch with 410, and forget what happened before."""
        self._plane.store.forget()
        self._api.faults.cut_watches()
