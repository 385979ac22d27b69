"""The film of a curve that is drawn from its first point to its last: what `emit_animation` means for a curve."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from physlab.tools.context import Context
from physlab.tools.figures import BLUE, INK, VERMILION, drawing
from physlab.tools.movie import Blitter, save_movie
from physlab.tools.plot.params import FigureParams, symbol
from physlab.tools.segments import Format
from physlab.tools.types import Array, File


class TracedParams(FigureParams):
    """The look of a curve, and of the film that draws it."""

    frames: int = Field(120, ge=2, description="Frames of the film, when an animation is wanted.")
    fps: float = Field(24.0, ge=1, le=60, description="Frames per second of the film.")
    format: Format = Field("mp4", description="Format of the film: mp4 (H.264), webm (VP9) or gif.")


def save_trace(
    context: Context,
    params: TracedParams,
    name: str,
    caption: str,
    figure: Any,
    axes: Any,
    curve: tuple[Array, Array, Array],
    label: str,
) -> dict[str, File]:
    """Film a point on its way along a curve; its path appears behind it.

    Args:
        context: The call that draws.
        params: Frames and format.
        name: File name without extension.
        caption: One sentence made from the parameters.
        figure: The figure with the whole curve on it, faint.
        axes: Its axes.
        curve: The parameter, and x and y of the points; all of one shape, NaN where there is none.
        label: Name of the parameter with its unit, for the clock: `t [s]`.

    Returns:
        The reply fields of the film.
    """
    parameter, x, y = curve
    context.enforce("frames", params.frames, "frames")
    clock = axes.set_title("", loc="right", fontsize=12.5, color=INK)
    (path,) = axes.plot(x, y, color=BLUE, zorder=3)
    (point,) = axes.plot(x[:1], y[:1], "o", color=VERMILION, markersize=8, zorder=4)
    last = np.linspace(0, len(x) - 1, params.frames).round().astype(int)
    quantity, _, unit = label.partition(" [")

    def update(index: int) -> None:
        end = int(last[index])
        path.set_data(x[: end + 1], y[: end + 1])
        point.set_data(x[end : end + 1], y[end : end + 1])
        value = f"{parameter[end]:.4g}".replace("-", "\N{MINUS SIGN}")
        clock.set_text(f"{symbol(quantity)} = {value}{' ' + unit.rstrip(']') if unit else ''}")

    update(params.frames - 1)
    blitter = Blitter(figure, [path, point, clock])
    context.meta["frames"] = params.frames
    return save_movie(
        context,
        blitter.frames(params.frames, update),
        name,
        f"{caption} Film of {params.frames} frames.",
        fps=params.fps,
        format=params.format,
    )


def film(params: TracedParams) -> Any:
    """Return the empty figure of a film, of the size and resolution of the request."""
    return drawing(params.width, params.height, params.dpi)
