"""The Python face."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from physlab.errors import ComputationError, ValidationError
from physlab.experiment import Dag, Output, Run
from tests.unit.conftest import open_lab

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, toy_tools: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PHYSLAB_HOME", str(tmp_path / "home"))


def test_a_graph_is_described_run_and_looked_at(tmp_path: Path) -> None:
    dag = Dag("Sums", description="It adds.", author="A. One")
    a = dag.node("toy", "array", n=1000)
    b = dag.node("toy", "array", n=2, numbers=a["array"])
    dag.node("toy", "give", id="end", value={"deep": [b["total"], a["array"][-1]]}, after=[a, "toy_2"])
    assert dag.validate() == []
    assert len(dag.id) == 16
    run = dag.run(server=False, parallelism=1)
    assert repr(run) == f"<Run {run.id} of 'Sums': completed, 0 cached, 3 computed, 0 failed>"
    np.testing.assert_array_equal(run["toy"]["array"], np.arange(1000.0))
    assert run["toy_2"]["total"] == 499500.0
    assert run["end"]["value"] == {"deep": [499500.0, 999.0]}
    assert Run().id == Run("Sums").id == Run(dag.id).id == run.id
    assert run._repr_png_().startswith(PNG) and dag._repr_png_().startswith(PNG)
    again = dag.run(server=False, refresh=["end"])
    assert again.record.meta["cache_hits"] == 2


def test_the_hydrogen_example_validates() -> None:
    dag = Dag("Hydrogen 2p")
    state = dag.node("quantum", "solve", problem="hydrogen", n=2, l=1)
    dag.node("plot", "function_2d", f=state["radial"], x=state["r"])
    assert {problem.severity for problem in dag.validate()} == {"warning"}, "visual outputs are not declared"


def test_a_spec_can_be_saved_and_run(tmp_path: Path) -> None:
    dag = Dag("Saved ☃")
    dag.node("toy", "give", value=[1, 2.5, "ä"], seed=4, retries=2, cache=False, device="cpu", resources={"cpu": 1},
             visual_outputs={"static": False})  # fmt: skip
    path = dag.save(tmp_path / "dag.json")
    assert json.loads(path.read_text()) == dag.spec()
    with open_lab(tmp_path) as lab:
        assert lab.find_dag(str(path)).dag_id == dag.id
        assert lab.find_dag(str(path)).dag.title == "Saved ☃"


def test_values_of_many_kinds_become_json() -> None:
    dag = Dag()
    kept = dag.node("toy", "give", value=np.float64(1.5))
    value = {"a": np.arange(3), 1: (1, Path("x")), "c": np.array([1j]), "o": kept["value"][0], "n": np.int64(7)}
    dag.node("toy", "give", value=value, params={"allow_large": True})
    given = dag.spec()["nodes"][1]["params"]
    assert given == {
        "value": {"a": [0, 1, 2], "1": [1, "x"], "c": {"real": [0.0], "imag": [1.0]}, "o": "from:toy.value.0", "n": 7},
        "allow_large": True,
    }  # fmt: skip
    json.dumps(given)


def test_an_output_is_a_reference_and_nothing_else() -> None:
    output = Output("a")["x"][2]
    assert str(output) == repr(output) == "from:a.x.2"
    with pytest.raises(TypeError, match="not iterable"):
        list(output)  # type: ignore[call-overload]


def test_what_is_wrong_is_said() -> None:
    dag = Dag()
    first = dag.node("toy", "count", counter="c", fail_times=9)
    dag.node("toy", "give", id="behind", value=first["calls"])
    with pytest.raises(ValidationError, match="a node 'behind' already"):
        dag.node("toy", "give", id="behind")
    with pytest.raises(ComputationError, match="1 of 2 nodes failed") as raised:
        dag.run(server=False)
    run = Run(raised.value.details["run_id"])
    with pytest.raises(ValidationError, match="'behind' has no result: it is skipped"):
        run["behind"]
    with pytest.raises(ValidationError, match=r"no node 'behnd'.*Did you mean 'behind'"):
        run["behnd"]
    with pytest.raises(ValidationError, match="parallelism = 99"):
        dag.run(server=False, parallelism=99)
    with pytest.raises(ValidationError, match="1 error"):
        _wrong().run(server=False)
    assert [problem.node_id for problem in _wrong().validate()] == ["toy"]


def _wrong() -> Dag:
    dag = Dag()
    dag.node("toy", "nope")
    return dag


def test_artifacts_and_report() -> None:
    dag = Dag("Drawn")
    declared = {"static": False, "series": True}
    dag.node("toy", "draw", write=["series"], visual_outputs=declared)
    dag.node("toy", "draw", write=["series", "data"], visual_outputs=declared)
    run = dag.run(server=False)
    assert [item.role for item in run.artifacts()] == ["series", "series", "data"]
    assert [item.name for item in run.artifacts("toy_2", "data")] == ["data.txt"]
    assert run.report(title="Paper", authors=["A. One"]).read_bytes().startswith(b"%PDF")
