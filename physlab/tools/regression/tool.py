"""`ml_ai_augmentation.symbolic_regression_train`: the formula behind data, as simple as the data allow."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from physlab.errors import ComputationError
from physlab.model import Visuals
from physlab.tools.cas.algebra import write
from physlab.tools.context import Context
from physlab.tools.figures import IMPORTS
from physlab.tools.fingerprint import version
from physlab.tools.registry import Port, registry
from physlab.tools.regression.data import Data, read_data
from physlab.tools.regression.fit import EXACT, Fit, cost, fit, plainest, simplify
from physlab.tools.regression.params import RegressionParams
from physlab.tools.regression.pictures import PICTURE_PORTS, draw
from physlab.tools.regression.search import Search, find_formulas
from physlab.tools.regression.units import check_units
from physlab.tools.types import Array

SEARCH_ROWS = 2000  # the search sees so many rows at most; constants are fitted to all
KEPT = 8  # formulas that are simplified
POOR = 0.9  # an R² below this is said to be a poor fit
FEW = 20  # rows below which none are held out
SCANT = 10  # rows below which any formula is one of many
JUDGED, JUDGING = 0.25, 10  # part of the other rows that judges between formulas, and the fewest that can
WHY_OPERON = "PySR needs a Julia installation; Operon is a compiled library of the extra `ml`"

registry.tool(
    "ml_ai_augmentation",
    summary="Formulas from data, surrogates of equations, patterns in images, derivations step by step.",
    discriminator="method",
    aliases={
        "symbolic_regression": "symbolic_regression_train",
        "ml_symbolic_regression": "symbolic_regression_train",
    },
)
registry.alias("ml_symbolic_regression", "ml_ai_augmentation", "symbolic_regression_train")
registry.alias("symbolic_regression_train", "ml_ai_augmentation", "symbolic_regression_train")


class Score(NamedTuple):
    """How well predictions fit."""

    r2: float
    mse: float
    mae: float


@registry.method(
    "ml_ai_augmentation",
    "symbolic_regression_train",
    params=RegressionParams,
    returns=(
        Port("expression_sympy", "text", description="The formula, as `cas` and `plot` read it"),
        Port("expression_latex", "text", description="`target = formula` as LaTeX, numbers to 6 digits"),
        Port("template", "text", description="The formula with its constants by name"),
        Port("constants", "list", description="Constants: name, value, standard_error, unit; null where unknown"),
        Port("pareto_front", "list", description="Best formula of each complexity: expression, complexity, mse, mae, "
             "r2 (of the rows it was searched on), chosen"),
        Port("predictions", "array", description="The formula's values, (rows,)"),
        Port("residuals", "array", description="y − predictions, (rows,)"),
        Port("held_out", "object", description="r2, mse, mae of rows that took no part; how many (rows), which (kind)"),
        Port("dimensions", "object", description="fits, note: whether the units fit; null without units"),
        Port("target", "text", description="Name of what the formula gives"),
        *PICTURE_PORTS,
    ),
    can=Visuals(static=True, series=True, animation=False),
    time_limit_s=300.0,
    libraries=("numpy", "scipy", "sympy", "pint", "matplotlib", "pyoperon"),
    imports=(*IMPORTS, "sympy", "scipy.optimize"),
    caps={"X": "samples"},
)  # fmt: skip
def symbolic_regression_train(params: RegressionParams, context: Context) -> dict[str, Any]:
    """Find a formula that explains data, with fitted constants, their errors and an honest score.

    Operon searches; every formula on its front is fitted again in double precision and simplified. The shortest
    description length sets the standard, and the simplest formula that predicts rows unknown to the search as well
    is chosen. Other rows are held out of all of this for the score.

    Args:
        params: The data, and how to search.
        context: Holds caps and seed; gets warnings about poor fits and what was fixed.

    Returns:
        The formula, its constants, predictions, the front of alternatives, and pictures.

    Raises:
        ValidationError: The data cannot be read, or the search is above its cap.
        ComputationError: No formula has a finite value in every row.
        MissingExtraError: Operon is not installed.
    """
    context.enforce("candidates", params.pop_size * params.generations * params.trials,
                    "pop_size × generations × trials")  # fmt: skip
    data = read_data(params, context)
    seeds = np.random.SeedSequence((params.seed, context.seed)).spawn(2)
    train, judge, test = _divide(len(data.y), params.test_fraction, np.random.default_rng(seeds[0]))
    formulas = _search(params, data, train, seeds[1])
    alphabet = len(params.ops) + len(data.columns) + 1
    front, columns, y = _refine(formulas, data, train, alphabet)
    chosen = _choose(front, data, train, judge, alphabet)
    if chosen is None:
        raise ComputationError(
            "No formula was found that has a finite value in every row.", hint="Allow other ops, or search longer."
        )
    trained, final = chosen
    predicted = final.predict(data.columns)
    whole = score(data.y, predicted)
    held = _held_out(trained, data, train, test)
    dimensions, units = _dimensions(final, data, context)
    _tell(context, whole, held, final, len(data.y))
    context.meta.update(
        r2_score=whole.r2, mse=whole.mse, mae=whole.mae, samples=len(data.y), engine="operon",
        engine_version=version("pyoperon"), seed=params.seed, trials=params.trials, train_rows=len(train),
        judging_rows=len(judge), search_rows=min(len(train), SEARCH_ROWS), held_out_rows=len(test),
        complexity=final.complexity, simplified=list(final.fixed),
    )  # fmt: skip
    if params.use_pysr:
        context.meta["engine_reason"] = WHY_OPERON
    fields: dict[str, Any] = {
        "expression_sympy": write(final.formula)["str"],
        "expression_latex": _latex(data.target, final),
        "template": write(final.template)["str"],
        "constants": _constants(final, units),
        "pareto_front": [_entry(item, columns, y, item is trained) for item in front],
        "predictions": predicted,
        "residuals": data.y - predicted,
        "held_out": held,
        "dimensions": dimensions,
        "target": data.target,
    }
    return fields | draw(context, data, final, predicted, test, whole)


def _constants(final: Fit, units: dict[str, str | None]) -> list[dict[str, Any]]:
    return [
        {"name": str(name), "value": value, "standard_error": final.errors.get(name), "unit": units.get(str(name))}
        for name, value in final.constants.items()
    ]


def score(y: Array, predicted: Array, mean: float | None = None) -> Score:
    """Return R², mean square and mean absolute error.

    Args:
        y: Measured, (rows,).
        predicted: Values of the formula, (rows,).
        mean: What R² compares with; default: the mean of `y`.
    """
    rest = y - predicted
    spread = float(np.mean((y - (np.mean(y) if mean is None else mean)) ** 2))
    mse = float(np.mean(rest**2))
    return Score(1 - mse / spread if spread else float(mse == 0), mse, float(np.mean(np.abs(rest))))


def _divide(rows: int, fraction: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return the places of the rows to learn from, to judge formulas by, and held out; each in ascending order."""
    order = rng.permutation(rows)
    held = round(fraction * rows) if rows >= FEW else 0
    judging = round(JUDGED * (rows - held)) if JUDGED * (rows - held) >= JUDGING else 0
    return np.sort(order[held + judging :]), np.sort(order[held : held + judging]), np.sort(order[:held])


def _search(params: RegressionParams, data: Data, train: Array, seeds: np.random.SeedSequence) -> list[Any]:
    import sympy

    symbols = [
        sympy.Symbol(name, real=True, positive=True if (column > 0).all() else None)
        for name, column in data.columns.items()
    ]
    search = Search(params.ops, params.metric, params.pop_size, params.generations, params.max_depth, params.max_length)
    seen = train
    if len(train) > SEARCH_ROWS:
        seen = np.sort(np.random.default_rng(seeds.spawn(1)[0]).permutation(train)[:SEARCH_ROWS])
    x, y = data.matrix[seen], data.y[seen]
    found = []
    for seed in seeds.generate_state(params.trials):
        found += find_formulas(x, y, symbols, search, int(seed))
    return found


def _refine(formulas: list[Any], data: Data, train: Array, alphabet: int) -> tuple[list[Fit], dict[str, Array], Array]:
    """Return the front of fitted formulas, simplest first, and the rows they were fitted to."""
    columns, y = data.rows(train)
    fits: dict[str, Fit] = {}
    for formula in formulas:
        found = fit(plainest(formula), columns, y)
        if found is not None:
            fits.setdefault(str(found.template), found)
    best = sorted(fits.values(), key=lambda item: (cost(item, y, alphabet), str(item.template)))[:KEPT]
    for found in best:
        simple = simplify(found, columns, y, alphabet)
        fits[str(simple.template)] = simple
    front: list[Fit] = []
    for found in sorted(fits.values(), key=lambda item: (item.complexity, item.variance, str(item.template))):
        if not front or found.variance < front[-1].variance:
            front.append(found)
    return front, columns, y


def _choose(front: list[Fit], data: Data, train: Array, judge: Array, alphabet: int) -> tuple[Fit, Fit] | None:
    """Return the formula chosen, as learnt and with its constants fitted to all rows.

    The cheapest one sets the standard; the simplest that predicts the judging rows as well, within one standard error
    of the difference of their squared residuals, is taken (L. Breiman et al., Classification and Regression Trees,
    1984, sect. 3.4.3).
    """
    y = data.y[train]
    usable = [(found, final) for found in front if (final := _everywhere(found, data)) is not None]
    if not usable:
        return None
    best = min(usable, key=lambda pair: (cost(pair[0], y, alphabet), str(pair[0].template)))
    if len(judge) < JUDGING:
        return best
    columns, goal = data.rows(judge)
    floor = EXACT * float(np.var(data.y))
    standard = np.maximum((best[0].predict(columns) - goal) ** 2, floor)
    for found, final in usable:
        loss = np.maximum((found.predict(columns) - goal) ** 2, floor) - standard
        if loss.mean() <= loss.std(ddof=1) / np.sqrt(len(judge)) and found.complexity < best[0].complexity:
            return found, final
    return best


def _everywhere(found: Fit, data: Data) -> Fit | None:
    """Return a formula with its constants fitted to all rows; None when it has no finite value in one of them."""
    final = fit(found.formula, data.columns, data.y, found.fixed)
    return final if final is not None and np.isfinite(final.predict(data.columns)).all() else None


def _held_out(trained: Fit, data: Data, train: Array, test: Array) -> dict[str, Any] | None:
    """Return the score of rows that took no part: those held out, or with few rows each one in its turn."""
    if len(test):
        columns, y = data.rows(test)
        predicted = trained.predict(columns)
        mean, kind = float(np.mean(data.y[train])), "held out of search and fit"
    else:
        y, mean, kind = data.y, float(np.mean(data.y)), "each row left out of the fit of the constants in its turn"
        predicted = np.array([_without(trained, data, row) for row in range(len(y))])
    if not np.isfinite(predicted).all():
        return None
    return {**score(y, predicted, mean)._asdict(), "rows": len(y), "kind": kind}


def _without(trained: Fit, data: Data, row: int) -> float:
    """Return the prediction for a row by the formula with its constants fitted to all other rows."""
    columns, y = data.rows(np.delete(np.arange(len(data.y)), row))
    found = fit(trained.formula, columns, y)
    return float("nan") if found is None else float(found.predict(data.rows(np.array([row]))[0])[0])


def _dimensions(final: Fit, data: Data, context: Context) -> tuple[dict[str, Any] | None, dict[str, str | None]]:
    if not data.units:
        return None, {}
    verdict = check_units(final.template, final.constants, data.units, data.target)
    if not verdict.fits or (not verdict.units and final.constants):
        context.warn(verdict.note)
    return {"fits": verdict.fits, "note": verdict.note}, verdict.units


def _tell(context: Context, whole: Score, held: dict[str, Any] | None, final: Fit, rows: int) -> None:
    if whole.r2 < POOR:
        context.warn(
            f"The fit is poor: R² = {whole.r2:.3g}, so {1 - whole.r2:.0%} of the variance stays unexplained. "
            "Do not read it as a law; add columns, allow other ops, or search longer."
        )
    elif held is not None and held["r2"] < POOR:
        context.warn(
            f"The formula fits the rows that it was found on, and not those left out (R² = {held['r2']:.3g}): it does "
            "not generalise."
        )
    if rows < SCANT:
        context.warn(f"There are only {rows} rows: other formulas may explain them as well.")
    if final.constants and not final.errors:
        context.warn("The data do not determine the constants one by one, so they have no standard errors.")
    for note in (note for note in final.fixed if "exponent" in note):
        context.warn(f"While simplifying, {note}: the data do not ask for more.")


def _entry(found: Fit, columns: dict[str, Array], y: Array, chosen: bool) -> dict[str, Any]:
    reached = score(y, found.predict(columns))
    return {
        "expression": write(found.formula)["str"],
        "complexity": found.complexity,
        "mse": reached.mse,
        "mae": reached.mae,
        "r2": reached.r2,
        "chosen": chosen,
    }


def _latex(target: str, final: Fit) -> str:
    import sympy

    rounded = final.formula.xreplace({item: sympy.Float(item, 6) for item in final.formula.atoms(sympy.Float)})
    return f"{sympy.latex(sympy.Symbol(target))} = {sympy.latex(rounded)}"
