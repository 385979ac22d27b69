"""`graphing_calculator.plot_data`: points with error bars, and the curve through them with its confidence band."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import AliasChoices, Field

from physlab.tools.calculator.plot_params import PlotParams, check_colour
from physlab.tools.calculator.regression import PORTS as FIT_PORTS
from physlab.tools.calculator.regression import Fit, Kind, column, fit, summary
from physlab.tools.context import Context
from physlab.tools.figures import BLUE, VERMILION
from physlab.tools.plot.params import span, symbol, table
from physlab.tools.plot.show import FIGURE_PORTS, show
from physlab.tools.registry import Port
from physlab.tools.types import Array


class DataPlotParams(PlotParams):
    """Points, their error bars, and a curve through them."""

    data_x: Array | None = Field(
        None, validation_alias=AliasChoices("data_x", "x"), description="x; default: 0, 1, 2, …"
    )
    data_y: Array = Field(validation_alias=AliasChoices("data_y", "y", "data"), description="y, as many.")
    x_errors: Array | None = Field(None, description="Error bars of x.")
    y_errors: Array | None = Field(
        None, validation_alias=AliasChoices("y_errors", "sigma"), description="Error bars of y; they weigh the fit."
    )
    regression_type: Kind | None = Field(None, description="Draw the least-squares curve of this family.")
    confidence_level: float = Field(0.95, gt=0, lt=1, description="Of the band and the intervals.")
    connect: bool = Field(False, description="Join the points by lines, in their order.")
    label: str | None = Field(None, max_length=200, description="Name of the points in the legend.")
    color: str | None = Field(None, max_length=40, description="Colour of the points.")


PORTS = (
    *FIT_PORTS,
    *FIGURE_PORTS,
    Port("y", "array", description="The y of the points"),
    Port("x_range", "list", description="[min, max] of x"),
    Port("y_range", "list", description="[min, max] of y"),
)


def plot_data(params: DataPlotParams, context: Context) -> dict[str, Any]:
    """Draw points with error bars, and the least-squares curve with its confidence band.

    Args:
        params: The points, their errors, the model of the curve, the look.
        context: The surroundings of the call.

    Returns:
        The picture, and with `regression_type` the fields of `stats_regression`.

    Raises:
        ValidationError: The lengths differ, or values are no numbers.
        ComputationError: The curve cannot be fitted.
    """
    check_colour(params.color)
    y = column(params.data_y, "data_y")
    x = np.arange(len(y), dtype=float) if params.data_x is None else column(params.data_x, "data_x", len(y))
    context.enforce("samples", len(y), "points")
    bars = {
        name: None if values is None else np.abs(column(values, name, len(y)))
        for name, values in (("x_errors", params.x_errors), ("y_errors", params.y_errors))
    }
    sigma = bars["y_errors"]
    found = None if params.regression_type is None else fit(params.regression_type, x, y, sigma)
    fields: dict[str, Any] = {"success": True, "x": x, "y": y, "x_range": span(x), "y_range": span(y), "n": len(y)}
    if found is not None:
        fields |= summary(found, x, y, params, sigma, context)
    context.meta.update(samples=len(y), dtype="float64")
    what = f"{len(y)} points" + ("" if found is None else f", {found.model.formula} fitted: {found.formula}")
    return fields | show(
        context, params, "plot_data", f"{what}.",
        draw=lambda figure: _draw(figure, params, x, y, bars, found),
        columns=lambda: _columns(params, x, y, bars, found),
    )  # fmt: skip


def _columns(params: DataPlotParams, x: Array, y: Array, bars: dict[str, Array | None], found: Fit | None) -> Any:
    names, arrays = [params.xlabel or "x", params.ylabel or "y"], [x, y]
    for name, values in bars.items():
        if values is not None:
            names.append(name)
            arrays.append(values)
    if found is not None:
        names += ["fit", "residual"]
        arrays += [found(x), found.residuals]
    return table(names, arrays)


def _draw(
    figure: Any, params: DataPlotParams, x: Array, y: Array, bars: dict[str, Array | None], found: Fit | None
) -> None:
    axes = figure.add_subplot(
        title=params.title or "", xlabel=symbol(params.xlabel or "x"), ylabel=symbol(params.ylabel or "y")
    )
    axes.margins(0.05)
    axes.grid(params.show_grid)
    axes.errorbar(
        x, y, xerr=bars["x_errors"], yerr=bars["y_errors"], fmt="o-" if params.connect else "o", markersize=5,
        linewidth=1.2, elinewidth=1.0, capsize=2.5, color=params.color or BLUE, label=params.label or "data", zorder=3,
    )  # fmt: skip
    if params.x_range:
        axes.set_xlim(params.x_range)
    if found is not None:
        _curve(axes, params, found, x)
        axes.legend(loc="best")
    if params.y_range:
        axes.set_ylim(params.y_range)


def _curve(axes: Any, params: DataPlotParams, found: Fit, x: Array) -> None:
    from scipy.stats import t

    low, high = axes.get_xlim()
    if found.model.formula in ("a + b*log(x)", "a*x^b"):
        low = max(low, float(x.min()))
    place = np.linspace(low, high, 600)
    value = found(place)
    view = axes.get_ylim()
    values = ", ".join(f"{n} = {v:.4g}" for n, v in zip(found.model.names, found.parameters, strict=True))
    axes.plot(place, value, color=VERMILION, label=f"{found.model.formula}\n{values}".replace("-", "\N{MINUS SIGN}"))
    free = len(x) - len(found.parameters)
    if found.covariance is not None and free > 0:
        error = found.error(place)
        half = float(t.ppf((1 + params.confidence_level) / 2, free)) * error
        axes.fill_between(
            place, value - half, value + half, color=VERMILION, alpha=0.16, linewidth=0,
            label=f"{100 * params.confidence_level:g} % band of the curve",
        )  # fmt: skip
    axes.set_xlim(low if params.x_range is None else params.x_range[0], high)
    room = 0.25 * (view[1] - view[0])
    drawn = min(view[0], max(float(np.nanmin(value)), view[0] - room)), max(view[1], min(float(np.nanmax(value)),
                                                                                       view[1] + room))  # fmt: skip
    axes.set_ylim(drawn)
