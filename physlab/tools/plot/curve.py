"""Curves y = f(x): of a formula, or of another node's array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import AliasChoices, Field, field_validator, model_validator

from physlab.errors import ValidationError
from physlab.expressions import normal_name
from physlab.tools.context import Context
from physlab.tools.figures import QUIET
from physlab.tools.movie import ANIMATION_PORTS
from physlab.tools.plot.overlay import (
    Curve,
    FurtherCurve,
    Scale,
    check_further,
    columns,
    draw_curves,
    further,
    on_scale,
    positive,
)
from physlab.tools.plot.params import (
    Formula,
    axis_points,
    check_finite,
    check_formula,
    evaluate,
    heading,
    is_formula,
    plain,
    real_array,
    span,
    symbol,
    written,
)
from physlab.tools.plot.show import FIGURE_PORTS, show, titled
from physlab.tools.plot.trace import TracedParams, film, save_trace
from physlab.tools.registry import Port
from physlab.tools.types import Array


class CurveParams(TracedParams):
    """A curve, and the range to draw."""

    f: Formula = Field(description="A formula in x, or an array of values such as from:node.psi.")
    variable: str = Field(
        "x",
        validation_alias=AliasChoices("variable", "symbol"),
        description="The variable of the formula, where it is not x: `t` for sin(2*t).",
    )
    x: Array | None = Field(
        None, description="[min, max], [min, max, steps], or the points of f; without any range f is drawn by index."
    )
    x_min: float | None = Field(None, description="Start of x; with an array x, start of the view.")
    x_max: float | None = Field(None, description="End of x; with an array x, end of the view.")
    samples: int = Field(1000, ge=10, description="Points of a formula.")
    label: str = Field("", max_length=200, description="What the legend calls the curve.")
    style: Literal["line", "points"] = Field("line", description="line, or points without a line.")
    error: Array | None = Field(None, description="Standard uncertainty of each value, drawn as a bar.")
    curves: list[FurtherCurve] = Field(
        [], max_length=12, description="Further curves in the figure: `{f, x?, label, style?, error?}`."
    )
    xscale: Scale = Field("linear", description="linear or log; a formula is then computed at points of equal ratio.")
    yscale: Scale = Field("linear", description="linear or log.")

    @field_validator("variable")
    @classmethod
    def _one_name(cls, value: str) -> str:
        return normal_name(value)

    @model_validator(mode="after")
    def _readable(self) -> CurveParams:
        check_formula(self.f, [self.variable], self.vars)
        check_further(self.curves, self.variable, self.vars)
        return self


PORTS = (
    *FIGURE_PORTS,
    *ANIMATION_PORTS,
    Port("x", "array", description="The points."),
    Port("y", "array", description="The values; NaN where there is none."),
    Port("x_range", "list", description="[min, max] of the points."),
    Port("y_range", "list", description="[min, max] of the values."),
    Port("samples", "number", description="How many points."),
    Port("curves", "list", description="The further curves: {label, x, y}."),
)


def function_2d(params: CurveParams, context: Context) -> dict[str, Any]:
    """Draw a curve y = f(x).

    Args:
        params: The curve, its range and its look.
        context: The surroundings of the call.

    Returns:
        The figure, the series, the points and their ranges.
    """
    x, y = _points(params, context)
    error = None if params.error is None else real_array(params.error, 1, "error")
    if error is not None and len(error) != len(x):
        raise ValidationError(f"error has {len(error)} values and f has {len(x)}.", hint="Give one for each value.")
    positive(error, "error")
    first = Curve(params.label, x, y, params.style, error)
    others = further(params.curves, x, params.variable, params.vars, context)
    curves = [_placed(curve, params, context) for curve in (first, *others)]
    fields: dict[str, Any] = {"x": x, "y": y, "x_range": span(x), "y_range": span(y), "samples": len(x)}
    fields["curves"] = [{"label": curve.label, "x": curve.x, "y": curve.y} for curve in others]
    context.meta.update(samples=len(x), dtype="float64")
    signature = f"f({params.variable})"
    formula = is_formula(params.f)
    xlabel, ylabel = params.xlabel or params.variable, params.ylabel or (signature if formula else "f")
    what = f"{signature} = {written(params.f, params.vars)}" if formula else f"{ylabel} against {xlabel}"
    caption = f"{what}, {len(x)} points from {x[0]:.6g} to {x[-1]:.6g}."
    if others:
        caption = f"{caption[:-1]}; with {', '.join(plain(curve.label) for curve in others)}."

    def begin(figure: Any, place: str) -> Any:
        axes = figure.add_subplot(
            xlabel=symbol(xlabel), ylabel=symbol(ylabel), xscale=params.xscale, yscale=params.yscale
        )  # fmt: skip
        axes.set_title(heading(params.title, params.f, signature), loc=place)
        return axes

    def draw(figure: Any) -> None:
        axes = begin(figure, "center")
        draw_curves(axes, curves)
        _view(axes, params, curves)

    shown = show(
        context, params, "function_2d", caption, draw=draw, columns=lambda: columns([first, *others], xlabel, ylabel)
    )  # fmt: skip
    if context.wants("animation"):
        with film(params) as figure:
            axes = begin(figure, "left")
            axes.plot(curves[0].x, curves[0].y, color=QUIET, alpha=0.5, linewidth=1)
            draw_curves(axes, curves[1:])
            _view(axes, params, curves)
            shown |= save_trace(
                context, params, "function_2d", titled(params, caption), figure, axes, (x, *curves[0].points), xlabel
            )  # fmt: skip
    return fields | shown


def _placed(curve: Curve, params: CurveParams, context: Context) -> Curve:
    """Return a curve with gaps where the scales have no place for it."""
    x, y = on_scale(curve.x, params.xscale, "x", context), on_scale(curve.y, params.yscale, "y", context)
    return replace(curve, x=x, y=y)


def _view(axes: Any, params: CurveParams, curves: Sequence[Curve]) -> None:
    """Show the part of the x axis that was asked for, at the height of what is there."""
    if params.x is None or (params.x_min is None and params.x_max is None):
        return
    axes.set_xlim(params.x_min, params.x_max)
    low, high = sorted(axes.get_xlim())
    with np.errstate(invalid="ignore"):
        seen = np.concatenate([curve.y[(curve.x >= low) & (curve.x <= high)] for curve in curves])
    seen = seen[np.isfinite(seen)]
    if len(seen) and params.yscale == "linear":
        margin = 0.05 * (seen.max() - seen.min()) or 0.5
        axes.set_ylim(seen.min() - margin, seen.max() + margin)


def _points(params: CurveParams, context: Context) -> tuple[Array, Array]:
    def admit(count: int) -> None:
        context.enforce("samples", count, "samples")

    formula = is_formula(params.f)
    values = None if formula else real_array(params.f, 1)  # type: ignore[arg-type]
    x = axis_points(
        "x", params.x, params.x_min, params.x_max,
        samples=params.samples, length=None if values is None else len(values), admit=admit,
    )  # fmt: skip
    if values is None and params.xscale == "log":
        if x[0] <= 0:
            raise ValidationError(f"x starts at {x[0]:g}: a logarithmic axis begins above 0.", hint="Raise x_min.")
        x = np.geomspace(x[0], x[-1], len(x))
    y = evaluate(str(params.f), {params.variable: x}, params.vars) if values is None else values
    return x, check_finite(y, context)
