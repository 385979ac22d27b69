"""Curves y = f(x): of a formula, or of another node's array."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, Field, field_validator, model_validator

from physlab.expressions import normal_name
from physlab.tools.context import Context
from physlab.tools.figures import QUIET
from physlab.tools.movie import ANIMATION_PORTS
from physlab.tools.plot.params import (
    Formula,
    axis_points,
    check_finite,
    check_formula,
    evaluate,
    heading,
    is_formula,
    real_array,
    span,
    symbol,
    table,
    written,
)
from physlab.tools.plot.show import FIGURE_PORTS, dots, show, titled
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

    @field_validator("variable")
    @classmethod
    def _one_name(cls, value: str) -> str:
        return normal_name(value)

    @model_validator(mode="after")
    def _readable(self) -> CurveParams:
        check_formula(self.f, [self.variable], self.vars)
        return self


PORTS = (
    *FIGURE_PORTS,
    *ANIMATION_PORTS,
    Port("x", "array", description="The points."),
    Port("y", "array", description="The values; NaN where there is none."),
    Port("x_range", "list", description="[min, max] of the points."),
    Port("y_range", "list", description="[min, max] of the values."),
    Port("samples", "number", description="How many points."),
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
    fields: dict[str, Any] = {"x": x, "y": y, "x_range": span(x), "y_range": span(y), "samples": len(x)}
    context.meta.update(samples=len(x), dtype="float64")
    signature = f"f({params.variable})"
    formula = is_formula(params.f)
    xlabel, ylabel = params.xlabel or params.variable, params.ylabel or (signature if formula else "f")
    what = f"{signature} = {written(params.f, params.vars)}" if formula else f"{ylabel} against {xlabel}"
    caption = f"{what}, {len(x)} points from {x[0]:.6g} to {x[-1]:.6g}."

    def draw(figure: Any, **look: Any) -> Any:
        title = heading(params.title, params.f, signature)
        axes = figure.add_subplot(xlabel=symbol(xlabel), ylabel=symbol(ylabel))
        axes.set_title(title, loc="left" if look else "center")
        axes.plot(x, y, **(look or dots(len(x))))
        if params.x is not None:
            axes.set_xlim(params.x_min, params.x_max)
        return axes

    shown = show(
        context, params, "function_2d", caption, draw=draw, columns=lambda: table((xlabel, ylabel), (x, y))
    )  # fmt: skip
    if context.wants("animation"):
        with film(params) as figure:
            axes = draw(figure, color=QUIET, alpha=0.5, linewidth=1)
            shown |= save_trace(
                context, params, "function_2d", titled(params, caption), figure, axes, (x, x, y), xlabel
            )  # fmt: skip
    return fields | shown


def _points(params: CurveParams, context: Context) -> tuple[Array, Array]:
    def admit(count: int) -> None:
        context.enforce("samples", count, "samples")

    formula = is_formula(params.f)
    values = None if formula else real_array(params.f, 1)  # type: ignore[arg-type]
    x = axis_points(
        "x", params.x, params.x_min, params.x_max,
        samples=params.samples, length=None if values is None else len(values), admit=admit,
    )  # fmt: skip
    y = evaluate(str(params.f), {params.variable: x}, params.vars) if values is None else values
    return x, check_finite(y, context)
