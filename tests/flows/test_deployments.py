"""`deployments/prefect.yaml`: names every flow, loads each, and deploys them to a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from physlab import service
from physlab.engine.backups import activate_schedule
from physlab.engine.locator import flow_names, load_flow, root, set_root
from physlab.engine.ownership import is_gone
from physlab.engine.server import ServerInfo, connected, ensure_server, environment, stop_server
from physlab.lab import Lab
from physlab.service.backup import restore_backup
from physlab.settings import child_environment, load_settings
from tests.empty_base import furnish
from tests.unit.backuplab import missing_parts


@pytest.fixture(scope="module")
def plan() -> dict[str, Any]:
    return dict(YAML(typ="safe").load(root() / "deployments" / "prefect.yaml"))


@contextmanager
def server_of(home: Path) -> Iterator[ServerInfo]:
    """Start the server of a home, and stop it."""
    settings = load_settings(home.parent, {"home": home}, environ={"HOME": str(home.parent)})
    yield ensure_server(settings)
    stop_server(settings)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, prefect_base: Path) -> Iterator[ServerInfo]:
    home = tmp_path_factory.mktemp("lab") / "home"
    furnish(home, prefect_base)
    with server_of(home) as server:
        yield server


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
    names = [word for pool in ("lab", "hpc", "physlab-k8s") for word in ("--name", f"*/{pool}")]
    prefect(server, "--no-prompt", "deploy", *names, "--prefect-file", "deployments/prefect.yaml", cwd=root())
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
            shown = [(item.schedule.cron, item.active) for item in found.schedules]
            assert shown == [(item["cron"], item["active"]) for item in deployment["schedules"]]
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
    given = json.dumps({"artifacts": [str(tmp_path / "four.yaml")], "params_json": {"n": 4}, "tag": "deployed"})
    prefect(deployed, "deployment", "run", "artifact-versioning/lab", "--params", given, cwd=tmp_path)
    noted = {"title": "Deployed", "session_id": "worker", "attach_artifacts": [str(tmp_path / "four.yaml")]}
    prefect(deployed, "deployment", "run", "lab-notebook/lab", "--params", json.dumps(noted), cwd=tmp_path)
    prefect(deployed, "worker", "start", "--pool", "lab", "--run-once", cwd=tmp_path, **home)
    with connected(deployed), get_client(sync_client=True) as client:
        runs = client.read_flow_runs()
        assert len(runs) == 3 and all(run.state is not None and run.state.is_completed() for run in runs), runs
        [flow_run] = [run for run in runs if "parallelism" in run.parameters]
        assert is_gone(flow_run.labels)  # it was claimed by its process, which has ended
        assert sorted(run.state_name or "" for run in client.read_task_runs()) == ["Completed", "Completed"]
    assert list((tmp_path / "results").rglob("*")) != []
    with Lab(load_settings(tmp_path, {"home": home["PHYSLAB_HOME"]}, environ={"HOME": str(tmp_path)})) as lab:
        known = service.find_version(lab, "deployed")
        assert known.version.params == {"n": 4} and known.version.artifact == str(tmp_path / "four.yaml")
        [entry] = service.list_entries(lab, "worker")
        assert (entry["title"], entry["attachments"]) == ("Deployed", 1) and service.verify_notebook(lab)["ok"]
    [page] = (tmp_path / "results" / "notebooks" / "worker").iterdir()
    assert page.name == f"{entry['entry_id']}-r1.pdf" and page.read_bytes().startswith(b"%PDF-")


def test_s38_the_daily_backup_runs_as_deployed_and_its_server_comes_back(deployed: ServerInfo, tmp_path: Path) -> None:
    """Its schedule is active and seen; a worker backs the lab up; what fails is an event for automations."""
    from prefect import get_client

    if missing := missing_parts():
        pytest.skip(missing)
    assert deployed.folder is not None
    home = deployed.folder.parent
    (tmp_path / "physlab.toml").write_text(f'[backup]\nrepository = "{tmp_path / "repository"}"\n')
    settings = load_settings(tmp_path, {"home": home}, environ={"HOME": str(tmp_path)})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        active = activate_schedule(settings, "15 2 * * *", "Europe/Berlin")
    assert active is not None and active["deployment"] == "daily-backup/lab" and active["next_run"].endswith("+00:00")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "physlab.toml").write_text(f'[backup]\nrepository = "{tmp_path / "repository"}"\nalso = ["nowhere"]\n')
    prefect(deployed, "deployment", "run", "daily-backup/lab", cwd=tmp_path)
    with connected(deployed), get_client(sync_client=True) as client:
        found = client.read_deployment_by_name("daily-backup/lab")
        assert [(item.schedule.cron, item.schedule.timezone, item.active) for item in found.schedules] == [
            ("15 2 * * *", "Europe/Berlin", True)
        ]
        client.create_flow_run_from_deployment(found.id, parameters={"folder": str(broken)})
    prefect(deployed, "worker", "start", "--pool", "lab", "--run-once", cwd=tmp_path)  # both: one waits for the other
    with connected(deployed), get_client(sync_client=True) as client:
        begun = [run for run in client.read_flow_runs() if run.deployment_id == found.id and not run.auto_scheduled]
        ended = sorted((run.state.type.value if run.state else "", run.state.message or "") for run in begun)
        assert [state for state, _ in ended] == ["COMPLETED", "FAILED"], ended
        assert "nowhere" in ended[-1][1]
        asked = {"filter": {"event": {"prefix": ["physlab.backup."]}}}
        events = client.request("POST", "/events/filter", json=asked).json()["events"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PHYSLAB_HOME", str(home))
            drilled = load_flow("backup_drill")(folder=str(tmp_path))
    assert restore_backup(settings, "latest", tmp_path / "again")["ok"]
    with server_of(tmp_path / "again") as other, connected(other), get_client(sync_client=True) as client:
        assert {run.id for run in begun} <= {
            run.id for run in client.read_flow_runs()
        }  # they were known when it was made
    assert drilled["ok"] and drilled["measured"]["equal"] == drilled["measured"]["files"]
    assert {event["event"] for event in events} == {"physlab.backup.completed", "physlab.backup.failed"}
    assert all(event["resource"]["prefect.resource.id"].startswith("physlab.backup.") for event in events)


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
