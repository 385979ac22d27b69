"""Surfaces and contours z = f(x, y): of a formula, or of another node's two-dimensional array."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from physlab.tools.context import Context
from physlab.tools.figures import colour_bar, heat_map, tones
from physlab.tools.plot.params import (
    Colormap,
    Formula,
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
from physlab.tools.plot.plane import PlaneParams, over_plane, plane_points
from physlab.tools.plot.show import FIGURE_PORTS, show
from physlab.tools.registry import Port
from physlab.tools.types import Array


class GridParams(PlaneParams):
    """A function of two variables, and the ranges to draw."""

    f: Formula = Field(description="A formula in x and y, or an array of shape (y points, x points).")
    zlabel: str | None = Field(None, max_length=300, description="Label of the values, with their unit.")
    colormap: Colormap = Field("auto", description="auto: viridis, or two hues around zero for both signs.")

    @model_validator(mode="after")
    def _readable(self) -> GridParams:
        check_formula(self.f, "xy", self.vars)
        return self


class SurfaceParams(GridParams):
    """A surface."""

    samples: int = Field(50, ge=10, description="Points per axis of a formula; the cap is 160.")
    width: float = Field(10.0, ge=1, le=40, description="Width [inch].")
    height: float = Field(8.0, ge=1, le=40, description="Height [inch].")
    elevation: float = Field(28.0, ge=-90, le=90, description="Height of the eye above the x–y plane [degrees].")
    azimuth: float = Field(-55.0, ge=-360, le=360, description="Direction of the eye in the x–y plane [degrees].")


class ContourParams(GridParams):
    """A contour map, or a density picture."""

    samples: int = Field(100, ge=20, description="Points per axis of a formula; the cap is 160.")
    levels: int = Field(15, ge=5, le=100, description="About how many levels.")
    style: Literal["contours", "image"] = Field("contours", description="Filled contours, or a smooth picture.")
    equal_aspect: bool = Field(False, description="One unit is as long on both axes.")
    gamma: float = Field(1.0, gt=0, le=1, description="Below 1, colours follow that power of f ≥ 0: faint parts show.")


PORTS = (
    *FIGURE_PORTS,
    Port("x", "array", description="The points along x."),
    Port("y", "array", description="The points along y."),
    Port("z", "array", description="The values, shape (y points, x points); NaN where there is none."),
    Port("x_range", "list", description="[min, max] of x."),
    Port("y_range", "list", description="[min, max] of y."),
    Port("z_range", "list", description="[min, max] of the values."),
    Port("samples", "number", description="How many points along x; `meta.mesh` has both."),
)


def surface_3d(params: SurfaceParams, context: Context) -> dict[str, Any]:
    """Draw a surface z = f(x, y).

    Args:
        params: The function, its ranges and its look.
        context: The surroundings of the call.

    Returns:
        The figure, the series, the grid and its ranges.
    """
    return _plot(params, context, "surface_3d", "Surface", _draw_surface)


def contour_2d(params: ContourParams, context: Context) -> dict[str, Any]:
    """Draw contours, or a density picture, of z = f(x, y).

    Args:
        params: The function, its ranges and its look.
        context: The surroundings of the call.

    Returns:
        The figure, the series, the grid and its ranges.
    """
    kind = "Contours" if params.style == "contours" else "Map"
    return {**_plot(params, context, "contour_2d", kind, _draw_contours), "levels": params.levels}


def _plot(params: Any, context: Context, name: str, kind: str, draw: Any) -> dict[str, Any]:
    x, y, z = _grid(params, context)
    fields: dict[str, Any] = {
        "x": x, "y": y, "z": z, "x_range": span(x), "y_range": span(y), "z_range": span(z), "samples": len(x),
    }  # fmt: skip
    context.meta.update(mesh=[len(x), len(y)], samples=z.size, dtype="float64")
    labels = (params.xlabel or "x", params.ylabel or "y", params.zlabel or "f")
    what = f"f(x, y) = {written(params.f, params.vars)}" if is_formula(params.f) else labels[2]
    return fields | show(
        context,
        params,
        name,
        f"{kind} of {what} {over_plane(params, x, y)}.",
        draw=lambda figure: draw(figure, params, x, y, z),
        columns=lambda: table(labels, (*np.meshgrid(x, y), z)),
    )


def _grid(params: Any, context: Context) -> tuple[Array, Array, Array]:
    values = None if is_formula(params.f) else real_array(params.f, 2)
    rows, columns = (None, None) if values is None else values.shape

    x = plane_points(params, "x", context, cap="surface", samples=params.samples, length=columns)
    y = plane_points(params, "y", context, cap="surface", samples=params.samples, length=rows)
    if values is None:
        values = evaluate(str(params.f), {"x": x[None, :], "y": y[:, None]}, params.vars)
    if x[0] > x[-1]:
        x, values = x[::-1], values[:, ::-1]
    if y[0] > y[-1]:
        y, values = y[::-1], values[::-1]
    return x, y, check_finite(values, context)


def _labels(params: Any) -> dict[str, str]:
    labels = {"xlabel": symbol(params.xlabel or "x"), "ylabel": symbol(params.ylabel or "y")}
    return {"title": heading(params.title, params.f, "f(x, y)"), **labels}


def _zlabel(params: Any) -> str:
    return symbol(params.zlabel or ("f(x, y)" if is_formula(params.f) else "f"))


def _draw_surface(figure: Any, params: SurfaceParams, x: Array, y: Array, z: Array) -> None:
    axes = figure.add_subplot(projection="3d", elev=params.elevation, azim=params.azimuth, **_labels(params))
    columns, rows = np.meshgrid(x, y)
    artist = axes.plot_surface(
        columns, rows, z, rcount=len(y), ccount=len(x), linewidth=0, antialiased=False, rasterized=True,
        **tones(z, colormap=params.colormap),
    )  # fmt: skip
    axes.set_zlabel(_zlabel(params), labelpad=8)
    axes.set_box_aspect((1, 1, 0.62), zoom=1.05)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((1, 1, 1, 0))
        axis.labelpad = 8
    colour_bar(figure, artist, axes, shrink=0.6, pad=0.06)


def _draw_contours(figure: Any, params: ContourParams, x: Array, y: Array, z: Array) -> None:
    axes = figure.add_subplot(**_labels(params))
    if params.style == "image":
        artist = heat_map(axes, x, y, z, colormap=params.colormap, gamma=params.gamma)
    else:
        artist = _filled(axes, params, x, y, z)
    if params.equal_aspect:
        axes.set_aspect("equal")
    colour_bar(figure, artist, axes, _zlabel(params))


def _filled(axes: Any, params: ContourParams, x: Array, y: Array, z: Array) -> Any:
    from matplotlib.ticker import MaxNLocator

    colours = tones(z, colormap=params.colormap, gamma=params.gamma)
    low, high = colours["norm"].vmin, colours["norm"].vmax
    even = np.linspace(0, 1, params.levels + 1) ** (1 / params.gamma)
    levels = MaxNLocator(params.levels).tick_values(low, high) if params.gamma == 1 else low + (high - low) * even
    artist = axes.contourf(x, y, z, levels=levels, **colours)
    if np.nanmin(z) < np.nanmax(z):
        axes.contour(x, y, z, levels=levels, colors="white", linewidths=0.5, alpha=0.55)
    axes.grid(False)
    return artist
