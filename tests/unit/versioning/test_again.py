"""The state of a run put back, and the run executed again from it alone."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from physlab import service
from physlab.errors import StoreError, ValidationError
from physlab.keys import digest_bytes
from physlab.store.blobs import Blobs
from physlab.versioning.garbage import collect, find_garbage
from tests.unit.conftest import Bench, node
from tests.unit.versioning.test_register import git


def run_story(bench: Bench) -> str:
    (bench.folder / "raw.txt").write_text("42")
    outside = bench.folder.parent / f"{bench.folder.name}-outside.txt"
    outside.write_text("from elsewhere")
    nodes = [node("inside", "read", file="raw.txt"), node("outside", "read", file=str(outside)),
             node("array", "array", n=5000), node("draw", "draw", write=["static"])]  # fmt: skip
    return bench.run(nodes).record.run_id


def test_the_state_of_a_run_comes_back(bench: Bench) -> None:
    git(bench.folder, "init", "-q")
    (bench.folder / "code.py").write_text("n = 2\n")
    git(bench.folder, "add", "code.py")
    git(bench.folder, "commit", "-qm", "first")
    (bench.folder / "code.py").write_text("n = 3\n")
    run_id = run_story(bench)
    for name in ("raw.txt", "code.py"):
        (bench.folder / name).write_text("changed since")
    state = service.checkout_run(bench.lab, run_id, bench.folder / "back")
    folder = state.folder
    assert state.missing == [] and (folder / "raw.txt").read_text() == "42"
    assert (folder / "code" / "code.py").read_text() == "n = 3\n"
    lock = (folder / "environment.lock").read_text()
    assert "\nnumpy==" in lock and lock.startswith("# Python 3.")
    graph = json.loads((folder / "experiment.json").read_text())
    [outside] = [item["params"]["file"] for item in graph["nodes"] if item["id"] == "outside"]
    assert not Path(outside).is_absolute() and (folder / outside).read_text() == "from elsewhere"
    assert (folder / "results" / "figures" / "draw_static.txt").read_bytes() == b"static of a toy"
    assert all(digest_bytes((folder / name).read_bytes()) == sha256.removeprefix("sha256:")
               for name, sha256 in state.files.items())  # fmt: skip
    assert bench.lab.find_dag(str(folder / "experiment.json")).dag.nodes


def test_a_run_is_executed_again_elsewhere(bench: Bench) -> None:
    run_id = run_story(bench)
    (bench.folder / "raw.txt").unlink()
    found = service.reproduce_run(bench.lab, run_id)
    told = found.as_object()
    assert told["verdict"] == "identical" and {item.node for item in found.compared} == {
        "inside", "outside", "array", "draw",
    }  # fmt: skip
    assert told["counts"]["identical"] == len(found.compared) and found.missing == []


def test_what_differs_is_named(bench: Bench, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    run_id = bench.run([node("count", "count", counter=str(counter), x=1), node("give", "give", value=2)]).record.run_id
    found = service.reproduce_run(bench.lab, run_id)
    [calls] = [item for item in found.compared if item.what == "calls"]
    assert (calls.verdict, calls.where) == ("different", ("calls: 1 → 2",)) and found.verdict == "different"
    assert [item.verdict for item in found.compared if item.node == "give"] == ["identical"]
    [calls] = [item for item in service.reproduce_run(bench.lab, run_id, tolerance=1).compared if item.what == "calls"]
    assert calls.verdict == "within tolerance"


def test_nothing_is_put_over_anything(bench: Bench) -> None:
    run_id = run_story(bench)
    (bench.folder / "full").mkdir()
    (bench.folder / "full" / "work").write_text("of a day")
    with pytest.raises(ValidationError, match="not empty"):
        service.checkout_run(bench.lab, run_id, bench.folder / "full")
    (bench.folder / "empty").mkdir()
    assert service.checkout_run(bench.lab, run_id, bench.folder / "empty").files


def test_a_damaged_byte_leaves_no_folder(bench: Bench) -> None:
    run_id = run_story(bench)
    path = bench.lab.store.blobs.path(digest_bytes(b"42"))
    os.chmod(path, 0o644)
    path.write_bytes(b"43")
    with pytest.raises(StoreError, match="damaged"):
        service.checkout_run(bench.lab, run_id, bench.folder / "back")
    assert not [item for item in bench.folder.iterdir() if "back" in item.name]


def test_what_was_let_go_is_said(bench: Bench) -> None:
    run_id = bench.run([node("array", "array", n=5000)]).record.run_id
    store = bench.lab.store
    for digest in store.blobs.all():
        os.utime(store.blobs.path(digest), (1, 1))
    assert collect(store, find_garbage(store, before="9999"))[0] > 0
    with pytest.raises(StoreError, match=r"store gc let go of them on .*1 older run[\s\S]*physlab run "):
        service.checkout_run(bench.lab, run_id, bench.folder / "back")
    assert not (bench.folder / "back").exists()


def test_code_that_is_gone_is_said(bench: Bench) -> None:
    git(bench.folder, "init", "-q")
    (bench.folder / "code.py").write_text("n = 2\n")
    git(bench.folder, "add", "code.py")
    git(bench.folder, "commit", "-qm", "first")
    run_id = run_story(bench)
    subprocess.run(["rm", "-rf", ".git"], cwd=bench.folder, check=True)
    state = service.checkout_run(bench.lab, run_id, bench.folder / "back")
    [said] = state.missing
    assert "git does not find it there" in said and not (state.folder / "code").exists()


def _refusing(put: Any, size: int) -> Any:
    """Keep bytes, but none of this size."""

    def kept(blobs: Blobs, source: Path | bytes) -> tuple[str, int]:
        assert not isinstance(source, Path) or source.stat().st_size != size, f"{source} is copied"
        return put(blobs, source)

    return kept


def test_a_survey_stays_where_it_is_when_runs_read_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the run, nor the state that is put back, nor the run executed again has a copy of it."""
    survey = bench.folder / "survey.csv"
    survey.write_text("1,2\n" * 1000)
    service.artifact_versioning(bench.lab, {"artifacts": [str(survey)], "external": True}, bench.folder)
    nodes = [node("text", "read", file="survey.csv")]
    sha256 = digest_bytes(survey.read_bytes())
    done = bench.run(nodes)
    assert done.statuses == {"text": "completed"} and not bench.lab.store.blobs.path(sha256).exists()
    assert done.fields("text")["text"] == survey.read_text() and bench.run(nodes).statuses == {"text": "cached"}
    state = service.checkout_run(bench.lab, done.record.run_id, bench.folder / "back")
    assert (state.folder / "survey.csv").resolve() == survey and state.files["survey.csv"] == sha256
    with monkeypatch.context() as patch:
        patch.setattr(Blobs, "put", _refusing(Blobs.put, survey.stat().st_size))
        assert service.reproduce_run(bench.lab, done.record.run_id).verdict == "identical"
    survey.write_text("others")
    with pytest.raises(StoreError, match=r"survey\.csv"):
        service.checkout_run(bench.lab, done.record.run_id, bench.folder / "again")
    assert not (bench.folder / "again").exists() and bench.run(nodes).fields("text")["text"] == "others"
