"""Kubernetes without a cluster: manifests, and what became of jobs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from physlab.engine.locator import root
from physlab.errors import ComputationError, ValidationError
from physlab.model.job import JobRequest, JobResources, Mount, PodWishes, Toleration
from physlab.settings import KubernetesSiteSettings
from physlab.sites.kubernetes.exchange import Exchange
from physlab.sites.kubernetes.manifest import Stage, manifest, program, refuse
from physlab.sites.kubernetes.reasons import advice, judge
from physlab.sites.kubernetes.stage import inputs_name, keep, made_name
from physlab.store.blobs import Blobs

KEYS = "keys"
SITE = KubernetesSiteSettings(image="lab/physlab:1", store="s3://b/lab", store_secret=KEYS, node_selector={"a": "b"})
TOLERATION = Toleration(key="gpu", operator="Exists")


def spec(request: JobRequest, stage: Stage | None = None) -> dict[str, Any]:
    made: dict[str, Any] = manifest(request, "x-1", "ns", SITE, stage)["spec"]
    return made


def test_a_job_asks_for_what_it_is_given() -> None:
    request = JobRequest(
        command=("python3", "a b.py", "$(HOME) $$ $x"), image="python:3.12", environment={"A": "$(id)"},
        resources=JobResources(cpus=3, memory_mb=4096, gpus=1, nodes=4, walltime_s=90.5, exclude=("n7",)),
        mounts=(
            Mount(source="/data", target="/data", readonly=True), Mount(source="claim:big/run 1", target="/big"),
        ),
        pod=PodWishes(
            service_account="sa", node_selector={"gpu": "a100"}, tolerations=(TOLERATION,),
            priority_class="high", image_pull_secrets=("reg",),
        ),
    )  # fmt: skip
    made = spec(request)
    assert (made["completions"], made["parallelism"], made["completionMode"]) == (4, 4, "Indexed")
    assert "activeDeadlineSeconds" not in made and made["backoffLimit"] == 0
    pod = made["template"]["spec"]
    assert pod["activeDeadlineSeconds"] == 91, "waiting for a machine does not count"
    [work] = pod["containers"]
    assert work["command"] == ["python3", "a b.py", "$$(HOME) $$$$ $$x"], "the kubelet makes of it what was written"
    assert {"name": "A", "value": "$$(id)"} in work["env"]
    assert work["resources"]["limits"] == {"cpu": "3", "memory": "4096Mi", "nvidia.com/gpu": "1"}
    assert work["volumeMounts"][0] == {"name": "mount-0", "mountPath": "/data", "readOnly": True}
    assert work["volumeMounts"][1] == {"name": "mount-1", "mountPath": "/big", "readOnly": False, "subPath": "run 1"}
    assert pod["volumes"][0]["hostPath"]["path"] == "/data"
    assert pod["volumes"][1]["persistentVolumeClaim"]["claimName"] == "big"
    assert pod["nodeSelector"] == {"a": "b", "gpu": "a100"} and pod["serviceAccountName"] == "sa"
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}] and pod["priorityClassName"] == "high"
    assert pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]


def test_nothing_is_asked_for_that_was_not_said() -> None:
    pod = spec(JobRequest(command=("true",)))["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"] == {"cpu": "1"}, "no GPU, no memory"
    assert "serviceAccountName" not in pod and pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] == 1000
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    root = spec(JobRequest(command=("true",), pod=PodWishes(run_as_user=0)))["template"]["spec"]
    assert root["securityContext"]["runAsUser"] == 0 and "runAsNonRoot" not in root["securityContext"]


def test_the_user_s_container_sees_no_key_of_the_store() -> None:
    request = JobRequest(script="#!/usr/bin/env python3\nprint(1)\n", makes=("a $(b)",))
    pod = spec(request, Stage("tok", "results"))["template"]["spec"]
    fetch, work = pod["initContainers"]
    [keep] = pod["containers"]
    assert [fetch["name"], work["name"], keep["name"]] == ["fetch", "job", "keep"]
    assert work["command"] == ["./script"] and "envFrom" not in work
    assert fetch["envFrom"] == keep["envFrom"] == [{"secretRef": {"name": "keys"}}]
    assert keep["command"][:3] == ["python", "-P", "-m"], "a file of the job called random.py is not imported"
    assert "--makes=a $$(b)" in keep["command"] and "--job=$(JOB_NAME)" in keep["command"]


def test_the_network_policy_lets_its_pods_reach_the_store() -> None:
    labels = spec(JobRequest(command=("true",)), Stage("tok"))["template"]["metadata"]["labels"]
    policies = (root() / "deployments/kubernetes/manifests/network.yaml").read_text(encoding="utf-8")
    found = {item["metadata"]["name"]: item["spec"] for item in YAML(typ="safe").load_all(policies)}
    peers = [peer for rule in found["physlab-store"]["ingress"] for peer in rule["from"]]
    for selector in (found["physlab-run"]["podSelector"], *(peer["podSelector"] for peer in peers)):
        assert selector["matchLabels"].items() <= labels.items()


def test_what_is_kept_is_the_job_s_own(tmp_path: Path) -> None:
    """A link would bring what the container that keeps has, such as the keys of the store in its environment."""
    folder, store = tmp_path / "job", Exchange(str(tmp_path / "exchange"))
    folder.mkdir()
    (folder / "out.txt").symlink_to("/proc/self/environ")
    (folder / "own.txt").write_text("42")
    blobs = Blobs(tmp_path / "blobs")
    blobs.create()
    store.write(inputs_name("tok"), b"{}")
    given = argparse.Namespace(makes=["own.txt"], wanted=".", job="j", index=None, token="tok")  # noqa: S106
    keep(store, blobs, given, folder)
    assert list(json.loads(store.read(made_name("j", None)) or b"")["files"]) == ["own.txt"]
    given.makes = ["out.txt"]
    with pytest.raises(ComputationError, match=r"out\.txt is a link"):
        keep(store, blobs, given, folder)


def test_a_schedule_is_a_cron_job() -> None:
    made = manifest(JobRequest(command=("true",), pod=PodWishes(schedule="0 3 * * 1-5", time_zone="Europe/Berlin")),
                    "x", None, SITE, None)  # fmt: skip
    assert made["kind"] == "CronJob" and made["spec"]["schedule"] == "0 3 * * 1-5"
    assert made["spec"]["timeZone"] == "Europe/Berlin" and made["spec"]["concurrencyPolicy"] == "Forbid"
    assert made["spec"]["jobTemplate"]["metadata"]["labels"]["physlab.io/job"] == "x"


def test_a_script_without_a_store_is_one_word() -> None:
    hostile = "#!/bin/bash\necho '$(id)' \"`id`\"\n"
    assert program(JobRequest(script=hostile), None) == ["/bin/bash", "-c", hostile]
    assert program(JobRequest(script="#!/usr/bin/env -S python3 -u\nx"), None)[:3] == ["python3", "-u", "-c"]
    assert program(JobRequest(script="echo 1"), None) == ["/bin/sh", "-c", "echo 1"]
    with pytest.raises(ValidationError, match="has no store"):
        program(JobRequest(script="#!/usr/bin/awk -f\n{}"), None)


@pytest.mark.parametrize(("request_", "said"), [
    (JobRequest(), "either a command or a script"),
    (JobRequest(command=("a",), resources=JobResources(partition="main", gres="gpu:2")), "partition and gres"),
    (JobRequest(command=("a",), after=("7",)), "after: Kubernetes has no such thing"),
    (JobRequest(command=("a",), mounts=(Mount(source="/a", target="/physlab/job"),)), "nothing can be mounted"),
])  # fmt: skip
def test_what_kubernetes_cannot_do_is_refused(request_: JobRequest, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        refuse(request_)


def pod_with(state: dict[str, Any] | None = None, *, name: str = "job", **status: Any) -> dict[str, Any]:
    own = [] if state is None else [{"name": name, "state": state}]
    return {"metadata": {"name": "p"}, "spec": {"nodeName": "n1"}, "status": {"containerStatuses": own, **status}}


def failed(code: int, reason: str = "Error", **more: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, **more}}


def job_with(kind: str = "", reason: str = "", message: str = "") -> dict[str, Any]:
    conditions = [{"type": kind, "status": "True", "reason": reason, "message": message}] if kind else []
    return {"metadata": {"name": "j"}, "spec": {}, "status": {"conditions": conditions}}


FAILED = ("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
DISRUPTED = [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager", "message": "taint"}]
UNSCHEDULABLE = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes fit"}]


@pytest.mark.parametrize(("job", "pods", "state", "said", "advised"), [
    (job_with("Complete"), [], "completed", "Complete", ""),
    (job_with(*FAILED), [pod_with(failed(3))], "failed", "Error", ""),
    (job_with(*FAILED), [pod_with(failed(137, "OOMKilled"))], "out_of_memory", "OOMKilled", "memory"),
    (job_with(*FAILED), [pod_with(failed(139))], "failed", "Error", ""),
    (job_with(*FAILED), [pod_with(failed(128, "StartError", message="no such file"))], "failed", "no such file",
     "first word of the command"),
    (job_with(*FAILED), [pod_with(failed(1, message="no key"), name="fetch")], "failed", "inputs could not be", ""),
    (job_with(*FAILED), [pod_with(failed(75, message="without making a"), name="keep")], "failed", "making a", ""),
    (job_with(*FAILED), [pod_with(reason="Evicted", message="low on memory")], "preempted", "low on memory", ""),
    (job_with(*FAILED), [pod_with(failed(143), conditions=DISRUPTED)], "node_fail", "TaintManager", ""),
    (job_with(*FAILED), [], "failed", "backoff limit", ""),
    (job_with("Failed", "DeadlineExceeded", "longer"), [pod_with(failed(143))], "timeout", "Deadline", "time_limit"),
    (job_with("FailureTarget"), [pod_with(failed(3))], "running", "Running", ""),
    (job_with(), [pod_with({"running": {}})], "running", "Running", ""),
    (job_with(), [pod_with({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})], "pending",
     "ImagePullBackOff: no such image", "image's name"),
    (job_with(), [pod_with(conditions=UNSCHEDULABLE)], "pending", "0/3 nodes fit", "Ask for less"),
    (job_with(), [pod_with({"waiting": {"reason": "ContainerCreating"}})], "pending", "Pending", ""),
])  # fmt: skip
def test_every_end_has_a_name(job: Any, pods: Any, state: str, said: str, advised: str) -> None:
    status = judge(job, pods, "ns/j")
    assert (status.state, status.ended) == (state, state not in ("pending", "running"))
    assert said in status.reason and advised in advice(status.reason)


def test_of_many_pods_the_first_to_fail_is_blamed() -> None:
    late = pod_with(failed(143, finishedAt="2026-01-01T00:00:09Z"))
    early = pod_with(failed(5, finishedAt="2026-01-01T00:00:01Z"))
    assert judge(job_with(*FAILED), [late, early], "ns/j").exit_code == 5
