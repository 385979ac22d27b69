"""One experiment through every command, without Prefect: define, plan, run, look back, report, forget."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.system.commandline import CommandLine

GRAPH: dict[str, Any] = {
    "title": "Falling stone",
    "nodes": [
        {"id": "light", "tool": "constants_get", "params": {"name": "c"}},
        {"id": "read", "tool": "data", "method": "import_csv", "params": {"file": "fall.csv"}},
        {"id": "mean", "tool": "data", "method": "statistics", "params": {"values": "from:read.y"}},
        {
            "id": "curve",
            "tool": "plot",
            "method": "function_2d",
            "params": {"f": "from:read.y", "x": "from:read.x", "title": "Speed"},
            "visual_outputs": {"static": True, "series": True, "animation": False},
        },
    ],
}
TABLE = "t [s],v [m/s]\n0,0\n1,9.8\n2,19.6\n"


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A lab in which the experiment was run once."""
    cli = CommandLine(tmp_path_factory.mktemp("lab"))
    (cli.folder / "fall.json").write_text(json.dumps(GRAPH))
    (cli.folder / "fall.csv").write_text(TABLE)
    planned = cli.json("plan", "fall.json", "--json")
    assert planned["counts"] == {"hit": 0, "miss": 2, "pending": 2} and planned["expected_s"] is None
    assert {node["id"]: node["why"] for node in planned["nodes"]} == {
        "light": "never run before",
        "read": "never run before",
        "mean": "waits for read",
        "curve": "waits for read",
    }
    reply = cli.json("run", "fall.json", "--no-server", "--json")
    assert reply["status"] == "completed" and reply["meta"]["computed"] == 4
    return cli


def changed(cli: CommandLine, name: str, **params: Any) -> str:
    """Write the graph with other parameters of its second node; return the file's name."""
    graph = json.loads(json.dumps(GRAPH))
    graph["nodes"][1]["params"] |= params
    (cli.folder / name).write_text(json.dumps(graph))
    return name


def test_define_keeps_a_graph_and_draws_it(cli: CommandLine) -> None:
    said = cli.run("define", "fall.json", "--picture", "graph.png").stdout
    assert "Falling stone" in said and "data.import_csv" in said and "physlab run " in said
    assert (cli.folder / "graph.png").read_bytes().startswith(b"\x89PNG")
    dag_id = cli.json("define", "-", "--json", stdin=json.dumps(GRAPH))["dag_id"]
    assert dag_id in said
    assert cli.json("validate", dag_id, "--json")["ok"]
    assert "Give either a file or --text" in cli.run("define", code=1).stderr


def test_define_understands_a_sentence(cli: CommandLine) -> None:
    reply = cli.json("define", "--text", "differentiate sin(x) with respect to x", "--json")
    assert reply["validated"] and [node["tool"] for node in reply["nodes"]] == ["cas"]
    assert "not understood" in cli.run("define", "--text", "make coffee", code=1).stderr


def test_validate_finds_everything_at_once(cli: CommandLine) -> None:
    graph = {
        "nodes": [
            {"id": "a", "tool": "cass", "params": {}},
            {"id": "b", "tool": "constants_get", "params": {"name": "from:c.value"}},
        ]
    }
    (cli.folder / "wrong.json").write_text(json.dumps(graph))
    said = cli.run("validate", "wrong.json", code=1).stdout
    assert "cass" in said and "'c'" in said and "2 errors in 2 nodes" in said
    found = cli.json("validate", "wrong.json", "--json", code=1)
    assert not found["ok"] and {problem["node_id"] for problem in found["problems"]} == {"a", "b"}
    assert cli.json("define", "wrong.json", "--json", code=1)["error"]["code"] == "VALIDATION_ERROR"
    assert "cass" in cli.json("run", "wrong.json", "--no-server", "--json", code=1)["error"]["message"]
    assert "cass" in cli.run("run", "wrong.json", "--detach", code=1).stderr


def test_a_second_run_is_all_cached(cli: CommandLine) -> None:
    done = cli.run("run", "fall.json", "--no-server")
    assert "All 4 nodes were cached." in done.stdout and "physlab report " in done.stdout
    assert "figures/curve" in done.stdout
    assert "● curve cached" in done.stderr
    assert cli.run("--quiet", "run", "fall.json", "--no-server").stderr == ""
    assert cli.run("run", "fall.json", "--no-server", "-q").stderr == ""
    assert "All 4 nodes are cached" in cli.run("plan", "fall.json").stdout


def test_plan_names_the_ingredient_that_changed(cli: CommandLine) -> None:
    name = changed(cli, "comment.json", comment="%")
    nodes = {node["id"]: node for node in cli.json("plan", name, "--json")["nodes"]}
    assert nodes["read"]["why"] == "comment: # → %" and nodes["read"]["site"] == "local"
    assert nodes["read"]["expected_ms"] > 0 and nodes["light"]["state"] == "hit"
    assert "comment: # → %" in cli.run("plan", name).stdout
    again = cli.json("plan", "fall.json", "--refresh-node", "mean", "--json")
    assert again["counts"]["hit"] == 3 and again["nodes"][0]["why"] == "asked to run again"
    assert "Did you mean 'mean'" in cli.run("plan", "fall.json", "--refresh-node", "men", code=1).stderr


def test_an_upstream_change_that_gives_equal_bytes_stops_there(cli: CommandLine) -> None:
    reply = cli.json("run", changed(cli, "equal.json", encoding="ascii"), "--no-server", "--json")
    assert {node["id"]: node["status"] for node in reply["nodes"]} == {
        "light": "cached",
        "read": "completed",
        "mean": "cached",
        "curve": "cached",
    }


def test_dry_run_shows_the_commands_and_runs_nothing(cli: CommandLine) -> None:
    name = changed(cli, "dry.json", missing="nan")
    before = cli.json("runs", "--json")
    found = cli.json("run", name, "--dry-run", "--json")
    assert set(found["scripts"]) == {"read"} and found["scripts"]["read"].startswith("physlab call - <<'JSON'")
    assert "# read" in cli.run("run", name, "--dry-run").stdout
    again = f"physlab run {name} --site local --policy local_first"
    for words in (("plan",), ("run", "--dry-run")):
        shown = cli.run(*words, name, "--site", "local", "--policy", "local_first")
        assert again in " ".join((shown.stdout + shown.stderr).split()), "what is run is what was planned"
    assert cli.json("runs", "--json") == before


def test_what_a_dry_run_prints_can_be_typed(cli: CommandLine) -> None:
    script = cli.json("run", "fall.json", "--dry-run", "--refresh-node", "read", "--json")["scripts"]["read"]
    first, payload, last = script.splitlines()
    assert (first, last) == ("physlab call - <<'JSON'", "JSON")
    assert cli.json("call", "-", stdin=payload)["y"] == [0, 9.8, 19.6]


def test_a_dry_run_says_which_array_cannot_be_typed(tmp_path: Path) -> None:
    cli = CommandLine(tmp_path)
    (tmp_path / "long.csv").write_text("t,v\n" + "".join(f"{t},{9.8 * t}\n" for t in range(300)))
    graph = json.loads(json.dumps(GRAPH))
    graph["nodes"] = graph["nodes"][1:3]
    graph["nodes"][0]["params"]["file"] = "long.csv"
    (tmp_path / "long.json").write_text(json.dumps(graph))
    said = cli.run("run", "long.json", "--no-server").stdout
    assert "mean.n     300" in said and "read.rows  300" in said
    scripts = cli.json("run", "long.json", "--dry-run", "--refresh-node", "mean", "--json")["scripts"]
    lines = scripts["mean"].splitlines()
    assert all(line.startswith("# ") for line in lines) and "which another node made" in lines[0]
    assert "array (300) → data/read_y.npy" in cli.run("show", "latest", "read").stdout
    fields = cli.json("show", "latest", "read", "--json")["fields"]
    assert fields["y"]["shape"] == [300] and fields["y"]["uri"].startswith("sha256:") and fields["rows"] == 300


def test_a_sentence_is_run_and_answered(cli: CommandLine) -> None:
    said = cli.run("run", "integrate x^2 from 0 to 1", "--no-server").stdout
    assert "1/3" in said and "0.3333333333333333" in said and "x^2\n" not in said
    assert "values    physlab show " in cli.run("show", "latest").stdout
    shown = cli.run("show", "latest", "integral").stdout
    assert "expr" in shown and "[0, 1]" in shown and "1/3" in shown
    constant = cli.run("run", "value of the Planck constant", "--no-server").stdout
    assert "6.62607015e-34 [joule * second]" in constant  # SI (2019), exact
    refused = " ".join(cli.run("run", "make me a sandwich", "--no-server", code=1).stderr.replace("│", " ").split())
    assert "There is no DAG 'make me a sandwich'" in refused and "integrate x**2 from 0 to 3" in refused
    assert "sentence" in cli.run("run", "--help").stdout


def test_show_tells_the_values_of_a_node(cli: CommandLine) -> None:
    said = cli.run("show", "Falling stone", "light").stdout
    assert "299792458 [meter / second]" in said and "parameters" in said
    curve = cli.run("show", "Falling stone", "curve").stdout
    assert "figures/curve" in curve and "from:read.y" in curve
    found = cli.json("show", "Falling stone", "mean", "--json")
    assert list(found) == ["id", "tool", "method", "status", "fields", "record"]
    assert found["tool"] == "data" and found["method"] == "statistics" and found["fields"]["mean"] == pytest.approx(9.8)
    assert found["record"]["params"]["ddof"] == 1
    assert "Did you mean 'mean'" in cli.run("show", "Falling stone", "men", code=1).stderr


def test_refresh_runs_again(cli: CommandLine) -> None:
    reply = cli.json("run", "fall.json", "--no-server", "--refresh-node", "light", "--json")
    assert reply["meta"]["computed"] == 1 and reply["meta"]["cache_hits"] == 3


def test_show_runs_and_latest(cli: CommandLine) -> None:
    cli.run("run", "fall.json", "--no-server")
    listed = cli.json("runs", "--json", "-n", "1")["runs"]
    assert listed[0]["title"] == "Falling stone" and listed[0]["cached"] == listed[0]["total"] == 4
    assert "Falling stone" in cli.run("runs").stdout
    shown = cli.json("show", "latest", "--json")
    assert shown["run_id"] == listed[0]["run_id"] and len(shown["nodes"]) == 4
    said = cli.run("show", shown["run_id"]).stdout
    assert "curve" in said and "figures/" in said and "physlab report" in said
    assert "There is no finished run" in cli.run("show", "nothing", code=1).stderr


def test_why_leads_back_to_the_raw_file(cli: CommandLine) -> None:
    raw = hashlib.sha256(TABLE.encode()).hexdigest()
    found = cli.json("why", "latest", "mean", "--json")
    assert found["status"] == "cached" and "made by run" in found["why"]
    made = found["made"]
    assert made["tool"] == "data.statistics" and made["params"]["values"] == "from:read.y"
    [read] = [entry["made"] for entry in made["inputs"]]
    assert read["node"] == "read" and read["files"] == {"file": raw} and read["params"]["comment"] == "#"
    said = cli.run("why", "latest", "mean").stdout
    assert "from:read.y" in said and raw in said
    results = Path(cli.json("run", "fall.json", "--no-server", "--json")["results"])
    figure = next(results.glob("figures/curve*.png"))
    assert cli.json("why", "latest", str(figure), "--json")["node"] == "curve"
    assert cli.json("why", "latest", figure.name, "--json")["node"] == "curve"
    assert "physlab why latest light" in cli.json("why", "latest", "--json", code=1)["error"]["hint"]
    assert cli.json("why", str(figure), "--json") == cli.json("version", "why", str(figure), "--json")
    digest = hashlib.sha256(figure.read_bytes()).hexdigest()
    assert cli.json("why", "latest", f"sha256:{digest}", "--json")["sha256"] == digest
    assert "No node of run" in cli.run("why", "latest", "fall.json", code=1).stderr
    assert "Did you mean 'mean'?" in cli.run("why", "latest", "men", code=1).stderr


def test_report_writes_a_pdf(cli: CommandLine) -> None:
    (cli.folder / "g.bib").write_text("@book{galilei1638, author={Galilei, G.}, title={Discorsi}, year={1638}}")
    words = ("--title", "On falling", "--author", "Ada", "--author", "Bob", "--abstract", "It falls.", "--bib", "g.bib")
    path = Path(cli.json("report", "Falling stone", *words, "--json")["pdf_path"])
    assert path.read_bytes().startswith(b"%PDF") and path.is_relative_to(cli.folder / "results")
    assert "cannot be read" in cli.run("report", "latest", "--bib", "none.bib", code=1).stderr
    scratch = cli.folder / "scratch"
    scratch.mkdir()
    tidy = CommandLine(cli.folder, {"TMPDIR": str(scratch)})
    elsewhere = tidy.json("run", "fall.json", "--no-server", "--report", "--results", "elsewhere", "--json")
    assert list(scratch.glob("weasyprint-*")) == []
    assert Path(elsewhere["report"]).is_relative_to(cli.folder / "elsewhere") and Path(elsewhere["report"]).exists()


def test_a_failed_node_is_told_and_the_rest_is_done(cli: CommandLine) -> None:
    graph = {
        "title": "Broken",
        "nodes": [
            {"id": "bad", "tool": "shell", "params": {"command": "echo no signal >&2; exit 3"}},
            {"id": "behind", "tool": "shell", "params": {"command": ["cat", "x"], "inputs": {"x": "from:bad.log"}}},
            {"id": "good", "tool": "constants_get", "params": {"name": "c"}},
        ],
    }
    (cli.folder / "broken.json").write_text(json.dumps(graph))
    reply = cli.json("run", "broken.json", "--no-server", "--json", code=1)
    assert {node["id"]: node["status"] for node in reply["nodes"]} == {
        "bad": "failed",
        "behind": "skipped",
        "good": "cached",
    }
    assert reply["error"]["code"] == "COMPUTATION_ERROR" and "1 of 3 nodes failed" in reply["error"]["message"]
    done = cli.run("run", "broken.json", "--no-server", code=1)
    assert "1 failed, 1 skipped" in done.stdout and "no signal" in done.stderr and "physlab show " in done.stdout
    assert "no signal" in cli.run("show", "Broken").stderr
    assert cli.json("why", "Broken", "bad", "--json")["error"]["details"]["exit_code"] == 3


def test_the_cache_can_be_asked_and_emptied(cli: CommandLine) -> None:
    assert cli.json("cache", "why", "fall.json", "mean", "--json")["state"] == "hit"
    assert "is cached: same key" in cli.run("cache", "why", "fall.json", "mean").stdout
    listed = cli.json("cache", "ls", "--node", "mean", "--json")["results"]
    assert [entry["tool"] for entry in listed] == ["data.statistics"]
    assert "data.statistics" in cli.run("cache", "ls", "--tool", "data.statistics").stdout
    assert "--yes" in cli.run("cache", "rm", "--node", "mean", code=1).stderr
    assert "too short" in cli.run("cache", "rm", "abc", "--yes", code=1).stderr
    assert cli.json("cache", "rm", listed[0]["key"][:16], "--yes", "--json")["removed"] == [listed[0]["key"]]
    assert cli.json("cache", "why", "fall.json", "mean", "--json")["state"] == "miss"
    assert cli.json("run", "fall.json", "--no-server", "--json")["meta"]["computed"] == 1
    assert cli.json("store", "reindex", "--json")["records"] > 10


def test_the_store_is_verified(cli: CommandLine) -> None:
    found = cli.json("store", "verify", "--json")
    assert found["ok"] and found["blobs"] > 3
    assert cli.run("store", "path").stdout == f"{cli.home / 'store'}\n"


def test_a_damaged_file_is_found_and_made_again(tmp_path: Path) -> None:
    cli = CommandLine(tmp_path)
    graph = {"nodes": [{"id": "a", "tool": "shell", "params": {"command": "echo 7 > a.txt", "outputs": ["a.txt"]}}]}
    (tmp_path / "a.json").write_text(json.dumps(graph))
    cli.run("run", "a.json", "--no-server")
    [file] = [path for path in (cli.home / "store").rglob("*") if path.is_file() and path.read_bytes() == b"7\n"]
    file.chmod(0o644)
    file.write_bytes(b"8\n")
    assert "bytes are not those" in cli.run("store", "verify", code=1).stdout
    reply = cli.json("run", "a.json", "--no-server", "--json")
    assert reply["meta"]["computed"] == 1


def call(cli: CommandLine, payload: Any, *words: str, code: int = 0) -> Any:
    return cli.json("call", "-", *words, stdin=json.dumps(payload), code=code)


def test_a_call_answers_one_object(cli: CommandLine) -> None:
    assert call(cli, {"tool": "constants_get", "name": "c"})["value"] == 299792458
    assert call(cli, {"name": "constants_get", "arguments": {"name": "c"}})["meta"]["cached"] is True
    error = call(cli, {"tool": "constants_get", "name": "nothing"}, code=1)["error"]
    assert error["code"] == "VALIDATION_ERROR" and "nothing" in error["message"]
    assert "no call on stdin" in cli.json("call", "-", code=1)["error"]["message"]
    assert "not JSON" in cli.json("call", stdin="{", code=1)["error"]["message"]
    payload = {"tool": "units_convert", "quantity": {"value": 1, "unit": "km"}, "to": "m"}
    (cli.folder / "call.json").write_text(json.dumps(payload))
    assert cli.json("call", "call.json")["output"]["value"] == 1000


def test_calls_of_the_lab_itself(cli: CommandLine) -> None:
    defined = call(cli, {"tool": "experiment_orchestrator", "method": "define_dag", "params": GRAPH})
    assert defined["validated"]
    run = call(cli, {"tool": "run_dag", "params": {"dag_id": defined["dag_id"]}}, "--no-server")
    assert run["status"] == "completed" and run["meta"]["cache_hits"] == 4
    assert call(cli, {"tool": "run_dag", "params": {"dag": "fall.json"}}, "--no-server")["run_id"] != run["run_id"]
    assert call(cli, {"tool": "run_dag"}, code=1)["error"]["code"] == "VALIDATION_ERROR"
    assert Path(call(cli, {"tool": "publish_report", "run_id": run["run_id"]})["pdf_path"]).exists()
    titles = {run["title"] for run in cli.json("runs", "--json")["runs"]}
    assert not any(title.startswith("call ") for title in titles)
    assert "call constants_get" in {run["title"] for run in cli.json("runs", "--all", "--json")["runs"]}
