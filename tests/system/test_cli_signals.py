"""Signals and sudden death during a run: nothing is left behind, nothing finished is lost."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.commandline import CommandLine

SECONDS = "86.4"


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    cli = CommandLine(tmp_path)
    write(cli, f"sleep {SECONDS}")
    return cli


def write(cli: CommandLine, last: str) -> None:
    nodes = [
        {"id": "first", "tool": "shell", "params": {"command": "echo 1 > a.txt", "outputs": ["a.txt"]}},
        {"id": "last", "tool": "shell", "params": {"command": last, "inputs": {"a.txt": "from:first.a"}}},
    ]
    (cli.folder / "long.json").write_text(json.dumps({"title": "Long", "nodes": nodes}))


def wait_until(happened: Callable[[], Any], seconds: float = 120.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := happened()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return value


def belonging(cli: CommandLine) -> list[psutil.Process]:
    """Return the living processes of this lab: by their working folder or by their command."""
    found = []
    for process in psutil.process_iter(["pid", "status", "cwd", "cmdline"]):
        about = [process.info["cwd"] or "", *(process.info["cmdline"] or ())]
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(cli.folder) in text for text in about):
            found.append(process)
    return found


def asleep(cli: CommandLine) -> list[psutil.Process]:
    return [process for process in belonging(cli) if SECONDS in (process.info["cmdline"] or ())]


def heard(number: signal.Signals) -> None:
    """Let a child hear signals, whatever the test runner ignores."""
    signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_leaves_nothing_and_is_resumed(cli: CommandLine, number: signal.Signals) -> None:
    listen = None if number == signal.SIGKILL else lambda: heard(number)
    process = cli.start("run", "long.json", "--no-server", preexec_fn=listen)
    wait_until(lambda: asleep(cli))
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    wait_until(lambda: not belonging(cli))
    [row] = cli.json("runs", "--json")["runs"]
    if number == signal.SIGKILL:
        assert row["status"] == "interrupted"
        assert cli.json("show", row["run_id"], "--json")["made"] == ["first"]
        assert "ended without a word" in cli.run("show", row["run_id"]).stdout
    else:
        assert row["status"] == "cancelled"
        assert "1 of 2 nodes finished and kept. Resume with: physlab run long.json" in err
        assert "Traceback" not in out + err
    write(cli, "cat a.txt")
    reply = cli.json("run", "long.json", "--no-server", "--json")
    assert {node["id"]: node["status"] for node in reply["nodes"]} == {"first": "cached", "last": "completed"}


def test_a_stopped_run_says_so_in_json(cli: CommandLine) -> None:
    process = cli.start("run", "long.json", "--no-server", "--json", preexec_fn=lambda: heard(signal.SIGINT))
    wait_until(lambda: asleep(cli))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == 130
    assert "Resume with" in json.loads(out)["error"]["hint"]


def test_a_run_in_the_background_is_followed_and_stopped(cli: CommandLine) -> None:
    started = cli.json("run", "long.json", "--no-server", "--detach", "--json")
    wait_until(lambda: asleep(cli))
    follower = cli.start("attach", started["run_id"], preexec_fn=lambda: heard(signal.SIGINT))
    assert follower.stderr is not None
    lines = [follower.stderr.readline() for _ in range(2)]
    assert "Long · 2 nodes" in lines[0] and "✓ first" in lines[1]
    follower.send_signal(signal.SIGINT)
    assert "goes on in the background" in follower.communicate()[1] and follower.returncode == 130
    assert asleep(cli)
    assert cli.json("runs", "--json")["runs"][0]["status"] == "running"
    assert cli.json("stop", "latest", "--json") == {"run_id": started["run_id"], "stopped": True}
    wait_until(lambda: not belonging(cli))
    assert cli.json("attach", started["run_id"], "--json", code=1)["error"]["message"] == "The run was stopped."
    assert cli.json("stop", "latest", "--json")["stopped"] is False
    write(cli, "cat a.txt")
    again = cli.json("run", "long.json", "--no-server", "--detach", "--report", "-j", "1", "--keep-going", "--json")
    done = cli.json("attach", again["run_id"], "--json")
    assert Path(done["report"]).read_bytes().startswith(b"%PDF")
    assert done["status"] == "completed" and done["run_id"] == again["run_id"] and done["meta"]["cache_hits"] == 1


def test_a_killed_run_in_the_background_is_told(cli: CommandLine) -> None:
    started = cli.json("run", "long.json", "--no-server", "--detach", "--json")
    wait_until(lambda: asleep(cli))
    psutil.Process(started["pid"]).kill()
    assert "ended without a word" in cli.run("attach", started["run_id"], code=1).stderr
    wait_until(lambda: not belonging(cli))
    assert "No run 'x'" in cli.run("attach", "x", code=1).stderr
