"""Validation finds everything at once, each with its node, a code and a hint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import ValidationError
from physlab.model import Problem
from tests.unit.conftest import Bench, node


def problems(bench: Bench, *nodes: Any, edges: Any = (), **settings: Any) -> list[Problem]:
    return bench.lab.check(bench.lab.read({"nodes": list(nodes), "edges": list(edges)}, bench.folder)).problems


def only(found: list[Problem], node_id: str | None, *texts: str, code: str = "VALIDATION_ERROR") -> None:
    """Expect one problem of that node that says all of this."""
    matching = [item for item in found if item.node_id == node_id and all(text in str(item) for text in texts)]
    assert len(matching) == 1, "\n".join(map(str, found))
    assert matching[0].code == code


def test_a_right_graph_has_no_problems(bench: Bench) -> None:
    found = bench.lab.check(bench.lab.read([node("a", "give"), node("b", "give", value="from:a.value")], bench.folder))
    assert found.ok and found.problems == [] and list(found.nodes) == ["a", "b"]
    found.require()


def test_everything_wrong_is_told_in_one_call(bench: Bench) -> None:
    bench.lab.settings.caps["samples"] = 50
    found = problems(
        bench,
        node("loop1", "give", needs=("loop3",)),
        node("loop2", "give", value="from:loop1.value"),
        node("loop3", "give", value=["from:loop2"]),
        node("self", "give", needs=("self",)),
        node("twice", "give"),
        node("twice", "give"),
        node("lost", "give", needs=("losd",), value="from:nowhere.x"),
        {"id": "tool", "tool": "plott"},
        node("method", "ad"),
        {"id": "nomethod", "tool": "toy"},
        {"id": "single", "tool": "constants_get", "method": "x", "params": {"name": "c"}},
        node("missing", "add", b=1),
        node("unknown", "add", a=1, bb=2),
        node("type", "add", a="much"),
        node("range", "whole", x=-5000),
        node("field", "give", value="from:fine.vale"),
        node("dimension", "measure", length="from:joule.energy"),
        node("unit", "measure", length="3 kilogram"),
        node("joule", "energy", x=1),
        node("fine", "give"),
        node("cap", "array", n=51),
        node("large", "array", n=51, allow_large=True),
        node("reference", "add", a="from:not a reference"),
        node("marker", "give", value={"deep": {"$in": 0}}),
        node("file", "read", file="nothing.txt"),
        node("undeclared", "draw"),
        node("impossible", "draw", extra={"visual_outputs": {"animation": True}}),
        node("plotless", "give", extra={"visual_outputs": {"static": True}}),
        node("device", "give", extra={"device": "cuda"}),
        node("cores", "give", extra={"resources": {"cpu": 4000}}),
        node("end", "give"),
        edges=[{"from": "end", "to": "nobody"}, {"from": "noone", "to": "end"}, {"from": "x", "to": "y"},
               {"from": "fine", "to": "end", "data_key": "vale:value"}],
    )  # fmt: skip
    only(found, "loop1", "cycle: loop1 → loop2 → loop3 → loop1")
    only(found, "self", "cycle: self → self")
    only(found, "twice", "2 nodes have the id 'twice'")
    only(found, "lost", "'losd'", "Did you mean 'lost'")
    only(found, "lost", "'nowhere', which is not a node")
    only(found, "tool", "'plott' does not exist", "Did you mean 'plot'")
    only(found, "method", "has no method 'ad'", "Did you mean 'add'")
    only(found, "nomethod", "needs a method", "Known: add")
    only(found, "single", "has one purpose")
    only(found, "missing", "'a' is missing", "physlab tools show toy.add")
    only(found, "unknown", "unknown parameter 'bb'", "Did you mean 'b'")
    only(found, "type", "a = 'much'", "number")
    only(found, "range", "x = -5000", "greater than or equal to -1000")
    only(found, "field", "returns no 'vale'", "Did you mean 'value'")
    only(found, "end", "returns no 'vale'")
    only(found, "dimension", "length", "'eV'", code="UNITS_ERROR")
    only(found, "unit", "length", "kilogram", code="UNITS_ERROR")
    only(found, "cap", "n = 51", "cap of 50", "allow_large")
    only(found, "reference", "is not a reference", "from:node.field")
    only(found, "marker", "'$in'", "taken")
    only(found, "file", "nothing.txt' does not exist")
    only(found, "undeclared", "no visual outputs are declared; it will write: static")
    only(found, "impossible", "toy.draw has no animation output", "static, series")
    only(found, "plotless", "has no static output", "none")
    only(found, "device", "has no cuda version; it runs on: cpu")
    only(found, "cores", "resources.cpu = 4000")
    only(found, None, "end → nobody", "'to' names 'nobody'")
    only(found, "end", "noone → end", "'from' names 'noone'", "Did you mean")
    only(found, None, "x → y", "'from' names 'x'")
    assert not [item for item in found if item.node_id in ("large", "fine", "joule")]
    warned = {item.node_id for item in found if item.severity == "warning"}
    assert warned == {"undeclared", "device", "cores"}
    assert all(item.hint or item.severity == "warning" or item.node_id in ("type", "range", "marker")
               for item in found if item.code != "UNITS_ERROR")  # fmt: skip


def test_one_error_carries_all_of_them(bench: Bench) -> None:
    checked = bench.lab.check(bench.lab.read([node(f"n{i}", "nope") for i in range(25)], bench.folder))
    with pytest.raises(ValidationError, match="25 errors") as raised:
        checked.require()
    assert len(raised.value.details["problems"]) == 25
    assert "and 5 more" in str(raised.value)
    json.dumps(raised.value.as_reply())


def test_both_of_two_nodes_with_one_id_are_checked(bench: Bench) -> None:
    nodes = [node("twice", "ad"), node("twice", "add", a=1, bb=2), node("once", "whole", x=-5000)]
    found = bench.lab.check(bench.lab.read(nodes, bench.folder)).problems
    only(found, "twice", "2 nodes have the id 'twice'")
    only(found, "twice", "has no method 'ad'")
    only(found, "twice", "unknown parameter 'bb'")
    only(found, "once", "-5000")
    assert len(found) == 4


def test_an_empty_graph_is_wrong(bench: Bench) -> None:
    only(problems(bench), None, "has no nodes")


def test_too_many_nodes_are_refused(bench: Bench) -> None:
    bench.lab.settings.caps["nodes"] = 2
    only(problems(bench, *(node(f"n{i}", "give") for i in range(3))), None, "3 nodes are more than the cap of 2")


def test_a_faulty_node_is_not_called_right(bench: Bench) -> None:
    checked = bench.lab.check(bench.lab.read([node("a", "give"), node("b", "give", value="from:a.x")], bench.folder))
    assert list(checked.nodes) == ["a"]


@pytest.mark.parametrize("value", ["from:", "from: a", "from:a..b", "from:a.", "from:a b", "from:ä", "from:a.b/c"])
def test_what_only_begins_like_a_reference_is_an_error(bench: Bench, value: str) -> None:
    only(problems(bench, node("a", "give"), node("b", "give", value={"x": [value]})), "b", value, "is not a reference")


def test_a_reference_goes_as_deep_as_it_likes(bench: Bench) -> None:
    nodes = [node("a", "give", value={"x": [1, 2]}), node("b", "give", value="from:a.value.x.1"),
             node("c", "give", value="from:a.meta.device"), node("d", "give", value="from:a")]  # fmt: skip
    assert problems(bench, *nodes) == []


def test_deferred_parameters_keep_the_checks_of_the_others(bench: Bench) -> None:
    found = problems(bench, node("a", "give"), node("b", "add", a="from:a.value", b="text", c=1))
    only(found, "b", "b = 'text'")
    only(found, "b", "unknown parameter 'c'")


def test_files_start_at_the_graphs_own_folder(bench: Bench, tmp_path: Path) -> None:
    (bench.folder / "data.txt").write_text("here")
    assert problems(bench, node("a", "read", file="data.txt")) == []
    [problem] = problems(bench, node("a", "read", file=""))
    assert "is a folder, not a file" in str(problem)


@pytest.mark.parametrize(
    ("declared", "flags", "visuals", "wrong"),
    [
        (None, {}, (True, False, False), False),
        ({"static": False, "series": True}, {}, (False, True, False), False),
        ({"series": True}, {}, (True, True, False), False),
        ({}, {"emit_csv": True, "emit_plots": False}, (False, True, False), False),
        ({"static": True}, {"emit_plots": False}, (True, False, False), False),
        ({"static": False}, {"emit_animation": True}, None, True),
    ],
)
def test_visual_outputs(bench: Bench, declared: Any, flags: Any, visuals: Any, wrong: bool) -> None:
    checked = bench.lab.check(
        bench.lab.read([node("a", "draw", extra={"visual_outputs": declared}, **flags)], bench.folder)
    )
    assert checked.ok is not wrong
    if visuals:
        chosen = checked.nodes["a"].prepared.visuals
        assert (chosen.static, chosen.series, chosen.animation) == visuals
    assert bool(checked.warnings) == (declared is None)
