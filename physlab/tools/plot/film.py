"""The pictures of an animation: its moving figure, and stills for paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from physlab.tools.figures import BLUE, INK, colour_bar, heat_map, tones
from physlab.tools.movie import Blitter, repaint
from physlab.tools.plot.params import span, symbol
from physlab.tools.types import Array

if TYPE_CHECKING:
    from physlab.tools.plot.animation import AnimationParams, Frames

STILLS = 6
Update = Callable[[int], Sequence[Any] | None]


def draw_film(figure: Any, params: AnimationParams, frames: Frames, title: str) -> tuple[Blitter, Update]:
    """Draw the moving figure.

    Args:
        figure: An empty figure.
        params: What to draw.
        frames: The values.
        title: Over the figure.

    Returns:
        The blitter, and what moves it to frame i.
    """
    axes = figure.add_subplot()
    clock = axes.set_title(_clock(params, frames.t[-1]), loc="right", fontsize=12.5, color=INK)
    axes.set_title(title, loc="left")
    movers = {"line": _moving_line, "imshow": _moving_map, "contour": _moving_contours}
    artists, move = movers[params.renderer](figure, axes, params, frames)
    over = [*axes.spines.values(), clock]

    def update(index: int) -> Sequence[Any] | None:
        clock.set_text(_clock(params, frames.t[index]))
        fresh = move(index)
        return None if fresh is None else [*fresh, *over]

    return Blitter(figure, [*artists, *over]), update


def _clock(params: AnimationParams, t: float) -> str:
    label = params.tlabel or "t"
    name, _, unit = label.partition(" [")
    value = f"{t:.4g}".replace("-", "\N{MINUS SIGN}")
    return f"{symbol(name)} = {value}" + (f" {unit.rstrip(']')}" if unit else "")


def _value_label(params: AnimationParams, frames: Frames) -> str:
    return symbol(params.zlabel or ("f(x, t)" if frames.y is None else "f(x, y, t)"))


def _limits(values: Array) -> tuple[float, float]:
    low, high = span(values)
    margin = 0.06 * (high - low) or 0.5
    return low - margin, high + margin


def _moving_line(figure: Any, axes: Any, params: AnimationParams, frames: Frames) -> tuple[list[Any], Update]:
    axes.set(xlabel=symbol(params.xlabel or "x"), ylabel=params.ylabel or _value_label(params, frames))
    axes.set(xlim=(frames.x.min(), frames.x.max()), ylim=_limits(frames.values))
    (line,) = axes.plot(frames.x, frames.values[0], color=BLUE)

    def move(index: int) -> None:
        line.set_ydata(frames.values[index])

    return [line], move


def _label_plane(axes: Any, params: AnimationParams, frames: Frames) -> Array:
    """Label the plane of a map; returns the points along its upright axis."""
    upright = (params.ylabel or params.tlabel or "t") if frames.y is None else params.ylabel or "y"
    axes.set(xlabel=symbol(params.xlabel or "x"), ylabel=symbol(upright))
    return frames.t if frames.y is None else frames.y


def _shape(axes: Any, params: AnimationParams, frames: Frames) -> None:
    if params.equal_aspect and frames.y is not None:
        axes.set_aspect("equal")


def _moving_map(figure: Any, axes: Any, params: AnimationParams, frames: Frames) -> tuple[list[Any], Update]:
    """Colours over x and y; over x and t the map grows with time."""
    rows = _label_plane(axes, params, frames)
    first = frames.values if frames.y is None else frames.values[0]
    image = heat_map(axes, frames.x, rows, first, scale=frames.values, colormap=params.colormap)
    _shape(axes, params, frames)
    colour_bar(figure, image, axes, _value_label(params, frames))

    def move(index: int) -> None:
        repaint(image, _until(frames, index))

    return [image], move


def _moving_contours(figure: Any, axes: Any, params: AnimationParams, frames: Frames) -> tuple[list[Any], Update]:
    from matplotlib.ticker import MaxNLocator

    rows = _label_plane(axes, params, frames)
    _shape(axes, params, frames)
    axes.grid(False)
    colours = tones(frames.values, colormap=params.colormap)
    levels = MaxNLocator(14).tick_values(colours["norm"].vmin, colours["norm"].vmax)

    def fill(index: int) -> Any:
        return axes.contourf(frames.x, rows, _until(frames, index), levels=levels, **colours)

    axes.set(xlim=(frames.x[0], frames.x[-1]), ylim=(rows[0], rows[-1]), autoscale_on=False)
    current = [fill(len(frames.t) - 1)]
    colour_bar(figure, current[0], axes, _value_label(params, frames))

    def move(index: int) -> Sequence[Any]:
        current[0].remove()
        current[0] = fill(index)
        return current

    return current, move


def _until(frames: Frames, index: int) -> Array:
    """Return what a map shows at frame i: that frame, or everything up to it when time is an axis."""
    if frames.y is not None:
        return np.asarray(frames.values[index])
    shown = np.full_like(frames.values, np.nan)
    shown[: index + 1] = frames.values[: index + 1]
    return shown


def draw_stills(figure: Any, params: AnimationParams, frames: Frames, title: str) -> None:
    """Draw the film for paper: some instants, or the whole map over x and t."""
    chosen = np.unique(np.linspace(0, len(frames.t) - 1, STILLS).round().astype(int))
    if frames.y is not None:
        _sheet(figure, params, frames, chosen)
        figure.suptitle(title)
        return
    axes = figure.add_subplot()
    axes.set_title(title)
    if params.renderer == "line":
        _overlay(figure, axes, params, frames, chosen)
    else:
        rows = _label_plane(axes, params, frames)
        image = heat_map(axes, frames.x, rows, frames.values, colormap=params.colormap)
        colour_bar(figure, image, axes, _value_label(params, frames))


def _overlay(figure: Any, axes: Any, params: AnimationParams, frames: Frames, chosen: Array) -> None:
    """Draw instants over each other, the later the lighter."""
    import matplotlib as mpl

    shades = mpl.colormaps["viridis"](np.linspace(0.0, 0.85, len(chosen)))
    for index, shade in zip(chosen, shades, strict=True):
        axes.plot(frames.x, frames.values[index], color=shade, label=_clock(params, frames.t[index]))
    axes.set(xlabel=symbol(params.xlabel or "x"), ylabel=params.ylabel or _value_label(params, frames))
    axes.set(xlim=(frames.x.min(), frames.x.max()), ylim=_limits(frames.values))
    figure.legend(loc="outside right upper")


def _sheet(figure: Any, params: AnimationParams, frames: Frames, chosen: Array) -> None:
    """Draw instants beside each other on one scale."""
    assert frames.y is not None  # noqa: S101 — the caller looked
    grid = figure.subplots(2, (len(chosen) + 1) // 2, sharex=True, sharey=True, squeeze=False)
    image = None
    for axes, index in zip(grid.flat, chosen, strict=False):
        picture = frames.values[index]
        image = heat_map(axes, frames.x, frames.y, picture, scale=frames.values, colormap=params.colormap)
        axes.set_title(_clock(params, frames.t[index]), fontsize=12)
        _shape(axes, params, frames)
        axes.label_outer()
    for axes in grid[-1]:
        axes.set_xlabel(symbol(params.xlabel or "x"))
    for axes in grid[:, 0]:
        axes.set_ylabel(symbol(params.ylabel or "y"))
    colour_bar(figure, image, grid, _value_label(params, frames))
