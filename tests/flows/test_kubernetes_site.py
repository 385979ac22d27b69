"""Nodes in pods that Prefect's own worker starts: they give what this machine gives, and each end has its reason."""

from __future__ import annotations

import contextvars
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.states import Running

from physlab.engine.kubernetes import launcher
from physlab.engine.kubernetes.leftovers import TAG, cancel_leftovers
from physlab.engine.kubernetes.pool import FLOW, find_pool, make_pool
from physlab.engine.ownership import BORN, HOST, PID, POD, close_lost_runs, owner_labels
from physlab.errors import ConfigurationError
from physlab.lab import Lab
from physlab.model import RunRequest
from physlab.service import run_dag
from physlab.settings import load_settings
from physlab.testing import slurm
from physlab.testing.kubernetes import KubernetesCluster, missing_parts
from tests.architecture.source import ROOT
from tests.flows.conftest import PrefectServer
from tests.flows.podlab import IMAGE, KEYS, PodLab, bucket, keep_keys, make_test_pool, plan, worker
from tests.system.commandline import CommandLine
from tests.system.pilots import NAP, PILOT, asleep

pytestmark = [
    pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there"),
    pytest.mark.timeout(300),
]
POOL = "physlab-k8s"


@pytest.fixture(scope="module")
def cluster() -> Iterator[KubernetesCluster]:
    with KubernetesCluster.start(plan()) as cluster:
        yield cluster


@pytest.fixture
def lonely_cluster() -> Iterator[KubernetesCluster]:
    """A cluster that no other worker watches."""
    with KubernetesCluster.start(plan()) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def pool(_module_server: PrefectServer, cluster: KubernetesCluster, tmp_path_factory: Any) -> Iterator[None]:
    from tests.flows.conftest import talking_to

    with talking_to(_module_server), get_client(sync_client=True) as client:
        make_test_pool(client, cluster, POOL)
    with worker({"PREFECT_API_URL": _module_server.api_url}, cluster, tmp_path_factory.mktemp("worker"), POOL):
        yield


def test_pods_give_what_this_machine_gives(
    prefect_server: PrefectServer, pool: None, cluster: KubernetesCluster, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The exemplar goes through a bucket; pods have its keys from a Secret, and the programs in them do not."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    keep_keys(cluster)
    with bucket() as url:
        site = {"store": "s3://lab/exchange", "store_endpoint": url, "store_secret": "bucket"}
        compare(PodLab(tmp_path / "there", cluster, site), PodLab(tmp_path / "here", cluster))


def compare(there: PodLab, here: PodLab) -> None:
    """Run the exemplar on both sides."""
    graph = str(ROOT / "examples" / "hydrogen_2p.yaml")
    try:
        away, local = there.run(graph), here.run(graph, site="local", parallelism=2)
        assert away.status == "completed", [node.error for node in away.nodes]
        assert {node.site for node in away.nodes} == {"k8s"} and {node.site for node in local.nodes} == {"local"}
        for node in local.nodes:
            mine, theirs = here.made(local, node.id), there.made(away, node.id)
            assert mine.field_digests == theirs.field_digests and mine.key == theirs.key
            assert [item.sha256 for item in mine.artifacts] == [item.sha256 for item in theirs.artifacts]
        assert 0 < len(there.pods()) < len(away.nodes), "small nodes share a pod"
        look = {"id": "look", "tool": "shell",
                "params": {"command": "tr '\\0' '\\n' < /proc/$PPID/environ > env.txt; env >> env.txt",
                           "outputs": ["env.txt"]}}  # fmt: skip
        made = there.made(there.run({"metadata": {"title": "look"}, "nodes": [look]}), "look")
        [item] = [item for item in made.artifacts if item.name.endswith("env.txt")]
        seen = there.lab.store.blobs.read(item.sha256).decode()
        assert "PREFECT_API_URL" in seen and KEYS["AWS_SECRET_ACCESS_KEY"] not in seen and str(there.folder) not in seen
    finally:
        there.lab.close()
        here.lab.close()


def test_one_run_uses_this_machine_slurm_and_kubernetes(
    prefect_server: PrefectServer, pool: None, cluster: KubernetesCluster, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Files go from one to the next by content: none of the three sees a folder of another."""
    if missing := slurm.missing_parts():
        pytest.skip(missing)

    def step(site: str, command: str, **inputs: str) -> dict[str, Any]:
        params = {"command": command, "inputs": inputs, "outputs": [f"{site}.txt"]}
        return {"id": site, "tool": "shell", "params": params, "resources": {"site": site}}

    graph = {"metadata": {"title": "three sites"}, "nodes": [
        step("local", "seq 5 > local.txt"),
        step("hpc", "awk '{print $1 * $1}' given > hpc.txt", given="from:local.local"),
        step("k8s", "awk '{s += $1} END {print s}' given > k8s.txt", given="from:hpc.hpc"),
    ]}  # fmt: skip
    with slurm.SlurmCluster.start(slurm.ClusterPlan(nodes=1)) as machines:
        monkeypatch.setenv("SLURM_CONF", str(machines.conf))
        monkeypatch.setenv("PATH", machines.environment["PATH"])
        pilots = {f"sites.slurm.hpc.{name}": value for name, value in {**PILOT, "share_store": False}.items()}
        bench = PodLab(tmp_path / "lab", cluster, settings=pilots)
        try:
            record = bench.run(graph, site=None, offload_policy="auto")
            assert record.status == "completed", [node.error for node in record.nodes]
            assert {node.id: node.site for node in record.nodes} == {name: name for name in ("local", "hpc", "k8s")}
            assert {node.placement for node in record.nodes} == {"the node asks for it"}
            [total] = [item for item in bench.made(record, "k8s").artifacts if item.name.endswith("k8s.txt")]
            assert bench.lab.store.blobs.read(total.sha256) == b"55\n", "the squares of 1 to 5"
            here = bench.run(graph, site="local", refresh=True)
            assert {node.site for node in here.nodes} == {"local"}
            for node in record.nodes:
                theirs, mine = bench.made(record, node.id), bench.made(here, node.id)
                assert [one.sha256 for one in mine.artifacts] == [one.sha256 for one in theirs.artifacts]
        finally:
            bench.lab.close()


def test_pods_that_are_lost_are_replaced(
    prefect_server: PrefectServer, pool: None, cluster: KubernetesCluster, tmp_path: Path
) -> None:
    """One that ran out of memory gets more; one that was thrown out is run again; one that saves goes on there."""
    bench = PodLab(tmp_path / "lab", cluster, {"max_pods": 4})

    def waits(name: str, memory_gb: float) -> dict[str, Any]:
        mark = tmp_path / name
        command = f"if [ -e {mark} ]; then echo again > out.txt; else touch {mark}; sleep 200; fi"
        return {"id": name, "tool": "shell", "params": {"command": command, "outputs": ["out.txt"]},
                "resources": {"memory_gb": memory_gb}}  # fmt: skip

    light = {"id": "light", "tool": "constants_get", "params": {"name": "c"}}
    counts = (
        "trap 'echo 42 > state.txt; exit 85' USR1; until [ -e state.txt ]; do sleep 0.1; done; cp state.txt out.txt"
    )
    saves = {"id": "saves", "tool": "shell", "resources": {"memory_gb": 1.75},
             "params": {"command": f"touch {tmp_path}/saves; {counts}", "checkpoint": ["state.txt"],
                        "outputs": ["out.txt"]}}  # fmt: skip
    nodes = [waits("hungry", 1.5), waits("evicted", 1.25), saves, light]
    graph = {"metadata": {"title": "losses"}, "nodes": nodes}
    found: list[Any] = []
    context = contextvars.copy_context()  # which server is meant
    run = threading.Thread(target=lambda: found.append(context.run(bench.run, graph)))
    run.start()
    try:
        cluster.end_container(bench.running(tmp_path / "hungry", "1500M"), "OOMKilled")
        cluster.evict(bench.running(tmp_path / "evicted", "1250M"))
        cluster.run("delete", "pod", bench.running(tmp_path / "saves", "1750M"), "--wait=false")  # as for a drain
        run.join(200)
        [record] = found
        assert record.status == "completed", [node.error for node in record.nodes]
        nodes = {node.id: node for node in record.nodes}
        assert "OOMKilled" in nodes["hungry"].history[0] and "Tried again with 3 GB" in nodes["hungry"].history[0]
        assert nodes["evicted"].attempts == 2 and len(nodes["evicted"].history) == 1
        assert "3000M" in bench.pods().values()
        assert "saved where it was" in nodes["saves"].history[0] and nodes["saves"].attempts == 2
        [made] = [item for item in bench.made(record, "saves").artifacts if item.name.endswith("out.txt")]
        assert bench.lab.store.blobs.read(made.sha256) == b"42\n"
        with get_client(sync_client=True) as client:
            states = {run.name: run.run_count for run in client.read_flow_runs() if TAG in run.tags}
        assert set(states.values()) == {1}, "no flow run was started again behind the lab's back"
    finally:
        bench.lab.close()
        run.join(60)


def looked(cluster: KubernetesCluster) -> bool:
    """Say whether somebody but Prefect's observer has asked for all pods since the last time."""
    asked = [item for item in cluster.audit() if (item["verb"], item.get("resource")) == ("list", "pods")]
    return any("Generator" in item["agent"] for item in asked)


def messages() -> list[str]:
    """Return what the states of the pods' flow runs say."""
    with get_client(sync_client=True) as client:
        return [run.state.message or "" for run in client.read_flow_runs() if TAG in run.tags and run.state]


@pytest.mark.drill
def test_a_dead_worker_and_a_silent_api_cost_nothing_but_time(
    prefect_server: PrefectServer, lonely_cluster: KubernetesCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    """Pods end without a worker; one that dies unseen is missed; jobs that the API does not take are sent later."""
    cluster = lonely_cluster
    monkeypatch.setattr(launcher, "LOOK_S", 1.0)
    monkeypatch.setattr(launcher, "PAUSE_S", (0.3, 1.0))
    silent_s = 30 if request.config.getoption("--seeds") > 2 else 4
    here = {"PREFECT_API_URL": prefect_server.api_url}
    bench = PodLab(tmp_path / "lab", cluster, {"pool": "drill"})
    go, lost = tmp_path / "go", tmp_path / "lost"

    def step(name: str, command: str, memory_gb: float, **inputs: str) -> dict[str, Any]:
        params = {"command": f"touch {tmp_path}/{name}-began; {command}", "inputs": inputs, "outputs": ["out.txt"]}
        return {"id": name, "tool": "shell", "params": params, "resources": {"memory_gb": memory_gb}}

    graph = {"metadata": {"title": "drill"}, "nodes": [
        step("alone", f"until [ -e {go} ]; do sleep 0.1; done; echo 6 > out.txt", 1.1),
        step("unseen", f"[ -e {lost} ] || {{ touch {lost}; sleep 200; }}; echo 7 > out.txt", 1.2),
        step("after", "echo $(($(cat a) * $(cat b))) > out.txt", 1.3, a="from:alone.out", b="from:unseen.out"),
    ]}  # fmt: skip
    with get_client(sync_client=True) as client:
        make_test_pool(client, cluster, "drill")
    found: list[Any] = []
    context = contextvars.copy_context()  # which server is meant
    run = threading.Thread(target=lambda: found.append(context.run(bench.run, graph)))
    try:
        with worker(here, cluster, tmp_path, "drill") as first:
            run.start()
            pod = bench.running(tmp_path / "unseen-began", "1200M")
            bench.wait((tmp_path / "alone-began").exists, "the other runs")
            cluster.audit()
            bench.wait(lambda: looked(cluster), "the lab has seen them there")
            first.kill()
            first.wait()
        cluster.run("delete", "pod", pod, "--force", "--grace-period=0")
        go.touch()
        bench.wait(lambda: any("no worker told Prefect" in text for text in messages()), "the lab missed the pod")
        cluster.refuse(429, path=".*/jobs", verb="create", times=4)  # Prefect's worker tries it three times
        cluster.go_down(silent_s)
        with worker(here, cluster, tmp_path, "drill"):
            run.join(150)
        [record] = found
        assert record.status == "completed", [node.error for node in record.nodes]
        assert {node.id: node.attempts for node in record.nodes} == {"alone": 1, "unseen": 2, "after": 1}
        assert any("Unable to create Kubernetes job: Too Many Requests" in text for text in messages())
        [total] = [item for item in bench.made(record, "after").artifacts if item.name.endswith("out.txt")]
        assert bench.lab.store.blobs.read(total.sha256) == b"42\n"
    finally:
        bench.lab.close()
        run.join(60)


def test_an_image_that_cannot_be_pulled_is_not_tried_again(
    prefect_server: PrefectServer, pool: None, cluster: KubernetesCluster, tmp_path: Path
) -> None:
    bench = PodLab(tmp_path / "lab", cluster, {"image": "lab.example/none:1", "pending_s": 6})
    node = {"id": "light", "tool": "constants_get", "params": {"name": "c"}, "retries": 3}
    try:
        record = bench.run({"metadata": {"title": "image"}, "nodes": [node]})
        [failed] = record.nodes
        missing = [words for words in failed.history if "lab.example/none:1" in words]
        # a crowded machine may lose a pod before it comes so far
        assert len(missing) == 1 and failed.attempts <= 2 and failed.error is not None, failed.history
        assert "lab.example/none:1" in failed.error["message"] and "within 6 s" in failed.error["message"]
        flow_run = failed.error["details"]["flow_run"]

        def state() -> Any:
            with get_client(sync_client=True) as client:
                return client.read_flow_run(UUID(flow_run)).state

        assert state().is_cancelled()
        mine = ("get", "jobs,pods", "-l", f"prefect.io/flow-run-id={flow_run}", "-o", "name")
        cluster.wait("nothing of it is left", lambda: not cluster.run(*mine))
    finally:
        bench.lab.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_pod_and_goes_on_later(
    prefect_server: PrefectServer, pool: None, cluster: KubernetesCluster, tmp_path: Path, number: signal.Signals
) -> None:
    cli = CommandLine(tmp_path, {"PREFECT_API_URL": prefect_server.api_url})
    site = {"kubeconfig": str(cluster.kubeconfig), "image": IMAGE, "store": str(tmp_path / "exchange")}
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in site.items())
    (tmp_path / "physlab.toml").write_text(f"[sites.kubernetes.k8s]\n{lines}memory_gb = 1.4\n")
    began, go, other = tmp_path / "began", tmp_path / "go", tmp_path / "other.json"
    slow = {"command": f"touch {began}; test -e {go} || sleep {NAP}"}
    nodes = [{"id": "quick", "tool": "constants_get", "params": {"name": "c"}, "resources": {"site": "local"}},
             {"id": "slow", "tool": "shell", "params": slow, "dependencies": ["quick"]}]  # fmt: skip
    (tmp_path / "graph.json").write_text(json.dumps({"metadata": {"title": "stopped"}, "nodes": nodes}))
    run = cli.start(
        "run", "graph.json", "--site", "k8s",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    PodLab.wait(began.exists, "the slow node runs")
    run.send_signal(number)
    run.communicate()
    assert run.returncode == (130 if number is signal.SIGINT else -9)
    go.touch()
    if number is signal.SIGKILL:  # any run of this machine cleans up
        other.write_text(json.dumps({"nodes": nodes[:1]}))
        cli.run("run", "other.json", "--site", "local")
    PodLab.wait(lambda: not asleep(), "no program is left", 40)
    cluster.wait("no pod runs", lambda: "Running" not in cluster.run("get", "pods", "-o", "jsonpath={..phase}"))
    reply = cli.json("run", "graph.json", "--site", "k8s", "--json")
    assert {node["id"]: node["status"] for node in reply["nodes"]} == {"quick": "cached", "slow": "completed"}


def test_what_a_killed_run_left_is_cancelled(prefect_server: PrefectServer) -> None:
    gone = {**owner_labels(), PID: 2**22 + 1, POD: "k8s"}
    mine = {**owner_labels(), POD: "k8s"}
    with get_client(sync_client=True) as client:
        ready = make_pool(client, "leftovers")

        def start(labels: dict[str, Any]) -> UUID:
            return client.create_flow_run_from_deployment(
                ready.deployment, parameters={"order": "0", "store": "/nowhere"}, tags=[TAG], labels=labels
            ).id

        waits, runs, other = start(gone), start(gone), start(mine)
        client.set_flow_run_state(runs, Running(), force=True)
        assert HOST in gone and BORN in gone and runs not in close_lost_runs(), "its pod still runs: it is cancelled"
        assert set(cancel_leftovers(client)) == {waits, runs}
        states = {run: client.read_flow_run(run).state for run in (waits, runs, other)}
        assert states[waits].is_cancelled() and states[runs].is_cancelling() and states[other].is_scheduled()  # type: ignore[union-attr]
        client.set_flow_run_state(other, Running(), force=True)


def test_a_pool_of_another_making_is_refused(prefect_server: PrefectServer) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate

    with get_client(sync_client=True) as client:
        with pytest.raises(ConfigurationError, match="no work pool 'none'"):
            find_pool(client, "none", "k8s")
        client.create_work_pool(WorkPoolCreate(name="plain", type="kubernetes"))
        with pytest.raises(ConfigurationError, match="has no variables deadline_s, env_from"):
            find_pool(client, "plain", "k8s")
        assert find_pool(client, make_pool(client, "plain").name, "k8s").name == "plain"
        assert client.read_deployment_by_name(f"{FLOW}/plain").work_pool_name == "plain"


def test_without_a_server_nothing_goes_to_a_pod(tmp_path: Path) -> None:
    given = {"home": str(tmp_path / "home"), "results": str(tmp_path / "results"), "sites.kubernetes.k8s.store": "/x"}
    nodes = [{"id": "c", "tool": "constants_get", "params": {"name": "c"}}]
    with Lab(load_settings(tmp_path, overrides=given, environ={})) as lab:
        assert [site.name for site in lab.clusters()] == ["k8s"], "a plan shows it"
        with pytest.raises(ConfigurationError, match="this run has none"):
            run_dag(lab, {"nodes": nodes}, RunRequest(site="k8s"))
        body = run_dag(lab, {"nodes": nodes}, RunRequest(offload_policy="remote_first")).body
        assert lab.find_run(body["run_id"]).nodes[0].site == "local"
