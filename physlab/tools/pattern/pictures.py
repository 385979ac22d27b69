"""The pictures of pattern recognition: images with what was found, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from physlab.tools.context import Context
from physlab.tools.figures import AMBER, COLOURS, INK, colour_bar, drawing, save_static
from physlab.tools.pattern.classical import Found
from physlab.tools.pattern.images import Image
from physlab.tools.pattern.scores import Score
from physlab.tools.types import Array, File

MOST_DRAWN = 24
MOST_NAMED = 40


def annotate(
    context: Context, image: Image, number: int, found: Sequence[Found], regions: Array | None, task: str
) -> tuple[File, list[Any], File]:
    """Draw what was found on an image.

    Returns:
        The picture, its thumbnails, and the picture as SVG.
    """
    rows, columns = image.size
    width = 8.0
    height = float(np.clip(width * rows / columns, 3.0, 12.0)) + 0.6
    with drawing(width, height, 120) as figure:
        axes = figure.add_subplot(xlabel="x [pixel]", ylabel="y [pixel]")
        axes.grid(False)
        origin = "lower" if image.is_fits else "upper"
        axes.imshow(_stretched(image), cmap="gray", origin=origin, interpolation="nearest", vmin=0, vmax=1)
        if regions is not None and regions.any():
            _outline(axes, regions)
        elif task == "detect":
            _mark(axes, found)
        axes.set_title(_title(image, found, task))
        caption = f"{image.name}: {_title(image, found, task).partition(': ')[2] or 'nothing found'}."
        saved = save_static(context, figure, f"annotated_{number + 1}", caption, png_field="annotated_images")
    return saved["annotated_images"], saved["thumbnails"], saved["svg"]  # type: ignore[return-value]


def _title(image: Image, found: Sequence[Found], task: str) -> str:
    name = image.name if len(image.name) <= 40 else f"{image.name[:39]}…"
    if task == "classify":
        told = f"{found[0].label} ({found[0].confidence:.2f})" if found else "no class is confident enough"
        return f"{name}: {told}"
    kind = {"detect": "object", "segment": "region"}[task]
    return f"{name}: {len(found)} {kind}{'' if len(found) == 1 else 's'}"


def _stretched(image: Image) -> Array:
    """Return pixels between 0 and 1; a grey image from its 0.5th to its 99.5th percentile, faint parts lifted."""
    if image.pixels.ndim == 3:
        peak = image.full or float(image.pixels.max()) or 1.0
        return np.clip(image.pixels / peak, 0, 1)
    low, high = np.percentile(image.pixels, (0.5, 99.5))
    high = high if high > low else low + 1
    return np.asarray(np.sqrt(np.clip((image.pixels - low) / (high - low), 0, 1)))


def _mark(axes: Any, found: Sequence[Found]) -> None:
    from matplotlib.patches import Circle, Rectangle

    names = list(dict.fromkeys(item.label for item in found))
    for item in found:
        colour = (AMBER, *COLOURS)[names.index(item.label) % 6]
        if "snr" in item.more:
            axes.add_patch(Circle((item.x, item.y), max(1.5, 0.9 * item.width), fill=False, ec=colour, lw=1.1))
            continue
        left, top, _, _ = item.box
        axes.add_patch(Rectangle((left, top), item.width, item.height, fill=False, ec=colour, lw=1.4))
        if len(found) <= MOST_NAMED:
            axes.annotate(
                f"{item.label} {item.confidence:.2f}", (left, top), color="white", fontsize=9.5, va="bottom",
                bbox={"facecolor": colour, "edgecolor": "none", "pad": 1.5}, annotation_clip=True,
            )  # fmt: skip


def _outline(axes: Any, regions: Array) -> None:
    """Tint each region and draw its border; neighbours differ in colour."""
    import matplotlib as mpl

    wheel = mpl.colormaps["tab10"](np.arange(10))
    tint = wheel[(regions - 1) % 10]
    tint[..., 3] = np.where(regions > 0, 0.38, 0.0)
    border = np.zeros(regions.shape, dtype=bool)
    across, down = regions[:, 1:] != regions[:, :-1], regions[1:, :] != regions[:-1, :]
    border[:, 1:] |= across
    border[:, :-1] |= across
    border[1:, :] |= down
    border[:-1, :] |= down
    tint[border & (regions > 0), 3] = 0.95
    axes.imshow(tint, origin="lower" if axes.get_ylim()[0] < axes.get_ylim()[1] else "upper", interpolation="nearest")


def draw_confusion(context: Context, score: Score) -> dict[str, Any]:
    """Draw a confusion matrix and return its fields."""
    size = len(score.names)
    side = float(np.clip(2.2 + 0.7 * size, 4.5, 14))
    with drawing(side + 1.2, side) as figure:
        axes = figure.add_subplot(xlabel="found", ylabel="true")
        axes.grid(False)
        image = axes.imshow(
            score.counts, cmap="Blues", vmin=0, vmax=max(1, score.counts.max()), interpolation="nearest"
        )
        axes.set_xticks(range(size), score.names, rotation=30 if size > 4 else 0, ha="right" if size > 4 else "center")
        axes.set_yticks(range(size), score.names)
        for row in range(size if size <= 20 else 0):
            for column in range(size):
                dark = score.counts[row, column] > 0.6 * score.counts.max()
                axes.text(column, row, f"{score.counts[row, column]:d}", ha="center", va="center",
                          color="white" if dark else INK)  # fmt: skip
        told = "" if score.accuracy is None else f"; accuracy {score.accuracy:.3f}"
        axes.set_title(f"Confusion matrix{told}")
        colour_bar(figure, image, axes, "count")
        return dict(save_static(
            context, figure, "confusion_matrix", f"What is true against what was found{told}.",
            png_field="confusion_matrix_png_b64",
        ))  # fmt: skip
