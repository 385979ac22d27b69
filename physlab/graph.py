"""The shape of a DAG: who needs whom, in which order, and where it goes round in a circle. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from physlab.keys import dag_id
from physlab.model import Dag, Model, Node, Reference, find_references


@dataclass(frozen=True)
class DataEdge:
    """A value that enters a node: the parameter it is for, and where it comes from."""

    target: str
    parameter: str
    reference: Reference


def data_edges(dag: Dag) -> Iterator[DataEdge]:
    """Yield the values that enter nodes through `data_key` edges.

    `data_key` names a field of the source; the value enters the parameter of the same name, or the one named after a
    colon (`psi:f`).
    """
    for edge in dag.edges:
        if edge.data_key:
            field, _, parameter = edge.data_key.partition(":")
            yield DataEdge(
                edge.target, parameter or field.split(".")[-1], Reference(edge.source, tuple(field.split(".")))
            )


def connect(dag: Dag) -> Dag:
    """Return the DAG with its data edges written into the parameters as references, its other edges as dependencies.

    Where the node sets the parameter itself, or refers to the field elsewhere, the edge only orders.
    """
    if not dag.edges:
        return dag
    params = {node.id: node.params for node in dag.nodes}
    extra_params: dict[str, dict[str, Any]] = defaultdict(dict)
    extra_needs: dict[str, list[str]] = defaultdict(list)
    for item in data_edges(dag):
        if item.reference not in find_references(params.get(item.target, {})):
            extra_params[item.target][item.parameter] = str(item.reference)
        extra_needs[item.target].append(item.reference.node)
    for edge in dag.edges:
        if not edge.data_key:
            extra_needs[edge.target].append(edge.source)
    nodes = tuple(
        node.model_copy(
            update={
                "params": {**extra_params[node.id], **node.params},
                "dependencies": (*node.dependencies, *extra_needs[node.id]),
            }
        )
        if node.id in extra_needs
        else node
        for node in dag.nodes
    )
    return dag.model_copy(update={"nodes": nodes, "edges": ()})


def needs(node: Node) -> list[str]:
    """Return the ids a node depends on, each once, in the order of first mention."""
    mentioned = list(node.dependencies)
    mentioned.extend(reference.node for reference in find_references(node.params))
    return list(dict.fromkeys(mentioned)) if len(mentioned) > 1 else mentioned


def normalised(dag: Dag) -> dict[str, Any]:
    """Return what identifies a graph: its nodes and edges, without what people call them."""
    nodes = sorted(connect(dag).nodes, key=lambda node: node.id)
    return {"nodes": [{**brief(node), "dependencies": sorted(set(needs(node)))} for node in nodes]}


def brief(node: Node) -> dict[str, Any]:
    """Return what a node sets, as `model_dump(mode="json", exclude_defaults=True)` does in three times the time."""
    found = {}
    for name, default in _DEFAULTS:
        value = getattr(node, name)
        if value != default:
            found[name] = value.model_dump(mode="json", exclude_defaults=True) if isinstance(value, Model) else value
    return found


_DEFAULTS = [(name, field.default) for name, field in Node.model_fields.items()]


def identity(dag: Dag) -> str:
    """Return the content-addressed id of a DAG (16 hex digits): same graph, same id."""
    return dag_id(normalised(dag))


def order(upstream: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the node ids so that each stands after what it needs; ties keep the order of the mapping.

    Args:
        upstream: For each node the ids it depends on; all of them are nodes.

    Returns:
        Fewer ids than nodes when the graph has a cycle: those on or behind a cycle are missing.
    """
    waiting: dict[str, int] = {}
    downstream: dict[str, list[str]] = {name: [] for name in upstream}
    for name, sources in upstream.items():
        count = 0
        for source in sources:
            downstream[source].append(name)
            count += 1
        waiting[name] = count
    ready = [name for name, count in waiting.items() if not count]
    for name in ready:  # grows while it is walked
        for target in downstream[name]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return ready


def cycles(upstream: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return one closed path for each knot of nodes that need each other, for instance `[["a", "b", "a"]]`."""
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from((source, name) for name, sources in upstream.items() for source in sources)
    found = []
    for knot in nx.strongly_connected_components(graph):
        start = min(knot)
        if len(knot) > 1 or graph.has_edge(start, start):
            edges = nx.find_cycle(graph.subgraph(knot), start)
            found.append([edges[0][0], *(edge[1] for edge in edges)])
    return sorted(found)


def descendants(names: Iterable[str], downstream: Mapping[str, Iterable[str]]) -> set[str]:
    """Return every node behind the given ones."""
    seen: set[str] = set()
    stack = list(names)
    while stack:
        for target in downstream.get(stack.pop(), ()):
            if target not in seen:
                seen.add(target)
                stack.append(target)
    return seen


def edges_of(dag: Dag) -> list[dict[str, Any]]:
    """Return the edges of a graph, whatever they were written as."""
    connected = connect(dag)
    found: list[dict[str, Any]] = []
    for node in connected.nodes:
        fields: Mapping[str, list[str]] = {}
        for reference in find_references(node.params):
            fields = {**fields, reference.node: [*fields.get(reference.node, []), ".".join(reference.path)]}
        for name in needs(node):
            keys = sorted({field for field in fields.get(name, []) if field})
            found.append({"from": name, "to": node.id, **({"data_key": ", ".join(keys)} if keys else {})})
    return found
