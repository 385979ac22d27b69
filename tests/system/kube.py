"""What tests of jobs on Kubernetes share: a cluster, and a lab beside it with a store that both reach."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab.lab import Lab
from physlab.settings import load_settings
from physlab.testing.kubernetes import ClusterPlan, KubernetesCluster, NodePlan
from tests.system.commandline import CommandLine
from tests.system.conftest import call

IMAGES = {"physlab": {"env": {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}}}
PLAN = ClusterPlan(nodes=(NodePlan(), NodePlan("node-2")), images=IMAGES, namespaces=("lab",), job_backoff_s=1)
CLAIM = """{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "exchange", "namespace": "lab"},
"spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}}"""
LabMaker = Callable[..., Lab]


@pytest.fixture(scope="module")
def cluster() -> Iterator[KubernetesCluster]:
    with KubernetesCluster.start(PLAN) as cluster:
        cluster.run("apply", "-f", "-", stdin=CLAIM)
        yield cluster


@pytest.fixture
def store(cluster: KubernetesCluster) -> Path:
    """The folder that is a volume for pods; this machine sees it where they do."""
    place = cluster.base / "claims" / "lab" / "exchange"
    place.mkdir(parents=True, exist_ok=True)
    return place


def site_of(cluster: KubernetesCluster, store: Path | None, **more: Any) -> dict[str, Any]:
    """Return the settings of the cluster; pods reach the store as a folder of the machine."""
    place = {} if store is None else {"store": str(store), "volume_claim": "exchange", "image": "physlab"}
    return {"kubeconfig": str(cluster.kubeconfig), "namespace": "lab", **place, **more}


@pytest.fixture
def make_lab(cluster: KubernetesCluster, store: Path, tmp_path: Path) -> Iterator[LabMaker]:
    made: list[Lab] = []

    def make(*, with_store: bool = True, **site: Any) -> Lab:
        sites = {"sites": {"kubernetes": {"k": site_of(cluster, store if with_store else None, **site)}}}
        settings = {"home": str(tmp_path / "home"), "results": str(tmp_path / "results"), **sites}
        made.append(Lab(load_settings(tmp_path, overrides=settings, environ={})))
        return made[-1]

    yield make
    for lab in made:
        lab.close()


@pytest.fixture
def line(cluster: KubernetesCluster, store: Path, tmp_path: Path) -> CommandLine:
    """The command line, in a folder whose settings name the cluster."""
    words = "\n".join(f'{key} = "{value}"' for key, value in site_of(cluster, store).items())
    (tmp_path / "physlab.toml").write_text(f"[sites.kubernetes.k]\n{words}\n")
    return CommandLine(tmp_path, cluster.environment)


@pytest.fixture
def lab(make_lab: LabMaker) -> Lab:
    return make_lab()


@pytest.fixture(autouse=True)
def well(cluster: KubernetesCluster) -> Iterator[None]:
    cluster.audit()
    yield
    cluster.heal()
    if left := jobs_there(cluster):
        cluster.run("delete", "-n", "lab", *left)


def jobs_there(cluster: KubernetesCluster) -> list[str]:
    return cluster.run("get", "jobs,cronjobs", "-n", "lab", "-o", "name").split()


def make(cluster: KubernetesCluster, version: str, kind: str, name: str, namespace: str = "", **more: Any) -> None:
    head = {"name": name, **({"namespace": namespace} if namespace else {})}
    cluster.run("apply", "-f", "-", stdin=json.dumps({"apiVersion": version, "kind": kind, "metadata": head, **more}))


def submit(lab: Lab, folder: Path, *command: str, **more: Any) -> dict[str, Any]:
    return call(
        lab,
        folder,
        tool="job_submit",
        backend="k8s",
        job_spec={"command": list(command), **more.pop("spec", {})},
        **more,
    )


def running_pod(cluster: KubernetesCluster, job_id: str) -> str:
    """Return a job's pod once what the user asked for runs in it."""
    name = job_id.partition("/")[2]
    found = json.loads(cluster.run("get", "pods", "-n", "lab", "-l", f"job-name={name}", "-o", "json"))["items"]
    for pod in found:
        status = pod["status"]
        states = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
        if any(state["name"] == "job" and "running" in state["state"] for state in states):
            return str(pod["metadata"]["name"])
    return ""
