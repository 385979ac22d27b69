"""`deployments/prefect.yaml`: names every flow, loads each, and deploys them to a real server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from physlab.engine.locator import flow_names, load_flow, root, set_root
from physlab.engine.ownership import is_gone
from physlab.engine.server import ServerInfo, connected, ensure_server, environment, stop_server
from physlab.settings import child_environment, load_settings


@pytest.fixture(scope="module")
def plan() -> dict[str, Any]:
    return dict(YAML(typ="safe").load(root() / "deployments" / "prefect.yaml"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerInfo]:
    base = tmp_path_factory.mktemp("lab")
    settings = load_settings(base, {"home": base / "home"}, environ={"HOME": str(base)})
    yield ensure_server(settings)
    stop_server(settings)


def prefect(server: ServerInfo, *arguments: str, cwd: Path, **variables: str) -> str:
    variables = {**environment(server), "PYTHONPATH": str(root()), **variables}
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *arguments],
        cwd=cwd,
        env=child_environment(variables, drop_prefix="PREFECT_"),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def deployed(server: ServerInfo) -> ServerInfo:
    """The server, after everything was deployed to a pool of it."""
    prefect(server, "work-pool", "create", "lab", "--type", "process", cwd=root())
    prefect(server, "work-pool", "create", "hpc", "--type", "physlab-slurm", cwd=root())
    template = "deployments/kubernetes/chart/pool.json"
    prefect(
        server, "work-pool", "create", "physlab-k8s", "--type", "kubernetes", "--base-job-template", template,
        cwd=root(),
    )  # fmt: skip
    for name in ("*/lab", "*/hpc", "*/physlab-k8s"):
        prefect(
            server, "--no-prompt", "deploy", "--name", name, "--prefect-file", "deployments/prefect.yaml", cwd=root()
        )
    return server


def test_every_flow_is_deployed_once(plan: dict[str, Any]) -> None:
    entrypoints = {deployment["entrypoint"]: [] for deployment in plan["deployments"]}
    for deployment in plan["deployments"]:
        entrypoints[deployment["entrypoint"]].append(deployment["name"])
        assert deployment["description"] and "physlab" in deployment["tags"]
        assert deployment["work_pool"]["name"] == deployment["name"]  # a deployment is called after its pool
    assert entrypoints.pop("flows/run_dag.py:run_dag") == ["lab", "hpc"]
    assert entrypoints.pop("flows/run_node.py:run_node") == ["physlab-k8s"]
    names = [name for name in flow_names() if name not in ("run_dag", "run_node")]
    assert entrypoints == {f"flows/{name}.py:{name}": ["lab"] for name in names}
    assert plan["pull"] == [{"physlab.engine.locator.set_root": {}}]


@pytest.mark.parametrize("name", flow_names())
def test_every_entrypoint_loads_under_its_own_name(name: str) -> None:
    flow = load_flow(name)
    assert flow.name == name.replace("_", "-")
    assert flow.fn.__name__ == name and flow.fn.__doc__


def test_default_parameters_fit_their_flow(plan: dict[str, Any]) -> None:
    for deployment in plan["deployments"]:
        flow = load_flow(deployment["entrypoint"].rpartition(":")[2])
        assert set(deployment["parameters"]) <= set(flow.parameters.properties)


def test_all_are_deployed_from_the_root(deployed: ServerInfo, plan: dict[str, Any]) -> None:
    from prefect import get_client

    with connected(deployed), get_client(sync_client=True) as client:
        for deployment in plan["deployments"]:
            flow = deployment["entrypoint"].rpartition(":")[2].replace("_", "-")
            found = client.read_deployment_by_name(f"{flow}/{deployment['name']}")
            assert found.pull_steps == [{"physlab.engine.locator.set_root": {}}]
            assert (found.entrypoint, found.work_pool_name) == (deployment["entrypoint"], deployment["name"])
            schedules = [(item.schedule.cron, item.active) for item in found.schedules]
            assert schedules == [(item["cron"], item["active"]) for item in deployment["schedules"]]
            assert set(found.tags) == set(deployment["tags"])


EXPERIMENT = """
title: Four
nodes:
  - {id: two, tool: cas, method: evaluate, params: {expr: 1 + 1}}
  - {id: four, tool: cas, method: evaluate, params: {expr: 2 * 2}, dependencies: [two]}
"""


def test_a_worker_runs_what_is_deployed(deployed: ServerInfo, tmp_path: Path) -> None:
    from prefect import get_client

    (tmp_path / "four.yaml").write_text(EXPERIMENT)
    home = {
        "PHYSLAB_HOME": str(deployed.folder and deployed.folder.parent),
        "PHYSLAB_RESULTS": str(tmp_path / "results"),
    }
    run = ("deployment", "run", "run-dag/lab", "-p", f"dag={tmp_path / 'four.yaml'}", "-p", "parallelism=1")
    prefect(deployed, *run, cwd=tmp_path)
    prefect(deployed, "worker", "start", "--pool", "lab", "--run-once", cwd=tmp_path, **home)
    with connected(deployed), get_client(sync_client=True) as client:
        [flow_run] = client.read_flow_runs()
        assert flow_run.state is not None and flow_run.state.is_completed(), flow_run.state
        assert is_gone(flow_run.labels)  # it was claimed by its process, which has ended
        assert sorted(run.state_name or "" for run in client.read_task_runs()) == ["Completed", "Completed"]
    assert list((tmp_path / "results").rglob("*")) != []


def test_the_pull_step_points_at_the_flows() -> None:
    assert (Path(set_root()["directory"]) / "flows").is_dir()


@pytest.mark.parametrize("block", ["artifact_store", "local_lab", "slurm_site"])
def test_blocks_are_saved_by_running_their_file(server: ServerInfo, block: str, tmp_path: Path) -> None:
    from physlab.engine.blocks import settings_from_block

    variables = {**environment(server), "PYTHONPATH": str(root()), "PHYSLAB_HOME": str(tmp_path / "lab")}
    (tmp_path / "physlab.toml").write_text('[sites.slurm.hpc]\npartition = "main"\nprologue = ["module load python"]\n')
    subprocess.run(
        [sys.executable, root() / "blocks" / f"{block}.py"],
        cwd=tmp_path,
        env=child_environment(variables, drop_prefix="PREFECT_"),
        check=True,
    )
    with connected(server):
        from physlab.engine.blocks import ArtifactStore, SlurmSite

        if block == "artifact_store":
            assert ArtifactStore.load("lab", _sync=True).home == str(tmp_path / "lab")  # type: ignore[union-attr,call-arg]
        elif block == "slurm_site":
            site = SlurmSite.load("hpc", _sync=True)  # type: ignore[call-arg]
            assert (site.partition, site.prologue, site.cpus) == ("main", ("module load python",), 4)  # type: ignore[union-attr]
        else:
            assert settings_from_block("lab", tmp_path).home == tmp_path / "lab"
