"""Every accepted spelling of a call and of a graph means the same."""

from __future__ import annotations

from typing import Any

import pytest

from physlab import graph
from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.spelling import read_call, read_dag
from tests.unit.conftest import Bench

NODES = [
    {"id": "slope", "tool": "cas", "method": "diff", "params": {"expr": "x**2", "symbol": "x"}},
    {"id": "curve", "tool": "plot", "method": "function_2d", "params": {"f": "x", "x_min": 0, "x_max": 1},
     "dependencies": ["slope"]},
]  # fmt: skip


@pytest.fixture
def lab(bench: Bench) -> Lab:
    return bench.lab


@pytest.mark.parametrize(
    "payload",
    [
        {"tool": "cas", "params": {"action": "diff", "expr": "x**2", "symbol": "x"}},  # A
        {"tool": "cas", "action": "diff", "params": {"expr": "x**2", "symbol": "x"}},
        {"tool": "cas", "method": "diff", "expr": "x**2", "symbol": "x"},  # B
        {"tool": "cas", "method": "diff", "params": {"action": "diff", "expr": "x**2", "symbol": "x"}},
        {"name": "cas", "arguments": {"method": "diff", "expr": "x**2", "symbol": "x"}},  # C
        {"name": "cas", "arguments": {"action": "diff", "expr": "x**2", "symbol": "x"}},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
         "params": {"name": "cas", "arguments": {"action": "diff", "expr": "x**2", "symbol": "x"}}},
        {"tool": "cas_diff", "params": {"expr": "x**2", "symbol": "x"}},  # legacy name
        {"tool": "cas_diff", "method": "integrate", "expr": "x**2", "symbol": "x"},  # its method is dropped
    ],
)  # fmt: skip
def test_tool_calls(lab: Lab, payload: Any) -> None:
    call = read_call(payload, lab.vocabulary)
    assert (call.tool, call.method, call.params) == ("cas", "diff", {"expr": "x**2", "symbol": "x"})


@pytest.mark.parametrize(
    "payload",
    [
        {"tool": "experiment_orchestrator", "params": {"action": "run_dag", "dag_id": "d"}},  # A
        {"tool": "experiment_orchestrator", "method": "run_dag", "dag_id": "d"},  # B
        {"name": "experiment_orchestrator", "arguments": {"method": "run_dag", "dag_id": "d"}},  # C
        {"tool": "run_dag", "dag_id": "d", "method": "dropped"},  # D
        {"tool": "run_dag", "params": {"dag_id": "d"}},
        {"method": "orchestrator_run_dag", "params": {"dag_id": "d"}},  # E
        {"jsonrpc": "2.0", "id": 7, "method": "orchestrator_run_dag", "params": {"dag_id": "d"}},
        {"tool": "experiment_orchestrator", "method": "orchestrator_run_dag", "dag_id": "d"},
        {"tool": "orchestrator_run_dag", "dag_id": "d"},
    ],
)
def test_lab_calls(lab: Lab, payload: Any) -> None:
    call = read_call(payload, lab.vocabulary)
    assert (call.tool, call.method, call.params) == ("experiment_orchestrator", "run_dag", {"dag_id": "d"})


def test_collaboration_calls(lab: Lab) -> None:
    for payload in (
        {"tool": "job_submit", "backend": "slurm"},
        {"method": "distributed_job_submit", "params": {"backend": "slurm"}},
        {"tool": "distributed_collaboration", "params": {"action": "job_submit", "backend": "slurm"}},
    ):
        call = read_call(payload, lab.vocabulary)
        assert (call.tool, call.method, call.params) == (
            "distributed_collaboration", "job_submit", {"backend": "slurm"},
        )  # fmt: skip


def test_single_purpose_tools_keep_their_parameters(lab: Lab) -> None:
    call = read_call({"tool": "constants_get", "name": "c"}, lab.vocabulary)
    assert (call.method, call.params) == (None, {"name": "c"})


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ("cas", "JSON object"),
        ([], "JSON object"),
        ({"params": {}}, "names no tool"),
        ({"tool": 5}, "tool = 5 is not a text"),
        ({"tool": "cas", "params": []}, "params = [] is not an object"),
        ({"tool": "cas", "method": 3}, "method = 3"),
        ({"tool": "cas", "expr": "x", "params": {"expr": "y"}}, "both beside and inside"),
        ({"tool": "experiment_orchestrator"}, "lacks its method"),
        ({"tool": "experiment_orchestrator", "method": "undefined"}, "lacks its method"),
        ({"tool": "experiment_orchestrator", "method": "run_dags"}, "Did you mean 'run_dag'"),
        ({"tool": "distributed_collaboration", "method": "run_dag"}, "Known: artifact_versioning"),
    ],
)
def test_wrong_calls_say_what_is_meant(lab: Lab, payload: Any, said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        read_call(payload, lab.vocabulary)
    assert said in str(raised.value)


SPELLINGS: list[Any] = [
    {"nodes": NODES},
    {"nodes": NODES, "edges": []},
    NODES,
    {"dag": NODES},
    {"steps": NODES},
    {"spec": {"nodes": NODES}},
    {"nodes": NODES[::-1]},
    {"nodes": NODES, "metadata": {"title": "T", "author": "A", "description": "D", "version": "2", "tags": ["x"]}},
    {"nodes": NODES, "title": "T", "description": "D"},
    {"name": "T", "nodes": NODES},
    {"tool": "experiment_orchestrator", "params": {"dag": NODES}},
    {"tool": "experiment_orchestrator", "params": {"action": "define_dag", "name": "N", "nodes": NODES}},
    {"tool": "experiment_orchestrator", "arguments": {"method": "define_dag", "spec": {"nodes": NODES}}},
    {"nodes": [NODES[0], {key: value for key, value in NODES[1].items() if key != "dependencies"}],
     "edges": [{"from": "slope", "to": "curve"}]},
    {"nodes": [{"id": "slope", "tool": "cas", "action": "diff", "expr": "x**2", "symbol": "x"},
               {"id": "curve", "tool": "plot_function_2d", "f": "x", "x_min": 0.0, "x_max": 1.0,
                "dependencies": ["slope", "slope"]}]},
    {"nodes": [{"id": "slope", "tool": "cas", "params": {"action": "diff", "symbol": "x", "expr": "x**2"}},
               {"id": "curve", "tool": "plot", "params": {"plot_type": "function_2d", "f": "x", "x_min": 0, "x_max": 1},
                "dependencies": ["slope"], "seed": 0, "cache": True, "device": "auto", "retries": 0}]},
]  # fmt: skip


@pytest.mark.parametrize("spec", SPELLINGS)
def test_one_graph_has_one_identity(lab: Lab, spec: Any) -> None:
    assert graph.identity(read_dag(spec, lab.vocabulary)) == graph.identity(read_dag(NODES, lab.vocabulary))


def test_words_are_kept_where_they_were_said(lab: Lab) -> None:
    dag = read_dag({"name": "N", "version": 1.5, "metadata": {"author": "A"}, "nodes": NODES}, lab.vocabulary)
    assert (dag.title, dag.author, dag.version, dag.description) == ("N", "A", "1.5", "")


def test_what_counts_changes_the_identity(lab: Lab) -> None:
    changes: list[dict[str, Any]] = [
        {"id": "other"}, {"params": {"expr": "x**3", "symbol": "x"}}, {"seed": 1}, {"device": "cpu"},
        {"visual_outputs": {"static": False}}, {"resources": {"cpu": 2}}, {"cache": False},
    ]  # fmt: skip
    seen = {graph.identity(read_dag([{**NODES[0], **change}], lab.vocabulary)) for change in [{}, *changes]}
    assert len(seen) == len(changes) + 1


def test_steps_without_ids_refer_to_the_one_before(lab: Lab) -> None:
    """The list form of the seed documents: fields inline, no ids, no edges."""
    dag = read_dag(
        {"dag": [
            {"tool": "toy", "action": "give", "value": 1},
            {"tool": "toy", "action": "array", "n": 3},
            {"tool": "toy", "action": "give", "value": "from_previous_step"},
            {"tool": "cas", "action": "diff", "expr": "x", "symbol": "x"},
            {"tool": "toy", "action": "give", "value": {"deep": ["from_toy", "from_cas", "from_nowhere"]}},
        ]},
        lab.vocabulary,
    )  # fmt: skip
    assert [node.id for node in dag.nodes] == ["step1_toy", "step2_toy", "step3_toy", "step4_cas", "step5_toy"]
    assert dag.nodes[2].params == {"value": "from:step2_toy"}
    assert dag.nodes[4].params == {"value": {"deep": ["from:step3_toy", "from:step4_cas", "from_nowhere"]}}
    assert graph.needs(dag.nodes[4]) == ["step3_toy", "step4_cas"]


def test_data_edges_become_references(lab: Lab) -> None:
    nodes = [{"id": "a", "tool": "toy", "method": "give", "params": {"value": {"psi": 1}}},
             {"id": "b", "tool": "toy", "method": "give"}]  # fmt: skip

    def second(key: str, **params: Any) -> dict[str, Any]:
        edges = [{"from": "a", "to": "b", "data_key": key}]
        dag = graph.connect(read_dag({"nodes": [nodes[0], {**nodes[1], "params": params}], "edges": edges},
                                     lab.vocabulary))  # fmt: skip
        assert dag.nodes[1].dependencies == ("a",)
        assert not dag.edges
        return dag.nodes[1].params

    assert second("value") == {"value": "from:a.value"}
    assert second("value.psi") == {"psi": "from:a.value.psi"}
    assert second("value.psi:value") == {"value": "from:a.value.psi"}
    assert second("value", value=7) == {"value": 7}, "what the node says itself is kept"
    assert second("psi", value="from:a.psi") == {"value": "from:a.psi"}, "what is referred to already only orders"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("nodes", "JSON object"),
        ({}, "lacks its list of nodes"),
        ({"nodes": {"a": 1}}, "lacks its list of nodes"),
        ({"nodes": NODES, "metadata": "Title"}, "metadata = 'Title' is not an object"),
        ({"nodes": NODES, "titel": "x"}, "unknown key 'titel' of the DAG. Did you mean 'title'"),
        ({"nodes": [7]}, "node number 1: it is not an object"),
        ({"nodes": [{"id": "a"}]}, "node 'a': it names no tool"),
        ({"nodes": [{"id": "a b", "tool": "cas"}]}, "id = 'a b'"),
        ({"nodes": [{"id": 5, "tool": "cas"}]}, "id = 5"),
        ({"nodes": [{"tool": "cas", "params": 3}]}, "'params' is not an object"),
        ({"nodes": [{"tool": "cas", "params": {"expr": 1}, "expr": 2}]}, "both beside and inside"),
        ({"nodes": [{"tool": "cas", "params": {}, "dependancies": []}]}, "Did you mean 'dependencies'"),
        ({"nodes": [{"tool": "cas", "params": {}, "visual_output": {}}]}, "Did you mean 'visual_outputs'"),
        ({"nodes": [{"tool": "cas", "device": "tpu"}]}, "device = 'tpu'"),
        ({"nodes": [{"tool": "cas", "resources": {"cores": 3}}]}, "resources.cores"),
        ({"nodes": [{"tool": "cas", "retries": -1}]}, "retries = -1"),
        ({"nodes": [{"tool": "cas", "condition": "a.ok"}]}, "conditional nodes are not supported"),
        ({"nodes": [], "parameter_sweep": {}}, "parameter sweeps are not supported"),
        ({"nodes": [{"tool": "cas", "expr": "from_previous_step"}]}, "no previous step"),
        ({"nodes": NODES, "edges": [{"source": "a"}]}, "to"),
        ({"nodes": NODES, "edges": [{"from": "a", "to": "b", "key": "c"}]}, "key"),
        ({"nodes": NODES, "edges": 5}, "not iterable"),
    ],
)
def test_wrong_graphs_say_where(lab: Lab, spec: Any, said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        read_dag(spec, lab.vocabulary)
    assert said in str(raised.value)


def test_every_wrong_node_is_told_at_once(lab: Lab) -> None:
    with pytest.raises(ValidationError) as raised:
        read_dag({"nodes": [{"id": "a"}, 3, {"tool": "cas", "retries": 99}], "x": 1}, lab.vocabulary)
    assert len(raised.value.details["problems"]) == 4
