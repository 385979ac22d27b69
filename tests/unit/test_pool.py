"""The base job template of the Kubernetes work pool: Prefect's own worker makes valid and harmless Jobs of it."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from uuid import uuid4

import pytest
from ruamel.yaml import YAML

from physlab.engine.locator import root

HERE = root() / "deployments" / "kubernetes"
TEMPLATE: dict[str, Any] = json.loads((HERE / "chart" / "pool.json").read_text(encoding="utf-8"))
HARMLESS = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def job(template: dict[str, Any] = TEMPLATE, **variables: Any) -> dict[str, Any]:
    """Return the Job that Prefect's worker would make of a flow run with these variables."""
    worker = pytest.importorskip(
        "prefect_kubernetes.worker", reason="prefect-kubernetes is not installed: pip install 'physlab[kubernetes]'"
    )
    from prefect.client.schemas.objects import FlowRun

    no_server: Any = object()  # asked only for blocks and variables that a template names; ours names none
    configuration = worker.KubernetesWorkerJobConfiguration
    made = asyncio.run(configuration.from_template_and_values(template, variables, client=no_server))
    made.prepare_for_flow_run(FlowRun(id=uuid4(), flow_id=uuid4(), name="brave-otter"), worker_name="w")
    manifest: dict[str, Any] = made.job_manifest
    return manifest


def checked(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the pod of a Job, after Kubernetes' schema has accepted all but two lines that Prefect insists on."""
    validate = pytest.importorskip("kubernetes_validate").validate
    pod: dict[str, Any] = manifest["spec"]["template"]["spec"]
    assert (pod.pop("parallelism"), pod.pop("completions")) == (1, 1)
    validate(manifest, "1.37", strict=True)
    return pod


def test_every_variable_is_used_and_described() -> None:
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(TEMPLATE["job_configuration"])))
    properties = TEMPLATE["variables"]["properties"]
    assert used == set(properties)
    assert all(each["title"] and each["type"] for each in properties.values())


def test_a_run_that_asks_for_nothing() -> None:
    manifest = job()
    pod = checked(manifest)
    [container] = pod["containers"]
    assert manifest["metadata"]["namespace"] == "default"
    assert manifest["metadata"]["generateName"] == "brave-otter-"
    assert manifest["spec"]["backoffLimit"] == 0  # Prefect starts it again, not Kubernetes
    assert (manifest["spec"]["activeDeadlineSeconds"], manifest["spec"]["ttlSecondsAfterFinished"]) == (86400, 300)
    assert manifest["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"] == "run"
    assert "prefect.io/flow-run-id" in manifest["metadata"]["labels"]
    assert not {"serviceAccountName", "priorityClassName"} & set(pod)  # there need be none for physlab
    assert (pod["automountServiceAccountToken"], pod["restartPolicy"]) == (False, "Never")
    assert pod["securityContext"]["runAsUser"] == 10001 and pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == HARMLESS
    assert container["resources"]["limits"] == container["resources"]["requests"] == {"cpu": "1", "memory": "2Gi"}
    assert container["args"] == ["prefect", "flow-run", "execute"] and "command" not in container
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert variables["PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"] == "reschedule"
    assert (variables["HOME"], variables["PREFECT_HOME"]) == ("/scratch", "/scratch/prefect")
    assert container["envFrom"] == [{"secretRef": {"name": "physlab-store", "optional": True}}]
    writable = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert writable == {"/scratch", "/tmp"} and all(volume["emptyDir"] == {} for volume in pod["volumes"])  # noqa: S108


def test_a_run_that_asks_for_much() -> None:
    data = {"name": "data", "persistentVolumeClaim": {"claimName": "spectra", "readOnly": True}}
    defaults = {name: each.get("default") for name, each in TEMPLATE["variables"]["properties"].items()}
    manifest = job(
        resources={"limits": {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": 2}},
        node_selector={"nvidia.com/gpu.product": "A100"},
        tolerations=[{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        deadline_s=600,
        finished_job_ttl=0,
        service_account_name="special",
        image="registry.my-lab.org/physlab:2",
        env={"OMP_NUM_THREADS": "8"},
        volumes=[*defaults["volumes"], data],
        volume_mounts=[*defaults["volume_mounts"], {"name": "data", "mountPath": "/data", "readOnly": True}],
        image_pull_secrets=[{"name": "registry"}],
    )
    pod = checked(manifest)
    [container] = pod["containers"]
    assert container["resources"]["limits"] == {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": 2}
    assert (pod["nodeSelector"], pod["tolerations"][0]["key"]) == ({"nvidia.com/gpu.product": "A100"}, "gpu")
    assert (manifest["spec"]["activeDeadlineSeconds"], manifest["spec"]["ttlSecondsAfterFinished"]) == (600, 0)
    assert (pod["serviceAccountName"], container["image"]) == ("special", "registry.my-lab.org/physlab:2")
    assert {"name": "OMP_NUM_THREADS", "value": "8"} in container["env"]
    assert data in pod["volumes"] and container["volumeMounts"][-1]["mountPath"] == "/data"
    assert container["securityContext"] == HARMLESS


def test_what_is_not_a_variable_cannot_be_asked_for() -> None:
    asked = job(security_context={"privileged": True}, backoff_limit=6, host_network=True, privileged=True)
    text = json.dumps(asked)
    assert "privileged" not in text and "hostNetwork" not in text and asked["spec"]["backoffLimit"] == 0


def test_the_chart_puts_the_labs_values_into_it() -> None:
    pytest.importorskip("helm_python")
    from tests.unit.test_manifests import render

    made = render(
        {
            "image": {"repository": "registry.my-lab.org/physlab", "tag": "7"},
            "imagePullSecrets": [{"name": "registry"}],
            "runs": {"cpu": "3", "memory": "5Gi", "deadlineS": 4, "finishedJobTtlS": 0},
            "secrets": {"store": "bucket"},
        }
    )
    template = json.loads(YAML(typ="safe").load(made["pool.yaml"])["data"]["pool.json"])
    assert template["job_configuration"] == TEMPLATE["job_configuration"]
    assert template["variables"]["properties"]["namespace"]["default"] == "physlab"
    manifest = job(template)
    pod = checked(manifest)
    [container] = pod["containers"]
    assert container["image"] == "registry.my-lab.org/physlab:7" and pod["imagePullSecrets"] == [{"name": "registry"}]
    assert container["resources"]["limits"] == container["resources"]["requests"] == {"cpu": "3", "memory": "5Gi"}
    assert (pod["serviceAccountName"], pod["priorityClassName"]) == ("physlab-run", "physlab-run")
    assert (manifest["spec"]["activeDeadlineSeconds"], manifest["spec"]["ttlSecondsAfterFinished"]) == (4, 0)
    assert container["envFrom"][0]["secretRef"]["name"] == "bucket"
