"""Phase portraits: trajectories of dx/dt = u(x, y), dy/dt = v(x, y), fixed points, nullclines and separatrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from physlab.errors import ValidationError
from physlab.tools.context import Context
from physlab.tools.plot.fixed_points import MOST_DRAWN, FixedPoint, find_fixed_points
from physlab.tools.plot.params import check_finite, check_formula, evaluate, span, table, written
from physlab.tools.plot.phase_flow import RTOL, Flow
from physlab.tools.plot.phase_picture import draw_portrait
from physlab.tools.plot.plane import PlaneParams, over_plane, plane_points
from physlab.tools.plot.show import FIGURE_PORTS, show
from physlab.tools.registry import Port
from physlab.tools.types import Array

CROSSINGS = 3.0  # a trajectory of an automatic portrait is followed for so many times the flow's time scale
OFFSET = 1e-5  # a separatrix starts so far from its saddle [windows]


class PhaseParams(PlaneParams):
    """An autonomous system of two equations, and the window to draw."""

    dx: str = Field(description="dx/dt, a formula in x and y.")
    dy: str = Field(description="dy/dt, a formula in x and y.")
    grid_points: int = Field(20, ge=5, description="Arrows of direction per axis; the cap is 64.")
    initial_points: Array | None = Field(
        None, description="[[x, y], …]: where trajectories start at t = 0; default: from seeds, in both directions."
    )
    seeds: int = Field(4, ge=0, le=10, description="Starting points per axis of an automatic portrait.")
    t_max: float | None = Field(
        None, gt=0, description="How long trajectories are followed; default: 3 times the flow's time scale."
    )
    samples: int = Field(200, ge=10, description="Instants of a trajectory, in each direction.")
    nullclines: bool = Field(True, description="Draw where dx/dt = 0 and where dy/dt = 0.")
    equal_aspect: bool = Field(False, description="One unit is as long on both axes.")

    @model_validator(mode="before")
    @classmethod
    def _numbers(cls, data: Any) -> Any:
        """Take a number for a formula."""
        if not isinstance(data, dict):
            return data
        numbers = {
            key: str(data[key]) for key in ("dx", "dy") if type(data.get(key)) in (int, float)
        }  # a constant velocity
        return {**data, **numbers}

    @model_validator(mode="after")
    def _readable(self) -> PhaseParams:
        for formula in (self.dx, self.dy):
            check_formula(formula, "xy", self.vars)
        return self


PORTS = (
    *FIGURE_PORTS,
    Port("x", "array", description="The grid along x."),
    Port("y", "array", description="The grid along y."),
    Port("u", "array", description="dx/dt on the grid, shape (y points, x points)."),
    Port("v", "array", description="dy/dt on the grid, likewise."),
    Port("x_range", "list", description="[min, max] of x."),
    Port("y_range", "list", description="[min, max] of y."),
    Port("grid_points", "number", description="How many points along x."),
    Port("system", "object", description="{dx_dt, dy_dt}: the formulas."),
    Port("t", "array", description="Instants of the trajectories."),
    Port(
        "trajectories", "array",
        description="Places, shape (trajectories, instants, 2); NaN once it is half a window outside the view.",
    ),
    Port("separatrices", "array", description="Stable and unstable curves of the saddles, shape (curves, points, 2)."),
    Port(
        "fixed_points", "list",
        description="Per fixed point in the window: x, y, kind (of the linearised flow: a `centre` need not be one of "
        "the flow itself, see `hyperbolic`), stability, eigenvalues, trace, determinant, jacobian.",
    ),
    Port("time_scale", "number", description="Time in which the flow crosses the window at its median pace."),
)  # fmt: skip


@dataclass(frozen=True)
class Portrait:
    """Everything that a phase portrait shows.

    Attributes:
        x: Grid (columns).
        y: Grid (rows).
        u: dx/dt, shape (rows, columns).
        v: dy/dt, shape (rows, columns).
        t: Instants of the trajectories.
        trajectories: Shape (trajectories, instants, 2).
        separatrices: Shape (curves, points, 2).
        fixed: The fixed points.
    """

    x: Array
    y: Array
    u: Array
    v: Array
    t: Array
    trajectories: Array
    separatrices: Array
    fixed: list[FixedPoint]


def phase_portrait(params: PhaseParams, context: Context) -> dict[str, Any]:
    """Draw the phase portrait of dx/dt, dy/dt with its trajectories and classified fixed points.

    Args:
        params: The system, its window and its look.
        context: The surroundings of the call.

    Returns:
        The figure, the trajectories as series, the grid, and the fixed points with their eigenvalues.
    """
    flow, portrait = _portrait(params, context)
    fields: dict[str, Any] = {
        "x": portrait.x, "y": portrait.y, "u": portrait.u, "v": portrait.v, "x_range": span(portrait.x),
        "y_range": span(portrait.y), "grid_points": len(portrait.x), "t": portrait.t,
        "system": {"dx_dt": params.dx, "dy_dt": params.dy}, "trajectories": portrait.trajectories,
        "separatrices": portrait.separatrices, "fixed_points": [point.as_field() for point in portrait.fixed],
        "time_scale": flow.tau,
    }  # fmt: skip
    context.meta.update(
        mesh=[len(portrait.x), len(portrait.y)], samples=len(portrait.t), dtype="float64", rtol=RTOL, method="LSODA"
    )
    return fields | show(
        context,
        params,
        "phase_portrait",
        _caption(params, portrait),
        draw=lambda figure: draw_portrait(figure, params, flow, portrait),
        columns=lambda: _columns(params, portrait),
    )


def _caption(params: PhaseParams, portrait: Portrait) -> str:
    system = f"dx/dt = {written(params.dx, {})}, dy/dt = {written(params.dy, params.vars)}"
    ends = f"{len(portrait.trajectories)} trajectories from t = {portrait.t[0]:.4g} to {portrait.t[-1]:.4g}"
    points = [f"{point.kind} at ({point.place[0]:.4g}, {point.place[1]:.4g})" for point in portrait.fixed[:6]]
    points += [f"{len(portrait.fixed) - 6} more"] if len(portrait.fixed) > 6 else []
    fixed = f" Fixed points: {'; '.join(points)}." if points else " No fixed point was found in the window."
    return f"Phase portrait of {system} {over_plane(params, portrait.x, portrait.y)}, {ends}.{fixed}"


def _columns(params: PhaseParams, portrait: Portrait) -> dict[str, Array]:
    count, instants, _ = portrait.trajectories.shape
    number, t = np.repeat(np.arange(1.0, count + 1), instants), np.tile(portrait.t, count)
    rows = portrait.trajectories.reshape(-1, 2)
    known = np.isfinite(rows).all(axis=1)
    names = ("trajectory", "t", params.xlabel or "x", params.ylabel or "y")
    return table(names, (number[known].astype(int), t[known], *rows[known].T))


def _portrait(params: PhaseParams, context: Context) -> tuple[Flow, Portrait]:
    x, y = (
        np.sort(plane_points(params, name, context, cap="field", samples=params.grid_points)) for name in ("x", "y")
    )
    flow = Flow.read(params.dx, params.dy, params.vars, x, y)
    places = {"x": x[None, :], "y": y[:, None]}
    u, v = (
        check_finite(evaluate(formula, places, params.vars), context, name)
        for name, formula in (("dx", params.dx), ("dy", params.dy))
    )
    starts, both = _starts(params, flow)
    one_way = np.linspace(0, params.t_max or CROSSINGS * flow.tau, params.samples)
    t = np.concatenate([-one_way[:0:-1], one_way]) if both else one_way
    context.enforce("samples", len(starts) * len(t), "points of all trajectories")
    trajectories = np.full((len(starts), len(t), 2), np.nan)
    for index, start in enumerate(starts):
        trajectories[index, -params.samples :] = _followed(flow, start, one_way, context)
        if both:
            trajectories[index, : params.samples] = _followed(flow, start, -one_way, context)[::-1]
    fixed = find_fixed_points(flow)
    if len(fixed) > MOST_DRAWN:
        context.warn(
            f"{len(fixed)} fixed points were found: they form a curve or a fine lattice. They are listed, not drawn."
        )
    saddles = [point for point in fixed if point.kind == "saddle"] if len(fixed) <= MOST_DRAWN else []
    curves = [curve for point in saddles for curve in _separatrices(flow, point, one_way, context)]
    separatrices = np.array(curves).reshape(-1, len(one_way), 2)
    return flow, Portrait(x, y, u, v, t, trajectories, separatrices, fixed)


def _starts(params: PhaseParams, flow: Flow) -> tuple[Array, bool]:
    """Return where trajectories start, scaled, shape (n, 2), and whether they are followed backwards too."""
    if params.initial_points is None:
        ticks = (np.arange(params.seeds) + 0.5) / max(params.seeds, 1)
        return np.stack([axis.ravel() for axis in np.meshgrid(ticks, ticks)], axis=1), True
    points = np.asarray(params.initial_points)
    if points.ndim != 2 or points.shape[1] != 2 or points.dtype.kind not in "iuf" or not np.isfinite(points).all():
        raise ValidationError(
            f"initial_points has the shape {points.shape}.", hint="Give a list of points [[x, y], …], all finite."
        )
    starts = flow.from_plane(points)
    outside = np.flatnonzero((np.abs(starts - 0.5) > 0.5 + 1e-12).any(axis=1))
    if outside.size:
        raise ValidationError(
            f"The initial point {points[outside[0]].tolist()} lies outside the window.", hint="Widen the window."
        )
    return starts, False


def _followed(flow: Flow, start: Array, t: Array, context: Context) -> Array:
    """Return a trajectory as x and y, shape (instants, 2); `start` is scaled, `t` is not."""
    if not np.isfinite(flow.scaled(start)).all():
        context.warn(f"No trajectory starts at {_spelled(flow, start)}: the flow has no value there.")
        return np.full((len(t), 2), np.nan)
    places, trouble = flow.trajectory(start, t / flow.tau)
    if trouble:
        context.warn(f"The trajectory through {_spelled(flow, start)} could not be followed to the end: {trouble}")
    return flow.to_plane(places)


def _spelled(flow: Flow, start: Array) -> str:
    return "({:.4g}, {:.4g})".format(*flow.to_plane(start))


def _separatrices(flow: Flow, saddle: FixedPoint, one_way: Array, context: Context) -> list[Array]:
    """Return the two unstable curves of a saddle, forwards in time, and the two stable ones, backwards."""
    curves = []
    for value, vector in zip(saddle.eigenvalues.real, saddle.vectors.real.T, strict=True):
        escape = np.log(1 / OFFSET) / abs(value)  # the time that the start near the saddle costs
        t = np.sign(value) * np.linspace(0, one_way[-1] + escape, len(one_way))
        curves += [_followed(flow, saddle.scaled + side * OFFSET * vector, t, context) for side in (1, -1)]
    return curves
