"""Where the boxes of a sketch stand and how its arrows run, in points from the top left. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from physlab.report.overview.sketch import Arrow, Sketch

GAP, ROW_GAP = 22.0, 50.0  # between columns, between rows [pt]
COLUMNS = 8  # a wider row is folded
LANE = 18.0  # width of an arrow that passes a row [pt]
SIDE = 16.0  # beyond the boxes, for arrows that run around them [pt]
SWEEPS = 12
Point = tuple[float, float]


@dataclass(frozen=True)
class Places:
    """Centre of each box, the points each arrow passes, and the size of it all [pt]."""

    centres: Mapping[str, Point]
    routes: Sequence[tuple[Arrow, list[Point]]]
    box_width: float
    width: float
    height: float


def place(sketch: Sketch, box_width: float) -> Places:
    """Return a layered layout: few crossings, arrows downward, boxes below what they need."""
    rows: dict[int, list[str]] = defaultdict(list)
    for box in sketch.boxes:
        rows[sketch.rows[box.key]].append(box.key)
    layers = [rows[row] for row in sorted(rows)]
    forward = [a for a in sketch.arrows if sketch.rows[a.source] < sketch.rows[a.target] and not a.backward]
    folded = any(len(layer) > COLUMNS for layer in layers)
    lanes = {} if folded else _lanes(layers, forward, {key: i for i, layer in enumerate(layers) for key in layer})
    x = _columns(layers, forward, lanes, lambda key: LANE if key.startswith("\0") else box_width)
    if folded:
        layers, x = _fold(layers, box_width)
    left = min(x.values(), default=0.0) - box_width / 2
    high = sketch.height
    y = {key: row * (high + ROW_GAP) + high / 2 for row, layer in enumerate(layers) for key in layer}
    at = {key: (x[key] - left, y[key]) for key in x}
    centres = {box.key: at[box.key] for box in sketch.boxes}
    routes = _routes(sketch.arrows, at, lanes, box_width, high)
    width = max([x + box_width / 2 for x, _ in at.values()] + [x for _, route in routes for x, _ in route], default=0.0)
    return Places(centres, routes, box_width, width, len(layers) * (high + ROW_GAP) - ROW_GAP)


def _lanes(layers: list[list[str]], arrows: Sequence[Arrow], row: Mapping[str, int]) -> dict[Arrow, list[str]]:
    """Reserve a lane in each row that an arrow passes; returns the lanes of each arrow, from its source."""
    lanes: dict[Arrow, list[str]] = {}
    for number, arrow in enumerate(arrows):
        lanes[arrow] = []
        for passed in range(row[arrow.source] + 1, row[arrow.target]):
            lanes[arrow].append(f"\0{number}.{passed}")
            layers[passed].append(lanes[arrow][-1])
    return lanes


def _columns(
    layers: list[list[str]], arrows: Sequence[Arrow], lanes: Mapping[Arrow, list[str]], width: Callable[[str], float]
) -> dict[str, float]:
    """Sort each row and give each box its x: as near as possible to the mean of its neighbours."""
    near: dict[str, list[str]] = defaultdict(list)
    for arrow in arrows:
        for one, other in pairwise([arrow.source, *lanes.get(arrow, ()), arrow.target]):
            near[one].append(other)
            near[other].append(one)
    x: dict[str, float] = {}
    for layer in layers:
        x.update(_spread(layer, [0.0] * len(layer), width))
    for sweep in range(SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wish = {key: sum(x[n] for n in near[key]) / len(near[key]) if near[key] else x[key] for key in layer}
            if sweep < SWEEPS - 4:
                layer.sort(key=wish.__getitem__)
            x.update(_spread(layer, [wish[key] for key in layer], width))
    return x


def _spread(layer: Sequence[str], wish: Sequence[float], width: Callable[[str], float]) -> dict[str, float]:
    """Return the places nearest to the wished ones (least squares) that keep order and distance."""
    offsets, reach = [], 0.0
    for key in layer:
        offsets.append(reach + width(key) / 2)
        reach += width(key) + GAP
    pools: list[list[float]] = []  # mean and size of runs that touch: the pool-adjacent-violators algorithm
    for target, offset in zip(wish, offsets, strict=True):
        pools.append([target - offset, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, size = pools.pop()
            pools[-1] = [(pools[-1][0] * pools[-1][1] + mean * size) / (pools[-1][1] + size), pools[-1][1] + size]
    starts = [mean for mean, size in pools for _ in range(int(size))]
    return {key: start + offset for key, start, offset in zip(layer, starts, offsets, strict=True)}


def _fold(layers: list[list[str]], box_width: float) -> tuple[list[list[str]], dict[str, float]]:
    """Break wide rows into several, each centred."""
    folded: list[list[str]] = []
    for layer in layers:
        count = -(-len(layer) // COLUMNS)
        size = -(-len(layer) // count)
        folded += [layer[start : start + size] for start in range(0, len(layer), size)]
    pitch = box_width + GAP
    return folded, {
        key: (column - (len(layer) - 1) / 2) * pitch for layer in folded for column, key in enumerate(layer)
    }


def _routes(
    arrows: Sequence[Arrow],
    at: Mapping[str, Point],
    lanes: Mapping[Arrow, list[str]],
    box_width: float,
    high: float,
) -> list[tuple[Arrow, list[Point]]]:
    """Return the points of each arrow; those that share a side of a box are spread along it."""
    ways = {arrow: [arrow.source, *lanes.get(arrow, ()), arrow.target] for arrow in arrows}
    down = [arrow for arrow in arrows if at[arrow.source][1] < at[arrow.target][1]]
    leave = _ports(down, lambda a: a.source, lambda a: at[ways[a][1]][0], box_width)
    enter = _ports(down, lambda a: a.target, lambda a: at[ways[a][-2]][0], box_width)
    routes = []
    for arrow in arrows:
        (x0, y0), (x1, y1) = at[arrow.source], at[arrow.target]
        if arrow not in leave:  # upward, sideways or to itself: around everything on the right-hand side
            top, bottom = sorted((y0, y1))
            side = max(x for x, y in at.values() if top <= y <= bottom) + box_width / 2 + SIDE
            routes.append((arrow, [(x0 + box_width / 2, y0 + 6), (side, (y0 + y1) / 2), (x1 + box_width / 2, y1 - 6)]))
            continue
        points = [(x0 + leave[arrow], y0 + high / 2)]
        for lane in ways[arrow][1:-1]:
            points += [(at[lane][0], at[lane][1] - high / 2), (at[lane][0], at[lane][1] + high / 2)]
        routes.append((arrow, [*points, (x1 + enter[arrow], y1 - high / 2)]))
    return routes


def _ports(
    arrows: Sequence[Arrow], end: Callable[[Arrow], str], toward: Callable[[Arrow], float], box_width: float
) -> dict[Arrow, float]:
    sides: dict[str, list[Arrow]] = defaultdict(list)
    for arrow in arrows:
        sides[end(arrow)].append(arrow)
    ports = {}
    for side in sides.values():
        step = min(24.0, (box_width - 24) / len(side))
        for index, arrow in enumerate(sorted(side, key=toward)):
            ports[arrow] = (index - (len(side) - 1) / 2) * step
    return ports
