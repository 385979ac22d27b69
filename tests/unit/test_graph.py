"""Order, cycles and descendants."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from physlab import graph
from physlab.model import Dag, Node, Reference, find_references

DAGS = st.integers(1, 25).flatmap(
    lambda size: st.fixed_dictionaries(
        {str(name): st.sets(st.integers(0, name - 1).map(str), max_size=4) if name else st.just(set())
         for name in range(size)}
    )
)  # fmt: skip


@given(DAGS, st.randoms(use_true_random=False))
def test_order_puts_each_after_what_it_needs(upstream: dict[str, set[str]], random: object) -> None:
    names = list(upstream)
    random.shuffle(names)  # type: ignore[attr-defined]
    order = graph.order({name: sorted(upstream[name]) for name in names})
    assert sorted(order) == sorted(names)
    assert all(order.index(source) < order.index(name) for name in names for source in upstream[name])
    assert graph.cycles({name: sorted(sources) for name, sources in upstream.items()}) == []


@given(DAGS, st.data())
def test_a_back_edge_is_found_with_its_path(upstream: dict[str, set[str]], data: st.DataObject) -> None:
    start = data.draw(st.sampled_from(sorted(upstream)))
    end = data.draw(st.sampled_from(sorted({start, *graph.descendants([start], _turned(upstream))})))
    closed = {name: sorted({*sources, end} if name == start else sources) for name, sources in upstream.items()}
    [path] = graph.cycles(closed)
    assert path[0] == path[-1]
    assert all(before in closed[after] for before, after in itertools.pairwise(path))
    assert len(graph.order(closed)) < len(closed)


def _turned(upstream: dict[str, set[str]]) -> dict[str, list[str]]:
    return {name: [other for other, sources in upstream.items() if name in sources] for name in upstream}


def test_cycles_are_listed_once_for_each_knot() -> None:
    upstream = {"a": ["c"], "b": ["a"], "c": ["b"], "x": ["x"], "y": ["x"], "z": []}
    assert graph.cycles(upstream) == [["a", "b", "c", "a"], ["x", "x"]]
    assert graph.order(upstream) == ["z"]


def test_a_long_chain_is_no_trouble() -> None:
    upstream = {str(i): [str(i - 1)] if i else [] for i in range(20_000)}
    assert graph.order(upstream) == list(upstream)
    assert len(graph.descendants(["0"], {str(i): [str(i + 1)] for i in range(20_000)})) == 20_000


def test_references_are_found_wherever_they_stand() -> None:
    params = {"a": "from:n.x.0", "b": ["from:m", {"c": ("from:k.y-z",)}], "d": "from: no", "e": "FROM:n"}
    assert find_references(params) == [Reference("n", ("x", "0")), Reference("m", ()), Reference("k", ("y-z",))]
    assert [str(item) for item in find_references(params)] == ["from:n.x.0", "from:m", "from:k.y-z"]


def test_needs_are_told_once_in_order() -> None:
    node = Node(id="n", tool="t", params={"x": "from:b.v", "y": "from:a.v"}, dependencies=("c", "a", "c"))
    assert graph.needs(node) == ["c", "a", "b"]


def test_a_dag_without_edges_is_left_alone() -> None:
    dag = Dag(nodes=(Node(id="n", tool="t"),))
    assert graph.connect(dag) is dag
