"""Pictures and tables of what a file held: curves, images, columns; a listing where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from physlab.tools.context import Context
from physlab.tools.figures import colour_bar, drawing, heat_map, save_series, save_static
from physlab.tools.types import Array

PANELS = 6
LINES = 14
WIDTH = 88
BINS = 60


def show(
    data: Any, context: Context, name: str, caption: str, *, unit: str = "", histograms: bool = False
) -> dict[str, Any]:
    """Draw what was read, as far as the node wants it.

    Args:
        data: An array, texts, columns by name, or None.
        context: The call.
        name: File name of the picture, without extension.
        caption: One sentence for the report.
        unit: Unit of an array's values.
        histograms: True draws columns by how often their values occur, not against the row.

    Returns:
        The reply fields of picture and table.
    """
    found: dict[str, Any] = {}
    if context.wants("static"):
        found |= _draw(data, context, name, caption, unit, histograms)
    if context.wants("series"):
        found |= save_series(context, table_of(data), name, caption)
    return found


def _draw(data: Any, context: Context, name: str, caption: str, unit: str, histograms: bool) -> dict[str, Any]:
    columns = {key: values for key, values in flat_columns(data).items() if _drawable(values, 1)}
    if isinstance(data, np.ndarray) and data.ndim and _drawable(data, data.ndim):
        with drawing(8, 5) as figure:
            caption += _draw_array(figure, data, unit)
            return dict(save_static(context, figure, name, caption))
    if columns:
        shown = dict(list(columns.items())[:PANELS])
        if len(columns) > PANELS:
            caption += f" The first {PANELS} of {len(columns)} columns are drawn."
        with drawing(8, 1.0 + 1.9 * ((len(shown) + 1) // 2 if histograms else len(shown))) as figure:
            (_draw_histograms if histograms else _draw_columns)(figure, shown)
            return dict(save_static(context, figure, name, caption))
    lines = listing(data)
    with drawing(8, 0.4 + 0.19 * len(lines)) as figure:
        figure.text(0.03, 0.5, "\n".join(lines), va="center", family="DejaVu Sans Mono", size=9, linespacing=1.4)
        return dict(save_static(context, figure, name, caption))


def _drawable(values: Any, dimensions: int) -> bool:
    if not isinstance(values, np.ndarray) or values.ndim != dimensions or not values.size:
        return False
    return values.dtype.kind in "biufc" and bool(np.isfinite(values).any())


def _real(values: Array) -> tuple[Array, str]:
    if values.dtype.kind == "c":
        return np.abs(values), " The modulus is drawn."
    return values.astype(float), ""


def _draw_array(figure: Any, data: Array, unit: str) -> str:
    """Draw an array: a curve, an image, or the middle plane of its last two axes."""
    values, said = _real(data)
    if values.ndim == 1:
        axes = figure.add_subplot(xlabel="index", ylabel=unit or "value")
        axes.plot(values, lw=1.3, **({"marker": "o", "markersize": 4} if values.size < 40 else {}))
        return said
    middle = tuple(length // 2 for length in values.shape[:-2])
    if middle:
        said += f" The plane [{', '.join(map(str, middle))}] of the shape {values.shape} is drawn."
    plane = values[middle]
    if 1 in plane.shape:
        axes = figure.add_subplot(xlabel="index", ylabel=unit or "value")
        axes.plot(plane.ravel(), lw=1.3)
        return said
    plane = np.where(np.isfinite(plane), plane, np.nan)
    if not np.isfinite(plane).any():
        figure.add_subplot(title="no finite value in this plane")
        return said
    axes = figure.add_subplot(xlabel="column", ylabel="row")
    low, high = np.nanpercentile(plane, (0.5, 99.5))
    artist = heat_map(axes, np.arange(plane.shape[1]), np.arange(plane.shape[0]), plane, colormap="viridis")
    if low < high:
        artist.set_clim(low, high)
        said += " Colours span the percentiles 0.5 to 99.5."
    if 1 / 3 < plane.shape[0] / plane.shape[1] < 3:
        axes.set_aspect("equal")
    colour_bar(figure, artist, axes, unit)
    return said


def _draw_columns(figure: Any, columns: Mapping[str, Array]) -> None:
    panels = figure.subplots(len(columns), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (label, values) in zip(panels, columns.items(), strict=True):
        real, _ = _real(values)
        axes.plot(real, lw=1.2, **({"marker": "o", "markersize": 3.5} if real.size < 40 else {}))
        axes.set_ylabel(f"|{label}|" if values.dtype.kind == "c" else label)
    panels[-1].set_xlabel("row")


def _draw_histograms(figure: Any, columns: Mapping[str, Array]) -> None:
    across = 2 if len(columns) > 1 else 1
    panels = figure.subplots((len(columns) + across - 1) // across, across, squeeze=False).ravel()
    for axes, (label, values) in zip(panels, columns.items(), strict=False):
        real, _ = _real(values)
        real = real[np.isfinite(real)]
        counts, borders = np.histogram(real, bins=_bins(real, values.dtype.kind in "biu"))
        axes.stairs(counts, borders, fill=True, alpha=0.85)
        axes.set(xlabel=f"|{label}|" if values.dtype.kind == "c" else label, ylabel="entries")
    for axes in panels[len(columns) :]:
        axes.set_visible(False)


def _bins(values: Array, whole: bool) -> Any:
    """Return one bin for each whole number where they are few, else about √n equal bins."""
    if whole and values.max() - values.min() < BINS:
        return np.arange(values.min() - 0.5, values.max() + 1)
    return min(BINS, max(5, int(np.sqrt(values.size))))


def flat_columns(data: Any, prefix: str = "") -> dict[str, Any]:
    """Return the columns of nested objects under dotted names."""
    if not isinstance(data, Mapping):
        return {}
    found: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        found |= flat_columns(value, name) if isinstance(value, Mapping) else {name: value}
    return found


def listing(data: Any) -> list[str]:
    """Return the first lines of a description of values that cannot be drawn."""
    if data is None:
        return ["(no data)"]
    items: list[str]
    if isinstance(data, Mapping):
        items = [f"{name}: {_brief(value)}" for name, value in flat_columns(data).items()]
    else:
        items = [_brief(item) for item in data] if isinstance(data, list) else [_brief(data)]
    lines = [line[: WIDTH - 1] + "…" if len(line) > WIDTH else line for line in items]
    return [*lines[:LINES], f"… and {len(lines) - LINES} more"] if len(lines) > LINES else lines or ["(nothing)"]


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.ndim:
        return f"{value.dtype} {value.shape}"
    return "".join(sign if sign.isprintable() else "·" for sign in str(value))


def table_of(data: Any) -> dict[str, Any]:
    """Return values as the columns of a CSV file; where columns are shorter than others, cells stay empty.

    An array of any shape becomes one row for each element, with its indices.
    """
    if isinstance(data, Mapping):
        columns: dict[str, list[Any]] = {}
        for name, value in flat_columns(data).items():
            array = np.asarray(value, dtype=object if isinstance(value, list | str) else None)
            flat = array.reshape(array.shape[0], -1) if array.ndim else array.reshape(1, 1)
            wide = flat.shape[1] > 1
            for index in range(flat.shape[1]):
                columns |= _split(f"{name}[{index}]" if wide else name, flat[:, index])
        length = max(map(len, columns.values()), default=0)
        return {
            name: np.array(column + [""] * (length - len(column)), dtype=object) for name, column in columns.items()
        }
    array = np.asarray(data, dtype=object if isinstance(data, list | str) or data is None else None)
    indices = {f"i{axis}": place.ravel() for axis, place in enumerate(np.indices(array.shape))} if array.ndim else {}
    parts = _split("value", array.ravel())
    return {**indices, **{name: np.array(part, dtype=object) for name, part in parts.items()}}


def _split(name: str, column: Array) -> dict[str, list[Any]]:
    if column.dtype.kind == "c":
        return {f"{name}_re": column.real.tolist(), f"{name}_im": column.imag.tolist()}
    return {name: column.tolist()}
