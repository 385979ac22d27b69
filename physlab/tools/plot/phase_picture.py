"""The picture of a phase portrait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from physlab.tools.figures import AMBER, BLUE, GREEN, INK, PURPLE, VERMILION
from physlab.tools.plot.field import draw_arrows, one_length
from physlab.tools.plot.fixed_points import MOST_DRAWN, stability
from physlab.tools.plot.params import symbol
from physlab.tools.plot.phase_flow import Flow
from physlab.tools.types import Array

if TYPE_CHECKING:
    from physlab.tools.plot.phase import PhaseParams, Portrait

POLE = 30.0  # a change of sign at so many times the median speed is a pole, not a nullcline
FINE = 201  # points per axis on which nullclines are found
PALE_ARROW = "#b8c0c8"
FACES = {"stable": INK, "unstable": "white", "neutral": AMBER, "undetermined": "#9aa3ab"}


def draw_portrait(figure: Any, params: PhaseParams, flow: Flow, portrait: Portrait) -> None:
    """Draw directions, nullclines, trajectories, separatrices and fixed points, from back to front."""
    axes = figure.add_subplot(
        title=params.title or "", xlabel=symbol(params.xlabel or "x"), ylabel=symbol(params.ylabel or "y")
    )
    axes.grid(False)
    x, y = portrait.x, portrait.y
    draw_arrows(axes, x, y, *one_length(x, y, portrait.u, portrait.v), color=PALE_ARROW, zorder=1)
    if params.nullclines:
        _draw_nullclines(axes, flow)
    _draw_curves(axes, portrait.trajectories, color=BLUE, linewidth=1.2, label="trajectory")
    _draw_curves(axes, portrait.separatrices, color=VERMILION, linewidth=1.8, label="separatrix")
    if params.initial_points is not None:
        axes.plot(*np.asarray(params.initial_points).T, ".", color=BLUE, markersize=8, label="start")
    _draw_fixed(axes, portrait)
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    if params.equal_aspect:
        axes.set_aspect("equal")
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    figure.legend(once.values(), once.keys(), loc="outside right upper")


def _draw_curves(axes: Any, curves: Array, **look: Any) -> None:
    for curve in curves:
        axes.plot(*curve.T, **look)


def _draw_nullclines(axes: Any, flow: Flow) -> None:
    ticks = np.linspace(0, 1, FINE)
    scaled = np.stack(np.meshgrid(ticks, ticks))
    places = flow.to_plane(np.moveaxis(scaled, 0, -1))
    with np.errstate(all="ignore"):
        speeds = flow.scaled(scaled)
    for speed, colour, name in zip(speeds, (GREEN, PURPLE), ("dx/dt", "dy/dt"), strict=True):
        speed = np.where(np.abs(speed) < POLE, speed, np.nan)
        known = speed[np.isfinite(speed)]
        if known.size and known.min() < 0 < known.max():
            look: dict[str, Any] = {"linewidths": 1.2, "linestyles": "dashed", "zorder": 1.5}
            axes.contour(*np.moveaxis(places, -1, 0), np.ma.masked_invalid(speed), [0.0], colors=colour, **look)
            axes.plot([], [], color=colour, linewidth=1.2, linestyle="dashed", label=f"{name} = 0")


def _draw_fixed(axes: Any, portrait: Portrait) -> None:
    for point in portrait.fixed if len(portrait.fixed) <= MOST_DRAWN else []:
        axes.plot(
            *point.place, "D" if point.kind == "saddle" else "o", markerfacecolor=FACES[stability(point.kind)],
            markeredgecolor=INK, markeredgewidth=1.3, markersize=8, zorder=4, clip_on=False, linestyle="none",
            label=point.kind,
        )  # fmt: skip
