"""Graphs as nodes of graphs: defined, validated, run and published from inside a run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from physlab import service
from physlab.errors import ComputationError
from physlab.model import NodeRecord, RunRequest
from tests.unit.conftest import Bench

INNER: dict[str, Any] = {
    "metadata": {"title": "Inner"},
    "nodes": [
        {"id": "slope", "tool": "cas", "method": "diff", "params": {"expr": "x^3", "symbol": "x"}},
        {"id": "value", "tool": "cas", "method": "evaluate", "params": {"expr": "from:slope.str", "vars": {"x": 2}}},
    ],
}


def node(name: str, method: str, **params: Any) -> dict[str, Any]:
    return {"id": name, "tool": "experiment_orchestrator", "method": method, "params": params}


def run(bench: Bench, *nodes: dict[str, Any]) -> tuple[service.Reply, dict[str, NodeRecord]]:
    reply = service.run_dag(bench.lab, {"metadata": {"title": "Outer"}, "nodes": list(nodes)}, RunRequest(),
                            base_dir=bench.folder)  # fmt: skip
    record = bench.lab.find_run(reply.body["run_id"])
    kept = {item.id: bench.lab.store.record(item.record) for item in record.nodes if item.record}
    return reply, {name: NodeRecord.model_validate(item) for name, item in kept.items()}


def test_a_graph_is_defined_validated_run_and_published(bench: Bench) -> None:
    nodes = [
        node("study", "define_dag", spec=INNER),
        node("checked", "validate_dag", dag_id="from:study.dag_id"),
        node("run", "run_dag", dag_id="from:study.dag_id"),
        node("paper", "publish_report", run_id="from:run.run_id", authors=["A. Physicist"]),
    ]
    reply, made = run(bench, *nodes)
    assert reply.error is None
    assert made["checked"].fields["ok"] is True
    assert made["run"].fields["status"] == "completed" and made["run"].fields["run"]["cache_hits"] == 0
    inner = bench.lab.find_run(made["run"].fields["run_id"])
    assert inner.title == "Inner" and [item.id for item in inner.nodes] == ["slope", "value"]
    value = NodeRecord.model_validate(bench.lab.store.record(str(inner.nodes[1].record)))
    assert value.fields["evalf"] == 12  # 3 x^2 at 2
    pdf = next(item for item in made["paper"].artifacts if item.field == "pdf_path")
    assert bench.lab.store.blobs.read(pdf.sha256).startswith(b"%PDF")
    again, made = run(bench, *nodes)
    assert again.error is None and made["run"].fields["run"]["cache_hits"] == 2, "the inner nodes are cached"


def test_a_graph_may_be_a_text_or_a_file(bench: Bench) -> None:
    (bench.folder / "inner.yaml").write_text(json.dumps(INNER))
    reply, made = run(
        bench,
        node("text", "define_dag", natural_language="differentiate x^2"),
        node("json", "define_dag", spec=json.dumps(INNER)),
        node("file", "run_dag", dag_id="inner.yaml", parallel_execution=False),
    )
    assert reply.error is None
    assert made["json"].fields["dag_id"] == made["file"].fields["dag_id"] != made["text"].fields["dag_id"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (node("run", "run_dag", dag_id="Outer"), "inside itself"),
        (node("run", "run_dag", dag_id="nowhere"), "no DAG 'nowhere'"),
        (node("run", "define_dag", spec={"nodes": [{"id": "a", "tool": "nothing", "params": {}}]}), "'nothing'"),
        (node("run", "run_dag", dag_id="broken"), "1 of 1 nodes failed"),
        (node("run", "publish_report", run_id="never"), "no finished run"),
    ],
)
def test_what_goes_wrong_inside_fails_the_node(bench: Bench, wrong: dict[str, Any], said: str) -> None:
    broken = {"metadata": {"title": "broken"}, "nodes": [
        {"id": "a", "tool": "cas", "method": "evaluate", "params": {"expr": "1/0"}},
    ]}  # fmt: skip
    service.define_dag(bench.lab, spec=broken, base_dir=bench.folder)
    reply, _ = run(bench, wrong)
    assert isinstance(reply.error, ComputationError)
    assert said in str(reply.error.details["failed"]["run"])


def test_two_graphs_that_run_each_other_stop(bench: Bench) -> None:
    for name, other in (("one", "two"), ("two", "one")):
        spec = {"metadata": {"title": name}, "nodes": [node("run", "run_dag", dag_id=other)]}
        service.define_dag(bench.lab, spec=spec, base_dir=bench.folder)
    reply = service.run_dag(bench.lab, "one", RunRequest())
    assert "inside itself" in str(reply.error)
