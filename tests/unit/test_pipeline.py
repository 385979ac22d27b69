"""A graph as a pipeline of DVC: what is written, and what a stage does with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab import service
from physlab.errors import ComputationError, ValidationError
from physlab.lab import Lab
from physlab.model import RunRequest
from physlab.service.stages import export_pipeline, run_stage
from physlab.specfile import read_spec
from tests.unit.conftest import node, open_lab


@pytest.fixture
def lab(tmp_path: Path, toy_tools: None) -> Iterator[Lab]:
    (tmp_path / "text.txt").write_text("measured")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "text.txt").write_text("measured again")
    with open_lab(tmp_path) as opened:
        yield opened


def spec() -> dict[str, Any]:
    nodes = [
        node("rows", "array", n=4000),
        node("one", "read", file="text.txt"),
        node("two", "read", file="more/text.txt"),
        node("sum", "add", b=1),
        node("last", "give", value=["from:sum.sum", "from:one.text", "text.txt is no file here"]),
    ]
    edges = [{"from": "rows", "to": "sum", "data_key": "total:a"}]
    return {"metadata": {"title": "Pipe"}, "nodes": nodes, "edges": edges}


def export(lab: Lab, tmp_path: Path, content: Any = None) -> Path:
    folder = tmp_path / "pipe"
    export_pipeline(lab, content or spec(), folder, tmp_path)
    return folder


def test_each_stage_depends_on_its_own_parameters_and_on_the_nodes_before(lab: Lab, tmp_path: Path) -> None:
    folder = export(lab, tmp_path)
    stages = read_spec(folder / "dvc.yaml")["stages"]
    assert stages["sum"] == {
        "cmd": "physlab dvc stage sum",
        "deps": ["stages/rows"],
        "params": ["sum", {"experiment.yaml": ["nodes.sum"]}],
        "outs": ["stages/sum"],
    }
    assert "deps" not in stages["rows"] and stages["last"]["deps"] == ["stages/sum", "stages/one"]
    assert stages["one"]["deps"] == ["inputs/text.txt"] and stages["two"]["deps"] == ["inputs/text_2.txt"]
    assert (folder / "inputs" / "text_2.txt").read_text() == "measured again"


def test_stages_give_the_keys_of_a_run(lab: Lab, tmp_path: Path) -> None:
    whole = service.run_dag(lab, spec(), RunRequest(), base_dir=tmp_path).body
    folder = export(lab, tmp_path)
    for one in ("rows", "one", "two", "sum", "last"):
        done = run_stage(lab, folder, one)
        assert done["cached"] and done["key"] == {item["id"]: item["key"] for item in whole["nodes"]}[one]
    assert [row["run_id"] for row in lab.runs() if not row["title"].startswith("call ")] == [whole["run_id"]]
    result = json.loads((folder / "stages" / "last" / "result.json").read_bytes())
    assert result["fields"]["value"] == [1, "measured", "text.txt is no file here"]


def test_a_result_says_nothing_of_when_and_where(lab: Lab, tmp_path: Path) -> None:
    folder = export(lab, tmp_path)
    run_stage(lab, folder, "rows")
    first = {path.name: path.read_bytes() for path in (folder / "stages" / "rows").rglob("*") if path.is_file()}
    (tmp_path / "elsewhere").mkdir()
    with open_lab(tmp_path / "elsewhere") as other:
        run_stage(other, folder, "rows")
    assert first == {path.name: path.read_bytes() for path in (folder / "stages" / "rows").rglob("*") if path.is_file()}
    assert len(first) == 2 and not list((folder / "stages").glob(".*"))


def test_a_stage_refuses_folders_that_show_something_else(lab: Lab, tmp_path: Path) -> None:
    folder = export(lab, tmp_path)
    with pytest.raises(ValidationError, match="dvc repro --force rows"):
        run_stage(lab, folder, "sum")
    run_stage(lab, folder, "rows")
    run_stage(lab, folder, "sum")
    result = folder / "stages" / "rows" / "result.json"
    right = result.read_text()
    result.write_text(right.replace('"total": 0.0', '"total": 7.0').replace('"total": 0', '"total": 7'))
    assert result.read_text() != right
    with pytest.raises(ValidationError, match=r"result\.json"):
        run_stage(lab, folder, "sum")
    result.write_text(right)
    [array] = (folder / "stages" / "rows").rglob("*.npy")
    array.chmod(0o644)
    array.write_bytes(array.read_bytes()[:-1] + b"\1")
    with pytest.raises(ValidationError, match=r"\.npy"):
        run_stage(lab, folder, "sum")
    assert lab.store.check_blobs(lab.store.blobs.all()) == set(lab.store.blobs.all()), "the store has its own bytes"


def test_a_changed_parameter_computes_anew(lab: Lab, tmp_path: Path) -> None:
    folder = export(lab, tmp_path)
    run_stage(lab, folder, "rows")
    assert run_stage(lab, folder, "sum")["cached"] is False
    params = folder / "params.yaml"
    params.write_text(params.read_text().replace("b: 1", "b: 2"))
    assert run_stage(lab, folder, "sum")["cached"] is False
    assert json.loads((folder / "stages" / "sum" / "result.json").read_bytes())["fields"]["sum"] == 2


def test_what_cannot_be_a_pipeline_is_refused(lab: Lab, tmp_path: Path) -> None:
    fleeting = {"nodes": [{**node("a", "give", value=1), "cache": False}, node("b", "add", a="from:a.value")]}
    with pytest.raises(ValidationError, match="never taken from the cache"):
        export(lab, tmp_path, fleeting)
    folder = export(lab, tmp_path)
    with pytest.raises(ValidationError, match="is there already"):
        export(lab, tmp_path)
    with pytest.raises(ValidationError, match="no node 'rowz'"):
        run_stage(lab, folder, "rowz")
    (folder / "params.yaml").write_text("rowz: {n: 3}\n")
    with pytest.raises(ValidationError, match="rowz"):
        run_stage(lab, folder, "rows")
    with pytest.raises(ValidationError, match="There is no file"):
        run_stage(lab, tmp_path, "rows")


def test_a_failed_node_leaves_no_folder(lab: Lab, tmp_path: Path) -> None:
    folder = export(lab, tmp_path, {"nodes": [node("a", "count", counter=str(tmp_path / "n"), fail_times=9)]})
    with pytest.raises(ComputationError):
        run_stage(lab, folder, "a")
    assert not (folder / "stages" / "a").exists()
