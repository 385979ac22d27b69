"""Curves y = f(x): of a formula, or of another node's array."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from physlab.tools.context import Context
from physlab.tools.plot_params import (
    FigureParams,
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
from physlab.tools.plot_show import FIGURE_PORTS, dots, show
from physlab.tools.registry import Port
from physlab.tools.types import Array


class CurveParams(FigureParams):
    """A curve, and the range to draw."""

    f: Formula = Field(description="A formula in x, or an array of values such as from:node.psi.")
    x: Array | None = Field(
        None, description="[min, max], [min, max, steps], or the points of f; without any range f is drawn by index."
    )
    x_min: float | None = Field(None, description="Start of x; with an array x, start of the view.")
    x_max: float | None = Field(None, description="End of x; with an array x, end of the view.")
    samples: int = Field(1000, ge=10, description="Points of a formula.")

    @model_validator(mode="after")
    def _readable(self) -> CurveParams:
        check_formula(self.f, "x", self.vars)
        return self


PORTS = (
    *FIGURE_PORTS,
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
    formula = is_formula(params.f)
    xlabel, ylabel = params.xlabel or "x", params.ylabel or ("f(x)" if formula else "f")
    what = f"f(x) = {written(params.f, params.vars)}" if formula else f"{ylabel} against {xlabel}"

    def draw(figure: Any) -> None:
        title = heading(params.title, params.f, "f(x)")
        axes = figure.add_subplot(title=title, xlabel=symbol(xlabel), ylabel=symbol(ylabel))
        axes.plot(x, y, **dots(len(x)))
        if params.x is not None:
            axes.set_xlim(params.x_min, params.x_max)

    return fields | show(
        context,
        params,
        "function_2d",
        f"{what}, {len(x)} points from {x[0]:.6g} to {x[-1]:.6g}.",
        draw=draw,
        columns=lambda: table((xlabel, ylabel), (x, y)),
    )


def _points(params: CurveParams, context: Context) -> tuple[Array, Array]:
    def admit(count: int) -> None:
        context.enforce("samples", count, "samples")

    formula = is_formula(params.f)
    values = None if formula else real_array(params.f, 1)  # type: ignore[arg-type]
    x = axis_points(
        "x", params.x, params.x_min, params.x_max,
        samples=params.samples, length=None if values is None else len(values), admit=admit,
    )  # fmt: skip
    y = evaluate(str(params.f), {"x": x}, params.vars) if values is None else values
    return x, check_finite(y, context)
