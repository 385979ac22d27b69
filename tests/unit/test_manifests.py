"""`deployments/kubernetes`: what Helm makes of the chart is valid, asks for no more than it needs, and is committed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from physlab.engine.locator import root

helm = pytest.importorskip("helm_python", reason="Helm's engine is not installed: pip install helm-python-sdk")
kubernetes_validate = pytest.importorskip("kubernetes_validate")

Made = list[dict[str, Any]]
HERE = root() / "deployments" / "kubernetes"
HOWTO = HERE.parents[1] / "docs" / "howto" / "kubernetes-cluster.md"
OLDEST, NEWEST = "1.29", "1.37"  # that the chart accepts, and whose schemas there are
JOBS = {"apiGroups": ["batch"], "verbs": ["create", "get", "list", "watch", "delete"]}
PODS = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
]
EVENTS = {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]}
ROLES = {
    "physlab-worker": [{**JOBS, "resources": ["jobs"]}, *PODS],
    "physlab-client": [{**JOBS, "resources": ["jobs", "cronjobs"]}, *PODS, EVENTS],
}
REACH = {  # who connects to what; nothing else
    ("worker", "server", 4200),
    ("services", "server", 4200),
    ("run", "server", 4200),
    ("run", "store", 8333),
    ("server", "database", 5432),
    ("services", "database", 5432),
    ("server", "queue", 6379),
    ("services", "queue", 6379),
}
COMPONENTS = ("worker", "server", "services", "database", "queue", "store", "run", "something-else")


def blocks(language: str) -> Iterator[str]:
    """Yield the blocks of the how-to that are in one language, such as `yaml services.yaml`."""
    for part in HOWTO.read_text(encoding="utf-8").split("```")[1::2]:
        head, _, body = part.partition("\n")
        if head == language:
            yield body


def parsed(text: str) -> Any:
    return YAML(typ="safe").load(text)


def render(values: dict[str, Any]) -> dict[str, str]:
    found = importlib.util.spec_from_file_location("render", HERE / "render.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    made: dict[str, str] = module.rendered(values)
    return made


def documents(values: dict[str, Any]) -> Made:
    return [each for text in render(values).values() for each in YAML(typ="safe").load_all(text) if each]


EVERYTHING = {
    "namespace": {"create": True},
    "image": {"digest": f"sha256:{'0' * 64}"},
    "imagePullSecrets": [{"name": "registry"}],
    "server": {"ingress": {"enabled": True, "className": "nginx"}},
    "database": {"storageClass": "fast"},
    "client": {"subjects": [{"kind": "Group", "name": "physicists", "apiGroup": "rbac.authorization.k8s.io"}]},
    "network": {
        "serverFrom": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
        "runTo": [{"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}], "ports": [{"port": 443, "protocol": "TCP"}]}],
    },
}


@pytest.fixture(scope="module", params=["as shipped", "everything", "services.yaml", "runs.yaml"])
def made(request: pytest.FixtureRequest) -> Made:
    """What is made of the values that ship, of many values, and of the two files of the how-to."""
    named = {"as shipped": {"namespace": {"create": True}}, "everything": EVERYTHING}
    return documents(named.get(request.param) or parsed(next(blocks(f"yaml {request.param}"))))


@pytest.fixture(scope="module")
def shipped() -> Made:
    texts = (path.read_text(encoding="utf-8") for path in (HERE / "manifests").glob("*.yaml"))
    return [each for text in texts for each in YAML(typ="safe").load_all(text) if each.get("metadata")]


def workloads(made: Made) -> dict[str, dict[str, Any]]:
    """Return the pod of each Deployment and StatefulSet."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in made
        if each["kind"] in ("Deployment", "StatefulSet")
    }


def containers(made: Made) -> list[dict[str, Any]]:
    return [c for pod in workloads(made).values() for c in (*pod["containers"], *pod.get("initContainers", ()))]


def test_the_manifests_are_what_helm_makes_of_the_chart() -> None:
    there = {path.name: path.read_text(encoding="utf-8").partition("\n")[2] for path in (HERE / "manifests").iterdir()}
    bases = parsed((HERE / "manifests" / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert sorted(there) == sorted([*bases, "kustomization.yaml"])
    del there["kustomization.yaml"]
    assert there == render({"namespace": {"create": True}}), "run `make manifests`"


def test_kubernetes_accepts_them(made: Made) -> None:
    for each in made:
        kubernetes_validate.validate(each, NEWEST, strict=True)


def test_the_oldest_kubernetes_accepts_everything() -> None:
    for each in documents(EVERYTHING):
        kubernetes_validate.validate(each, OLDEST, strict=True)


def test_a_misspelt_field_would_be_seen(shipped: Made) -> None:
    [role] = [each for each in shipped if each["kind"] == "ServiceAccount" and "run" in each["metadata"]["name"]]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**role, "automountServiceAcountToken": False}, NEWEST, strict=True)


def test_helm_has_no_complaint() -> None:
    found = helm.lint(HERE / "chart")
    assert not found["errors"] and {each["error"] for each in found["messages"]} == {"icon is recommended"}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"image": {"tag": "latest"}}, "tag"),
        ({"image": {"digest": "sha256:abc"}}, "digest"),
        ({"wroker": {}}, "wroker"),
        ({"runs": {"cpu": "many"}}, "cpu"),
        ({"server": {"enabled": False}}, "server.apiUrl is needed"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(helm.HelmError, match=says):
        render(values)


def test_pods_can_do_nothing_but_their_work(made: Made) -> None:
    assert workloads(made)
    for name, pod in workloads(made).items():
        assert pod["automountServiceAccountToken"] is (name == "physlab-worker")  # nobody else speaks to Kubernetes
        assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert all(set(volume) & {"emptyDir", "configMap", "secret"} for volume in pod.get("volumes", ()))
    for each in containers(made):
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(each["resources"]["requests"]) == set(each["resources"]["limits"]) == {"cpu", "memory"}
        assert "@sha256:" in each["image"] or each["image"].rpartition(":")[2] not in ("", "latest")


def test_what_runs_is_watched(made: Made) -> None:
    for pod in workloads(made).values():
        for each in pod["containers"]:
            assert "livenessProbe" in each
            assert ("readinessProbe" in each and "startupProbe" in each) is bool(each.get("ports"))


def test_no_secret_is_written_down(made: Made) -> None:
    assert "Secret" not in {each["kind"] for each in made}
    known = {"physlab-server", "physlab-database", "physlab-queue", "physlab-store"}
    for each in containers(made):
        for variable in each.get("env", ()):
            if "valueFrom" in variable:
                assert variable["valueFrom"]["secretKeyRef"]["name"] in known
            elif any(word in variable["name"] for word in ("PASSWORD", "AUTH", "KEY", "SECRET", "URL")):
                value = variable["value"]
                assert "://" not in value or "@" not in value or "$(" in value
                assert "://" in value or variable["name"].endswith(("_FILE", "_SECRET_NAME", "_SECRET_KEY"))


def test_rights_are_the_least_that_were_found_to_do(made: Made) -> None:
    roles = {each["metadata"]["name"]: each["rules"] for each in made if each["kind"] == "Role"}
    bindings = [each for each in made if each["kind"] == "RoleBinding"]
    assert roles == (ROLES if "physlab-worker" in workloads(made) else {})
    assert not [each for each in made if each["kind"].startswith("Cluster")]
    for each in bindings:
        name = each["metadata"]["name"]
        assert each["roleRef"]["name"] == name
        assert each["subjects"][0] == {"kind": "ServiceAccount", "name": name, "namespace": "physlab"}
        assert len(each["subjects"]) == 1 or name == "physlab-client"
    assert all(e["automountServiceAccountToken"] is False for e in made if e["kind"] == "ServiceAccount")


def test_the_worker_watches_its_own_namespace_and_shows_no_password(shipped: Made) -> None:
    [worker] = workloads(shipped)["physlab-worker"]["containers"]
    variables = {each["name"]: each.get("value") for each in worker["env"]}
    assert variables["PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_NAMESPACES"] == "physlab"
    [named] = (value for name, value in variables.items() if name.endswith("_AUTH_STRING_SECRET_NAME"))
    assert named == "physlab-server"
    assert worker["args"][:3] == ["prefect", "worker", "start"] and "--pool=physlab-k8s" in worker["args"]


def allowed(policies: Made, direction: str, component: str) -> set[tuple[str, int]]:
    """Return whom a pod may speak with within the namespace, and on which port; fails when nothing limits it."""
    label = "app.kubernetes.io/component"
    specs = [each["spec"] for each in policies if direction.title() in each["spec"]["policyTypes"]]
    mine = [each for each in specs if each["podSelector"].get("matchLabels", {label: component})[label] == component]
    assert mine, f"{component} has no limits on its {direction}"
    return {
        (peer["podSelector"]["matchLabels"][label], port["port"])
        for spec in mine
        for rule in spec.get(direction, ())
        for peer in rule[{"ingress": "from", "egress": "to"}[direction]]
        if "podSelector" in peer and "namespaceSelector" not in peer
        for port in rule["ports"]
    }


def test_each_reaches_what_it_needs_and_no_more(shipped: Made) -> None:
    policies = [each for each in shipped if each["kind"] == "NetworkPolicy"]
    for name in COMPONENTS:
        into = allowed(policies, "ingress", name)
        out = allowed(policies, "egress", name)
        assert into == {(source, port) for source, target, port in REACH if target == name}
        assert out == {(target, port) for source, target, port in REACH if source == name}


def test_the_how_to_brings_the_secrets(tmp_path: Path) -> None:
    """Its folder holds exactly the secrets that the shipped workloads ask for, and the lab's own image everywhere."""
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed here")
    (tmp_path / "physlab").symlink_to(root())
    [script] = (block for block in blocks("bash") if "mkdir secrets" in block)
    subprocess.run(["bash", "-euc", script], cwd=tmp_path, check=True, env={**os.environ, "HOME": str(tmp_path)})
    (tmp_path / "kustomization.yaml").write_text(next(blocks("yaml kustomization.yaml")))
    done = subprocess.run(["kubectl", "kustomize", tmp_path], check=True, capture_output=True, text=True)
    made = list(YAML(typ="safe").load_all(done.stdout))
    secrets = {each["metadata"]["name"]: set(each["data"]) for each in made if each["kind"] == "Secret"}
    asked: dict[str, set[str]] = {"physlab-queue": {"password"}, "physlab-database": {"password"}}
    for each in containers(made):
        for reference in (v["valueFrom"]["secretKeyRef"] for v in each.get("env", ()) if "valueFrom" in v):
            asked.setdefault(reference["name"], set()).add(reference["key"])
    assert secrets == asked
    assert "registry.my-lab.org/physlab:0.1.0" in {each["image"] for each in containers(made)}
    assert "registry.example.org" not in done.stdout
