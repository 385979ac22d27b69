"""The picture of a graph as plain shapes, ready for any renderer. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

from physlab.report.overview.places import Point, place
from physlab.report.overview.sketch import NOTE, Arrow, Box, Sketch

# Pale fills and deep edges of the Okabe-Ito palette: told apart with every kind of colour vision.
KINDS: dict[str, tuple[str, str]] = {
    "compute": ("#e1eff8", "#0072b2"),
    "plot": ("#dff3ec", "#00805c"),
    "data": ("#fbf0d8", "#b07400"),
    "lookup": ("#e9f5fc", "#3d9bd1"),
    "user": ("#f5e7ef", "#aa4a86"),
    "text": ("#eef0f2", "#57606a"),
    "unknown": ("#ffffff", "#8b949e"),
}
STATUS = {  # worst first
    "failed": "#b3261e",
    "skipped": "#57606a",
    "running": "#b07400",
    "completed": "#00805c",
    "cached": "#0072b2",
}
INK, QUIET, RED = "#1f2328", "#57606a", "#c62828"
MARGIN = 26.0
FONT = 9.5
LABELS = 60  # arrows up to which their fields are written beside them


@dataclass(frozen=True)
class Rect:
    """A rounded rectangle."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    stroke: str
    line: float = 1.0
    radius: float = 5.0
    dashed: bool = False


@dataclass(frozen=True)
class Curve:
    """A chain of cubic Béziers through `points`: a start, then two handles and an end for each piece."""

    points: tuple[Point, ...]
    stroke: str
    line: float = 1.1
    dashed: bool = False
    arrow: bool = True
    alpha: float = 1.0


@dataclass(frozen=True)
class Label:
    """Text around a point."""

    x: float
    y: float
    text: str
    size: float = FONT
    colour: str = INK
    bold: bool = False
    mono: bool = False
    align: str = "center"
    halo: bool = False


Shape = Rect | Curve | Label


@dataclass
class Scene:
    """Shapes from back to front, and the size of the picture [pt]."""

    width: float
    height: float
    shapes: list[Shape] = field(default_factory=list)


def text_width(text: str, size: float, mono: bool = False) -> float:
    """Return about how wide DejaVu Sans sets a text [pt]."""
    return len(text) * size * (0.602 if mono else 0.58)


def shorten(text: str, width: float, size: float) -> str:
    """Return the text, or its beginning and its end when it is wider than `width` [pt]."""
    room = max(4, int(width / (0.6 * size)))
    return text if len(text) <= room else f"{text[: room - room // 3 - 1]}…{text[len(text) - room // 3 :]}"


def compose(sketch: Sketch) -> Scene:
    """Return the whole picture of a sketch: arrows, boxes, labels, legend."""
    small = FONT - 2
    longest = max(
        (max(text_width(b.title, FONT), *(text_width(t, small) for t in (b.subtitle, *b.notes))) for b in sketch.boxes),
        default=0,
    )
    places = place(sketch, min(max(longest + 18, 84.0), 190.0))
    scene = Scene(places.width + 2 * MARGIN, places.height + 2 * MARGIN)
    crowded = len(sketch.arrows) > LABELS
    for arrow, route in places.routes:
        scene.shapes.append(_curve(arrow, _moved(route), crowded))
    taken = [_around(x + MARGIN, y + MARGIN, places.box_width, sketch.height) for x, y in places.centres.values()]
    for box in sketch.boxes:
        x, y = _moved([places.centres[box.key]])[0]
        scene.shapes += _box(box, x, y, places.box_width, sketch.height)
    if not crowded:
        for arrow, route in places.routes:
            scene.shapes += _fields(arrow, _moved(route), taken)
    _legend(scene, sketch)
    return scene


def _moved(points: Sequence[Point]) -> list[Point]:
    return [(x + MARGIN, y + MARGIN) for x, y in points]


def _curve(arrow: Arrow, route: list[Point], crowded: bool) -> Curve:
    colour = RED if arrow.backward else QUIET
    line = min(1.1 + 0.35 * (arrow.count.bit_length() - 1), 3.0)
    dashed = not arrow.fields
    if _goes_around(route):
        (x0, y0), (side, middle), (x1, y1) = route
        bend = (middle - y1) * 0.5
        points = [
            (x0, y0),
            (side, y0),
            (side, middle + bend),
            (side, middle),
            (side, middle - bend),
            (side, y1),
            (x1, y1),
        ]
    else:
        points = [route[0]]
        for (xa, ya), (xb, yb) in pairwise(route):
            bend = (yb - ya) * 0.45
            points += [(xa, ya + bend), (xb, yb - bend), (xb, yb)]
    return Curve(tuple(points), colour, line, dashed, alpha=0.35 if crowded and not arrow.backward else 1.0)


def _goes_around(route: Sequence[Point]) -> bool:
    return len(route) == 3 and route[1][0] > max(route[0][0], route[2][0])


def _box(box: Box, x: float, y: float, width: float, height: float) -> list[Shape]:
    fill, stroke = KINDS.get(box.kind, KINDS["unknown"])
    if box.troubled:
        stroke = RED
    left, top, room = x - width / 2, y - height / 2, width - 12
    line = y - NOTE * len(box.notes) / 2  # the middle of title and subtitle
    shapes: list[Shape] = [
        Rect(left, top, width, height, fill, stroke, 2.4 if box.troubled else 1.1, dashed=box.ghost),
        Label(x, line - 7, shorten(box.title, room, FONT), bold=True),
        Label(x, line + 8, shorten(box.subtitle, room, FONT - 2), FONT - 2, QUIET, mono=False),
    ]
    for number, note in enumerate(box.notes, 1):
        shapes.append(Label(x, line + 8 + NOTE * number, shorten(note, room, FONT - 2), FONT - 2, QUIET))
    if box.status:
        colour = next((colour for word, colour in STATUS.items() if word in box.status), QUIET)
        wide, low = text_width(box.status, 6.2) * 1.1 + 8, top + height
        shapes += [
            Rect(left + width - wide + 5, low - 5, wide, 11, colour, "#ffffff", 0.8, 5.5),
            Label(left + width - wide / 2 + 5, low + 0.3, box.status, 6.2, "#ffffff", bold=True),
        ]
    if box.troubled:
        shapes += [
            Rect(left - 6, top - 7, 13, 13, RED, "#ffffff", 0.8, 6.5),
            Label(left + 0.5, top - 0.5, "!", 8.5, "#ffffff", True),
        ]
    return shapes


def _around(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _fields(arrow: Arrow, route: list[Point], taken: list[tuple[float, float, float, float]]) -> list[Shape]:
    """Write what an arrow passes where there is room for it; an arrow without room stays bare."""
    text = ", ".join(arrow.fields[:3]) + (", …" if len(arrow.fields) > 3 else "")
    text = f"{text} (×{arrow.count})" if arrow.count > 1 else text
    if not arrow.fields:
        return []
    text = shorten(text, 130, 7)
    width = text_width(text, 7, True) + 4
    pieces = [] if _goes_around(route) else list(pairwise(route))[::2][::-1]
    for (xa, ya), (xb, yb) in pieces:
        for t in (0.5, 0.36, 0.64, 0.25, 0.75):
            u = 1 - t
            x = xa * (u**3 + 3 * u * u * t) + xb * (3 * u * t * t + t**3)
            y = ya + (yb - ya) * (1.35 * u * u * t + 1.65 * u * t * t + t**3)
            area = _around(x, y, width, 9)
            if not any(area[0] < o[2] and o[0] < area[2] and area[1] < o[3] and o[1] < area[3] for o in taken):
                taken.append(area)
                return [Label(x, y, text, 7, INK, mono=True, halo=True)]
    return []


def _legend(scene: Scene, sketch: Sketch) -> None:
    """Explain the colours and lines that occur, in lines below the picture."""
    entries = list(_entries(sketch))
    widths = [34 + text_width(text, 8) for _, text in entries]
    scene.width = max(scene.width, max(widths, default=0.0) + 2 * MARGIN, 200.0)
    x, y = MARGIN, scene.height
    for (mark, text), width in zip(entries, widths, strict=True):
        if x > MARGIN and x + width > scene.width - MARGIN / 2:
            x, y = MARGIN, y + 16
        scene.shapes += [mark(x, y), Label(x + 20, y, text, 8, QUIET, align="left")]
        x += width
    scene.height = y + (MARGIN if entries else 0)


def _entries(sketch: Sketch) -> Iterator[tuple[Callable[[float, float], Shape], str]]:
    for kind, look in KINDS.items():
        if any(box.kind == kind and not box.ghost for box in sketch.boxes):
            yield partial(_swatch, *look, 1.1), sketch.words.get(kind, kind)
    if any(arrow.fields and not arrow.backward for arrow in sketch.arrows):
        yield partial(_sample, QUIET, False), "passes data"
    if any(not arrow.fields for arrow in sketch.arrows):
        yield partial(_sample, QUIET, True), "only orders"
    if any(arrow.backward for arrow in sketch.arrows):
        yield partial(_sample, RED, False), "closes a circle"
    if any(box.troubled for box in sketch.boxes):
        yield partial(_swatch, "#ffffff", RED, 2.2), "has a problem"


def _swatch(fill: str, stroke: str, line: float, x: float, y: float) -> Shape:
    return Rect(x, y - 5, 14, 10, fill, stroke, line, 2.5)


def _sample(stroke: str, dashed: bool, x: float, y: float) -> Shape:
    return Curve(((x, y), (x + 5, y), (x + 9, y), (x + 16, y)), stroke, dashed=dashed)
