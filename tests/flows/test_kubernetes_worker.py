"""Prefect's own Kubernetes worker on the test cluster: flow runs are jobs, and its observer sees them die."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from physlab.settings import child_environment
from physlab.testing.kubernetes import ClusterPlan, KubernetesCluster, missing_parts
from tests.flows.conftest import PrefectServer

pytestmark = [
    pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there"),
    pytest.mark.timeout(300),
]

NAMESPACE = "lab"
FLOWS = """
import time
from prefect import flow

@flow(retries=0, log_prints=True)
def work(seconds: float = 0):
    print("the flow works")
    time.sleep(seconds)
    return "done"
"""
ROLE = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: worker}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: worker}
rules:
- {apiGroups: [batch], resources: [jobs], verbs: [create, get, list, watch, delete]}
- {apiGroups: [""], resources: [pods], verbs: [get, list, watch]}
- {apiGroups: [""], resources: [pods/log], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: worker}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: worker}
subjects: [{kind: ServiceAccount, name: worker}]
"""


class Lab:
    """A pool with one deployment, its cluster, and its worker."""

    def __init__(self, server: PrefectServer, cluster: KubernetesCluster, folder: Path) -> None:
        from prefect import get_client

        self.server, self.cluster, self.folder = server, cluster, folder
        self.client = get_client(sync_client=True)

    def __enter__(self) -> Lab:
        self.client.__enter__()
        self.deployment = self._deploy()
        self.cluster.run("apply", "-n", NAMESPACE, "-f", "-", stdin=ROLE)
        self.worker = self._start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.client.__exit__(*error)
        self.worker.send_signal(signal.SIGTERM)
        try:
            self.worker.wait(15)
        except subprocess.TimeoutExpired:
            self.worker.kill()
            self.worker.wait()

    def _deploy(self) -> UUID:
        from prefect.client.schemas.actions import WorkPoolCreate
        from prefect_kubernetes.worker import KubernetesWorker

        (self.folder / "flows.py").write_text(FLOWS)
        template = KubernetesWorker.get_default_base_job_template()
        self.client.create_work_pool(WorkPoolCreate(name="kube", type="kubernetes", base_job_template=template))
        flow_id = self.client.create_flow_from_name("work")
        return self.client.create_deployment(
            flow_id, "kube", work_pool_name="kube", path=str(self.folder), entrypoint="flows.py:work",
            pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(self.folder)}}],
            job_variables={"namespace": NAMESPACE, "image": "test.local/physlab:1", "backoff_limit": 0},
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        variables = {
            "PREFECT_API_URL": self.server.api_url,
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_WORKER_QUERY_SECONDS": "0.5",
            "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.2",
            "PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_NAMESPACES": NAMESPACE,
            "DO_NOT_TRACK": "1",
            "PATH": self.cluster.environment["PATH"],
            "KUBECONFIG": str(self.cluster.kubeconfig_for(NAMESPACE, "worker")),
        }
        return child_environment(variables, drop_prefix="PREFECT_")

    def _start(self) -> subprocess.Popen[bytes]:
        command = (sys.executable, "-m", "prefect", "worker", "start", "--pool", "kube", "--type", "kubernetes")
        with (self.folder / "worker.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def submit(self, job_variables: dict[str, Any] | None = None, **parameters: Any) -> UUID:
        run = self.client.create_flow_run_from_deployment(
            self.deployment, parameters=parameters, job_variables=job_variables or {}
        )
        return run.id

    def submit_by_hand(self) -> UUID:
        """Submit with `prefect deployment run`."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "deployment", "run", "work/kube"],
            env=self.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return UUID(done.stdout.split("UUID: ")[1].split()[0])

    def wait(self, run_id: UUID, ready: Callable[[Any], bool], seconds: float = 90) -> Any:
        begun = time.monotonic()
        while not ready(found := self.client.read_flow_run(run_id)):
            if time.monotonic() - begun > seconds:
                log = (self.folder / "worker.log").read_text()[-5000:]
                there = self.cluster.run("get", "pods,jobs,events", "-n", NAMESPACE, check=False)
                raise TimeoutError(f"{found.state!r} after {seconds} s; {there}\n{log}")
            time.sleep(0.1)
        return found

    def logs(self, run_id: UUID) -> str:
        from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

        found = self.client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id])))
        return "\n".join(log.message for log in found)

    def pod(self, run_id: UUID) -> str:
        selector = f"prefect.io/flow-run-id={run_id}"
        words = ("get", "pods", "-n", NAMESPACE, "-l", selector, "--field-selector=status.phase=Running", "-o", "name")
        found: str = self.cluster.wait("a pod runs", lambda: self.cluster.run(*words).split())[0]
        return found.removeprefix("pod/")


@pytest.fixture
def lab(prefect_server: PrefectServer, tmp_path: Path) -> Iterator[Lab]:
    plan = ClusterPlan(namespaces=(NAMESPACE,), job_backoff_s=0.5)
    with KubernetesCluster.start(plan) as cluster, Lab(prefect_server, cluster, tmp_path) as lab:
        yield lab


def test_flow_runs_are_jobs_and_their_deaths_are_seen(lab: Lab) -> None:
    dies, starves = lab.submit(seconds=300), lab.submit({"command": "sh -c 'echo no flow here; exit 3'"})
    works = lab.submit_by_hand()
    pod = lab.pod(dies)
    lab.wait(dies, lambda run: run.state.is_running())
    lab.cluster.end_container(pod, "OOMKilled", namespace=NAMESPACE)
    assert lab.wait(works, lambda run: run.state.is_final()).state.is_completed()
    assert lab.wait(starves, lambda run: run.state.is_final()).state.is_crashed()
    assert lab.wait(dies, lambda run: run.state.is_final()).state.is_crashed()

    def states(run: UUID) -> list[str]:
        words = ("get", "jobs", "-n", NAMESPACE, "-l", f"prefect.io/flow-run-id={run}", "-o", "json")
        [job] = json.loads(lab.cluster.run(*words))["items"]
        return [condition["type"] for condition in job["status"]["conditions"]]

    assert states(works) == ["SuccessCriteriaMet", "Complete"] and states(starves) == ["FailureTarget", "Failed"]
    assert "the flow works" in lab.logs(works)
    assert "no flow here" in lab.logs(starves)  # the observer fetched it from the pod
    assert "OOMKilled" in lab.logs(dies)
    seen = [entry for entry in lab.cluster.audit() if entry["user"] == f"system:serviceaccount:{NAMESPACE}:worker"]
    deeds = {(entry["verb"], entry["resource"]) for entry in seen if "resource" in entry}
    assert {("create", "jobs"), ("watch", "jobs"), ("watch", "pods"), ("get", "pods/log")} <= deeds
    assert {entry["code"] for entry in seen} <= {0, 200, 201, 400}  # nothing was forbidden; 0 is a watch under way
