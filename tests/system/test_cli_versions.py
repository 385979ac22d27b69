"""Versions on a terminal of 80 columns: what is copied from it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.commandline import CommandLine

GRAPH = """
metadata: {title: A graph with a title that is longer than the room of a narrow terminal has for it}
nodes:
  - {id: state, tool: data, method: import_csv, params: {file: t.csv}}
  - {id: table, tool: data, method: export_csv, params: {columns: {t: "from:state.x", y: "from:state.y"}, name: out}}
"""


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, {"COLUMNS": "80", "PHYSLAB_SERVER__MODE": "none"})


def test_a_table_of_80_columns_breaks_no_name(cli: CommandLine) -> None:
    (cli.folder / "set").mkdir()
    for name in ("a", "b", "c"):
        (cli.folder / "set" / name).write_text(name)
    (cli.folder / "slope.csv").write_text("slope\n1\n")
    cli.run("version", "add", "slope.csv", "set", "--param", "a_parameter_with_a_long_name=some_long_value_of_it")
    lines = cli.run("version", "log").stdout.splitlines()
    assert any(line.startswith("slope.csv@1 ") for line in lines) and max(map(len, lines)) <= 80
    assert cli.run("version", "label", "set", "hold", "--why", "the audit").stdout.startswith(
        "✓ set@1 is hold: sha256:"
    )
    cli.run("version", "label", "slope.csv", "private")
    lines = cli.run("version", "label").stdout.splitlines()
    assert len(lines) == 4, "a folder is one line, not one for each file"
    assert lines[2].split() == ["set@1", "(3", "files)", *lines[2].split()[3:4], "hold", "the", "audit"]
    assert lines[3].startswith("slope.csv@1 ")
    for record in cli.json("version", "label", "--json")["labels"]:
        assert record["name"] in ("set@1", "slope.csv@1") and record["files"] in (3, None)


def test_the_chain_of_a_result_names_everything_once(cli: CommandLine) -> None:
    (cli.folder / "t.csv").write_text("x,y\n1,1\n2,2\n")
    (cli.folder / "graph.yaml").write_text(GRAPH)
    cli.run("run", "graph.yaml", "--no-server", "--results", "results")
    run = cli.json("runs", "--json")["runs"][0]["run_id"]
    lines = cli.run("runs").stdout.splitlines()
    assert max(map(len, lines)) <= 80 and any(run in line and "…" in line for line in lines)
    [made] = (cli.folder / "results").rglob("table_out.csv")
    (cli.folder / "copy").write_bytes(made.read_bytes())
    chain = cli.json("version", "why", "copy", "--json")
    digest = chain["of"]
    told = cli.run("version", "why", digest).stdout
    assert told.splitlines()[0].startswith("out.csv sha256:"), told
    assert told.count("tool data.import_csv") == 1 and "made by state" in told and "(see above)" in told
    names = [item["name"] for item in chain["entities"] if item["kind"] == "value"]
    assert sorted(names) == ["state.x", "state.y"], "two outputs with the same value stay two"
    assert "…" in told and f"physlab version why {digest} --all" in told
    whole = cli.run("version", "why", digest, "--all").stdout
    assert "--all" not in whole and '"missing": "error"' in " ".join(whole.split())
