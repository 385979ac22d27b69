"""A formula with sliders: what its controls are, and thumbnails at the ends and inside their ranges."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from physlab.errors import ValidationError, nearest
from physlab.expressions import normal_name
from physlab.tools.context import Context
from physlab.tools.figures import BLUE, THUMBNAIL_PX, drawing, heat_map, settle, tones
from physlab.tools.plot.params import (
    Colormap,
    FigureParams,
    axis_points,
    check_finite,
    check_formula,
    check_order,
    reader,
    span,
    symbol,
    table,
    used_names,
    written,
)
from physlab.tools.plot.show import FIGURE_PORTS, dots, show
from physlab.tools.registry import Port
from physlab.tools.types import Array

MOST_CONTROLS = 3  # three values of each are 27 thumbnails
DEFAULT_RANGE: Any = [-5.0, 5.0]
THUMBNAIL_INCH, THUMBNAIL_DPI = (3.2, 2.4), THUMBNAIL_PX / 3.2


class Control(BaseModel):
    """One slider."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[^\W\d]\w*$", description="A name of the formula.")
    min: float = Field(allow_inf_nan=False, description="Lowest value.")
    max: float = Field(allow_inf_nan=False, description="Highest value.")
    step: float | None = Field(None, gt=0, allow_inf_nan=False, description="Step; default: a hundredth of the range.")
    default: float | None = Field(None, allow_inf_nan=False, description="Value at first; default: in the middle.")

    @model_validator(mode="after")
    def _orderly(self) -> Control:
        if not self.min < self.max:
            raise ValueError(f"the range of {self.name}, {self.min:g} to {self.max:g}, is empty; give min below max")
        if self.step is not None and self.step > self.max - self.min:
            raise ValueError(f"the step of {self.name}, {self.step:g}, is longer than its range")
        if self.default is not None and not self.min <= self.default <= self.max:
            raise ValueError(f"the default of {self.name}, {self.default:g}, lies outside {self.min:g} to {self.max:g}")
        return self

    def settled(self) -> dict[str, Any]:
        """Return the slider with nothing left open."""
        step = self.step or (self.max - self.min) / 100
        middle = self.min + step * math.floor((self.max - self.min) / 2 / step + 0.5 + 1e-9)
        default = middle if self.default is None else self.default
        return {"name": self.name, "min": self.min, "max": self.max, "step": step, "default": default}

    def values(self) -> list[float]:
        """Return the values that thumbnails show: the lowest, the default, and the highest that steps reach."""
        slider = self.settled()
        highest = self.min + slider["step"] * math.floor((self.max - self.min) / slider["step"] * (1 + 1e-12))
        return sorted({self.min, slider["default"], highest})


class InteractiveParams(FigureParams):
    """A formula, and what may be turned on it."""

    expr: str = Field(description="A formula in x, or x and y, and the names of the controls.")
    controls: list[Control] = Field(min_length=1, description="Sliders: name, min, max, step, default.")
    x_range: Array = Field(DEFAULT_RANGE, description="[min, max], [min, max, points], or the points along x.")
    y_range: Array | None = Field(None, description="contour, surface: likewise along y; default: x_range.")
    renderer: Literal["line", "contour", "surface"] = Field("line", description="How the thumbnails are drawn.")
    grid_limit: int = Field(24, ge=5, description="Points per axis of the thumbnails; the cap is 24.")
    zlabel: str | None = Field(None, max_length=300, description="Label of the values, with their unit.")
    colormap: Colormap = Field("auto", description="auto: viridis, or two hues around zero for both signs.")
    width: float = Field(10.0, ge=1, le=40, description="Width of the sheet of all thumbnails [inch].")
    height: float = Field(7.5, ge=1, le=40, description="Height of the sheet [inch].")
    dpi: int = Field(120, ge=50, le=600, description="Resolution of the sheet [pixels per inch].")

    @field_validator("expr", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError("a formula is needed, as text")
        return value

    @model_validator(mode="after")
    def _readable(self) -> InteractiveParams:
        axes = "x" if self.renderer == "line" else "xy"
        names = [normal_name(control.name) for control in self.controls]
        for name in names:
            if name in axes:
                raise ValidationError(f"The control '{name}' is an axis.", hint="Rename it.")
            if names.count(name) > 1:
                raise ValidationError(f"Two controls are called '{name}'.", hint="Keep one.")
            if name in map(normal_name, self.vars):
                raise ValidationError(f"'{name}' is a control and in vars.", hint="Keep one.")
        known = {**self.vars, **dict.fromkeys(names, 0.0)}
        check_formula(self.expr, axes, known)
        for name in names:
            if name not in (used := used_names(self.expr, axes, known)):
                raise ValidationError(f"The control '{name}' takes no part in expr.", hint=nearest(name, used))
        if self.y_range is not None and self.renderer == "line":
            raise ValidationError("y_range is given, and the renderer 'line' has no y.", hint="Leave it out.")
        return self


PORTS = (
    Port("thumbnails", "list", description="{control_values, png_b64} for at most 3 values of each control."),
    Port("ui_spec", "object", description="{type: sliders, controls: [{name, min, max, step, default}]}."),
    *(port for port in FIGURE_PORTS if port.name != "thumbnails"),
    Port("control_values", "array", description="Values of the controls, shape (thumbnails, controls)."),
    Port("x", "array", description="The points along x."),
    Port("y", "array", description="The points along y, unless the renderer is line."),
    Port("values", "array", description="expr, shape (thumbnails, x points) or (thumbnails, y points, x points)."),
    Port("z_range", "list", description="[min, max] of the values."),
)


def interactive(params: InteractiveParams, context: Context) -> dict[str, Any]:
    """Describe sliders for a formula, with thumbnails of what they do.

    Args:
        params: The formula, its controls and its look.
        context: The surroundings of the call.

    Returns:
        The description of the sliders, thumbnails and a sheet of them, and the values that they show.
    """
    x, y = _axes(params, context)
    choices = _choices(params, context)
    values = _values(params, context, x, y, choices)
    names = [control.name for control in params.controls]
    fields: dict[str, Any] = {
        "ui_spec": {"type": "sliders", "controls": [control.settled() for control in params.controls]},
        "control_values": choices, "x": x, "values": values, "z_range": span(values),
    }  # fmt: skip
    if y is not None:
        fields["y"] = y
    context.meta.update(grid_size=params.grid_limit, renderer=params.renderer, samples=values.size, dtype="float64")
    mesh = [len(x)] if y is None else [len(x), len(y)]
    context.meta["mesh"] = mesh
    pictures = _thumbnails(params, x, y, choices, values) if context.wants("static") else []
    ranges = ", ".join(f"{control.name} from {control.min:.6g} to {control.max:.6g}" for control in params.controls)
    fields |= show(
        context,
        params,
        "interactive",
        f"{written(params.expr, params.vars)} for {ranges}, {len(x)} points along x.",
        draw=lambda figure: _draw_sheet(figure, params, pictures),
        columns=lambda: _columns(params, context, x, y, choices, values),
    )
    if pictures:
        fields["thumbnails"] = [
            {
                "control_values": dict(zip(names, map(float, row), strict=True)),
                "png_b64": context.save(
                    picture, f"interactive_{number}.png", role="thumbnail", field="thumbnails", show="base64"
                ),
            }
            for number, (row, picture) in enumerate(zip(choices, pictures, strict=True), start=1)
        ]
    return fields


def _axes(params: InteractiveParams, context: Context) -> tuple[Array, Array | None]:
    context.enforce("interactive", params.grid_limit, "grid_limit")

    def points(name: str, given: Array) -> Array:
        def admit(count: int) -> None:
            context.enforce("interactive", count, f"points of {name}")
            if count > params.grid_limit and not context.allow_large:
                raise ValidationError(
                    f"{name} has {count} points, more than grid_limit = {params.grid_limit}.", hint="Use fewer."
                )

        axis = axis_points(name, given, None, None, samples=params.grid_limit, length=None, admit=admit)
        check_order(axis, name)
        return axis

    x = points("x_range", params.x_range)
    if params.renderer == "line":
        return x, None
    return x, points("y_range", params.x_range if params.y_range is None else params.y_range)


def _choices(params: InteractiveParams, context: Context) -> Array:
    """Return the values of the controls for every thumbnail, shape (thumbnails, controls)."""
    if len(params.controls) > MOST_CONTROLS and not context.allow_large:
        raise ValidationError(
            f"{len(params.controls)} controls would need {3 ** len(params.controls)} thumbnails;"
            f" at most {MOST_CONTROLS} controls are drawn.",
            hint="Move some of them to vars, or set allow_large: true.",
        )
    return np.array(list(product(*(control.values() for control in params.controls))))


def _values(params: InteractiveParams, context: Context, x: Array, y: Array | None, choices: Array) -> Array:
    names = [normal_name(control.name) for control in params.controls]
    places = {"x": x} if y is None else {"x": x[None, :], "y": y[:, None]}
    read = reader(params.expr, {*places, *names}, params.vars)
    rows = [read(**places, **dict(zip(names, map(np.asarray, row), strict=True))) for row in choices]
    return check_finite(np.array(rows), context, "expr")


def _columns(
    params: InteractiveParams, context: Context, x: Array, y: Array | None, choices: Array, values: Array
) -> dict[str, Array]:
    context.enforce("samples", values.size, "values in the CSV")
    axes = (x,) if y is None else (y, x)
    index, *places = np.meshgrid(np.arange(len(choices)), *axes, indexing="ij")
    labels = [params.xlabel or "x"] if y is None else [params.ylabel or "y", params.xlabel or "x"]
    names = [*(control.name for control in params.controls), *labels, params.zlabel or "f"]
    return table(names, (*(choices[index, column] for column in range(choices.shape[1])), *places, values))


def _spelled(params: InteractiveParams, row: Sequence[float]) -> str:
    pairs = zip(params.controls, row, strict=True)
    return ", ".join(f"{symbol(control.name)} = {value:.3g}" for control, value in pairs).replace("-", "\N{MINUS SIGN}")


def _thumbnails(params: InteractiveParams, x: Array, y: Array | None, choices: Array, values: Array) -> list[bytes]:
    """Return one PNG for each choice, all on one scale."""
    pictures = []
    with drawing(*THUMBNAIL_INCH, THUMBNAIL_DPI) as figure:
        for row, picture in zip(choices, values, strict=True):
            figure.clear()
            _draw(figure, params, x, y, picture, values)
            figure.axes[0].set_title(_spelled(params, row), fontsize=11, pad=4)
            settle(figure)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", metadata={"Software": None})
            pictures.append(buffer.getvalue())
    return pictures


def _draw(figure: Any, params: InteractiveParams, x: Array, y: Array | None, picture: Array, scale: Array) -> None:
    labels = {"xlabel": symbol(params.xlabel or "x")}
    low, high = span(scale)
    if y is None:
        axes = figure.add_subplot(**labels, ylabel=params.ylabel or symbol(params.zlabel or "f"))
        axes.plot(x, picture, color=BLUE, **{**dots(len(x)), "markersize": 3})
        margin = 0.06 * (high - low) or 0.5
        axes.set_ylim(low - margin, high + margin)
    elif params.renderer == "contour":
        axes = figure.add_subplot(**labels, ylabel=symbol(params.ylabel or "y"))
        heat_map(axes, x, y, picture, scale=scale, colormap=params.colormap)
        _draw_levels(axes, x, y, picture, low, high)
    else:
        axes = figure.add_subplot(projection="3d", elev=28, azim=-55, **labels, ylabel=symbol(params.ylabel or "y"))
        axes.plot_surface(
            *np.meshgrid(x, y), picture, rcount=len(y), ccount=len(x), linewidth=0, antialiased=False,
            **tones(scale, colormap=params.colormap),
        )  # fmt: skip
        axes.set_zlim(low, high if low < high else low + 1)
        axes.tick_params(labelsize=7, pad=-3)
        for axis in (axes.xaxis, axes.yaxis):
            axis.labelpad = -8
            axis.label.set_fontsize(10)
    axes.locator_params(nbins=4)


def _draw_levels(axes: Any, x: Array, y: Array, picture: Array, low: float, high: float) -> None:
    from matplotlib.ticker import MaxNLocator

    if np.isfinite(picture).any() and np.nanmin(picture) < np.nanmax(picture):
        levels = MaxNLocator(8).tick_values(low, high)
        axes.contour(x, y, np.ma.masked_invalid(picture), levels=levels, colors="white", linewidths=0.7)


def _draw_sheet(figure: Any, params: InteractiveParams, pictures: list[bytes]) -> None:
    """Draw all thumbnails side by side, in order; the last control changes first."""
    from matplotlib.image import imread

    count = len(pictures)
    columns = min(count, 3) if count <= 9 else math.ceil(math.sqrt(count))
    grid = figure.subplots(-(-count // columns), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, picture in zip(grid.flat, pictures, strict=False):
        axes.imshow(imread(io.BytesIO(picture)), interpolation="lanczos")
    if params.title:
        figure.suptitle(params.title)
