"""What the picture of a graph shows: boxes and arrows, still without places. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import networkx as nx

from physlab.graph import connect
from physlab.model import Dag, Node, Problem, find_references

HEIGHT, NOTE = 40.0, 10.5  # of a box, and of a line of notes in it [pt]
BANDS = 10  # rows of an aggregated picture


@dataclass(frozen=True)
class Box:
    """A node, or a group of alike nodes; `notes` are lines below its subtitle."""

    key: str
    title: str
    subtitle: str
    kind: str
    status: str = ""
    troubled: bool = False
    ghost: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arrow:
    """`source` before `target`; `fields` are the values passed, none when it only orders."""

    source: str
    target: str
    fields: tuple[str, ...] = ()
    backward: bool = False
    count: int = 1


@dataclass(frozen=True)
class Sketch:
    """Boxes in the order of the graph, arrows between them, and the row of each box from the top.

    `words` says what the legend calls kinds of boxes that mean something else than in a graph of tools.
    """

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    rows: Mapping[str, int]
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def height(self) -> float:
        """Of every box [pt]: that of the one with the most notes."""
        return HEIGHT + NOTE * max((len(box.notes) for box in self.boxes), default=0)


def sketch(
    dag: Dag, kinds: Mapping[str, str], problems: Iterable[Problem] = (), statuses: Mapping[str, str] | None = None
) -> Sketch:
    """Return a box for each node and for each node that is only mentioned, and an arrow for each dependency."""
    troubled = {problem.node_id for problem in problems if problem.node_id}
    nodes = connect(dag).nodes
    boxes: dict[str, Box] = {}
    keys: list[str] = []
    for index, node in enumerate(nodes):
        keys.append(node.id if node.id not in boxes else f"{node.id}#{index}")
        boxes[keys[-1]] = Box(
            key=keys[-1],
            title=node.id,
            subtitle=f"{node.tool}.{node.method}" if node.method else node.tool,
            kind=kinds.get(node.id, "unknown"),
            status=(statuses or {}).get(node.id, ""),
            troubled=node.id in troubled,
        )
    arrows = [arrow for key, node in zip(keys, nodes, strict=True) for arrow in _arrows(key, node)]
    for arrow in arrows:
        if arrow.source not in boxes:
            boxes[arrow.source] = Box(arrow.source, arrow.source, "not in the graph", "unknown", "", True, True)
    return layered(tuple(boxes.values()), arrows)


def _arrows(key: str, node: Node) -> list[Arrow]:
    fields: dict[str, list[str]] = {name: [] for name in node.dependencies}
    for reference in find_references(node.params):
        fields.setdefault(reference.node, []).append(".".join(reference.path) or "everything")
    return [Arrow(source, key, tuple(dict.fromkeys(names))) for source, names in fields.items()]


def layered(boxes: tuple[Box, ...], arrows: Sequence[Arrow]) -> Sketch:
    """Return a sketch with a row for each box: one below the lowest it needs; arrows that close circles go back."""
    place = {box.key: index for index, box in enumerate(boxes)}
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(place)
    graph.add_edges_from((arrow.source, arrow.target) for arrow in arrows)
    knot = {key: index for index, part in enumerate(nx.strongly_connected_components(graph)) for key in part}
    directed = tuple(
        replace(arrow, backward=knot[arrow.source] == knot[arrow.target] and place[arrow.source] >= place[arrow.target])
        for arrow in arrows
    )
    graph.remove_edges_from([(arrow.source, arrow.target) for arrow in directed if arrow.backward])
    rows = {key: row for row, layer in enumerate(nx.topological_generations(graph)) for key in layer}
    for key in place:
        below = [rows[target] for target in graph.successors(key)]
        if below and not any(True for _ in graph.predecessors(key)):
            rows[key] = min(below) - 1  # a source stands next to the first that needs it
    return Sketch(boxes, directed, rows)


def aggregate(whole: Sketch) -> Sketch:
    """Return a sketch with one box for all nodes of the same method in the same band of rows."""
    depth = max(whole.rows.values(), default=0) + 1
    step = -(-depth // BANDS)
    groups: dict[str, list[Box]] = defaultdict(list)
    group_of: dict[str, str] = {}
    rows: dict[str, int] = {}
    for box in whole.boxes:
        band = whole.rows[box.key] // step
        name = f"{band} {box.subtitle} {box.kind}"
        groups[name].append(box)
        group_of[box.key], rows[name] = name, band
    counts: Counter[tuple[str, str, bool]] = Counter()
    fields: dict[tuple[str, str, bool], dict[str, None]] = defaultdict(dict)
    for arrow in whole.arrows:
        ends = (group_of[arrow.source], group_of[arrow.target])
        if ends[0] != ends[1] or arrow.backward:
            counts[(*ends, arrow.backward)] += 1
            fields[(*ends, arrow.backward)].update(dict.fromkeys(arrow.fields))
    arrows = [Arrow(*ends[:2], tuple(fields[ends]), ends[2], count) for ends, count in counts.items()]
    return Sketch(tuple(_group(name, boxes) for name, boxes in groups.items()), tuple(arrows), rows)


def _group(name: str, boxes: list[Box]) -> Box:
    first = boxes[0]
    title = f"{len(boxes)} × {first.subtitle}" if len(boxes) > 1 else first.title
    named = f"{first.title} … {boxes[-1].title}" if len(boxes) > 1 else first.subtitle
    statuses = Counter(box.status for box in boxes if box.status)
    status = ", ".join(f"{count} {word}" if len(boxes) > 1 else word for word, count in sorted(statuses.items()))
    return Box(name, title, named, first.kind, status, any(box.troubled for box in boxes), first.ghost)
