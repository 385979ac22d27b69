"""How a plot is handed over: one figure and one series under one caption."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from physlab.tools.context import Context
from physlab.tools.figures import SERIES_PORTS, drawing, save_series, save_static
from physlab.tools.plot.params import FigureParams, plain
from physlab.tools.registry import Port
from physlab.tools.types import Array

DOTTED = 40  # a curve of fewer points shows them
COMMENSURATE = 4.0  # spans whose ratio is at most this are drawn to one scale unless the request says otherwise

FIGURE_PORTS = (
    Port("image_png_b64", "image", description="The figure as PNG."),
    Port("svg", "image", description="The figure as SVG."),
    Port("thumbnails", "list", description="Small PNGs."),
    Port("csv_data", "text", description="The series as CSV, one point in a row."),
    *SERIES_PORTS,
)


def show(
    context: Context,
    params: FigureParams,
    name: str,
    caption: str,
    *,
    draw: Callable[[Any], None],
    columns: Callable[[], dict[str, Array]],
    png_field: str = "image_png_b64",
) -> dict[str, Any]:
    """Draw a figure and write a series, as far as they are wanted.

    Args:
        context: The call that draws.
        params: Title and size.
        name: File name without extension.
        caption: One sentence made from the parameters; the title is put before it.
        draw: Draws on an empty figure.
        columns: Gives the columns of the series.
        png_field: Reply field of the PNG.

    Returns:
        The reply fields of what was written.

    Raises:
        ValidationError: The series has more rows than the cap allows.
    """
    shown: dict[str, Any] = {}
    caption = titled(params, caption)
    if context.wants("static"):
        with drawing(params.width, params.height, params.dpi) as figure:
            draw(figure)
            shown |= save_static(context, figure, name, caption, png_field=png_field)
    if context.wants("series"):
        shown |= save_series(context, columns(), name, caption, text_field="csv_data")
    return shown


def titled(params: FigureParams, caption: str) -> str:
    """Return a caption with the title before it, without the marks of mathematics."""
    return plain((f"{params.title}: " if params.title else "") + caption)


def dots(count: int) -> dict[str, Any]:
    """Return how a curve of so many points is drawn: few points are marked, so that nobody takes it for smooth."""
    return {"marker": "o", "markersize": 4.5} if count < DOTTED else {}


def to_scale(asked: bool | None, *spans: float) -> bool:
    """Say whether all axes get one scale: as asked, or else when their spans are alike."""
    return max(spans) <= COMMENSURATE * min(spans) if asked is None else asked
