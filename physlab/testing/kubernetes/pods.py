"""A pod on its node: its volumes, its containers one after the other or beside each other, and its status."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physlab.testing.kubernetes import environment
from physlab.testing.kubernetes.environment import NotConfigured
from physlab.testing.kubernetes.kinds import PODS
from physlab.testing.kubernetes.objects import (
    TERMINAL,
    Obj,
    amount,
    deleting,
    name_of,
    namespace_of,
    now,
    phase_of,
    seconds,
    set_condition,
    uid_of,
)
from physlab.testing.kubernetes.outputs import Output
from physlab.testing.kubernetes.plan import DEFAULT_IMAGE
from physlab.testing.kubernetes.runs import End, Order, Run
from physlab.testing.kubernetes.status import ContainerState, pod_conditions
from physlab.testing.kubernetes.volumes import Volumes

if TYPE_CHECKING:
    from physlab.testing.kubernetes.kubelet import Kubelet

RETRY_S = 0.25
LONGEST_PAUSE_S = 300.0
_PULL = 'failed to pull and unpack image "{0}": failed to resolve reference "{0}": {0}: not found'
_DEADLINE = "Pod was active on the node longer than the specified deadline"


class PodRunner:
    """Runs one pod from its binding to its end.

    Args:
        kubelet: Its node.
        pod: The pod.

    Attributes:
        states: Its containers, by name.
        stopping: Whether it is told to end.
    """

    def __init__(self, kubelet: Kubelet, pod: Obj) -> None:
        self.kubelet, self.plane, self.pod = kubelet, kubelet.plane, pod
        self.folder = Path(kubelet.base) / "pods" / uid_of(pod)
        self.volumes = Volumes(self.plane, pod, self.folder, Path(kubelet.base) / "claims")
        spec = pod["spec"]
        self.initial = [ContainerState(one) for one in spec.get("initContainers") or []]
        self.main = [ContainerState(one) for one in spec["containers"]]
        self.states = {state.name: state for state in [*self.initial, *self.main]}
        self.stopping, self._stopped = False, asyncio.Event()
        self._phase, self._extra = "Pending", dict[str, Any]()
        self.silent = False
        self.over = False

    # --- what the API is told ---------------------------------------------------------------------------------------

    def tell(self) -> None:
        """Write the pod's status."""
        current = self.plane.store.current(PODS, self.pod)
        if current is None or self.silent or phase_of(current) in TERMINAL:
            return

        def change(target: Obj) -> None:
            status = target["status"]
            status.setdefault("startTime", now())
            status.update(
                phase=self._phase, hostIP="127.0.0.1", hostIPs=[{"ip": "127.0.0.1"}],
                containerStatuses=[state.status() for state in self.main], **self._extra,
            )  # fmt: skip
            if self.initial:
                status["initContainerStatuses"] = [state.status() for state in self.initial]
            if self._phase != "Pending":
                status.update(podIP="127.0.0.1", podIPs=[{"ip": "127.0.0.1"}])
            for one in pod_conditions(self._phase, self.initial, self.main):
                set_condition(status.setdefault("conditions", []), one)

        self.pod = self.plane.store.update(PODS, current, change)

    def say(self, reason: str, message: str, warning: bool = False, container: str = "") -> None:
        """Write an event about the pod."""
        group = "initContainers" if container in {state.name for state in self.initial} else "containers"
        path = f"spec.{group}{{{container}}}" if container else ""
        self.plane.event(self.pod, reason, message, warning=warning, path=path)

    # --- the life of a pod ------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run the pod to its end."""
        deadline = self.pod["spec"].get("activeDeadlineSeconds")
        watch = self.plane.spawn(self._deadline(float(deadline))) if deadline else None
        try:
            self.tell()
            if await self._prepared() and await self._began():
                await asyncio.gather(*(self._container(state) for state in self.main))
            self._conclude()
        finally:
            self.over = True
            if watch:
                watch.cancel()
            self.volumes.remove()

    async def _prepared(self) -> bool:
        while not self.stopping:
            try:
                self.volumes.prepare()
                return True
            except NotConfigured as error:
                self.say("FailedMount", str(error), warning=True)
                await self._pause(RETRY_S)
            except OSError as error:
                self.say("FailedMount", f"{error.strerror}: {error.filename}", warning=True)
                await self._pause(RETRY_S)
        return False

    async def _began(self) -> bool:
        for state in self.initial:
            await self._container(state, initial=True)
            if state.end is None or state.end.code:
                return False
        return not self.stopping

    def _conclude(self) -> None:
        if self.silent:
            return
        for state in self.states.values():
            if state.end is None and self.stopping and state.started:
                state.terminated(End(137, "Error"))
        ends = [state.end for state in self.main]
        good = all(end is not None and end.code == 0 for end in ends)
        self._phase = "Succeeded" if good else "Failed"
        self.tell()

    async def _pause(self, duration_s: float) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), duration_s)

    async def _deadline(self, allowed_s: float) -> None:
        await asyncio.sleep(allowed_s)
        self.fail("DeadlineExceeded", _DEADLINE)

    # --- one container ----------------------------------------------------------------------------------------------

    async def _container(self, state: ContainerState, initial: bool = False) -> None:
        policy = self.pod["spec"]["restartPolicy"]
        while await self._image(state):
            end = await self._once(state)
            if end is None:
                return
            again = (policy == "Always" and not initial) or (end.code and policy in ("OnFailure", "Always"))
            if self.stopping or not again:
                state.terminated(end)
                self.tell()
                return
            await self._again(state, end)
            if self.stopping:
                return

    async def _again(self, state: ContainerState, end: End) -> None:
        pause = min(self.plane.plan.restart_backoff_s * 2 ** (state.restarts - 1), LONGEST_PAUSE_S)
        state.terminated(end)
        self.tell()
        if state.restarts:
            who = f"{state.name} in pod {name_of(self.pod)}_{namespace_of(self.pod)}({uid_of(self.pod)})"
            said = f"back-off {pause:.0f}s restarting failed container={who.replace(' in pod ', ' pod=')}"
            state.restart({"reason": "CrashLoopBackOff", "message": said})
            self.say("BackOff", f"Back-off restarting failed container {who}", True, state.name)
            self.tell()
            await self._pause(pause)
        else:
            state.restart(None)

    async def _image(self, state: ContainerState) -> bool:
        """Wait until there is the image; False when the pod is told to end before."""
        image, policy, tries = state.spec["image"], state.spec["imagePullPolicy"], 0
        while image in self.plane.missing and not self.stopping:
            if policy == "Never":
                said = f'Container image "{image}" is not present with pull policy of Never'
                state.waiting("ErrImageNeverPull", said)
                self.say("ErrImageNeverPull", said, True, state.name)
                self.say("Failed", "Error: ErrImageNeverPull", True, state.name)
                self.tell()
                await self._pause(1)
                continue
            words = _PULL.format(image)
            if tries % 2 == 0:
                self.say("Pulling", f'Pulling image "{image}"', container=state.name)
                self.say("Failed", f'Failed to pull image "{image}": {words}', True, state.name)
                self.say("Failed", "Error: ErrImagePull", True, state.name)
                state.waiting("ErrImagePull", words)
            else:
                said = f'Back-off pulling image "{image}"'
                self.say("BackOff", said, container=state.name)
                self.say("Failed", "Error: ImagePullBackOff", True, state.name)
                state.waiting("ImagePullBackOff", f"{said}: ErrImagePull: {words}")
            tries += 1
            self.tell()
            await self._pause(0.5)
        if not self.stopping and not tries:
            self.say("Pulled", f'Container image "{image}" already present on machine', container=state.name)
        return not self.stopping

    async def _once(self, state: ContainerState) -> End | None:
        """Run a container once; None when it never began."""
        await self._pause(self.plane.plan.startup_s)
        run = None
        while not self.stopping and run is None:
            try:
                run = Run(self._order(state), Output())
            except NotConfigured as error:
                state.waiting("CreateContainerConfigError", str(error))
                self.say("Failed", f"Error: {error}", True, state.name)
                self.tell()
                await self._pause(RETRY_S)
        if run is None:
            return None
        state.run = run
        self.say("Created", f"Container created: {state.name}", container=state.name)
        await run.start()
        if why := await run.started():
            await run.wait()
            said = f"failed to create containerd task: failed to create shim task: OCI runtime create failed: {why}"
            self.say("Failed", f"Error: {said}", True, state.name)
            state.started = "1970-01-01T00:00:00Z"
            return End(128, "StartError", said)
        state.running(run)
        self.say("Started", f"Container started: {state.name}", container=state.name)
        if state in self.main:
            self._phase = "Running"
        self.tell()
        if self.stopping:
            run.signal(signal.SIGTERM)
        return await run.wait()

    def _order(self, state: ContainerState) -> Order:
        spec = state.spec
        image = {**DEFAULT_IMAGE, **self.plane.plan.images.get(spec["image"], {})}
        home = self.folder / state.name
        work = home / "work"
        work.mkdir(parents=True, exist_ok=True)
        host = self.pod["spec"].get("hostname") or name_of(self.pod)
        start = {"PATH": self.kubelet.path, "HOME": str(home), "HOSTNAME": host, **(image.get("env") or {})}
        if self.kubelet.isolated:
            start.update(KUBERNETES_SERVICE_HOST="127.0.0.1", KUBERNETES_SERVICE_PORT=str(self.plane.port))
        env = environment.variables(self.plane.store, self.pod, spec, start)
        argv = environment.words(spec, image, env)
        if not argv:
            raise NotConfigured("no command specified")
        mounts = self.volumes.mounts(spec, env)
        if self.kubelet.isolated:
            mounts += self.volumes.account()
        elif mounts:
            raise NotConfigured(f"this machine lets containers have no mounts; {mounts[0][1]} cannot be mounted")
        limit = (spec.get("resources", {}).get("limits") or {}).get("memory", 0)
        cwd = spec.get("workingDir") or image.get("working_dir") or str(work)
        return Order(argv, env, cwd, home / "root", self.kubelet.isolated, mounts, amount(limit))

    # --- the end, from outside --------------------------------------------------------------------------------------

    async def stop(self, grace_s: float) -> None:
        """Tell the pod to end: SIGTERM, and SIGKILL when its time is over."""
        if self.over:
            return
        first = not self.stopping
        self.stopping = True
        self._stopped.set()
        if first:
            for state in self.states.values():
                if state.alive:
                    self.say("Killing", f"Stopping container {state.name}", container=state.name)
        self.signal(signal.SIGTERM)
        until = time.monotonic() + grace_s
        while not self.over and time.monotonic() < until:
            await asyncio.sleep(0.02)
            until = min(until, time.monotonic() + self._left())
        self.signal(signal.SIGKILL)
        while not self.over:
            await asyncio.sleep(0.02)

    def _left(self) -> float:
        current = self.plane.store.current(PODS, self.pod)
        if current is None or not deleting(current):
            return LONGEST_PAUSE_S
        grace = float(current["metadata"].get("deletionGracePeriodSeconds") or 0)
        return max(0.0, seconds(current["metadata"]["deletionTimestamp"]) + 1 - time.time()) if grace else 0.0

    def signal(self, number: int) -> None:
        """Send a signal to every container."""
        for state in self.states.values():
            if state.run is not None and state.alive:
                state.run.signal(number)

    def fail(self, reason: str, message: str, **status: Any) -> None:
        """Let the pod fail for a reason of its node's: its containers are killed, its status says why."""
        if self.over:
            return
        self._extra.update(reason=reason, message=message, **status)
        self.stopping = True
        self._stopped.set()
        for state in self.states.values():
            if state.run is not None and state.alive:
                state.run.forced = state.run.forced or End(137, "Error")
        self.signal(signal.SIGKILL)

    def end_container(self, name: str, end: End) -> None:
        """Kill a container and say that it ended so.

        Raises:
            ValueError: It does not run.
        """
        state = self.states.get(name or self.main[0].name)
        if state is None or state.run is None or not state.alive:
            raise ValueError(f"container {name!r} of pod {name_of(self.pod)} does not run")
        state.run.forced = end
        state.run.signal(signal.SIGKILL)

    def vanish(self) -> None:
        """Let everything of the pod die without a word, as when the power fails."""
        self.silent = self.stopping = True
        self._stopped.set()
        self.signal(signal.SIGKILL)
