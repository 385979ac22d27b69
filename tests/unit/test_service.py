"""The public methods: names of the contract in, names of the contract out."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pypdf import PdfReader

from physlab import service
from physlab.errors import ComputationError, ConfigurationError, PhyslabError, UnitsError, ValidationError, from_reply
from physlab.model import RunRequest
from physlab.service import Reply
from physlab.spelling import read_call
from tests.unit.conftest import Bench, node, open_lab

NODES = [node("a", "give", value=2), node("b", "add", a="from:a.value")]


def answer(bench: Bench, payload: Any) -> Reply:
    return service.answer(bench.lab, read_call(payload, bench.lab.vocabulary), bench.folder)


def picture(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text, validate=True)))


@pytest.mark.parametrize(
    "payload",
    [
        {"tool": "experiment_orchestrator", "method": "define_dag", "spec": {"nodes": NODES, "edges": []}},
        {"tool": "experiment_orchestrator", "params": {"action": "define_dag", "name": "N", "nodes": NODES}},
        {"tool": "experiment_orchestrator", "params": {"dag": NODES}},
        {"name": "experiment_orchestrator", "arguments": {"method": "define_dag", "spec": {"nodes": NODES[::-1]}}},
        {"tool": "define_dag", "nodes": NODES},
        {"method": "orchestrator_define_dag", "params": {"spec": NODES}},
    ],
)
def test_define_dag(bench: Bench, payload: Any) -> None:
    body = answer(bench, payload).as_object()
    assert body.keys() == {"dag_id", "validated", "nodes", "edges", "ui_overview_png_b64", "warnings"}
    assert body["validated"] is True and len(body["dag_id"]) == 16
    assert sorted(item["id"] for item in body["nodes"]) == ["a", "b"]
    assert body["edges"] == [{"from": "a", "to": "b", "data_key": "value"}]
    assert picture(body["ui_overview_png_b64"]).format == "PNG"
    named = bench.lab.find_dag(body["dag_id"])
    assert named.dag_id == body["dag_id"] == bench.lab.read(NODES, bench.folder).dag_id


def test_a_wrong_dag_is_stored_and_told(bench: Bench) -> None:
    spec = {"nodes": [node("a", "nope")], "metadata": {"title": "Wrong one"}}
    body = answer(bench, {"tool": "define_dag", "spec": spec}).as_object()
    assert body["validated"] is False
    [problem] = body["error"]["details"]["problems"]
    assert (problem["node_id"], problem["severity"], problem["code"]) == ("a", "error", "VALIDATION_ERROR")
    assert picture(body["ui_overview_png_b64"]).format == "PNG"
    checked = answer(bench, {"tool": "validate_dag", "dag_id": "wrong-one"}).as_object()
    assert checked["ok"] is False and checked["problems"] == [problem]
    with pytest.raises(ValidationError, match="1 error"):
        answer(bench, {"tool": "run_dag", "dag_id": body["dag_id"]})


@pytest.mark.parametrize(
    ("params", "said"),
    [({}, "either 'spec' or"), ({"spec": NODES, "natural_language": "plot x"}, "either 'spec' or"),
     ({"spec": NODES, "titel": "x"}, "no parameter 'titel'"), ({"natural_language": "plot x", "x": 1}, "'x'")],
)  # fmt: skip
def test_define_dag_takes_one_of_two(bench: Bench, params: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        service.METHODS["define_dag"](bench.lab, params, bench.folder)


def test_a_sentence_defines_a_dag(bench: Bench) -> None:
    for params in (
        {"natural_language": "plot sin(x)/x from -10 to 10"},
        {"description": "plot sin(x)/x from -10 to 10"},
    ):
        body = answer(bench, {"tool": "define_dag", **params}).as_object()
        assert body["validated"] and body["nodes"][0]["tool"] == "plot"


def test_validate_dag(bench: Bench) -> None:
    spec = {"nodes": [node("a", "draw")]}
    body = answer(bench, {"tool": "validate_dag", "dag_id": spec}).as_object()
    assert body.keys() == {"dag_id", "ok", "warnings", "problems"}
    assert body["ok"] is True and "no visual outputs are declared" in body["warnings"][0]
    for wrong, said in (
        ({}, "needs 'dag_id'"),
        ({"dag": "x", "spec": "y"}, "mean the same"),
        ({"dag_id": "zz"}, "no DAG 'zz'"),
    ):
        with pytest.raises(ValidationError, match=said):
            answer(bench, {"tool": "validate_dag", **wrong})


def test_run_dag_and_publish_report(bench: Bench) -> None:
    declared = {"visual_outputs": {"series": True, "static": False}}
    table = {"id": "t", "tool": "data", "method": "table",
             "params": {"columns": ["x"], "rows": [["from:b.sum"]], "caption": "Sums."}, **declared}  # fmt: skip
    spec = {"nodes": [*NODES, table], "name": "Sums of things", "description": "It adds."}
    defined = answer(bench, {"tool": "define_dag", "spec": spec}).as_object()
    for dag in (defined["dag_id"], "Sums of things", "sums-of-things"):
        body = answer(bench, {"tool": "run_dag", "dag_id": dag, "parallelism": 1}).as_object()
        assert {"run_id", "artifacts", "reportable", "meta"} <= body.keys()
        assert body["status"] == "completed"
    assert (
        body["meta"]["cache_hits"] == 3 and body["meta"]["device_mix"] == ["cpu"] and body["meta"]["duration_ms"] >= 0
    )
    assert all(item.startswith("sha256:") for item in body["artifacts"])
    assert body["reportable"]["figures"] == []
    [shown] = body["reportable"]["tables"]
    assert shown.keys() >= {"path", "caption", "node_id"} and shown["node_id"] == "t" and shown["caption"] == "Sums."
    paper = answer(bench, {"tool": "publish_report", "run_id": body["run_id"], "title": "Sums", "authors": ["A. One"],
                           "bib": ["@book{k, title={T}, author={B. Two}, year={2000}}"]}).as_object()  # fmt: skip
    assert Path(paper["pdf_path"]).read_bytes().startswith(b"%PDF")
    again = answer(
        bench, {"tool": "publish_report", "params": {"dag_id": "sums-of-things", "format": "pdf"}}
    ).as_object()
    assert again["run_id"] == body["run_id"]
    for wrong, said in (({"format": "html"}, "writes PDF"), ({"bib": ["none.bib"]}, "cannot be read")):
        with pytest.raises(ValidationError, match=said):
            answer(bench, {"tool": "publish_report", "run_id": body["run_id"], **wrong})


def test_a_logo_that_is_none_is_named(tmp_path: Path, toy_tools: None) -> None:
    (tmp_path / "logo.txt").write_text("LAB")
    for name, said in (("logo.txt", "neither PNG nor SVG"), ("gone.png", "cannot be read")):
        with open_lab(tmp_path, report={"logo": str(tmp_path / name)}) as lab:
            record = Bench(lab, tmp_path).run(NODES).record
            with pytest.raises(ConfigurationError, match=said):
                service.publish_report(lab, record.run_id)


@pytest.mark.parametrize(
    ("wishes", "want"),
    [
        ({"cache_enabled": False}, {"a": "completed", "b": "completed"}),
        ({"refresh": ["b"]}, {"a": "cached", "b": "completed"}),
        ({"refresh": True, "parallel_execution": False}, {"a": "completed", "b": "completed"}),
        ({"execution_policy": "local_first"}, {"a": "cached", "b": "cached"}),
        ({"offload_policy": "remote_first"}, {"a": "cached", "b": "cached"}),
    ],
)
def test_wishes_of_a_run(bench: Bench, wishes: Any, want: Any) -> None:
    bench.run(NODES)
    body = answer(bench, {"tool": "run_dag", "params": {"dag": NODES, **wishes}}).as_object()
    assert {item["id"]: item["status"] for item in body["nodes"]} == want


@pytest.mark.parametrize(
    ("wishes", "said"),
    [({"parallelism": 17}, "parallelism = 17"), ({"parallelism": 0}, "parallelism = 0"),
     ({"offload_policy": "x"}, "offload_policy = 'x'"), ({"paralelism": 2}, "Did you mean 'parallelism'"),
     ({"refresh": ["zz"]}, "refresh names 'zz'"),
     ({"offload_policy": "auto", "execution_policy": "auto"}, "mean the same")],
)  # fmt: skip
def test_wrong_wishes(bench: Bench, wishes: Any, said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        answer(bench, {"tool": "run_dag", "dag_id": NODES, **wishes})
    assert said in str(raised.value)


def test_a_failed_run_says_so_and_keeps_the_reply(bench: Bench) -> None:
    nodes = [*NODES, node("bad", "count", counter=str(bench.folder / "c"), fail_times=9)]
    body = answer(bench, {"tool": "run_dag", "dag_id": {"nodes": nodes}}).as_object()
    assert body["status"] == "failed" and body["error"]["code"] == "COMPUTATION_ERROR"
    assert body["error"]["details"]["failed"]["bad"]["message"] == "call 1 fails"
    assert body["error"]["details"]["run_id"] == body["run_id"]


def test_methods_that_do_not_exist_are_refused_by_name(bench: Bench) -> None:
    with pytest.raises(ValidationError, match="has no method 'session_sync'") as raised:
        answer(bench, {"tool": "distributed_collaboration", "method": "session_sync", "session_id": "s"})
    assert "session_share" in raised.value.hint


def test_every_method_of_the_lab_itself_is_answered(bench: Bench) -> None:
    tools = (bench.lab.registry.tools[name] for name in ("experiment_orchestrator", "distributed_collaboration"))
    assert {name for tool in tools for name in tool.methods} <= set(service.METHODS)


# --- single tools --------------------------------------------------------------------------------------------------


def test_calls_answer_with_bare_fields(bench: Bench) -> None:
    first = answer(bench, {"tool": "constants_get", "name": "c"}).as_object()
    assert first["value"] == 299792458.0 and first["unit"] == "meter / second"  # exact by definition, SI 2019
    assert first["meta"]["cached"] is False
    assert answer(bench, {"tool": "constants_get", "params": {"name": "c"}}).body["meta"]["cached"] is True
    converted = answer(bench, {"tool": "units_convert", "quantity": {"value": 1, "unit": "eV"}, "to": "J"}).as_object()
    assert converted["output"]["value"] == pytest.approx(1.602176634e-19, rel=1e-12)  # exact by definition, SI 2019


def test_errors_of_calls_keep_their_kind(bench: Bench) -> None:
    with pytest.raises(UnitsError):
        answer(bench, {"tool": "units_convert", "quantity": {"value": 1, "unit": "eV"}, "to": "m"})
    with pytest.raises(ComputationError, match="call 1 fails"):
        answer(bench, {"tool": "toy", "action": "count", "counter": str(bench.folder / "c"), "fail_times": 9})
    for kind in (UnitsError, ComputationError, PhyslabError):
        error = kind("m", hint="h", details={"x": 1})
        assert from_reply(error.as_reply()).as_reply() == error.as_reply()


def test_a_plot_answers_with_its_picture_and_numbers(bench: Bench) -> None:
    call = {"tool": "plot", "plot_type": "function_2d", "f": "x**2", "x_min": 0, "x_max": 2, "samples": 11, "dpi": 50}
    body = answer(bench, call).as_object()
    assert picture(body["image_png_b64"]).size == (400, 300)
    rows = body["csv_data"].strip().splitlines()
    assert len(rows) == 12 and [float(cell) for cell in rows[-1].split(",")] == [2.0, 4.0]
    assert body["x_range"] == [0.0, 2.0] and body["samples"] == 11
    kinds = {item["kind"]: item for item in body["artifacts"]}
    assert all(Path(item["path"]).is_file() and item["sha256"].startswith("sha256:") for item in body["artifacts"])
    assert Path(kinds["series"]["path"]).read_text() == body["csv_data"]


def test_wrong_calls_are_told_as_calls(bench: Bench) -> None:
    with pytest.raises(ValidationError) as raised:
        answer(bench, {"tool": "toy", "action": "add", "b": "x", "c": 1})
    assert raised.value.message.startswith("the parameter 'a' is missing. b = 'x'")
    assert len(raised.value.details["problems"]) == 3
    with pytest.raises(UnitsError, match="length"):
        answer(bench, {"tool": "toy", "action": "measure", "length": "3 kg"})


def test_paths_in_replies_have_human_names(bench: Bench) -> None:
    body = answer(bench, {"tool": "data", "action": "export_csv", "columns": {"x": [1, 2]}, "name": "mine.csv"}).body
    paths = [str(value) for value in body.values() if isinstance(value, str) and value.endswith("mine.csv")]
    assert paths and all(Path(path).is_file() for path in paths)


# --- what a lab remembers ------------------------------------------------------------------------------------------


def test_new_words_for_a_known_graph_are_kept(bench: Bench) -> None:
    for words in ("First.", "Second."):
        answer(bench, {"tool": "define_dag", "nodes": NODES, "name": "N", "description": words})
    dag_id = bench.lab.read(NODES, bench.folder).dag_id
    assert bench.lab.find_dag(dag_id).dag.description == bench.lab.find_dag("N").dag.description == "Second."
    answer(bench, {"tool": "define_dag", "nodes": NODES, "name": "N", "description": "Second."})
    assert len(bench.lab.dags()) == 2


def test_relative_files_start_at_the_folder_of_the_latest_definition(bench: Bench) -> None:
    nodes = [node("r", "read", file="x.txt")]
    for name in ("one", "two"):
        (bench.folder / name).mkdir()
        (bench.folder / name / "x.txt").write_text(name)
        bench.lab.remember(bench.lab.read(nodes, bench.folder / name))
    body = answer(bench, {"tool": "run_dag", "dag_id": bench.lab.dags()[0]["dag_id"]}).body
    record = bench.lab.find_run(body["run_id"])
    assert bench.lab.store.record(str(record.nodes[0].record))["fields"] == {"text": "two"}


def test_runs_are_found_by_many_names(bench: Bench) -> None:
    with pytest.raises(ValidationError, match="Nothing was run yet"):
        bench.lab.find_run("latest")
    run_id = answer(bench, {"tool": "run_dag", "dag_id": {"nodes": NODES, "name": "My sums"}}).body["run_id"]
    answer(bench, {"tool": "constants_get", "name": "c"})
    for name in ("latest", run_id, run_id[:20], "My sums", "my-sums"):
        assert bench.lab.find_run(name).run_id == run_id
    with pytest.raises(ValidationError, match="no finished run 'zzzz'") as raised:
        bench.lab.find_run("zzzz")
    assert run_id in raised.value.hint


def test_a_run_whose_process_died_is_interrupted(bench: Bench) -> None:
    begin = {"run_id": "dead", "dag_id": "d", "title": "T", "started_at": "now", "request": {}}
    process = {"host": __import__("socket").gethostname(), "pid": 2**22 + 1, "started": 0.0}
    bench.lab.store.append("run_begin", {**begin, "process": process})
    assert [(row["run_id"], row["status"]) for row in bench.lab.runs()] == [("dead", "interrupted")]


def test_a_file_without_a_title_is_called_by_its_name(bench: Bench) -> None:
    (bench.folder / "falling_stone.yaml").write_text("nodes: [{id: c, tool: constants_get, params: {name: c}}]")
    named = bench.lab.find_dag("falling_stone.yaml", bench.folder)
    assert named.dag.title == "falling stone"
    assert named.dag_id == bench.lab.read({"nodes": [node.model_dump() for node in named.dag.nodes]}, Path()).dag_id


BIB = "@book{sakurai, author = {Sakurai, J. J.}, title = {Modern Quantum Mechanics}, publisher = {X}, year = {1994}}"


@pytest.mark.parametrize("given", [BIB, [BIB], ["refs.bib"]])
def test_a_graph_brings_its_references(bench: Bench, given: Any) -> None:
    (bench.folder / "refs.bib").write_text(BIB)
    spec = {
        "metadata": {"title": "Light", "description": "Its speed [@sakurai].", "bib": given},
        "nodes": [{"id": "c", "tool": "constants_get", "params": {"name": "c"}}],
    }
    named = bench.lab.read(spec, bench.folder)
    bare = bench.lab.read({"nodes": spec["nodes"]}, bench.folder)
    assert named.dag_id == bare.dag_id, "references are no part of what is computed"
    ran = service.run_dag(bench.lab, named, RunRequest())
    paper = service.publish_report(bench.lab, ran.body["run_id"]).body["pdf_path"]
    text = " ".join(page.extract_text() for page in PdfReader(paper).pages)
    assert "Its speed [1]" in text and "Modern Quantum Mechanics" in text


def test_a_missing_file_of_references_is_found_before_anything_runs(bench: Bench) -> None:
    spec = {"bib": "gone.bib", "nodes": [{"id": "c", "tool": "constants_get", "params": {"name": "c"}}]}
    [problem] = bench.lab.check(bench.lab.read(spec, bench.folder)).errors
    assert "gone.bib' does not exist" in problem.message and "metadata.bib" in problem.hint
