"""The states of containers, and what they make of a pod, as its status tells them."""

from __future__ import annotations

from collections.abc import Sequence

from physlab.testing.kubernetes.objects import Obj, hexadecimal, now
from physlab.testing.kubernetes.outputs import Output
from physlab.testing.kubernetes.runs import End, Run


class ContainerState:
    """One container of a pod: its state, its last one, and what its runs printed.

    Attributes:
        run: The run that is on; None before the first.
        outputs: What each run printed.
        end: How it ended, when it starts no more.
        restarts: How often it started again.
        started: When its run began.
    """

    def __init__(self, spec: Obj) -> None:
        self.spec, self.name = spec, str(spec["name"])
        self.run: Run | None = None
        self.outputs: list[Output] = []
        self.end: End | None = None
        self.restarts, self.started, self._id = 0, "", ""
        self._state: Obj = {"waiting": {"reason": "ContainerCreating"}}
        self._last: Obj = {}

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return "running" in self._state

    @property
    def reason(self) -> str:
        """Why it waits; empty when it does not."""
        return str(self._state.get("waiting", {}).get("reason") or "")

    @property
    def why(self) -> str:
        """Why it waits, in words."""
        return str(self._state.get("waiting", {}).get("message") or "")

    def waiting(self, reason: str, message: str = "") -> None:
        """It waits for something."""
        self._state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}

    def running(self, run: Run) -> None:
        """It runs."""
        self.run, self.started = run, now()
        self.outputs.append(run.output)
        self._id = f"containerd://{hexadecimal(64)}"
        self._state = {"running": {"startedAt": self.started}}

    def terminated(self, end: End) -> None:
        """It ended."""
        self.end = end
        ended = {"exitCode": end.code, "reason": end.reason, "startedAt": self.started, "finishedAt": now()}
        if self._id:
            ended["containerID"] = self._id
        if end.message:
            ended["message"] = end.message
        self._state = {"terminated": ended}

    def restart(self, waiting: Obj | None) -> None:
        """It is going to start again, at once or after a pause."""
        self._last = self._state
        self.end = None
        self.restarts += 1
        if waiting is not None:
            self._state = {"waiting": waiting}

    def status(self) -> Obj:
        """Return what a pod's status tells of it."""
        done = self.end is not None and self.end.code == 0
        found: Obj = {
            "name": self.name, "image": self.spec["image"], "imageID": "", "ready": self.alive, "started": self.alive,
            "restartCount": self.restarts, "state": dict(self._state), "lastState": dict(self._last),
        }  # fmt: skip
        if self._id:
            found.update(containerID=self._id, imageID=f"{self.spec['image']}@sha256:{'0' * 64}")
        if done and not self.alive:
            found["ready"] = False
        return found


def pod_conditions(phase: str, initial: Sequence[ContainerState], main: Sequence[ContainerState]) -> list[Obj]:
    """Return the conditions of a pod on its node."""
    begun = all(state.end is not None and state.end.code == 0 for state in initial)
    unready = [state.name for state in main if not state.alive]
    over = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase)
    why: Obj = {}
    if over:
        why = {"reason": over}
    elif unready:
        why = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{' '.join(unready)}]"}
    incomplete = [state.name for state in initial if state.end is None or state.end.code]
    not_begun: Obj = {}
    if incomplete:
        not_begun = {
            "reason": "ContainersNotInitialized",
            "message": f"containers with incomplete status: [{' '.join(incomplete)}]",
        }
    found = [
        _condition("PodReadyToStartContainers", phase == "Running"),
        _condition("Initialized", begun, **({"reason": "PodCompleted"} if phase == "Succeeded" else not_begun)),
        _condition("Ready", not why, **why),
        _condition("ContainersReady", not why, **why),
    ]
    return found


def _condition(kind: str, holds: bool, **more: str) -> Obj:
    return {
        "type": kind, "status": str(holds), "lastProbeTime": None, "lastTransitionTime": now(), **more
    }  # fmt: skip
