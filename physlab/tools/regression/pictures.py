"""The pictures of a regression: formula over data, residuals; and the table of predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from physlab.tools.context import Context
from physlab.tools.figures import AMBER, BLUE, QUIET, VERMILION, drawing, save_static, series_text
from physlab.tools.registry import Port
from physlab.tools.regression.data import Data
from physlab.tools.regression.fit import Fit
from physlab.tools.types import Array

if TYPE_CHECKING:
    from physlab.tools.regression.tool import Score

POINTS = 5000  # more dots than this do not show more
LONGEST = 90  # characters of LaTeX that fit above a picture
PICTURE_PORTS = (
    Port("overlay_png_b64", "image", description="The formula over the data (one column), or against them"),
    Port("residuals_png_b64", "image", description="Residuals against the column (one column), or the prediction"),
    Port("svg", "image", description="The overlay as SVG"),
    Port("thumbnails", "list", description="Small PNGs of both pictures"),
    Port("csv_prediction_path", "file", description="Columns, target, prediction, residual, held_out (1: yes) as CSV"),
)


def draw(context: Context, data: Data, final: Fit, predicted: Array, test: Array, whole: Score) -> dict[str, Any]:
    """Draw and write what is wanted.

    Args:
        context: The call.
        data: Columns and target.
        final: The formula.
        predicted: Its values, (rows,).
        test: Places of the rows held out.
        whole: The score over all rows.

    Returns:
        The reply fields of what was written.
    """
    fields: dict[str, Any] = {}
    if context.wants("static"):
        overlay = _overlay(context, data, final, predicted, test, whole)
        rest = _residuals(context, data, predicted, test)
        thumbnails = [*overlay.pop("thumbnails"), *rest["thumbnails"]]
        fields |= {**overlay, "residuals_png_b64": rest["residuals_png_b64"], "thumbnails": thumbnails}
    if context.wants("series"):
        held = np.zeros(len(data.y), dtype=int)
        held[test] = 1
        columns = {data.label(name): column for name, column in data.columns.items()}
        columns[data.label(data.target)] = data.y
        unit = f" [{data.units[data.target]}]" if data.units.get(data.target) else ""
        columns |= {f"prediction{unit}": predicted, f"residual{unit}": data.y - predicted, "held_out": held}
        fields["csv_prediction_path"] = context.save(
            series_text(columns), "predictions.csv", role="series", field="csv_prediction_path",
            caption=f"{data.target} as measured and as the formula gives it, {len(data.y)} rows.",
        )  # fmt: skip
    return fields


def _shown(test: Array, rows: int) -> tuple[Array, Array]:
    """Return the places that are drawn: learnt from, and held out; thinned evenly where there are too many."""
    learnt = np.setdiff1d(np.arange(rows), test)
    step, held = max(1, len(learnt) // POINTS), max(1, len(test) // POINTS)
    return learnt[::step], test[::held]


def _dots(axes: Any, x: Array, y: Array, test: Array) -> None:
    learnt, held = _shown(test, len(y))
    size = {"linestyle": "none", "markersize": 5 if len(y) < 500 else 2.5, "alpha": 0.75, "markeredgewidth": 0}
    axes.plot(x[learnt], y[learnt], "o", color=BLUE, label="data", **size)
    if len(held):
        axes.plot(x[held], y[held], "D", color=AMBER, label="held out", **size)


def _overlay(context: Context, data: Data, final: Fit, predicted: Array, test: Array, whole: Score) -> dict[str, Any]:
    from matplotlib.ticker import MaxNLocator

    with drawing(8, 5.5) as figure:
        axes = figure.add_subplot()
        if len(data.columns) == 1:
            [(name, x)] = data.columns.items()
            _dots(axes, x, data.y, test)
            fine = _fine(x)
            axes.plot(fine, final.predict({name: fine}), color=VERMILION, zorder=1.9, label="formula")
            axes.set(xlabel=_mathematical(data, name), ylabel=_mathematical(data, data.target))
            if _wide(x) and _wide(data.y):
                axes.set(xscale="log", yscale="log")
        else:
            _dots(axes, data.y, predicted, test)
            ends = [min(data.y.min(), predicted.min()), max(data.y.max(), predicted.max())]
            axes.plot(ends, ends, color=VERMILION, linewidth=1.2, zorder=1.9, label="prediction = data")
            label = _mathematical(data, data.target)
            axes.set(xlabel=f"{label}, data", ylabel=f"{label}, prediction")
            if _wide(data.y) and _wide(predicted):
                axes.set(xscale="log", yscale="log")
        axes.margins(0.03)
        axes.legend()
        figure.suptitle(_title(data.target, final, whole))
        if axes.get_xscale() == "linear":
            axes.xaxis.set_major_locator(MaxNLocator(7))
        caption = f"{data.target} as the formula found gives it, {len(data.y)} rows, R² = {whole.r2:.6g}."
        return save_static(context, figure, "overlay", caption, png_field="overlay_png_b64")


def _residuals(context: Context, data: Data, predicted: Array, test: Array) -> dict[str, Any]:
    with drawing(8, 4) as figure:
        axes = figure.add_subplot()
        single = len(data.columns) == 1
        x = next(iter(data.columns.values())) if single else predicted
        axes.axhline(0, color=QUIET, linewidth=1)
        _dots(axes, x, data.y - predicted, test)
        label = _mathematical(data, data.target)
        along = _mathematical(data, next(iter(data.columns))) if single else f"{label}, prediction"
        axes.set(xlabel=along, ylabel=f"residual of {label}", title="Data minus formula")
        if _wide(x):
            axes.set_xscale("log")
        axes.margins(0.03, 0.08)
        if len(test):
            axes.legend()
        caption = f"Residuals of {data.target}, data minus formula, {len(data.y)} rows."
        return save_static(context, figure, "residuals", caption, png_field="residuals_png_b64")


def _fine(x: Array) -> Array:
    if _wide(x):
        return np.geomspace(x.min(), x.max(), 600)
    return np.linspace(x.min(), x.max(), 600)


def _wide(values: Array) -> bool:
    """Say whether positive values span more than 100 to 1."""
    return bool((values > 0).all()) and values.max() > 100 * values.min()


def _mathematical(data: Data, name: str) -> str:
    import sympy

    unit = data.units.get(name)
    return f"${sympy.latex(sympy.Symbol(name))}$" + (f" [{unit}]" if unit else "")


def _title(target: str, final: Fit, whole: Score) -> str:
    import sympy

    rounded = final.formula.xreplace({item: sympy.Float(item, 4) for item in final.formula.atoms(sympy.Float)})
    latex = f"{sympy.latex(sympy.Symbol(target))} = {sympy.latex(rounded)}"
    shown = f"${latex}$" if len(latex) <= LONGEST else f"a formula of complexity {final.complexity}"
    close = 1 - whole.r2
    if not 0 < close < 1e-4:
        return f"{shown}      $R^2 = {whole.r2:.5g}$"
    digits, power = f"{close:.1e}".split("e")
    return rf"{shown}      $R^2 = 1 - {digits} \times 10^{{{int(power)}}}$"
