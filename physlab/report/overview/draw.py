"""The picture of a graph, as PNG and as SVG."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from physlab.model import Dag, Problem
from physlab.report.overview.scene import Curve, Label, Rect, Scene, compose
from physlab.report.overview.sketch import aggregate, sketch
from physlab.tools.figures import drawing

DETAILED = 150  # nodes up to which each has its own box
DPI = 144.0
PIXELS = 3200  # of the longer side, at most


def draw_overview(
    dag: Dag, kinds: Mapping[str, str], problems: Iterable[Problem] = (), statuses: Mapping[str, str] | None = None
) -> bytes:
    """Draw a graph, whole or broken: boxes in rows, arrows with the fields they pass.

    Args:
        dag: The graph; above 150 nodes, alike nodes of neighbouring rows share a box.
        kinds: For each node id its kind (`compute`, `plot`, `data`, `lookup`, `user` or `text`).
        problems: Findings of the validator; their nodes are outlined in red.
        statuses: For each node id what became of it, when it was run.

    Returns:
        PNG; the same graph gives the same bytes.
    """
    return _png(_scene(dag, kinds, problems, statuses))


def draw_overview_svg(
    dag: Dag, kinds: Mapping[str, str], problems: Iterable[Problem] = (), statuses: Mapping[str, str] | None = None
) -> str:
    """Draw the same picture as SVG, with its text as text."""
    return write_svg(_scene(dag, kinds, problems, statuses))


def _scene(
    dag: Dag, kinds: Mapping[str, str], problems: Iterable[Problem], statuses: Mapping[str, str] | None
) -> Scene:
    whole = sketch(dag, kinds, problems, statuses)
    return compose(aggregate(whole) if len(whole.boxes) > DETAILED else whole)


def _png(scene: Scene) -> bytes:
    dpi = min(DPI, PIXELS * 72 / max(scene.width, scene.height))
    with drawing(scene.width / 72, scene.height / 72, dpi) as figure:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, scene.width), ylim=(scene.height, 0))
        axes.axis("off")
        for depth, shape in enumerate(scene.shapes):
            _PAINTERS[type(shape)](axes, shape, depth)
        target = io.BytesIO()
        figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()


def _paint_rect(axes: Any, rect: Rect, depth: int) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = f"round,pad=0,rounding_size={min(rect.radius, rect.height / 2)}"
    axes.add_patch(
        FancyBboxPatch(
            (rect.x, rect.y), rect.width, rect.height, boxstyle=style, facecolor=rect.fill, edgecolor=rect.stroke,
            linewidth=rect.line, linestyle=(0, (4, 2.5)) if rect.dashed else "-", zorder=depth,
        )
    )  # fmt: skip


def _paint_curve(axes: Any, curve: Curve, depth: int) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    codes = [Path.MOVETO] + [Path.CURVE4] * (len(curve.points) - 1)
    axes.add_patch(
        FancyArrowPatch(
            path=Path(curve.points, codes), arrowstyle="-|>,head_length=5,head_width=2.4", mutation_scale=1.0,
            color=curve.stroke, linewidth=curve.line, linestyle=(0, (4, 2.5)) if curve.dashed else "-",
            alpha=curve.alpha, capstyle="butt", joinstyle="miter", shrinkA=0, shrinkB=0, zorder=depth,
        )
    )  # fmt: skip


def _paint_label(axes: Any, label: Label, depth: int) -> None:
    axes.text(
        label.x, label.y, label.text, size=label.size, color=label.colour, ha=label.align, va="center_baseline",
        weight="bold" if label.bold else "normal", family="DejaVu Sans Mono" if label.mono else "DejaVu Sans",
        parse_math=False, zorder=depth,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.9} if label.halo else None,
    )  # fmt: skip


_PAINTERS: dict[type, Any] = {Rect: _paint_rect, Curve: _paint_curve, Label: _paint_label}


def write_svg(scene: Scene) -> str:
    """Return a picture as SVG."""
    body = "".join(_WRITERS[type(shape)](shape) for shape in scene.shapes)
    size = (
        f'width="{scene.width:.1f}pt" height="{scene.height:.1f}pt" viewBox="0 0 {scene.width:.1f} {scene.height:.1f}"'
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{body}</svg>'


def _write_rect(rect: Rect) -> str:
    dash = ' stroke-dasharray="4 2.5"' if rect.dashed else ""
    place = f'x="{rect.x:.1f}" y="{rect.y:.1f}" width="{rect.width:.1f}" height="{rect.height:.1f}"'
    return (
        f'<rect {place} rx="{rect.radius}" fill="{rect.fill}" stroke="{rect.stroke}" stroke-width="{rect.line}"{dash}/>'
    )


def _write_curve(curve: Curve) -> str:
    start, *rest = [f"{x:.1f} {y:.1f}" for x, y in curve.points]
    dash = ' stroke-dasharray="4 2.5"' if curve.dashed else ""
    look = f'stroke="{curve.stroke}" stroke-width="{curve.line:.2f}" opacity="{curve.alpha}"'
    return f'<path d="M{start} C{" ".join(rest)}" fill="none" {look}{dash}/>' + _write_head(curve)


def _write_head(curve: Curve) -> str:
    """Return the tip of an arrow, in the direction in which the curve ends."""
    (xh, yh), (x, y) = curve.points[-2:]
    length = ((x - xh) ** 2 + (y - yh) ** 2) ** 0.5 or 1.0
    u, v = (x - xh) / length, (y - yh) / length
    corners = [(x, y), (x - 5.5 * u - 2.5 * v, y - 5.5 * v + 2.5 * u), (x - 5.5 * u + 2.5 * v, y - 5.5 * v - 2.5 * u)]
    points = " ".join(f"{px:.1f},{py:.1f}" for px, py in corners)
    return f'<polygon points="{points}" fill="{curve.stroke}" opacity="{curve.alpha}"/>'


def _write_label(label: Label) -> str:
    anchor = "middle" if label.align == "center" else "start"
    family = "DejaVu Sans Mono, monospace" if label.mono else "DejaVu Sans, sans-serif"
    halo = ' stroke="white" stroke-width="3" stroke-linejoin="round"' if label.halo else ""
    weight = ' font-weight="bold"' if label.bold else ""
    place = f'x="{label.x:.1f}" y="{label.y + 0.36 * label.size:.1f}" font-size="{label.size}" text-anchor="{anchor}"'
    look = f'font-family="{family}" fill="{label.colour}"{weight}'
    text = escape(label.text)
    return (f"<text {place} {look}{halo}>{text}</text>" if halo else "") + f"<text {place} {look}>{text}</text>"


_WRITERS: dict[type, Any] = {Rect: _write_rect, Curve: _write_curve, Label: _write_label}
