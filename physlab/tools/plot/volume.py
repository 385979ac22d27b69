"""Functions of space f(x, y, z): slices through them, and the surface on which they have one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from physlab.errors import ValidationError
from physlab.tools.context import Context
from physlab.tools.figures import drawing
from physlab.tools.movie import ANIMATION_PORTS, save_movie
from physlab.tools.plot.isosurface import area, isosurface
from physlab.tools.plot.params import (
    Colormap,
    FigureParams,
    Formula,
    axis_points,
    check_finite,
    check_formula,
    check_order,
    evaluate,
    is_formula,
    real_array,
    span,
    table,
    written,
)
from physlab.tools.plot.show import FIGURE_PORTS, show, titled
from physlab.tools.plot.volume_picture import chosen_slices, draw_film, draw_slices, draw_surface
from physlab.tools.registry import Port
from physlab.tools.segments import Format
from physlab.tools.types import Array

Axis = Literal["x", "y", "z"]
STEPS = 50
FILM = 0.72  # width and height of the film, in those of the sheet


class VolumeParams(FigureParams):
    """A function of space, and how to show it."""

    f: Formula = Field(description="A formula in x, y and z, or an array of shape (z points, y points, x points).")
    x: Array | None = Field(None, description="[min, max], [min, max, steps], or the points along x; 50 steps.")
    y: Array | None = Field(None, description="Likewise along y.")
    z: Array | None = Field(None, description="Likewise along z.")
    mode: Literal["slices", "isosurface"] = Field("slices", description="What the contact sheet shows.")
    iso_level: float = Field(0.0, description="isosurface: the value of f on the surface.")
    animate_axis: Axis = Field("z", description="The axis that slices are taken along, and that the film runs along.")
    fps: float = Field(24.0, ge=1, le=60, description="Frames per second of the film.")
    format: Format = Field("mp4", description="mp4 (H.264), webm (VP9) or gif.")
    samples_cap: int = Field(160, ge=2, description="Refuse more points per axis than this.")
    zlabel: str | None = Field(None, max_length=300, description="Label of the z axis, with its unit.")
    flabel: str | None = Field(None, max_length=300, description="Label of the values, with their unit.")
    colormap: Colormap = Field("auto", description="auto: viridis, or two hues around zero for both signs.")
    equal_aspect: bool | None = Field(
        None, description="One unit is as long on all axes; default: when no span is over 4 times another."
    )
    elevation: float = Field(24.0, ge=-90, le=90, description="Height of the eye above the x–y plane [degrees].")
    azimuth: float = Field(-50.0, ge=-360, le=360, description="Direction of the eye in the x–y plane [degrees].")
    width: float = Field(11.0, ge=1, le=40, description="Width [inch].")
    height: float = Field(7.5, ge=1, le=40, description="Height [inch].")

    @model_validator(mode="after")
    def _readable(self) -> VolumeParams:
        check_formula(self.f, "xyz", self.vars)
        return self


PORTS = (
    *ANIMATION_PORTS,
    Port("png_contact_sheet_b64", "image", description="Slices side by side, or the surface and its middle sections."),
    *(port for port in FIGURE_PORTS if port.name != "image_png_b64"),
    Port("x", "array", description="The points along x."),
    Port("y", "array", description="The points along y."),
    Port("z", "array", description="The points along z."),
    Port("values", "array", description="f, shape (z points, y points, x points); NaN where there is none."),
    Port("f_range", "list", description="[min, max] of the values."),
    Port("mode", "text", description="`slices` or `isosurface`."),
    Port("vertices", "array", description="isosurface: corners of its triangles, shape (n, 3)."),
    Port("triangles", "array", description="isosurface: numbers of three corners each, shape (m, 3)."),
    Port("surface_area", "number", description="isosurface: area of the triangles, error of second order."),
)


@dataclass(frozen=True)
class Volume:
    """A function on a grid in space.

    Attributes:
        axes: Points along x, y and z, each rising.
        values: Shape (z points, y points, x points).
    """

    axes: dict[str, Array]
    values: Array

    def slice(self, axis: str, index: int) -> Array:
        """Return the values on one plane; rows and columns are the other two axes, the later letter upright."""
        return np.asarray(np.take(self.values, index, axis="zyx".index(axis)))


def volume_3d(params: VolumeParams, context: Context) -> dict[str, Any]:
    """Draw a function of space as slices or as an isosurface.

    Args:
        params: The function, its ranges and its look.
        context: The surroundings of the call.

    Returns:
        The contact sheet, the grid and its values, the surface where it is asked for, and the film.

    Raises:
        ValidationError: f nowhere takes the value `iso_level`, or a cap is passed.
    """
    volume = _volume(params, context)
    axes, values = volume.axes, volume.values
    fields: dict[str, Any] = {**axes, "values": values, "f_range": span(values), "mode": params.mode}
    mesh = [len(axes[name]) for name in "xyz"]
    context.meta.update(mesh=mesh, samples=values.size, dtype="float64", mode=params.mode, fallback=False)
    surface = None
    if params.mode == "isosurface":
        surface = _surface(params, volume)
        fields |= {"vertices": surface[0], "triangles": surface[1], "surface_area": area(*surface)}
    caption = _caption(params, volume)

    def draw(figure: Any) -> None:
        if surface is None:
            draw_slices(figure, params, volume)
        else:
            draw_surface(figure, params, volume, *surface)

    fields |= show(
        context,
        params,
        f"volume_3d_{params.mode}",
        caption,
        draw=draw,
        columns=lambda: _columns(params, volume, surface, context),
        png_field="png_contact_sheet_b64",
    )
    return fields | (_film(params, volume, context) if context.wants("animation") else {})


def _labels(params: VolumeParams) -> dict[str, str]:
    return {name: getattr(params, f"{name}label") or name for name in "xyz"}


def _caption(params: VolumeParams, volume: Volume) -> str:
    what = f"f(x, y, z) = {written(params.f, params.vars)}" if is_formula(params.f) else params.flabel or "f"
    labels = _labels(params)
    ranges = [f"{labels[name]} from {points[0]:.6g} to {points[-1]:.6g}" for name, points in volume.axes.items()]
    over = f"for {ranges[0]}, {ranges[1]} and {ranges[2]}"
    if params.mode == "slices":
        return f"Slices of {what} along {labels[params.animate_axis]} {over}."
    return f"Surface on which {what} is {params.iso_level:.6g}, and middle sections, {over}."


def _surface(params: VolumeParams, volume: Volume) -> tuple[Array, Array]:
    low, high = span(volume.values)
    if not low <= params.iso_level < high:
        raise ValidationError(
            f"iso_level = {params.iso_level:g}, but f goes from {low:.6g} to {high:.6g} on this grid.",
            hint="Give an iso_level between them.",
        )
    vertices, triangles = isosurface(list(volume.axes.values()), volume.values, params.iso_level)
    if not len(triangles):
        raise ValidationError(
            f"f passes iso_level = {params.iso_level:g} only beside gaps.", hint="Use a finer grid or another level."
        )
    return vertices, triangles


def _columns(
    params: VolumeParams, volume: Volume, surface: tuple[Array, Array] | None, context: Context
) -> dict[str, Array]:
    """Return what the sheet shows: the slices point by point, or the corners of the surface."""
    names = [*_labels(params).values(), params.flabel or "f"]
    if surface is not None:
        context.enforce("samples", len(surface[0]), "corners in the CSV")
        return table(names[:3], list(surface[0].T))
    axis = params.animate_axis
    chosen = chosen_slices(len(volume.axes[axis]))
    kept = {name: points[chosen] if name == axis else points for name, points in volume.axes.items()}
    values = np.take(volume.values, chosen, axis="zyx".index(axis))
    context.enforce("samples", values.size, "values in the CSV")
    z, y, x = np.meshgrid(kept["z"], kept["y"], kept["x"], indexing="ij")
    return table(names, (x, y, z, values))


def _film(params: VolumeParams, volume: Volume, context: Context) -> dict[str, Any]:
    count = len(volume.axes[params.animate_axis])
    context.enforce("frames", count, "frames")
    caption = titled(params, f"{_caption(params, volume)[:-1]}, one slice after the other along {params.animate_axis}.")
    with drawing(FILM * params.width, FILM * params.height, params.dpi) as figure:
        blitter, update = draw_film(figure, params, volume)
        pictures = blitter.frames(count, update)
        return dict(
            save_movie(context, pictures, f"volume_3d_{params.mode}", caption, fps=params.fps, format=params.format)
        )


def _volume(params: VolumeParams, context: Context) -> Volume:
    values = None if is_formula(params.f) else real_array(params.f, 3)  # type: ignore[arg-type]

    def admit(count: int, name: str) -> None:
        context.enforce("volume", count, f"points along {name}")
        if count > params.samples_cap and not context.allow_large:
            raise ValidationError(
                f"{count} points along {name} are above samples_cap = {params.samples_cap}.", hint="Raise it."
            )

    axes = {}
    for place, name in enumerate("xyz"):
        length = None if values is None else values.shape[2 - place]
        axes[name] = axis_points(
            name, getattr(params, name), None, None, samples=STEPS, length=length,
            admit=lambda count, name=name: admit(count, name),  # type: ignore[misc]
        )  # fmt: skip
        if len(axes[name]) < 2:
            raise ValidationError(f"f has {len(axes[name])} point along {name}.", hint="A volume needs two or more.")
        check_order(axes[name], name)
    if values is None:
        x, y, z = axes.values()
        places = {"x": x[None, None, :], "y": y[None, :, None], "z": z[:, None, None]}
        values = evaluate(str(params.f), places, params.vars)
    return Volume(axes, check_finite(values, context))
