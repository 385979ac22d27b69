"""The pictures of a surrogate: training curves, prediction and truth, errors or residuals, a film."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from physlab.tools.context import Context
from physlab.tools.figures import COLOURS, INK, QUIET, VERMILION, colour_bar, drawing, heat_map, save_static
from physlab.tools.movie import save_movie
from physlab.tools.plot.animation import AnimationParams, Frames
from physlab.tools.plot.film import draw_film
from physlab.tools.plot.params import symbol
from physlab.tools.segments import Format
from physlab.tools.surrogate.differential import Notation
from physlab.tools.surrogate.training import Trained
from physlab.tools.types import Array

if TYPE_CHECKING:
    from physlab.tools.surrogate.problem import Problem, Solution

NO_TRUTH = "no truth was given"


def draw_pictures(
    context: Context, problem: Problem, trained: Trained, solution: Solution, judged: dict[str, Any]
) -> dict[str, Any]:
    """Draw the three pictures of a surrogate and return their fields."""
    what = ", ".join(problem.texts) or "the training data"
    fields: dict[str, Any] = {}
    thumbnails: list[Any] = []

    def keep(figure: Any, name: str, caption: str) -> None:
        saved = save_static(context, figure, name, caption, png_field=f"{name}_png_b64")
        thumbnails.extend(saved["thumbnails"])  # type: ignore[arg-type]
        fields.update(saved)

    with drawing(8, 5) as figure:
        _curves(figure, trained)
        keep(figure, "training_curves", f"Mean squares of the parts of the loss while training on {what}.")
    rows = len(problem.names.unknowns)
    with drawing(10 if solution.truth and len(solution.axes) > 1 else 8, 4.2 * rows + 0.6) as figure:
        caption = _predictions(figure, problem, trained, solution, judged)
        keep(figure, "pred_vs_truth", f"{caption} for {what}.")
    shown = rows if judged["truth"] != "none" else max(1, len(solution.residuals))
    with drawing(8, 4.2 * shown + 0.4) as figure:
        caption = _errors(figure, problem, trained, solution, judged)
        keep(figure, "error_heatmap", f"{caption} for {what}.")
    return fields | {"thumbnails": thumbnails}


def _curves(figure: Any, trained: Trained) -> None:
    axes = figure.add_subplot(xlabel="epochs of Adam, then iterations of L-BFGS", ylabel="mean square", yscale="log")
    steps = np.array(trained.steps)
    for index, (name, losses) in enumerate(trained.losses.items()):
        label = name if len(name) <= 44 else f"{name[:43]}…"
        axes.plot(steps, np.maximum(losses, 1e-300), color=COLOURS[index % len(COLOURS)], lw=1.3, label=label)
    if len(trained.losses) > 1:
        axes.plot(steps, np.maximum(trained.total, 1e-300), color=INK, label="sum")
    if trained.checks:
        axes.plot(steps, trained.checks, color=QUIET, ls="--", label="held-out data")
    if trained.polished:
        axes.axvline(trained.adam_epochs, color=QUIET, lw=1, ls=":")
        axes.annotate(" L-BFGS", (trained.adam_epochs, 0.98), xycoords=("data", "axes fraction"), va="top",
                      color=QUIET, fontsize=12)  # fmt: skip
    axes.set_title("Training")
    figure.legend(loc="outside lower center", ncols=2, fontsize=10.5)


def _slice(solution: Solution, names: Notation, values: Array) -> tuple[list[str], Array, str]:
    """Return two variables (or one), the values over them, and where the others stand."""
    if len(names.variables) <= 2:
        return list(names.variables), values, ""
    time = names.time
    chosen = [name for name in names.variables if name != time][:2]
    index: list[Any] = []
    told = []
    for name in names.variables:
        axis = solution.axes[name]
        at = slice(None) if name in chosen else len(axis) - 1 if name == time else len(axis) // 2
        index.append(at)
        if name not in chosen:
            told.append(f"{name} = {axis[at]:.4g}")
    return chosen, values[tuple(index)], ", at " + ", ".join(told)


def _map(figure: Any, axes: Any, solution: Solution, names: Notation, values: Array, scale: Array, label: str) -> str:
    """Draw values over two variables, or as a curve over one; returns where the other variables stand."""
    chosen, shown, where = _slice(solution, names, values)
    x = solution.axes[chosen[0]]
    if len(chosen) == 1:
        axes.plot(x, shown, color=COLOURS[0])
        axes.set(xlabel=symbol(chosen[0]), ylabel=label)
        return where
    rows, shown = (chosen[1], shown.T)
    image = heat_map(axes, x, solution.axes[rows], shown, scale=scale)
    axes.set(xlabel=symbol(chosen[0]), ylabel=symbol(rows))
    colour_bar(figure, image, axes, label)
    return where


def _predictions(figure: Any, problem: Problem, trained: Trained, solution: Solution, judged: dict[str, Any]) -> str:
    names, rows = problem.names, len(problem.names.unknowns)
    if solution.truth and len(names.variables) > 1:
        grid = figure.subplots(rows, 2, squeeze=False, sharex=True, sharey=True)
        for line, unknown in zip(grid, names.unknowns, strict=True):
            both = np.stack([solution.truth[unknown], solution.values[unknown]])
            where = ""
            for axes, values, title in zip(line, both, ("truth (exact)", "prediction"), strict=True):
                where = _map(figure, axes, solution, names, values, both, symbol(unknown))
                axes.set_title(title + where)
        return "Exact solution and prediction"
    grid = figure.subplots(rows, 1, squeeze=False)
    caption = f"Prediction ({NO_TRUTH})"
    for (axes,), unknown in zip(grid, names.unknowns, strict=True):
        if judged["truth"] == "train_data":
            caption = "Prediction against held-out data"
            _against(axes, problem, trained, unknown)
            continue
        where = _map(figure, axes, solution, names, solution.values[unknown], solution.values[unknown], symbol(unknown))
        axes.set_title(f"Prediction; {NO_TRUTH}{where}")
        if solution.truth:
            caption = "Exact solution and prediction"
            axes.lines[0].set_label("prediction")
            axes.plot(
                solution.axes[names.variables[0]], solution.truth[unknown], color=VERMILION, ls="--", label="exact"
            )
            axes.set_title("Prediction and exact solution")
            axes.legend()
    return caption


def _against(axes: Any, problem: Problem, trained: Trained, unknown: str) -> None:
    """Draw predicted against held-out values; on the diagonal they agree."""
    truth, found, _ = _held(problem, trained, unknown)
    ends = [min(truth.min(), found.min()), max(truth.max(), found.max())]
    axes.plot(ends, ends, color=QUIET, lw=1)
    axes.plot(truth, found, "o", ms=4, color=COLOURS[0])
    axes.set(
        xlabel=f"{unknown}, held-out data", ylabel=f"{unknown}, prediction", title=f"{len(truth)} held-out samples"
    )
    axes.margins(0.04)


def _held(problem: Problem, trained: Trained, unknown: str) -> tuple[Array, Array, Array]:
    from physlab.expressions import Name

    assert problem.held is not None  # noqa: S101 — the caller looked
    points = problem.held.points
    truth = problem.held.values[:, problem.names.unknowns.index(unknown)]
    return truth, trained.evaluate(Name(unknown), points), points


def _errors(figure: Any, problem: Problem, trained: Trained, solution: Solution, judged: dict[str, Any]) -> str:
    names = problem.names
    if judged["truth"] == "exact":
        grid = figure.subplots(len(names.unknowns), 1, squeeze=False)
        for (axes,), unknown in zip(grid, names.unknowns, strict=True):
            error = solution.values[unknown] - solution.truth[unknown]
            where = _map(figure, axes, solution, names, error, error, f"error of {unknown}")
            axes.set_title(f"Error: prediction minus exact{where}")
        return "Error, prediction minus exact solution,"
    if judged["truth"] == "train_data":
        grid = figure.subplots(len(names.unknowns), 1, squeeze=False)
        for (axes,), unknown in zip(grid, names.unknowns, strict=True):
            truth, found, points = _held(problem, trained, unknown)
            _scattered(figure, axes, names, points, found - truth, unknown)
        return "Error at held-out samples"
    grid = figure.subplots(len(solution.residuals), 1, squeeze=False)
    for number, ((axes,), residual) in enumerate(zip(grid, solution.residuals, strict=True)):
        label = "residual" if len(solution.residuals) == 1 else f"residual {number + 1}"
        where = _map(figure, axes, solution, names, residual, residual, label)
        axes.set_title(f"Residual of the equation, not an error: {NO_TRUTH}{where}")
    return f"Residual of the equation (not an error; {NO_TRUTH})"


def _scattered(figure: Any, axes: Any, names: Notation, points: Array, error: Array, unknown: str) -> None:
    axes.set_title("Error at held-out samples: prediction minus data")
    axes.set_xlabel(symbol(names.variables[0]))
    if points.shape[1] == 1:
        axes.plot(points[:, 0], error, "o", ms=4, color=COLOURS[0])
        axes.axhline(0, color=QUIET, lw=1)
        axes.set_ylabel(f"error of {unknown}")
        axes.margins(0.03)
        return
    peak = float(np.abs(error).max()) or 1.0
    dots = axes.scatter(points[:, 0], points[:, 1], c=error, cmap="RdBu_r", vmin=-peak, vmax=peak, s=22,
                        edgecolors=QUIET, linewidths=0.3)  # fmt: skip
    axes.set_ylabel(symbol(names.variables[1]))
    axes.margins(0.03)
    colour_bar(figure, dots, axes, f"error of {unknown}")


def film(
    context: Context, names: Notation, axes: dict[str, Array], values: Array, *, fps: float, format: Format
) -> dict[str, Any]:
    """Write the film of the first unknown over time: a curve over one place, a map over two."""
    time = str(names.time)
    context.enforce("frames", len(axes[time]), "frames")
    space = [name for name in names.space if len(axes[name]) > 1]
    order = [names.variables.index(name) for name in (time, *reversed(space))]
    rest = [number for number in range(values.ndim) if number not in order]
    shown = np.transpose(values, (*order, *rest)).reshape([len(axes[names.variables[i]]) for i in order])
    unknown = names.unknowns[0]
    flat = len(space) == 1
    frames = Frames(axes[time], axes[space[0]], None if flat else axes[space[1]], shown)
    params = AnimationParams(
        frame_expr=shown, t_range=axes[time], x_range=axes[space[0]], renderer="line" if flat else "imshow",
        xlabel=space[0], ylabel=symbol(unknown) if flat else space[1], zlabel=unknown, tlabel=time,
    )  # fmt: skip
    caption = f"Prediction of {unknown} for {time} from {axes[time][0]:.6g} to {axes[time][-1]:.6g}."
    with drawing(8, 4.5, 120) as figure:
        blitter, update = draw_film(figure, params, frames, "prediction")
        pictures = blitter.frames(len(frames.t), update)
        return dict(save_movie(
            context, pictures, "surrogate", caption, fps=fps, format=format
        ))  # fmt: skip
