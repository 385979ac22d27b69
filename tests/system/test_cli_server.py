"""Runs on the lab's own Prefect server, started by the first of them and stopped at the end."""

from __future__ import annotations

import base64
import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.empty_base import furnish
from tests.system.commandline import CommandLine
from tests.system.test_cli_signals import SECONDS, asleep, belonging, heard, wait_until


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory, prefect_base: Path) -> Iterator[CommandLine]:
    """A lab whose server is started by a first run."""
    cli = CommandLine(tmp_path_factory.mktemp("lab"))
    furnish(cli.home, prefect_base)
    write(cli, "wrong.json", {"id": "a", "tool": "constants_gett", "params": {}})
    write(cli, "light.json", {"id": "light", "tool": "constants_get", "params": {"name": "c"}})
    assert "constants_gett" in cli.run("run", "wrong.json", code=1).stderr
    assert "'b'" in cli.run("run", "light.json", "--refresh-node", "b", code=1).stderr
    assert cli.json("server", "status", "--json")["running"] is False  # none is started for a wrong graph or wish
    first = cli.run("run", "light.json")
    assert first.stderr.count("Starting the lab's Prefect server") == 1 and "physlab server down" in first.stderr
    assert "1 node done: 1 computed." in first.stdout
    yield cli
    assert cli.json("server", "down", "--json") == {"stopped": True}
    assert "was not running" in cli.run("server", "down").stdout
    wait_until(lambda: not belonging(cli))


def write(cli: CommandLine, name: str, *nodes: dict[str, Any]) -> None:
    (cli.folder / name).write_text(json.dumps({"title": name, "nodes": nodes}))


def ask(cli: CommandLine, path: str, **body: Any) -> Any:
    """Ask the Prefect API of the lab's server."""
    info = cli.json("server", "status", "--json")
    token = base64.b64encode(info["auth"].encode()).decode()
    request = urllib.request.Request(  # noqa: S310  our own server
        f"{info['api_url']}/{path}",
        json.dumps(body).encode(),
        {"Authorization": f"Basic {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as reply:  # noqa: S310
        return json.load(reply)


def test_a_run_is_recorded_and_says_nothing_else(cli: CommandLine) -> None:
    done = cli.run("run", "light.json", "--refresh")
    assert "Starting" not in done.stderr and "Flow run" not in done.stderr
    reply = cli.json("run", "light.json", "--refresh", "--json")
    assert reply["meta"]["recorded"] == reply["meta"]["executed"] == 1
    flow_runs = ask(cli, "flow_runs/filter", sort="EXPECTED_START_TIME_DESC", limit=1)
    assert flow_runs[0]["state"]["type"] == "COMPLETED"
    assert flow_runs[0]["parameters"]["run_id"] == reply["run_id"]


def test_prefects_own_log_comes_with_verbose(cli: CommandLine) -> None:
    told = CommandLine(cli.folder, {"PYTHONPROFILEIMPORTTIME": "1"}).run("run", "light.json", "-v").stderr
    assert "Flow run" in told
    loaded = {line.rpartition("|")[2].strip() for line in told.splitlines() if line.startswith("import time:")}
    assert "prefect.flow_engine" in loaded
    assert not {"distributed", "kubernetes_asyncio"} & loaded, "what this run does not use is not loaded"


def test_the_status_is_told(cli: CommandLine) -> None:
    said = cli.run("server", "status").stdout
    assert "running" in said and "http://127.0.0.1:" in said and "physlab server down" in said
    assert cli.json("server", "up", "--json")["started"] is False
    findings = {item["name"]: item for item in cli.json("doctor", "--json")["findings"]}
    assert "running at http://127.0.0.1:" in findings["prefect"]["found"]


def test_a_failed_run_is_a_failed_flow_and_one_object(cli: CommandLine) -> None:
    write(cli, "bad.json", {"id": "bad", "tool": "shell", "params": {"command": "echo no signal; exit 3"}})
    reply = cli.json("run", "bad.json", "--json", code=1)
    assert reply["status"] == "failed" and reply["error"]["code"] == "COMPUTATION_ERROR"
    assert "no signal" in reply["nodes"][0]["error"]["message"]
    assert ask(cli, "flow_runs/filter", sort="EXPECTED_START_TIME_DESC", limit=1)[0]["state"]["type"] == "FAILED"


def test_a_call_runs_a_graph_as_a_flow(cli: CommandLine) -> None:
    before = ask(cli, "flow_runs/count")
    reply = cli.json("call", "-", stdin=json.dumps({"tool": "run_dag", "params": {"dag_id": "light.json"}}))
    assert reply["status"] == "completed" and reply["meta"]["cache_hits"] == 1
    spec = {"tool": "run_dag", "params": {"dag_id": {"nodes": [{"tool": "constants_get", "name": "h"}]}}}
    assert cli.json("call", "-", stdin=json.dumps(spec))["meta"]["computed"] == 1
    assert ask(cli, "flow_runs/count") == before + 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_no_process_and_no_running_flow(cli: CommandLine, number: signal.Signals) -> None:
    last = {"id": "last", "tool": "shell", "params": {"command": f"sleep {SECONDS}"}}
    write(cli, "long.json", {"id": "light", "tool": "constants_get", "params": {"name": "c"}}, last)
    process = cli.start("run", "long.json", preexec_fn=lambda: heard(number))
    wait_until(lambda: asleep(cli))
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == 128 + number and "Traceback" not in out + err
    assert "1 of 2 nodes finished and kept. Resume with: physlab run long.json" in err
    server = cli.json("server", "status", "--json")["pid"]
    wait_until(lambda: [found.pid for found in belonging(cli)] == [server])
    assert ask(cli, "flow_runs/filter", sort="EXPECTED_START_TIME_DESC", limit=1)[0]["state"]["type"] == "CRASHED"
    assert cli.json("runs", "--json", "-n", "1")["runs"][0]["status"] == "cancelled"
