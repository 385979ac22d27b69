"""The picture of a graph: whole, broken and huge."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from physlab.model import Dag, Edge, Node, Problem
from physlab.report.overview import draw_overview, draw_overview_svg
from physlab.report.overview.places import GAP, place
from physlab.report.overview.scene import Label, Rect, compose, text_width
from physlab.report.overview.sketch import HEIGHT, Arrow, Box, aggregate, layered, sketch


def node(name: str, *sources: str, after: tuple[str, ...] = (), tool: str = "cas") -> Node:
    params = {f"p{index}": f"from:{source}" for index, source in enumerate(sources)}
    return Node(id=name, tool=tool, method="evaluate", params=params, dependencies=after)


def dag(*nodes: Node, **more: object) -> Dag:
    return Dag(nodes=nodes, **more)  # type: ignore[arg-type]


DIAMOND = dag(node("a"), node("b", "a.x"), node("c", "a.y"), node("d", "b.u", "c.v", after=("a",)))


def size(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as picture:
        picture.load()
        return picture.size


def test_boxes_stand_below_what_they_need_and_carry_names_and_fields() -> None:
    drawn = sketch(DIAMOND, {})
    assert dict(drawn.rows) == {"a": 0, "b": 1, "c": 1, "d": 2}
    svg = draw_overview_svg(DIAMOND, {"a": "compute", "d": "plot"})
    for text in ("cas.evaluate", ">a<", ">d<", ">x<", ">u<", "compute", "plot", "passes data", "only orders"):
        assert text in svg


def test_data_edges_are_drawn_as_data() -> None:
    graph = dag(node("a"), node("b"), edges=(Edge(source="a", target="b", data_key="psi:f"),))
    [arrow] = sketch(graph, {}).arrows
    assert (arrow.source, arrow.target, arrow.fields) == ("a", "b", ("psi",))


@pytest.mark.parametrize(
    "graph",
    [
        dag(),
        dag(node("only")),
        DIAMOND,
        dag(node("a", "c.x"), node("b", "a.x"), node("c", "b.x"), node("self", "self.x")),
        dag(node("twice"), node("twice", "missing.x")),
        dag(node("s"), *(node(f"n{i}", "s.x") for i in range(40))),
    ],
    ids=["empty", "one", "diamond", "circles", "duplicate and unknown", "wide"],
)
def test_every_graph_is_drawn_and_gives_the_same_bytes_again(graph: Dag) -> None:
    first = draw_overview(graph, {})
    width, height = size(first)
    assert 0 < width <= 3200 and 0 < height <= 3200
    assert draw_overview(graph, {}) == first
    assert draw_overview_svg(graph, {}).startswith("<svg")


def test_a_circle_is_marked_where_it_closes() -> None:
    graph = dag(node("a", "c.x"), node("b", "a.x"), node("c", "b.x"))
    backward = [(arrow.source, arrow.target) for arrow in sketch(graph, {}).arrows if arrow.backward]
    assert backward == [("c", "a")]
    assert "closes a circle" in draw_overview_svg(graph, {})


def test_problems_and_statuses_are_shown_not_by_colour_alone() -> None:
    problem = Problem(severity="error", node_id="b", code="VALIDATION_ERROR", message="wrong")
    svg = draw_overview_svg(DIAMOND, {}, [problem], {"a": "cached", "d": "failed"})
    for text in ("has a problem", ">!<", ">cached<", ">failed<"):
        assert text in svg
    assert draw_overview(DIAMOND, {}, [problem]) != draw_overview(DIAMOND, {})


def test_an_unknown_source_is_a_ghost() -> None:
    ghosts = [box.title for box in sketch(dag(node("b", "nowhere.x")), {}).boxes if box.ghost]
    assert ghosts == ["nowhere"]


def test_two_hundred_nodes_are_aggregated_by_row_and_method() -> None:
    nodes = [node(f"s{i}", tool="quantum") for i in range(100)]
    nodes += [node(f"p{i}", f"s{i}.psi", tool="plot") for i in range(100)]
    graph = dag(*nodes, node("sum", *(f"s{i}.e" for i in range(100)), tool="data"))
    small = aggregate(sketch(graph, {}))
    assert [box.title for box in small.boxes] == ["100 × quantum.evaluate", "100 × plot.evaluate", "sum"]
    assert {(arrow.count, arrow.fields) for arrow in small.arrows} == {(100, ("psi",)), (100, ("e",))}
    assert "100 × quantum.evaluate" in draw_overview_svg(graph, {})
    chain = dag(node("c0"), *(node(f"c{i}", f"c{i - 1}.y") for i in range(1, 400)))
    assert len(aggregate(sketch(chain, {})).boxes) == 10


def test_svg_escapes_names() -> None:
    svg = draw_overview_svg(dag(Node(id="a", tool='<script x="1">')), {"a": "user"})
    assert "<script" not in svg


@st.composite
def graphs(draw: st.DrawFn) -> Dag:
    count = draw(st.integers(1, 14))
    return dag(
        *(node(f"n{i}", *(f"n{j}.x" for j in draw(st.sets(st.integers(0, count), max_size=3)))) for i in range(count))
    )


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_boxes_never_overlap(graph: Dag) -> None:
    drawn = sketch(graph, {})
    places = place(drawn, 100.0)
    rows: dict[float, list[float]] = {}
    for x, y in places.centres.values():
        rows.setdefault(y, []).append(x)
        assert -1e-6 <= x - 50 <= places.width - 100 + 1e-6
    for columns in rows.values():
        assert all(right - left >= 100 + GAP - 1e-6 for left, right in pairwise(sorted(columns)))
    assert all(lower - upper >= HEIGHT for upper, lower in pairwise(sorted(rows)))
    for arrow in drawn.arrows:
        if not arrow.backward:
            assert places.centres[arrow.source][1] < places.centres[arrow.target][1]


def test_notes_stand_inside_their_box() -> None:
    boxes = (Box("a", "a", "tool", "data", notes=("2026-11-22 · code", "n=3, " * 40)), Box("b", "b", "tool", "data"))
    whole = layered(boxes, [Arrow("a", "b")])
    plain = layered((Box("a", "a", "tool", "data"), Box("b", "b", "tool", "data")), [Arrow("a", "b")])
    assert plain.height == HEIGHT < whole.height
    scene = compose(whole)
    [outer, _] = [shape for shape in scene.shapes if isinstance(shape, Rect)][:2]
    inside = [shape for shape in scene.shapes if isinstance(shape, Label) and shape.y < outer.y + outer.height]
    assert len(inside) == 4
    for text in inside:
        assert outer.y < text.y - text.size / 2 and text.y + text.size / 2 < outer.y + outer.height
        assert text_width(text.text, text.size) <= outer.width - 4
