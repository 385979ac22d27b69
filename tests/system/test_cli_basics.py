"""The command line before anything was run: help, completion, wrong use, settings, tools, doctor."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.commandline import CommandLine

COMMANDS = {"define", "validate", "plan", "run", "report", "attach", "stop", "runs", "show", "why", "cache", "call"}
GROUPS = {"tools", "config", "server", "store", "doctor", "job"}
HEAVY = ("numpy", "pydantic", "sqlalchemy", "prefect", "networkx", "matplotlib", "psutil")


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def test_help_lists_every_command(cli: CommandLine) -> None:
    assert set(cli.run("--help").stdout.split()) >= COMMANDS | GROUPS
    assert cli.run().stdout == cli.run("-h").stdout


@pytest.mark.parametrize("module", ["physlab.cli", "physlab.cli.app", "physlab.__main__"])
def test_the_command_line_is_light_to_import(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_help_makes_nothing_on_disk(cli: CommandLine) -> None:
    cli.run("run", "--help")
    cli.run("--version")
    assert list(cli.folder.iterdir()) == []


def test_completion_knows_the_commands(cli: CommandLine) -> None:
    asked = {"_PHYSLAB_COMPLETE": "complete_bash", "COMP_WORDS": "physlab val", "COMP_CWORD": "1"}
    assert CommandLine(cli.folder, asked).run().stdout.split() == ["validate"]
    shell = {"_PHYSLAB_COMPLETE": "source_bash"}
    assert "_PHYSLAB_COMPLETE=complete_bash" in CommandLine(cli.folder, shell).run().stdout


def test_a_wrong_command_is_told(cli: CommandLine) -> None:
    err = cli.run("valdate", code=2).stderr
    assert "Did you mean 'validate'?" in err and "physlab --help" in err
    assert "16" in cli.run("run", "x.yaml", "-j", "17", code=2).stderr
    error = cli.json("run", "--json", code=2)["error"]
    assert error["code"] == "VALIDATION_ERROR" and "DAG" in error["message"] and "run --help" in error["hint"]


def test_a_method_is_shown_by_its_name_alone(cli: CommandLine) -> None:
    shown = cli.json("tools", "show", "plot.function_2d", "--json")
    assert cli.json("tools", "plot.function_2d", "--json") == shown
    assert cli.run("tools", "plot").stdout == cli.run("tools", "show", "plot").stdout
    assert "No such command 'lits'" in cli.run("tools", "lits", code=2).stderr


def test_an_unknown_graph_is_told(cli: CommandLine) -> None:
    assert "There is no DAG 'nothing'" in cli.run("validate", "nothing", code=1).stderr
    error = cli.json("plan", "nothing.yaml", "--json", code=1)["error"]
    assert set(error) == {"code", "message", "hint", "details"} and "nothing.yaml" in error["message"]


def test_a_wrong_setting_is_told(cli: CommandLine) -> None:
    (cli.folder / "physlab.toml").write_text("[run]\nparallelism = 99\n")
    err = cli.run("runs", code=1).stderr
    assert "physlab.toml:2" in err and "99" in err
    findings = {item["name"]: item for item in cli.json("doctor", "--json", code=1)["findings"]}
    assert findings["settings"]["state"] == "fail"


def test_config_says_where_a_value_came_from(cli: CommandLine) -> None:
    (cli.folder / "physlab.toml").write_text("[run]\nfail_fast = true\n")
    found = CommandLine(cli.folder, {"PHYSLAB_RUN__PARALLELISM": "4"}).json("config", "show", "--json")
    assert found["run.parallelism"] == {"value": 4, "origin": "environment PHYSLAB_RUN__PARALLELISM"}
    assert found["run.fail_fast"] == {"value": True, "origin": f"{cli.folder / 'physlab.toml'}:2"}
    assert "run.fail_fast" in cli.run("config", "show", "--changed").stdout


def test_a_tool_shows_its_parameters(cli: CommandLine) -> None:
    shown = cli.run("tools", "show", "data.series").stdout
    assert "expression" in shown and "[needed]" in shown and "cap samples" in shown
    described = cli.json("tools", "show", "cas.diff", "--json")
    assert described["params"]["type"] == "object" and described["returns"]
    listed = {tool["name"] for tool in cli.json("tools", "list", "--json")["tools"]}
    assert {"cas.diff", "constants_get", "plot.function_2d"} <= listed
    assert "cas.diff" in cli.run("tools").stdout
    assert "Did you mean 'diff'?" in cli.run("tools", "show", "cas.dif", code=1).stderr


def test_doctor_finds_the_lab_ready(cli: CommandLine) -> None:
    found = cli.json("doctor", "--json")
    assert found["ok"] and {item["state"] for item in found["findings"]} <= {"ok", "warn"}
    (cli.folder / "file").write_text("")
    blocked = CommandLine(cli.folder, {"PHYSLAB_HOME": str(cli.folder / "file" / "home")})
    states = {item["name"]: item["state"] for item in blocked.json("doctor", "--json", code=1)["findings"]}
    assert states["home"] == "fail"


def test_a_fault_is_written_down_and_not_thrown(cli: CommandLine) -> None:
    code = (
        "import sys; from unittest import mock; from physlab.cli.boundary import run_command\n"
        "with mock.patch('physlab.settings.shown', side_effect=ZeroDivisionError('oops')):\n"
        "    sys.exit(run_command(['config', 'show', '--json']))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=cli.folder, env=cli.environment, capture_output=True, text=True
    )
    assert process.returncode == 1 and process.stderr == ""
    error = json.loads(process.stdout)["error"]
    assert "A fault of physlab: ZeroDivisionError: oops" in error["message"]
    [file] = (cli.home / "faults").iterdir()
    assert str(file) == error["details"]["fault"] and "Traceback" in file.read_text()


def test_a_closed_pipe_is_no_fault(cli: CommandLine) -> None:
    with cli.start("tools", "list") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
