"""How physlab draws: one style, one way to save a figure and a series. Everything that draws goes through here."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from physlab.tools.context import Context
from physlab.tools.registry import Port
from physlab.tools.types import Array, File

# M. Okabe and K. Ito, "Color Universal Design" (2008): told apart with every kind of colour vision.
BLUE, VERMILION, GREEN, PURPLE, AMBER, SKY = "#0072b2", "#d55e00", "#009e73", "#aa4a86", "#d99000", "#56b4e9"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, AMBER, SKY)
INK, QUIET, PALE = "#1f2328", "#6a737d", "#e3e7eb"
THUMBNAIL_PX = 384
IMPORTS = ("matplotlib.figure", "matplotlib.backends.backend_agg")

STYLE: dict[str, Any] = {
    "font.family": ["STIXGeneral", "DejaVu Sans"],  # the second for signs that the first lacks, such as a₀
    "font.size": 13,
    "mathtext.fontset": "stix",
    "text.color": INK,
    "figure.facecolor": "white",
    "figure.titlesize": 15,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.06,
    "axes.titlesize": 14,
    "axes.titlepad": 10,
    "axes.labelsize": 13.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.xmargin": 0.0,
    "axes.formatter.use_mathtext": True,
    "axes.formatter.limits": (-3, 4),
    "axes.unicode_minus": True,
    "grid.color": PALE,
    "grid.linewidth": 0.7,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "lines.linewidth": 1.9,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 12,
    "image.interpolation": "bilinear",
    "path.simplify": True,
    "path.simplify_threshold": 0.1,
    "savefig.dpi": "figure",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "physlab",
}
_DRAWING = threading.RLock()  # matplotlib reads one process-wide style table while it draws

STATIC_PORTS = (
    Port("png_b64", "image", description="The figure as PNG."),
    Port("svg", "image", description="The figure as SVG."),
    Port("thumbnails", "list", description=f"Small PNGs, {THUMBNAIL_PX} pixels wide."),
)
SERIES_PORTS = (Port("csv_path", "file", description="The series as CSV, with units in the header."),)


@contextmanager
def drawing(width: float = 8, height: float = 5, dpi: float = 150) -> Iterator[Any]:
    """Give an empty figure in the house style; draw on it and save it inside the block.

    Args:
        width: [inch].
        height: [inch].
        dpi: Resolution of its PNG [pixels per inch].

    Yields:
        A `matplotlib.figure.Figure` on an Agg canvas; pyplot is never involved.
    """
    import matplotlib as mpl
    from cycler import cycler
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: Any = {**STYLE, "axes.prop_cycle": cycler(color=COLOURS)}
    with _DRAWING, mpl.rc_context(style):
        figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def tones(values: Array, *, colormap: str = "auto", gamma: float = 1.0) -> dict[str, Any]:
    """Choose colours for a map: a sequence, or two hues around zero when values have both signs.

    Args:
        values: The map, with at least one finite value.
        colormap: A matplotlib name, or `auto`.
        gamma: Below 1, colours follow that power of the value, so that faint parts show (values ≥ 0).

    Returns:
        `cmap` and `norm` for matplotlib.
    """
    from matplotlib.colors import Normalize, PowerNorm

    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if low < 0 < high and min(-low, high) > 0.05 * max(-low, high):
        peak = max(-low, high)
        return {"cmap": "RdBu_r" if colormap == "auto" else colormap, "norm": Normalize(-peak, peak)}
    if low == high:
        low, high = low - 0.5, high + 0.5
    norm = Normalize(low, high) if gamma == 1 else PowerNorm(gamma, 0.0, high)
    return {"cmap": "viridis" if colormap == "auto" else colormap, "norm": norm}


def is_even(axis: Array) -> bool:
    """Say whether points are equally spaced."""
    steps = np.diff(axis)
    return bool(np.allclose(steps, steps[0], rtol=1e-6, atol=0.0))


def edges(axis: Array) -> tuple[float, float]:
    """Return the outer borders of cells that are centred on equally spaced points."""
    half = (axis[-1] - axis[0]) / (len(axis) - 1) / 2
    return float(axis[0] - half), float(axis[-1] + half)


def heat_map(
    axes: Any,
    x: Array,
    y: Array,
    values: Array,
    *,
    scale: Array | None = None,
    colormap: str = "auto",
    gamma: float = 1.0,
) -> Any:
    """Draw a map.

    Args:
        axes: Matplotlib axes.
        x: Column positions (columns).
        y: Row positions (rows).
        values: Shape (rows, columns).
        scale: Values that set the range of the colours; default: `values`.
        colormap: A matplotlib name, or `auto`.
        gamma: See `tones`.

    Returns:
        The artist, for a colour bar or for later frames.
    """
    axes.grid(False)
    colours = tones(values if scale is None else scale, colormap=colormap, gamma=gamma)
    if is_even(x) and is_even(y):
        return axes.imshow(values, origin="lower", extent=(*edges(x), *edges(y)), aspect="auto", **colours)
    return axes.pcolormesh(x, y, values, shading="nearest", rasterized=True, **colours)


def colour_bar(figure: Any, artist: Any, axes: Any, label: str = "", **settings: Any) -> Any:
    """Add a slim colour bar."""
    bar = figure.colorbar(artist, ax=axes, **{"pad": 0.02, "aspect": 28, **settings})
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=3)
    bar.set_label(label)
    return bar


def settle(figure: Any) -> None:
    """Make a finished figure cheap to draw: tick labels that are plain numbers need no typesetting.

    Their common power of ten keeps it; typesetting every label would take a quarter of the time of a figure.
    """
    from matplotlib.ticker import ScalarFormatter

    class Numbers(ScalarFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return super().__call__(x, pos).replace(r"$\mathdefault{", "").replace("}$", "")

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis, getattr(axes, "zaxis", axes.xaxis)):
            if type(axis.get_major_formatter()) is ScalarFormatter:
                axis.set_major_formatter(Numbers())


def save_static(
    context: Context, figure: Any, name: str, caption: str, *, png_field: str = "png_b64"
) -> dict[str, File | list[File]]:
    """Save a figure as PNG, SVG and thumbnail.

    Args:
        context: The call that draws.
        figure: The figure, inside its `drawing` block.
        name: File name without extension.
        caption: One sentence made from the parameters.
        png_field: Reply field of the PNG.

    Returns:
        The reply fields `png_field`, `svg` and `thumbnails`.
    """
    from PIL import Image

    png, svg, small = io.BytesIO(), io.BytesIO(), io.BytesIO()
    settle(figure)
    figure.savefig(png, format="png", metadata={"Software": None})
    figure.set_layout_engine("none")  # both pictures have one layout, found once
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": "physlab"})
    with Image.open(io.BytesIO(png.getvalue())) as picture:
        size = (THUMBNAIL_PX, max(1, round(picture.height * THUMBNAIL_PX / picture.width)))
        picture.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(small, "png", optimize=True)
    save = context.save
    return {
        png_field: save(png.getvalue(), f"{name}.png", role="static", caption=caption, field=png_field, show="base64"),
        "svg": save(svg.getvalue(), f"{name}.svg", role="static", caption=caption, field="svg", show="text"),
        "thumbnails": [save(small.getvalue(), f"{name}_thumbnail.png", role="thumbnail", field="thumbnails")],
    }


def series_text(columns: Mapping[str, Array]) -> str:
    """Return columns as CSV text: a header with units, then every number in full precision."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True))
    return stream.getvalue()


def save_series(
    context: Context, columns: Mapping[str, Array], name: str, caption: str, *, text_field: str | None = None
) -> dict[str, File]:
    """Save columns as a CSV file.

    Args:
        context: The call that draws.
        columns: Header (name and unit, such as `r [a_0]`) to values, all of one length.
        name: File name without extension.
        caption: One sentence made from the parameters.
        text_field: Reply field that shows the same file as text.

    Returns:
        The reply field `csv_path`, and `text_field` when it is named.
    """
    file = context.save(series_text(columns), f"{name}.csv", role="series", caption=caption, field="csv_path")
    if text_field is None:
        return {"csv_path": file}
    return {"csv_path": file, text_field: File(file.path, file.name, file.media_type, show="text")}
