"""`ml_ai_augmentation.surrogate_pde_train`: a network that solves differential equations, or learns from data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from physlab.device import ACCELERATORS
from physlab.errors import ValidationError
from physlab.expressions import Name
from physlab.model import Visuals
from physlab.tools.acceleration import import_torch, run_where_it_fits, single_thread
from physlab.tools.conditions import Conditions
from physlab.tools.context import Context
from physlab.tools.differential import Notation, order_of
from physlab.tools.figures import IMPORTS, SERIES_PORTS, save_series
from physlab.tools.movie import ANIMATION_PORTS
from physlab.tools.registry import Port, registry
from physlab.tools.surrogate_data import Samples, read_samples, split
from physlab.tools.surrogate_net import Plan, onnx_bytes
from physlab.tools.surrogate_params import SurrogateParams, check_bounds, read_exact, read_problem
from physlab.tools.surrogate_pictures import draw_pictures, film
from physlab.tools.surrogate_training import Settings, Term, Trained, train
from physlab.tools.types import Array

PURPOSE = "surrogate_pde_train"
FRESH = 1000  # points at which residuals are told that the training never saw
GRID = {1: 401, 2: 101, 3: 31, 4: 13}
FILM = {2: (121, 101), 3: (49, 49), 4: (25, 41)}  # points along space, frames, by the number of variables

registry.tool("ml_ai_augmentation", summary="Learning from equations, data and images.", discriminator="method")


@dataclass(frozen=True)
class Problem:
    """What is trained.

    Attributes:
        names: Variables, unknowns, numbers.
        bounds: Ends of each variable.
        trees: Residuals of the equations.
        texts: The equations as given.
        conditions: What holds on the faces.
        samples: Data to train on.
        held: Data that are held out.
        exact: Formulas of the known solution.
    """

    names: Notation
    bounds: Mapping[str, tuple[float, float]]
    trees: list[Any]
    texts: list[str]
    conditions: Conditions
    samples: Samples | None
    held: Samples | None
    exact: Mapping[str, Any]


@dataclass(frozen=True)
class Solution:
    """The network's answer on a grid.

    Attributes:
        axes: Points along each variable.
        values: Unknown → array with one dimension a variable.
        truth: The same from the known solution; empty without one.
        residuals: One array an equation.
    """

    axes: dict[str, Array]
    values: dict[str, Array]
    truth: dict[str, Array]
    residuals: list[Array]


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
    problem = _problem(params, context)
    plan = _plan(params, problem)
    terms, checks = _terms(params, problem, context)
    settings = Settings(params.epochs, params.polish, params.patience, params.lr, context.seed)

    def work(device: str, batch: int) -> tuple[Trained, Solution, dict[str, Any]]:
        trained = train(torch, problem.names, plan, terms, checks, settings, device, batch)
        return trained, _solution(problem, trained, GRID[len(problem.names.variables)]), _judge(
            problem, trained, checks, context
        )  # fmt: skip

    with single_thread(torch):
        order = max((order_of(tree, name) for tree in problem.trees for name in problem.names.variables), default=0)
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


def _problem(params: SurrogateParams, context: Context) -> Problem:
    if params.problem == "data":
        bounds = check_bounds(params.domain.bounds)
        samples = read_samples(params.train_data, list(bounds), params.unknowns)
        if params.equations or params.domain.boundary_conditions or params.domain.initial_conditions:
            context.warn("problem = 'data' learns from train_data alone; equations and conditions were not used.")
        names = Notation(samples.variables, samples.unknowns, {})
        if len(names.variables) not in GRID:
            raise ValidationError(f"train_data has {len(names.variables)} variables.", hint=f"1 to {max(GRID)} can be.")
        bounds = {name: bounds.get(name) or _ends(name, samples.points[:, i])
                  for i, name in enumerate(names.variables)}  # fmt: skip
        found: tuple[Any, Any, Conditions] = (names, [], Conditions())
    else:
        found, bounds = read_problem(params), check_bounds(params.domain.bounds)
        names = found[0]
        samples = None
        if params.train_data is not None:
            samples = read_samples(params.train_data, names.variables, names.unknowns)
    held = None
    if samples is not None:
        outside = [any(not low <= value <= high for value, (low, high) in zip(point, bounds.values(), strict=True))
                   for point in samples.points]  # fmt: skip
        if any(outside):
            context.warn(f"{sum(outside)} of {len(outside)} samples lie outside the bounds.")
        samples, held = split(samples, context.rng)
    return Problem(
        names, bounds, found[1], params.equations if found[1] else [], found[2], samples, held,
        read_exact(params, names),
    )  # fmt: skip


def _ends(name: str, values: Array) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise ValidationError(f"All samples have {name} = {low:g}.", hint="Leave that column out.")
    return low, high


def _plan(params: SurrogateParams, problem: Problem) -> Plan:
    """Return the network's shape; its outputs are of the size that conditions and data have."""
    names, count = problem.names, len(problem.names.unknowns)
    offset, scale = np.zeros(count), np.ones(count)
    if problem.samples is not None:
        values = problem.samples.values
        spread = values.std(axis=0)
        offset, scale = values.mean(axis=0), np.where(spread > 0, spread, 1.0)
    else:
        for index, unknown in enumerate(names.unknowns):
            sizes = [float(np.abs(_target(item, _face(item, problem, 65, 0), names)).max())
                     for item in problem.conditions.items if item.tree == Name(unknown)]  # fmt: skip
            scale[index] = max(sizes, default=0.0) or 1.0
    circles = [name in problem.conditions.periodic for name in names.variables]
    return Plan(np.array(list(problem.bounds.values())), circles, offset, scale, params.layers)


def _scatter(bounds: Array, count: int, seed: Any) -> Array:
    """Return points of a Latin hypercube in a box, (count, variables)."""
    from scipy.stats import qmc

    unit = qmc.LatinHypercube(len(bounds), rng=np.random.default_rng(seed)).random(count)
    return np.asarray(bounds[:, 0] + unit * (bounds[:, 1] - bounds[:, 0]))


def _face(condition: Any, problem: Problem, count: int, seed: Any) -> Array:
    """Return points on the face where a condition holds; one when nothing is free."""
    bounds = np.array(list(problem.bounds.values()))
    for index, name in enumerate(problem.names.variables):
        if name in condition.fixed:
            bounds[index] = condition.fixed[name]
    free = len(problem.names.variables) - len(condition.fixed)
    points = _scatter(bounds, count if free else 1, seed)
    if free == 1 and count > 2:  # both ends take part, since corners matter
        moving = int(np.argmax(bounds[:, 1] - bounds[:, 0]))
        points[0, moving], points[1, moving] = bounds[moving]
    return points


def _target(condition: Any, points: Array, names: Notation) -> Array:
    places = {name: points[:, index] for index, name in enumerate(names.variables)}
    return np.asarray(condition.target(places, names.values))


def _terms(params: SurrogateParams, problem: Problem, context: Context) -> tuple[list[Term], list[Term]]:
    """Return what is minimised, and the held-out data."""
    names, seed = problem.names, context.seed
    terms = []
    bounds = np.array(list(problem.bounds.values()))
    for number, (tree, text) in enumerate(zip(problem.trees, problem.texts, strict=True)):
        inside = _scatter(bounds, params.points, [seed, 1])
        name = "equation" if len(problem.trees) == 1 else f"equation {number + 1}"
        terms.append(Term(f"{name}: {text}", tree, inside, np.zeros(len(inside))))
    for number, item in enumerate(problem.conditions.items):
        points = _face(item, problem, params.boundary_points, [seed, 2, number])
        terms.append(Term(item.spelled, item.tree, points, _target(item, points, names)))
    checks = []
    for samples, found, label in ((problem.samples, terms, "data"), (problem.held, checks, "held out")):
        if samples is not None:
            found += [Term(f"{label}: {name}", Name(name), samples.points, samples.values[:, index])
                      for index, name in enumerate(names.unknowns)]  # fmt: skip
    return terms, checks


def _grid(bounds: Mapping[str, tuple[float, float]], counts: Mapping[str, int]) -> tuple[dict[str, Array], Array]:
    axes = {name: np.linspace(*ends, counts[name]) for name, ends in bounds.items()}
    mesh = np.meshgrid(*axes.values(), indexing="ij")
    return axes, np.stack([part.ravel() for part in mesh], axis=1)


def _solution(problem: Problem, trained: Trained, count: int) -> Solution:
    names = problem.names
    axes, points = _grid(problem.bounds, dict.fromkeys(names.variables, count))
    shape = tuple(len(axis) for axis in axes.values())
    places = {name: points[:, index] for index, name in enumerate(names.variables)}
    truth = {name: np.asarray(formula.evaluate(**places, **names.values)) for name, formula in problem.exact.items()}
    for name, values in truth.items():
        if values.dtype.kind == "c" or not np.isfinite(values).all():
            raise ValidationError(f"exact of {name} is not finite and real in the whole box.", hint="Check it.")
    return Solution(
        axes,
        {name: trained.evaluate(Name(name), points).reshape(shape) for name in names.unknowns},
        {name: values.reshape(shape) for name, values in truth.items()},
        [trained.evaluate(tree, points).reshape(shape) for tree in problem.trees],
    )


def _judge(problem: Problem, trained: Trained, checks: list[Term], context: Context) -> dict[str, Any]:
    """Return what was checked at points that the training did not see."""
    names, bounds = problem.names, np.array(list(problem.bounds.values()))
    fresh = _scatter(bounds, FRESH, [context.seed, 3])
    violated = {}
    for number, item in enumerate(problem.conditions.items):
        points = _face(item, problem, FRESH // 4, [context.seed, 4, number])
        violated[item.spelled] = _rms(trained.evaluate(item.tree, points) - _target(item, points, names))
    truth, errors = "none", None
    if problem.exact:
        places = {name: fresh[:, index] for index, name in enumerate(names.variables)}
        truth, errors = "exact", {
            name: _errors(trained.evaluate(Name(name), fresh), formula.evaluate(**places, **names.values))
            for name, formula in problem.exact.items()
        }  # fmt: skip
    elif checks:
        truth, errors = "train_data", {
            term.tree.name: _errors(trained.evaluate(term.tree, term.points), term.target) for term in checks
        }  # fmt: skip
    return {
        "truth": truth,
        "errors": errors,
        "residual_rms": [_rms(trained.evaluate(tree, fresh)) for tree in problem.trees],
        "condition_rms": violated,
    }


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _errors(found: Array, truth: Array) -> dict[str, float | None]:
    size = _rms(truth)
    return {
        "relative_l2": _rms(found - truth) / size if size else None,
        "max_abs": float(np.abs(found - truth).max()),
    }


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
    axes, points = _grid(bounds, counts)
    values = trained.evaluate(Name(names.unknowns[0]), points).reshape([len(axis) for axis in axes.values()])
    return film(context, names, axes, values, fps=params.fps, format=params.format)


registry.alias("ml_surrogate_pde", "ml_ai_augmentation", "surrogate_pde_train")
registry.alias("surrogate_pde_train", "ml_ai_augmentation", "surrogate_pde_train")
