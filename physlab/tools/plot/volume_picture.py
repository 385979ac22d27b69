"""The pictures of a function of space: a sheet of slices, an isosurface with its sections, and a film of slices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from physlab.tools.figures import BLUE, INK, colour_bar, heat_map
from physlab.tools.movie import Blitter, repaint
from physlab.tools.plot.isosurface import isosurface, smooth_normals
from physlab.tools.plot.params import symbol
from physlab.tools.plot.show import to_scale
from physlab.tools.types import Array

if TYPE_CHECKING:
    from physlab.tools.plot.volume import Volume, VolumeParams

ROWS, COLUMNS = 3, 4  # of a sheet of slices
DRAWN = 60_000  # triangles; a finer surface is drawn from every second, third, … point
AMBIENT = 0.42  # part of the light that comes from everywhere
PLANES = {"x": ("y", "z"), "y": ("x", "z"), "z": ("x", "y")}  # columns and rows of a slice across an axis


def chosen_slices(count: int) -> Array:
    """Return which slices of so many a sheet shows: at most twelve, from the first to the last."""
    return np.unique(np.linspace(0, count - 1, min(count, ROWS * COLUMNS)).round().astype(int))


def draw_slices(figure: Any, params: VolumeParams, volume: Volume) -> None:
    """Draw slices side by side on one scale of colours."""
    axis = params.animate_axis
    chosen = chosen_slices(len(volume.axes[axis]))
    columns = min(COLUMNS, len(chosen))
    grid = figure.subplots(-(-len(chosen) // columns), columns, sharex=True, sharey=True, squeeze=False)
    image = None
    for axes, index in zip(grid.flat, chosen, strict=False):
        image = _slice(axes, params, volume, axis, index)
        axes.set_title(_where(params, volume, axis, index), fontsize=12)
        axes.label_outer()
    for axes in grid.flat[len(chosen) :]:
        axes.set_visible(False)
    if params.title:
        figure.suptitle(params.title)
    colour_bar(figure, image, grid, _value_label(params))


def _label(params: VolumeParams, name: str) -> str:
    return symbol(getattr(params, f"{name}label") or name)


def _value_label(params: VolumeParams) -> str:
    return symbol(params.flabel or ("f(x, y, z)" if isinstance(params.f, str) else "f"))


def _where(params: VolumeParams, volume: Volume, axis: str, index: int) -> str:
    name, _, unit = (getattr(params, f"{axis}label") or axis).partition(" [")
    value = f"{volume.axes[axis][index]:.3g}".replace("-", "\N{MINUS SIGN}")
    return f"{symbol(name)} = {value}" + (f" {unit.rstrip(']')}" if unit else "")


def _slice(axes: Any, params: VolumeParams, volume: Volume, axis: str, index: int) -> Any:
    """Draw one slice, with the level's line when a surface is meant."""
    across, up = PLANES[axis]
    x, y, values = volume.axes[across], volume.axes[up], volume.slice(axis, index)
    image = heat_map(axes, x, y, values, scale=volume.values, colormap=params.colormap)
    if params.mode == "isosurface":
        _level_line(axes, params, x, y, values)
    axes.set(xlabel=_label(params, across), ylabel=_label(params, up))
    axes.locator_params(nbins=4)
    if to_scale(params.equal_aspect, np.ptp(x), np.ptp(y)):
        axes.set_aspect("equal")
    return image


def _level_line(axes: Any, params: VolumeParams, x: Array, y: Array, values: Array) -> Any:
    if not (np.isfinite(values).any() and np.nanmin(values) < params.iso_level < np.nanmax(values)):
        return None
    from matplotlib.patheffects import withStroke

    line = axes.contour(x, y, np.ma.masked_invalid(values), [params.iso_level], colors=INK, linewidths=1.4)
    line.set_path_effects([withStroke(linewidth=3.2, foreground="white")])  # seen on dark and on light colours
    return line


def draw_surface(figure: Any, params: VolumeParams, volume: Volume, vertices: Array, triangles: Array) -> None:
    """Draw an isosurface, and beside it the three middle sections with their lines of the same value."""
    grid = figure.add_gridspec(3, 2, width_ratios=(2.1, 1))
    axes = figure.add_subplot(grid[:, 0], projection="3d", elev=params.elevation, azim=params.azimuth)
    step = 1
    while len(triangles) > DRAWN:
        step = max(step + 1, math.ceil(step * math.sqrt(len(triangles) / DRAWN)))
        coarse = [points[::step] for points in volume.axes.values()]
        vertices, triangles = isosurface(coarse, volume.values[::step, ::step, ::step], params.iso_level)
    _draw_triangles(axes, params, volume, vertices, triangles)
    level = f"{_value_label(params)} = {params.iso_level:.4g}".replace("-", "\N{MINUS SIGN}")
    axes.set_title(f"{level}" + (f", drawn from every {step}th point" if step > 1 else ""), fontsize=12)
    sections = []
    image = None
    for row, axis in enumerate("zyx"):
        section = figure.add_subplot(grid[row, 1])
        middle = len(volume.axes[axis]) // 2
        image = _slice(section, params, volume, axis, middle)
        section.set_title(_where(params, volume, axis, middle), fontsize=11, pad=5)
        sections.append(section)
    if params.title:
        figure.suptitle(params.title)
    colour_bar(figure, image, sections, _value_label(params), aspect=40)


def _draw_triangles(axes: Any, params: VolumeParams, volume: Volume, vertices: Array, triangles: Array) -> None:
    from matplotlib.colors import to_rgb
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    spans = np.array([np.ptp(points) for points in volume.axes.values()])
    normals = smooth_normals(vertices / spans, triangles)
    bright = AMBIENT + (1 - AMBIENT) * np.abs(normals @ _light(params))
    colours = np.clip(np.outer(bright, to_rgb(BLUE)) + 0.35 * (bright**6)[:, None], 0, 1)
    axes.add_collection3d(
        Poly3DCollection(
            vertices[triangles], facecolors=colours, edgecolors=colours, linewidths=0.2, antialiased=False,
            rasterized=True,
        )
    )  # fmt: skip
    for name, points in volume.axes.items():
        getattr(axes, f"set_{name}lim")(points[0], points[-1])
        getattr(axes, f"set_{name}label")(_label(params, name), labelpad=8)
        getattr(axes, f"{name}axis").set_pane_color((1, 1, 1, 0))
    axes.set_box_aspect(spans / spans.max() if to_scale(params.equal_aspect, *spans) else (1, 1, 1))


def _light(params: VolumeParams) -> Array:
    """Return the direction of the light in space: it stands beside the eye and above it."""
    elevation, azimuth = np.radians([params.elevation, params.azimuth])
    towards = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    light = 0.8 * towards + 0.35 * np.cross(towards, right) - 0.45 * right
    return np.asarray(light / np.linalg.norm(light))


def draw_film(
    figure: Any, params: VolumeParams, volume: Volume
) -> tuple[Blitter, Callable[[int], Sequence[Any] | None]]:
    """Draw a slice that moves along an axis.

    Args:
        figure: An empty figure.
        params: What to draw.
        volume: The values.

    Returns:
        The blitter, and what moves it to slice i.
    """
    axis = params.animate_axis
    across, up = PLANES[axis]
    axes = figure.add_subplot(xlabel=_label(params, across), ylabel=_label(params, up))
    x, y = volume.axes[across], volume.axes[up]
    image = heat_map(axes, x, y, volume.slice(axis, 0), scale=volume.values, colormap=params.colormap)
    if to_scale(params.equal_aspect, np.ptp(x), np.ptp(y)):
        axes.set_aspect("equal")
    colour_bar(figure, image, axes, _value_label(params))
    place = axes.set_title(_where(params, volume, axis, 0), loc="right", fontsize=12.5)
    axes.set_title(params.title or "", loc="left")
    over = [*axes.spines.values(), place]
    lines: list[Any] = []

    def update(index: int) -> Sequence[Any]:
        values = volume.slice(axis, index)
        repaint(image, values)
        place.set_text(_where(params, volume, axis, index))
        while lines:
            lines.pop().remove()
        if params.mode == "isosurface" and (line := _level_line(axes, params, x, y, values)) is not None:
            lines.append(line)
        return [image, *lines, *over]

    return Blitter(figure, [image, *over]), update
