"""Curves (x(t), y(t)) in the plane: of two formulas, or of two arrays of another node."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, model_validator

from physlab.errors import ComputationError, ValidationError
from physlab.tools.context import Context
from physlab.tools.figures import BLUE, QUIET, VERMILION
from physlab.tools.movie import ANIMATION_PORTS
from physlab.tools.plot.params import (
    Formula,
    axis_points,
    check_finite,
    check_formula,
    evaluate,
    is_formula,
    real_array,
    span,
    symbol,
    table,
    written,
)
from physlab.tools.plot.show import FIGURE_PORTS, dots, show, titled, to_scale
from physlab.tools.plot.trace import TracedParams, film, save_trace
from physlab.tools.registry import Port
from physlab.tools.types import Array


class ParametricParams(TracedParams):
    """A curve in the plane, and the range of its parameter."""

    x_t: Formula = Field(description="A formula in t, or an array of values.")
    y_t: Formula = Field(description="A formula in t, or an array of values.")
    t: Array | None = Field(
        None, description="[min, max], [min, max, steps], or the points of t; arrays without any range count points."
    )
    t_min: float | None = Field(None, description="Start of t.")
    t_max: float | None = Field(None, description="End of t.")
    samples: int = Field(1000, ge=10, description="Points of a formula.")
    tlabel: str | None = Field(None, max_length=300, description="Label of the parameter, with its unit.")
    equal_aspect: bool | None = Field(
        None, description="One unit is as long on both axes; default: when neither span is over 4 times the other."
    )

    @model_validator(mode="after")
    def _readable(self) -> ParametricParams:
        for formula in (self.x_t, self.y_t):
            check_formula(formula, "t", self.vars)
        return self


PORTS = (
    *FIGURE_PORTS,
    *ANIMATION_PORTS,
    Port("t", "array", description="The values of the parameter."),
    Port("x", "array", description="x(t); NaN where there is none."),
    Port("y", "array", description="y(t); NaN where there is none."),
    Port("t_range", "list", description="[min, max] of t."),
    Port("x_range", "list", description="[min, max] of x(t)."),
    Port("y_range", "list", description="[min, max] of y(t)."),
    Port("samples", "number", description="How many points."),
)


def parametric_2d(params: ParametricParams, context: Context) -> dict[str, Any]:
    """Draw a curve (x(t), y(t)).

    Args:
        params: The curve, the range of its parameter and its look.
        context: The surroundings of the call.

    Returns:
        The figure, the series, the points and their ranges.
    """
    t, x, y = _points(params, context)
    fields = {
        "t": t, "x": x, "y": y, "t_range": span(t), "x_range": span(x), "y_range": span(y), "samples": len(t),
    }  # fmt: skip
    context.meta.update(samples=len(t), dtype="float64")
    xlabel, ylabel, tlabel = params.xlabel or "x", params.ylabel or "y", params.tlabel or "t"
    formulas = is_formula(params.x_t) and is_formula(params.y_t)
    what = (
        f"x(t) = {written(params.x_t, {})}, y(t) = {written(params.y_t, params.vars)}"
        if formulas
        else f"{ylabel} against {xlabel}"
    )
    caption = f"{what}, {len(t)} points for {tlabel} from {t[0]:.6g} to {t[-1]:.6g}."
    shown = show(
        context,
        params,
        "parametric_2d",
        caption,
        draw=lambda figure: _draw(figure, params, t, x, y),
        columns=lambda: table((tlabel, xlabel, ylabel), (t, x, y)),
    )
    if context.wants("animation"):
        with film(params) as figure:
            axes = _axes(figure, params, x, y)
            axes.set_title(params.title or "", loc="left")
            axes.plot(x, y, color=QUIET, alpha=0.5, linewidth=1)
            shown |= save_trace(
                context, params, "parametric_2d", titled(params, caption), figure, axes, (t, x, y), tlabel
            )  # fmt: skip
    return fields | shown


def _axes(figure: Any, params: ParametricParams, x: Array, y: Array) -> Any:
    axes = figure.add_subplot(xlabel=symbol(params.xlabel or "x"), ylabel=symbol(params.ylabel or "y"))
    axes.margins(0.06)
    if to_scale(params.equal_aspect, *(_length(values) for values in (x, y))):
        axes.set_aspect("equal", adjustable="datalim")
    return axes


def _draw(figure: Any, params: ParametricParams, t: Array, x: Array, y: Array) -> None:
    axes = _axes(figure, params, x, y)
    axes.set_title(params.title or "")
    axes.plot(x, y, color=BLUE, **dots(len(t)))
    start = int(np.flatnonzero(np.isfinite(x))[0])
    name, _, unit = (params.tlabel or "t").partition(" [")
    label = f"{symbol(name)} = {t[start]:.4g}{' ' + unit.rstrip(']') if unit else ''}"
    axes.plot(x[start], y[start], "o", color=VERMILION, markersize=7, label=label, zorder=3)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderpad=0, handletextpad=0.2)


def _length(values: Array) -> float:
    low, high = span(values)
    return high - low or 1e-300


def _points(params: ParametricParams, context: Context) -> tuple[Array, Array, Array]:
    given = {
        name: real_array(np.asarray(value), 1, name)
        for name, value in (("x_t", params.x_t), ("y_t", params.y_t))
        if not is_formula(value)
    }
    lengths = {len(values) for values in given.values()}
    if len(lengths) > 1:
        raise ValidationError(
            f"x_t has {len(given['x_t'])} points and y_t has {len(given['y_t'])}.", hint="Give as many of both."
        )
    t = axis_points(
        "t", params.t, params.t_min, params.t_max, samples=params.samples, length=next(iter(lengths), None),
        admit=lambda count: context.enforce("samples", count, "samples"),
    )  # fmt: skip
    x, y = (
        check_finite(given[name] if name in given else evaluate(str(value), {"t": t}, params.vars), context, name)
        for name, value in (("x_t", params.x_t), ("y_t", params.y_t))
    )
    gap = np.isnan(x) | np.isnan(y)
    if gap.all():
        raise ComputationError(
            "x_t and y_t are finite nowhere together.", hint="Check the formulas and the range of t."
        )
    return t, np.where(gap, np.nan, x), np.where(gap, np.nan, y)
