"""Animations of f(x, t) and f(x, y, t): of a formula, or of another node's array of frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from physlab.errors import ValidationError
from physlab.tools.context import Context
from physlab.tools.figures import SERIES_PORTS, STATIC_PORTS, drawing, save_series, save_static
from physlab.tools.movie import ANIMATION_PORTS, save_movie
from physlab.tools.plot.film import draw_film, draw_stills
from physlab.tools.plot.params import (
    Colormap,
    FigureParams,
    Formula,
    axis_points,
    check_finite,
    check_formula,
    check_order,
    evaluate,
    heading,
    is_formula,
    plain,
    real_array,
    span,
    table,
    used_names,
    written,
)
from physlab.tools.registry import Port
from physlab.tools.segments import Format
from physlab.tools.types import Array

FRAMES = 100
DEFAULT_X: Any = [-5.0, 5.0, 100.0]


class AnimationParams(FigureParams):
    """A function of place and time, and how to show it."""

    frame_expr: Formula = Field(
        description="A formula in x and t, or x, y and t; or an array of shape (frames, x) or (frames, y, x)."
    )
    t_range: Array = Field(description="[start, end] or [start, end, frames]; 100 frames unless it says so.")
    x_range: Array = Field(DEFAULT_X, description="[min, max, points], or the points along x.")
    y_range: Array | None = Field(None, description="[min, max, points] for a formula with y; default: x_range.")
    renderer: Literal["imshow", "contour", "line"] = Field(
        "imshow", description="imshow, contour: colours, over x and t unless y takes part; line: f against x."
    )
    fps: float = Field(24.0, ge=1, le=60, description="Frames per second.")
    format: Format = Field("mp4", description="mp4 (H.264), webm (VP9) or gif.")
    dpi: int = Field(120, ge=50, le=300, description="Resolution [pixels per inch].")
    width: float = Field(8.0, ge=1, le=40, description="Width [inch].")
    height: float = Field(4.5, ge=1, le=40, description="Height [inch].")
    zlabel: str | None = Field(None, max_length=300, description="Label of the values, with their unit.")
    tlabel: str | None = Field(None, max_length=300, description="Label of the time, with its unit.")
    colormap: Colormap = Field("auto", description="auto: viridis, or two hues around zero for both signs.")
    equal_aspect: bool = Field(False, description="One unit is as long on x and y.")
    emit_frames: bool = Field(False, description="Return the values of all frames as frames_data.")
    frames_cap: int = Field(300, ge=1, description="Refuse more frames than this.")

    @model_validator(mode="after")
    def _readable(self) -> AnimationParams:
        check_formula(self.frame_expr, "xyt", self.vars)
        return self


PORTS = (
    *ANIMATION_PORTS,
    *STATIC_PORTS,
    Port("csv_data", "text", description="Every value of every frame as CSV."),
    *SERIES_PORTS,
    Port("frames_data", "array", description="The values, shape (frames, x) or (frames, y, x), with emit_frames."),
    Port("frames", "number", description="How many frames."),
    Port("t", "array", description="The instants."),
    Port("x", "array", description="The points along x."),
    Port("y", "array", description="The points along y, when y takes part."),
    Port("z_range", "list", description="[min, max] of the values."),
    Port("renderer", "text"),
    Port("format", "text"),
)


@dataclass(frozen=True)
class Frames:
    """Values over time.

    Attributes:
        t: Instants (frames).
        x: Points (columns).
        y: Points (rows), None when the function has one place.
        values: Shape (frames, columns) or (frames, rows, columns).
    """

    t: Array
    x: Array
    y: Array | None
    values: Array


def animation(params: AnimationParams, context: Context) -> dict[str, Any]:
    """Animate a function of place and time.

    Args:
        params: The function, its ranges and its look.
        context: The surroundings of the call.

    Returns:
        The film, stills for paper, and the values where they are asked for.
    """
    frames = _frames(params, context)
    fields: dict[str, Any] = {
        "frames": len(frames.t), "t": frames.t, "x": frames.x, "z_range": span(frames.values),
        "renderer": params.renderer, "format": params.format,
    }  # fmt: skip
    if frames.y is not None:
        fields["y"] = frames.y
    if params.emit_frames:
        fields["frames_data"] = frames.values
    context.meta.update(
        frames=len(frames.t), mesh=list(frames.values.shape[:0:-1]), samples=frames.values.size, dtype="float64",
        renderer=params.renderer, format=params.format, fallback=False,
    )  # fmt: skip
    return fields | _show(params, frames, context)


def _show(params: AnimationParams, frames: Frames, context: Context) -> dict[str, Any]:
    signature = "f(x, t)" if frames.y is None else "f(x, y, t)"
    formula = is_formula(params.frame_expr)
    what = f"{signature} = {written(params.frame_expr, params.vars)}" if formula else params.zlabel or signature
    tlabel = params.tlabel or "t"
    span_text = f"{tlabel} from {frames.t[0]:.6g} to {frames.t[-1]:.6g}"
    caption = plain((f"{params.title}: " if params.title else "") + f"{what} for {span_text}.")
    title = heading(params.title, params.frame_expr, signature)
    shown: dict[str, Any] = {}
    if context.wants("static"):
        with drawing(params.width, params.height, params.dpi) as figure:
            draw_stills(figure, params, frames, title)
            shown |= save_static(context, figure, "animation_stills", caption)
    if context.wants("series"):
        context.enforce("samples", frames.values.size, "values in the CSV")
        axes = (frames.t, frames.x) if frames.y is None else (frames.t, frames.y, frames.x)
        places = [params.xlabel or "x"] if frames.y is None else [params.ylabel or "y", params.xlabel or "x"]
        names = (tlabel, *places, params.zlabel or "f")
        columns = table(names, (*np.meshgrid(*axes, indexing="ij"), frames.values))
        shown |= save_series(context, columns, "animation", caption, text_field="csv_data")
    if context.wants("animation"):
        with drawing(params.width, params.height, params.dpi) as figure:
            blitter, update = draw_film(figure, params, frames, title)
            pictures = blitter.frames(len(frames.t), update)
            shown |= save_movie(
                context,
                pictures,
                "animation",
                caption,
                fps=params.fps,
                format=params.format,
            )
    return shown


def _frames(params: AnimationParams, context: Context) -> Frames:
    formula = is_formula(params.frame_expr)
    given = None if formula else np.asarray(params.frame_expr)
    if given is not None:
        given = real_array(given, given.ndim if given.ndim in (2, 3) else 2, "frame_expr")
    flat = "y" not in used_names(str(params.frame_expr), "xyt", params.vars) if given is None else given.ndim == 2
    if params.renderer == "line" and not flat:
        raise ValidationError("The renderer 'line' cannot draw f(x, y, t).", hint="Use imshow or contour.")
    if params.y_range is not None and flat:
        raise ValidationError("y_range is given, but y does not take part.", hint="Leave it out.")

    def admit_frames(count: int) -> None:
        context.enforce("frames", count, "frames")
        if count > params.frames_cap and not context.allow_large:
            raise ValidationError(f"{count} frames are above frames_cap = {params.frames_cap}.", hint="Raise it.")

    def admit(count: int) -> None:
        context.enforce("samples" if flat and params.renderer == "line" else "surface", count, "points per axis")

    shape = (None, None, None) if given is None else (len(given), given.shape[-1], given.shape[1])
    t = axis_points("t_range", params.t_range, None, None, samples=FRAMES, length=shape[0], admit=admit_frames)
    x = axis_points("x_range", params.x_range, None, None, samples=100, length=shape[1], admit=admit)
    y = None
    for name, axis in (("t_range", t), ("x_range", x)):
        check_order(axis, name)
    if not flat:
        rows = params.x_range if params.y_range is None else params.y_range
        y = axis_points("y_range", rows, None, None, samples=len(x), length=shape[2], admit=admit)
        check_order(y, "y_range")
    if given is None:
        places = {"x": x} if y is None else {"y": y[:, None], "x": x}
        when = t.reshape(-1, *([1] * (1 if y is None else 2)))
        given = evaluate(str(params.frame_expr), {"t": when, **places}, params.vars)
    return Frames(t, x, y, check_finite(given, context, "frame_expr"))
