"""A surrogate's problem: what is to be minimised where, its answer on a grid, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from physlab.errors import ValidationError
from physlab.expressions import Name
from physlab.tools.context import Context
from physlab.tools.surrogate.conditions import Conditions
from physlab.tools.surrogate.data import Samples, read_samples, split
from physlab.tools.surrogate.differential import Notation, depends, order_of
from physlab.tools.surrogate.net import Plan
from physlab.tools.surrogate.params import SurrogateParams, check_bounds, read_exact, read_problem
from physlab.tools.surrogate.training import Term, Trained
from physlab.tools.types import Array

FRESH = 1000  # points at which residuals are told that the training never saw
FULFILLED = 0.01  # a condition that is violated by more of the solution's size is told
GRID = {1: 401, 2: 101, 3: 31, 4: 13}


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


def read(params: SurrogateParams, context: Context) -> Problem:
    """Return the problem that parameters describe, a fifth of its data held out.

    Raises:
        ValidationError: The data, the bounds, an equation or a condition cannot be read.
    """
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


def make_plan(params: SurrogateParams, problem: Problem) -> Plan:
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


def make_terms(params: SurrogateParams, problem: Problem, context: Context) -> tuple[list[Term], list[Term]]:
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
    checks: list[Term] = []
    for samples, found, label in ((problem.samples, terms, "data"), (problem.held, checks, "held out")):
        if samples is not None:
            found += [Term(f"{label}: {name}", Name(name), samples.points, samples.values[:, index])
                      for index, name in enumerate(names.unknowns)]  # fmt: skip
    return terms, checks


def grid(bounds: Mapping[str, tuple[float, float]], counts: Mapping[str, int]) -> tuple[dict[str, Array], Array]:
    """Return the points along each variable, and those of the grid, (points, variables), the last axis fastest."""
    axes = {name: np.linspace(*ends, counts[name]) for name, ends in bounds.items()}
    mesh = np.meshgrid(*axes.values(), indexing="ij")
    return axes, np.stack([part.ravel() for part in mesh], axis=1)


def solve(problem: Problem, trained: Trained, count: int) -> Solution:
    """Return the network's answer on a grid of `count` points along each variable.

    Raises:
        ValidationError: The known solution is not finite and real in the whole box.
    """
    names = problem.names
    axes, points = grid(problem.bounds, dict.fromkeys(names.variables, count))
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


def judge(problem: Problem, trained: Trained, checks: list[Term], plan: Plan, context: Context) -> dict[str, Any]:
    """Return what was checked at points that the training did not see."""
    names, bounds = problem.names, np.array(list(problem.bounds.values()))
    fresh = _scatter(bounds, FRESH, [context.seed, 3])
    violated = {}
    for number, item in enumerate(problem.conditions.items):
        points = _face(item, problem, FRESH // 4, [context.seed, 4, number])
        violated[item.spelled] = _rms(trained.evaluate(item.tree, points) - _target(item, points, names))
        size = float(plan.scale[next(i for i, name in enumerate(names.unknowns) if depends(item.tree, name))])
        if not order_of(item.tree) and violated[item.spelled] > FULFILLED * size:
            context.warn(
                f"The condition {item.spelled} is violated by {violated[item.spelled]:.2g} (root mean square): the "
                "training is not at its end. Raise polish or epochs, or take more layers."
            )
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
