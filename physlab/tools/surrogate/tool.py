"""`ml_ai_augmentation.surrogate_pde_train`: a network that solves differential equations, or learns from data."""

from __future__ import annotations

from typing import Any

import numpy as np

from physlab.device import ACCELERATORS
from physlab.errors import ValidationError
from physlab.expressions import Name
from physlab.model import Visuals
from physlab.tools.acceleration import import_torch, run_where_it_fits, single_thread
from physlab.tools.context import Context
from physlab.tools.figures import IMPORTS, SERIES_PORTS, save_series
from physlab.tools.movie import ANIMATION_PORTS
from physlab.tools.registry import Port, registry
from physlab.tools.surrogate.differential import order_of
from physlab.tools.surrogate.net import Plan, onnx_bytes
from physlab.tools.surrogate.params import SurrogateParams
from physlab.tools.surrogate.pictures import draw_pictures, film
from physlab.tools.surrogate.problem import GRID, Problem, Solution, grid, judge, make_plan, make_terms, read, solve
from physlab.tools.surrogate.training import Settings, Trained, train

PURPOSE = "surrogate_pde_train"
FILM = {2: (121, 101), 3: (49, 49), 4: (25, 41)}  # points along space, frames, by the number of variables

registry.tool(
    "ml_ai_augmentation",
    summary="Formulas from data, surrogates of equations, patterns in images, derivations step by step.",
    discriminator="method",
    aliases={"ml_surrogate_pde": "surrogate_pde_train"},
)


@registry.method(
    "ml_ai_augmentation",
    "surrogate_pde_train",
    params=SurrogateParams,
    returns=(
        Port("model_path", "file", description="ONNX model: `points` (n, variables) → `values` (n, unknowns)"),
        Port("training_curves_png_b64", "image", description="Losses against the steps of the training"),
        Port("pred_vs_truth_png_b64", "image", description="Prediction beside the truth; alone where none is given"),
        Port("error_heatmap_png_b64", "image", description="Error; without a truth the residual, and labelled so"),
        Port("svg", "image", description="The last figure as SVG"),
        Port("thumbnails", "list", description="Small PNGs of the figures"),
        *SERIES_PORTS,
        *ANIMATION_PORTS,
        Port(
            "variables",
            "list",
            description="The variables in the order of the model's inputs and the grid's dimensions: places by name, "
            "then the time",
        ),
        Port("axes", "object", description="Variable → points of the grid"),
        Port("values", "object", description="Unknown → prediction on the grid, one dimension a variable"),
        Port("residuals", "list", description="Left minus right side of each equation on the grid"),
        Port("equations", "list", description="The equations"),
        Port("conditions", "list", description="The conditions as they were understood"),
        Port("unknowns", "list", description="The functions that were found"),
        Port("truth", "text", description="What the errors are held against: exact, train_data, or none"),
        Port("errors", "object", description="Unknown → {relative_l2, max_abs} against the truth; null without one"),
        Port("residual_rms", "list", description="Root mean square of each equation at points not trained on"),
        Port("condition_rms", "object", description="Condition → root mean square of its violation"),
        Port("final_loss", "number", description="Sum of the mean squares of all terms, unweighted"),
        Port("epochs", "number", description="Epochs that Adam ran"),
        Port("early_stopped", "boolean", description="True when Adam ended before its last epoch"),
    ),
    visuals=Visuals(static=True, series=False, animation=False),
    can=Visuals(static=True, series=True, animation=True),
    time_limit_s=300.0,
    devices=(*ACCELERATORS, "cpu"),
    libraries=("numpy", "scipy", "torch", "matplotlib", "imageio-ffmpeg"),
    imports=IMPORTS,
    caps={"points": "samples", "boundary_points": "samples"},
)
def surrogate_pde_train(params: SurrogateParams, context: Context) -> dict[str, Any]:
    """Train a network that fulfils differential equations and conditions, or follows data.

    A physics-informed network (Raissi, Perdikaris and Karniadakis 2019, J. Comput. Phys. 378, 686): the loss holds the
    squares of the equations' residuals at points of the box, by automatic differentiation, and of the violated
    conditions. The answer is an approximation; how good it is is told by `errors` where a truth is known, and else
    by `residual_rms` and `condition_rms` at points that the training did not see.

    Args:
        params: The problem and how to train.
        context: The surroundings of the call.

    Returns:
        The model as an ONNX file, its values on a grid, what was checked, and pictures.

    Raises:
        MissingExtraError: PyTorch is not installed.
        ValidationError: The problem cannot be read.
        ComputationError: The loss is not finite.
        ResourceError: Memory ran out with the smallest batch on the CPU.
    """
    torch = import_torch(PURPOSE)
    context.enforce("samples", params.points, "points")
    problem = read(params, context)
    plan = make_plan(params, problem)
    terms, checks = make_terms(params, problem, context)
    settings = Settings(params.epochs, params.polish, params.patience, params.lr, context.seed)

    def work(device: str, batch: int) -> tuple[Trained, Solution, dict[str, Any]]:
        trained = train(torch, problem.names, plan, terms, checks, settings, device, batch)
        answer = solve(problem, trained, GRID[len(problem.names.variables)])
        return trained, answer, judge(problem, trained, checks, plan, context)

    with single_thread(torch):
        order = max(map(order_of, problem.trees), default=0)
        trained, solution, judged = run_where_it_fits(
            work,
            context,
            batch=params.batch_size,
            bytes_per_sample=8.0 * sum(params.layers) * 12 * (1 + order) ** 2,
            purpose=PURPOSE,
        )
        fields = _fields(params, problem, trained, solution, context, plan) | judged
        if context.wants("animation"):
            fields |= _film(params, problem, trained, context)
    if context.wants("static"):
        fields |= draw_pictures(context, problem, trained, solution, judged)
    if context.wants("series"):
        columns = {"step": np.array(trained.steps), "loss": trained.total}
        columns |= {f"loss: {name}": np.array(losses) for name, losses in trained.losses.items()}
        if trained.checks:
            columns["held out"] = np.array(trained.checks)
        fields |= save_series(context, columns, "training", "Losses of the training of the surrogate.")
    return fields


def _fields(
    params: SurrogateParams, problem: Problem, trained: Trained, solution: Solution, context: Context, plan: Plan
) -> dict[str, Any]:
    names, final = problem.names, float(trained.total[-1])
    facts = {
        "variables": list(names.variables), "unknowns": list(names.unknowns), "equations": problem.texts,
        "bounds": {name: list(ends) for name, ends in problem.bounds.items()}, "values": dict(names.values),
        "conditions": [item.spelled for item in problem.conditions.items],
        "periodic": problem.conditions.periodic,
    }  # fmt: skip
    model = context.save(
        onnx_bytes(plan, trained.weights, trained.biases, facts), "surrogate.onnx", role="data", field="model_path",
        caption=f"The trained network {', '.join(names.unknowns)}({', '.join(names.variables)}) as ONNX.",
        media_type="application/octet-stream",
    )  # fmt: skip
    context.meta.update(
        epochs=trained.adam_epochs, early_stopped=trained.early_stopped, final_loss=final,
        polish_iterations=trained.polished, loss_weights=trained.factors, seed=context.seed,
        dtype="float32" if context.meta["device"] == "mps" else "float64", points=params.points,
        parameters=sum(item.size for item in (*trained.weights, *trained.biases)),
    )  # fmt: skip
    spelled = [item.spelled for item in problem.conditions.items]
    return {
        "model_path": model,
        "variables": list(names.variables),
        "axes": solution.axes,
        "values": solution.values,
        "residuals": solution.residuals,
        "equations": problem.texts,
        "conditions": spelled + [f"periodic in {name}" for name in problem.conditions.periodic],
        "unknowns": list(names.unknowns),
        "final_loss": final,
        "epochs": trained.adam_epochs,
        "early_stopped": trained.early_stopped,
    }


def _film(params: SurrogateParams, problem: Problem, trained: Trained, context: Context) -> dict[str, Any]:
    names, time = problem.names, problem.names.time
    if time is None or len(names.variables) < 2:
        raise ValidationError(
            f"A film needs a time and a place; the variables are {', '.join(names.variables)}.",
            hint="Call the time t, or leave animate out.",
        )
    space, frames = FILM[len(names.variables)]
    counts = {name: frames if name == time else space for name in names.variables}
    for name in names.space[2:]:
        counts[name] = 1
    bounds = {name: ((low + high) / 2, (low + high) / 2) if counts[name] == 1 else (low, high)
              for name, (low, high) in problem.bounds.items()}  # fmt: skip
    axes, points = grid(bounds, counts)
    values = trained.evaluate(Name(names.unknowns[0]), points).reshape([len(axis) for axis in axes.values()])
    return film(context, names, axes, values, fps=params.fps, format=params.format)


registry.alias("ml_surrogate_pde", "ml_ai_augmentation", "surrogate_pde_train")
registry.alias("surrogate_pde_train", "ml_ai_augmentation", "surrogate_pde_train")
