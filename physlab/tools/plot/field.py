"""Vector fields (fx, fy) over the plane, as arrows or as stream lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from physlab.errors import ComputationError, ValidationError
from physlab.tools.context import Context
from physlab.tools.figures import colour_bar, edges, is_even
from physlab.tools.plot.params import (
    Colormap,
    Formula,
    check_formula,
    evaluate,
    is_formula,
    real_array,
    span,
    symbol,
    table,
    written,
)
from physlab.tools.plot.plane import PlaneParams, over_plane, plane_points
from physlab.tools.plot.show import FIGURE_PORTS, show, to_scale
from physlab.tools.registry import Port
from physlab.tools.types import Array

STREAM_POINTS = 101  # per axis: the grid on which stream lines follow a formula


class FieldParams(PlaneParams):
    """A vector field, and how to show it."""

    fx: Formula = Field(description="x component: a formula in x and y, or an array of shape (y points, x points).")
    fy: Formula = Field(description="y component, likewise.")
    grid_points: int = Field(20, ge=5, description="Points per axis of a formula; the cap is 64.")
    plot_type_field: Literal["quiver", "stream"] = Field(
        "quiver", description="quiver: arrows at the grid points; stream: lines along the field. Also: `plot_type`."
    )
    arrows: Literal["equal", "proportional"] = Field(
        "equal",
        description="quiver: arrows of one length, strength by colour alone; or as long as the field is strong.",
    )
    colour_scale: Literal["linear", "log"] = Field("linear", description="Scale of the colours of the strength.")
    density: float = Field(1.2, ge=0.2, le=5, description="stream: how closely the lines lie.")
    zlabel: str | None = Field(None, max_length=300, description="Label of the strength, with its unit.")
    colormap: Colormap = Field("auto", description="Colours of the strength; auto: viridis.")
    equal_aspect: bool | None = Field(
        None, description="One unit is as long on both axes; default: when neither span is over 4 times the other."
    )

    @model_validator(mode="before")
    @classmethod
    def _legacy(cls, data: Any) -> Any:
        """Take the legacy key `plot_type` for the kind of picture."""
        if not isinstance(data, Mapping) or "plot_type" not in data:
            return data
        if "plot_type_field" in data:
            raise ValidationError("plot_type and plot_type_field are both given.", hint="Give plot_type_field alone.")
        return {
            **{key: value for key, value in data.items() if key != "plot_type"},
            "plot_type_field": data["plot_type"],
        }

    @model_validator(mode="after")
    def _readable(self) -> FieldParams:
        for formula in (self.fx, self.fy):
            check_formula(formula, "xy", self.vars)
        return self


PORTS = (
    *FIGURE_PORTS,
    Port("x", "array", description="The points along x."),
    Port("y", "array", description="The points along y."),
    Port("u", "array", description="fx, shape (y points, x points); NaN where the field has no value."),
    Port("v", "array", description="fy, likewise."),
    Port("magnitude", "array", description="The strength √(fx² + fy²), likewise."),
    Port("x_range", "list", description="[min, max] of x."),
    Port("y_range", "list", description="[min, max] of y."),
    Port("magnitude_range", "list", description="[min, max] of the strength."),
    Port("grid_points", "number", description="How many points along x; `meta.mesh` has both."),
    Port("plot_type", "text", description="`quiver` or `stream`."),
)


def field_2d(params: FieldParams, context: Context) -> dict[str, Any]:
    """Draw a vector field as arrows or stream lines.

    Args:
        params: The field, its ranges and its look.
        context: The surroundings of the call.

    Returns:
        The figure, the series, the grid and both components on it.
    """
    x, y, u, v = _grid(params, context)
    strength = np.hypot(u, v)
    fields: dict[str, Any] = {
        "x": x, "y": y, "u": u, "v": v, "magnitude": strength, "x_range": span(x), "y_range": span(y),
        "magnitude_range": span(strength), "grid_points": len(x), "plot_type": params.plot_type_field,
    }  # fmt: skip
    context.meta.update(mesh=[len(x), len(y)], samples=u.size, dtype="float64")
    labels = (params.xlabel or "x", params.ylabel or "y")
    formulas = is_formula(params.fx) and is_formula(params.fy)
    what = (
        f"({written(params.fx, {})}, {written(params.fy, {})}){written('', params.vars)}"
        if formulas
        else params.zlabel or "a field"
    )
    kind = "Stream lines" if params.plot_type_field == "stream" else "Arrows"
    length = "; arrows are as long as the field is strong" if _is_proportional(params) else ""
    return fields | show(
        context,
        params,
        "field_2d",
        f"{kind} of {what} {over_plane(params, x, y)}; colours show its strength{length}.",
        draw=lambda figure: _draw(figure, params, x, y, u, v),
        columns=lambda: table((*labels, "fx", "fy"), (*np.meshgrid(x, y), u, v)),
    )


def _is_proportional(params: FieldParams) -> bool:
    return params.plot_type_field == "quiver" and params.arrows == "proportional"


def _grid(params: FieldParams, context: Context) -> tuple[Array, Array, Array, Array]:
    given = {
        name: real_array(np.asarray(value), 2, name)
        for name, value in (("fx", params.fx), ("fy", params.fy))
        if not is_formula(value)
    }
    shapes = {values.shape for values in given.values()}
    if len(shapes) > 1:
        raise ValidationError(
            f"fx has the shape {given['fx'].shape} and fy has {given['fy'].shape}.", hint="Give both on one grid."
        )
    rows, columns = next(iter(shapes), (None, None))
    x = plane_points(params, "x", context, cap="field", samples=params.grid_points, length=columns)
    y = plane_points(params, "y", context, cap="field", samples=params.grid_points, length=rows)
    for name in {"fx", "fy"} - given.keys():
        given[name] = evaluate(str(getattr(params, name)), {"x": x[None, :], "y": y[:, None]}, params.vars)
    u, v = given["fx"], given["fy"]
    if x[0] > x[-1]:
        x, u, v = x[::-1], u[:, ::-1], v[:, ::-1]
    if y[0] > y[-1]:
        y, u, v = y[::-1], u[::-1], v[::-1]
    if params.plot_type_field == "stream" and not (is_even(x) and is_even(y)):
        raise ValidationError("Stream lines need evenly spaced points.", hint="Use plot_type_field: quiver.")
    return x, y, *_known(u, v, context)


def _known(u: Array, v: Array, context: Context) -> tuple[Array, Array]:
    """Return both components with gaps where either is not finite, and say so."""
    gap = ~(np.isfinite(u) & np.isfinite(v))
    if gap.all():
        raise ComputationError("The field is not finite anywhere.", hint="Check the formulas and their ranges.")
    if gap.any():
        context.warn(f"The field is not finite at {gap.sum()} of {gap.size} points; they are left out.")
    return np.where(gap, np.nan, u), np.where(gap, np.nan, v)


def _norm(params: FieldParams, strength: Array) -> Any:
    from matplotlib.colors import LogNorm, Normalize

    high = float(np.nanmax(strength)) or 1.0
    if params.colour_scale == "linear":
        return Normalize(0.0, high)
    positive = strength[strength > 0]
    if not positive.size:
        raise ValidationError("The field is zero everywhere.", hint="Use colour_scale: linear.")
    return LogNorm(min(float(positive.min()), 0.999 * high), high)


def _draw(figure: Any, params: FieldParams, x: Array, y: Array, u: Array, v: Array) -> None:
    axes = figure.add_subplot(
        title=params.title or "", xlabel=symbol(params.xlabel or "x"), ylabel=symbol(params.ylabel or "y")
    )
    axes.grid(False)
    colours = {
        "cmap": "viridis" if params.colormap == "auto" else params.colormap,
        "norm": _norm(params, np.hypot(u, v)),
    }
    if params.plot_type_field == "stream":
        artist = _stream(axes, params, x, y, u, v, colours)
    else:
        artist = _quiver(axes, params, x, y, u, v, colours)
    if to_scale(params.equal_aspect, np.ptp(x), np.ptp(y)):
        axes.set_aspect("equal")
    colour_bar(figure, artist, axes, params.zlabel or "strength")


def draw_arrows(axes: Any, x: Array, y: Array, u: Array, v: Array, *colour: Any, **look: Any) -> Any:
    """Draw arrows in the units of the axes, the longest as long as the shorter step of the grid allows.

    Args:
        axes: Matplotlib axes.
        x: Columns (columns).
        y: Rows (rows).
        u: x components, shape (rows, columns); an arrow points along (u, v) as the axes are scaled.
        v: y components.
        *colour: Values for colours, of the same shape.
        **look: For matplotlib's quiver.
    """
    step = np.array([np.ptp(x) / (len(x) - 1), np.ptp(y) / (len(y) - 1)])
    cells = np.hypot(u / step[0], v / step[1])  # how many cells an arrow spans as the axes are scaled
    longest = float(np.nanmax(cells)) or 1.0
    return axes.quiver(
        x, y, u, v, *colour, angles="xy", scale_units="xy", scale=longest / 0.85, pivot="mid",
        width=0.0032, headwidth=4, headlength=4.5, headaxislength=4, **look,
    )  # fmt: skip


def one_length(x: Array, y: Array, u: Array, v: Array) -> tuple[Array, Array]:
    """Return the components scaled so that every arrow spans one cell of the grid; zero stays zero."""
    step = np.array([np.ptp(x) / (len(x) - 1), np.ptp(y) / (len(y) - 1)])
    cells = np.hypot(u / step[0], v / step[1])
    cells = np.where(cells > 0, cells, 1.0)
    return u / cells, v / cells


def _quiver(axes: Any, params: FieldParams, x: Array, y: Array, u: Array, v: Array, colours: Any) -> Any:
    strength = np.hypot(u, v)
    if params.colour_scale == "log":
        strength = np.ma.masked_equal(strength, 0.0)
    shown = (u, v) if params.arrows == "proportional" else one_length(x, y, u, v)
    axes.set(xlim=edges(x), ylim=edges(y))
    return draw_arrows(axes, x, y, *shown, strength, **colours)


def _stream(axes: Any, params: FieldParams, x: Array, y: Array, u: Array, v: Array, colours: Any) -> Any:
    """Draw stream lines; those of formulas follow them on a finer grid than the one that is returned."""
    if is_formula(params.fx) and is_formula(params.fy):
        x, y = np.linspace(x[0], x[-1], STREAM_POINTS), np.linspace(y[0], y[-1], STREAM_POINTS)
        places = {"x": x[None, :], "y": y[:, None]}
        u, v = (evaluate(str(formula), places, params.vars) for formula in (params.fx, params.fy))
    strength = np.ma.masked_invalid(np.hypot(u, v))
    u, v = np.ma.masked_invalid(u), np.ma.masked_invalid(v)
    if params.colour_scale == "log":
        strength = np.ma.masked_equal(strength, 0.0)
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    return axes.streamplot(
        x, y, u, v, color=strength, density=params.density, linewidth=1.3, arrowsize=1.3, **colours
    ).lines
