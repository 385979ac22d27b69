"""The Bloch sphere as a line drawing: readable in print, in grey, and at the width of a column."""

from __future__ import annotations

from math import cos, pi, radians, sin
from typing import Any

import numpy as np

from physlab.tools.figures import BLUE, INK, QUIET, VERMILION
from physlab.tools.types import Array

_AZIMUTH, _ELEVATION = radians(32), radians(20)  # from where the sphere is seen
RIGHT = np.array([-sin(_AZIMUTH), cos(_AZIMUTH), 0.0])
UP = np.array([-sin(_ELEVATION) * cos(_AZIMUTH), -sin(_ELEVATION) * sin(_AZIMUTH), cos(_ELEVATION)])
TOWARDS = np.array([cos(_ELEVATION) * cos(_AZIMUTH), cos(_ELEVATION) * sin(_AZIMUTH), sin(_ELEVATION)])
_POLES = (((0, 0, 1), r"$|0\rangle$"), ((0, 0, -1), r"$|1\rangle$"), ((1, 0, 0), "$x$"), ((0, 1, 0), "$y$"))


def project(points: Array) -> Array:
    """Return where points (…, 3) stand on the paper, shape (…, 2)."""
    return np.stack([points @ RIGHT, points @ UP], axis=-1)


def draw_sphere(axes: Any, vector: Array, title: str = "") -> None:
    """Draw a Bloch vector, with its shadow on the equator's plane.

    Args:
        axes: Matplotlib axes; they lose their frame.
        vector: (x, y, z), of length 1 for a pure state.
        title: Over the sphere.
    """
    from matplotlib.patches import Circle

    axes.add_patch(Circle((0, 0), 1, facecolor="#f4f8fb", edgecolor=INK, linewidth=1.1, zorder=0))
    turn = np.linspace(0, 2 * pi, 361)
    zero = np.zeros_like(turn)
    for ring in (
        (np.cos(turn), np.sin(turn), zero),
        (np.cos(turn), zero, np.sin(turn)),
        (zero, np.cos(turn), np.sin(turn)),
    ):
        _ring(axes, np.stack(ring, axis=-1))
    for place, name in _POLES:
        end = np.array(place, dtype=float)
        _line(axes, -end, end, color=QUIET, linewidth=0.9, zorder=2)
        axes.text(*project(1.24 * end), name, ha="center", va="center")
    _draw_vector(axes, np.asarray(vector, dtype=float))
    axes.set(xlim=(-1.25, 1.25), ylim=(-1.28, 1.28), aspect="equal", title=title)
    axes.axis("off")


def _ring(axes: Any, points: Array) -> None:
    """Draw a great circle, its far half dashed."""
    paper, near = project(points), points @ TOWARDS >= 0
    for half, style in ((near, "-"), (~near, (0, (4, 3)))):
        axes.plot(
            *np.where(half[:, None], paper, np.nan).T, color=QUIET, linewidth=0.8, alpha=0.75, linestyle=style, zorder=1
        )


def _line(axes: Any, begin: Array, end: Array, **style: Any) -> None:
    axes.plot(*project(np.array([begin, end])).T, **style)


def _draw_vector(axes: Any, vector: Array) -> None:
    origin, shadow = np.zeros(3), np.array([vector[0], vector[1], 0.0])
    if np.linalg.norm(shadow) > 0.02 and abs(vector[2]) > 0.02:
        _line(axes, origin, shadow, color=VERMILION, linewidth=1.1, linestyle=(0, (2, 2)), zorder=3)
        _line(axes, shadow, vector, color=VERMILION, linewidth=1.1, linestyle=(0, (2, 2)), zorder=3)
    tip = project(vector)
    if float(np.linalg.norm(vector)) > 0.05:
        axes.annotate("", tip, (0, 0), arrowprops={
            "arrowstyle": "-|>,head_length=0.55,head_width=0.28", "color": BLUE, "linewidth": 2.6,
            "shrinkA": 0, "shrinkB": 0,
        }, zorder=5)  # fmt: skip
    axes.plot(0, 0, "o", color=INK, ms=3.5, zorder=6)
    if float(np.linalg.norm(vector)) <= 0.05:
        axes.plot(*tip, "o", color=BLUE, ms=8, zorder=5)
