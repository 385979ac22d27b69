"""A lab beside a Kubernetes test cluster: a work pool with Prefect's own worker, whose pods have this physlab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolUpdate

from physlab import service
from physlab.engine.kubernetes import launch_pods
from physlab.engine.kubernetes.pool import make_pool, template
from physlab.engine.locator import root
from physlab.lab import Lab
from physlab.model import NodeRecord, RunRecord, RunRequest
from physlab.settings import child_environment, load_settings
from physlab.testing.kubernetes import ClusterPlan, KubernetesCluster, missing_parts

__all__ = [
    "KEYS",
    "ClusterPlan",
    "KubernetesCluster",
    "PodLab",
    "bucket",
    "keep_keys",
    "make_test_pool",
    "missing_parts",
    "plan",
    "worker",
]
IMAGE = "lab.example/physlab:1"
KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "secret-of-the-bucket", "AWS_REGION": "us-east-1"}


def plan(**changes: Any) -> ClusterPlan:
    """Return a cluster whose image is this checkout with its environment."""
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    variables = {"PATH": path, "PYTHONPATH": str(root()), "PREFECT_LOGGING_TO_API_ENABLED": "true"}
    if compiled := os.environ.get("PYTHONPYCACHEPREFIX"):
        variables["PYTHONPYCACHEPREFIX"] = compiled
    return ClusterPlan(images={IMAGE: {"env": variables}}, missing_images=("lab.example/none:1",), **changes)


@contextmanager
def bucket() -> Iterator[str]:
    """Serve a double of S3 with the bucket `lab`; give its address."""
    from boto3 import client
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        keys = {"aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"]}
        client("s3", endpoint_url=url, region_name=KEYS["AWS_REGION"], **keys).create_bucket(Bucket="lab")
        yield url
    finally:
        server.stop()


def keep_keys(cluster: KubernetesCluster) -> None:
    """Keep the keys of the bucket in the cluster, as a Secret."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bucket"}, "stringData": KEYS}
    cluster.run("create", "-f", "-", stdin=json.dumps(secret))


def make_test_pool(client: SyncPrefectClient, cluster: KubernetesCluster, name: str) -> None:
    """Make a work pool whose pods see this machine's `/tmp`, where the image and what tests watch may lie."""
    make_pool(client, name)
    made = template()
    variables = made["variables"]["properties"]
    for volume in variables["volumes"]["default"]:
        if volume["name"] == "tmp":
            volume |= {"hostPath": {"path": "/tmp"}}  # noqa: S108
            del volume["emptyDir"]
    if cluster.isolation != "namespaces":  # nothing can be mounted
        variables["env"]["default"] = {}
    client.update_work_pool(name, WorkPoolUpdate(base_job_template=made))


@contextmanager
def worker(
    server: Mapping[str, str], cluster: KubernetesCluster, folder: Path, pool: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker of a pool, with the variables that name its server; end it."""
    variables = {
        **{name: value for name, value in cluster.environment.items() if name == "KUBECONFIG"},
        **server,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_WORKER_QUERY_SECONDS": "0.5",
        "PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_NAMESPACES": "default",
        "DO_NOT_TRACK": "1",
    }
    command = (sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "kubernetes")
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--name", "one"], cwd=folder, env=child_environment(variables, drop_prefix="PREFECT_"),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass
class PodLab:
    """A lab whose nodes run in pods."""

    folder: Path
    cluster: KubernetesCluster
    site: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        site = {
            "kubeconfig": str(self.cluster.kubeconfig), "image": IMAGE, "store": str(self.folder / "exchange"),
            "memory_gb": 1, "max_pods": 3, **self.site,
        }  # fmt: skip
        given = {"home": str(self.folder / "home"), "results": str(self.folder / "results")}
        given |= {f"sites.kubernetes.k8s.{name}": value for name, value in site.items()} | self.settings
        self.lab = Lab(load_settings(self.folder, overrides=given, environ={}), launch=launch_pods)

    def run(self, graph: Any, **wishes: Any) -> RunRecord:
        request = RunRequest(**{"site": "k8s", "offload_policy": "remote_first", "parallelism": 4, **wishes})
        reply = service.run_dag(self.lab, graph, request, base_dir=self.folder)
        return self.lab.find_run(reply.body["run_id"])

    def made(self, record: RunRecord, node: str) -> NodeRecord:
        [found] = [item for item in record.nodes if item.id == node]
        return NodeRecord.model_validate(self.lab.store.record(str(found.record)))

    def pods(self) -> dict[str, str]:
        """Return the memory that each pod of the cluster is given."""
        items = json.loads(self.cluster.run("get", "pods", "-o", "json"))["items"]
        limits = {item["metadata"]["name"]: item["spec"]["containers"][0]["resources"]["limits"] for item in items}
        return {name: limit["memory"] for name, limit in limits.items()}

    def running(self, marker: Path, memory: str, seconds: float = 90) -> str:
        """Wait until a node has made a file, and return the name of its pod, which is known by its memory."""
        self.wait(marker.exists, f"{marker.name} is there", seconds)
        [pod] = [name for name, limit in self.pods().items() if limit == memory]
        return pod

    @staticmethod
    def wait(ready: Callable[[], Any], what: str, seconds: float = 90) -> Any:
        begun = time.monotonic()
        while not (found := ready()):
            if time.monotonic() - begun > seconds:
                raise TimeoutError(f"it is not so after {seconds} s that {what}")
            time.sleep(0.1)
        return found
