"""From a formula that was found to one that can be trusted: constants by least squares, their errors, simplification.

Standard errors are those of linearised least squares with equal weights, s² (JᵀJ)⁻¹ with s² = Σr²/(n − k)
(P. R. Bevington, D. K. Robinson, Data Reduction and Error Analysis, ch. 8).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from physlab.errors import PhyslabError
from physlab.expressions import Expression, parse
from physlab.tools.cas.algebra import write
from physlab.tools.types import Array

EXACT = 1e-20  # of the target's variance: below this nothing is left that data could tell apart
WORTH = 1e-6  # a factor this close to ±1 is 1
ROUND = 1e-3  # an exponent this close to a simple fraction may be that fraction even where its error is smaller
SIGMAS = 3.0
HUGE = 1e150


@dataclass(frozen=True)
class Fit:
    """A formula with its constants fitted.

    Attributes:
        template: SymPy expression of the variables and of the symbols of the constants.
        constants: Symbol of each constant → value.
        errors: Symbol → standard error; empty when the data cannot tell them.
        variance: Σr²/(n − k) of the rows that it was fitted to.
        length: What the constants cost in `cost`, Σ ln(|c|/δ) − ½ ln 3 with δ the conditional standard error [nat].
        fixed: What was said of exponents and terms while simplifying.
    """

    template: Any
    constants: dict[Any, float]
    errors: dict[Any, float]
    variance: float
    length: float
    fixed: tuple[str, ...] = ()

    @property
    def formula(self) -> Any:
        """The expression with its numbers."""
        import sympy

        return self.template.xreplace({name: sympy.Float(value) for name, value in self.constants.items()})

    @property
    def complexity(self) -> int:
        """How many operations, variables and numbers the formula holds; a free constant counts twice."""
        return _size(self.template) + len(self.constants)

    def predict(self, columns: Mapping[str, Array]) -> Array:
        """Return the formula's values, (rows,); NaN where it has none."""
        rows = len(next(iter(columns.values())))
        return _values(_read(self.template), columns, self.constants, rows)


def _size(item: Any) -> int:
    import sympy

    if isinstance(item, sympy.Rational) or not item.args:
        return 1
    extra = len(item.args) - 1 if isinstance(item, sympy.Add | sympy.Mul) else 1
    return extra + sum(_size(part) for part in item.args)


def _read(template: Any) -> Expression:
    return parse(write(template)["str"], variables={str(name) for name in template.free_symbols})


def _values(expression: Expression, columns: Mapping[str, Array], constants: Mapping[Any, float], rows: int) -> Array:
    numbers = {str(name): value for name, value in constants.items()}
    given = {name: value for name, value in {**columns, **numbers}.items() if name in expression.names}
    found = np.broadcast_to(np.asarray(expression.evaluate(**given)), (rows,))
    return np.where(np.isreal(found), found.real, np.nan).astype(float)


def split(formula: Any) -> tuple[Any, dict[Any, float]]:
    """Return a formula with its decimal numbers as symbols `c_1`, `c_2` …, and their values."""
    import sympy

    template = formula
    values: dict[Any, float] = {}
    for number in sorted(formula.atoms(sympy.Float), key=lambda item: (abs(float(item)), float(item))):
        name = sympy.Symbol(f"c_{len(values) + 1}", real=True)
        template = template.xreplace({number: name})
        values[name] = float(number)
    return template, values


def plainest(formula: Any) -> Any:
    """Return the spelling of a formula with the fewest constants: factors that say the same are merged."""
    import sympy

    spellings = [formula]
    for rewrite in (sympy.expand, sympy.factor_terms, lambda item: sympy.expand_log(sympy.expand(item))):
        try:
            spellings.append(rewrite(formula))
        except (ArithmeticError, ValueError, TypeError, NotImplementedError):
            continue
    usable = [item for item in spellings if not item.has(sympy.nan, sympy.zoo, sympy.oo, sympy.I)]
    return min(usable or [formula], key=lambda item: (len(item.atoms(sympy.Float)) + _size(item), str(item)))


def fit(formula: Any, columns: Mapping[str, Array], y: Array, fixed: tuple[str, ...] = ()) -> Fit | None:
    """Fit the constants of a formula.

    Args:
        formula: SymPy expression of the columns; its decimal numbers are where the fit begins.
        columns: Name → values, (rows,).
        y: Target, (rows,).
        fixed: What was fixed before.

    Returns:
        None when the formula has no finite value somewhere, or more constants than there are rows.
    """
    template, start = split(formula)
    if any(not np.isfinite(value) or abs(value) > HUGE for value in start.values()) or len(start) >= len(y):
        return None
    try:
        expression = _read(template)
        slopes = [_read(template.diff(name)) for name in start]
    except PhyslabError:  # a constant function without slope, or one that the parser does not know
        return None
    return _least_squares(template, expression, slopes, start, columns, y, fixed)


def _least_squares(
    template: Any,
    expression: Expression,
    slopes: list[Expression],
    start: dict[Any, float],
    columns: Mapping[str, Array],
    y: Array,
    fixed: tuple[str, ...],
) -> Fit | None:
    from scipy.optimize import least_squares

    names, scale = list(start), float(np.std(y)) or 1.0

    def residual(point: Array) -> Array:
        found = _values(expression, columns, dict(zip(names, point, strict=True)), len(y))
        return np.nan_to_num((found - y) / scale, nan=HUGE, posinf=HUGE, neginf=-HUGE)

    def jacobian(point: Array) -> Array:
        at = dict(zip(names, point, strict=True))
        return np.nan_to_num(np.column_stack([_values(slope, columns, at, len(y)) for slope in slopes]) / scale)

    point = np.array(list(start.values()))
    if np.abs(residual(point)).max() >= HUGE:
        return None
    if names:
        try:
            with np.errstate(all="ignore"):
                point = least_squares(
                residual, point, jac=jacobian, x_scale="jac", method="trf", xtol=1e-15, ftol=1e-15, gtol=1e-15,
                max_nfev=60,
            ).x  # fmt: skip
        except (ValueError, np.linalg.LinAlgError):
            return None
    rest = residual(point)
    if np.abs(rest).max() >= HUGE or not np.isfinite(point).all():
        return None
    variance = float((rest * scale) @ (rest * scale)) / (len(y) - len(names))
    slope = jacobian(point) * scale if names else np.zeros((len(y), 0))
    errors = _errors(slope, variance) if names else None
    length = _length(point, np.linalg.norm(slope, axis=0), max(variance, EXACT * scale**2))
    told = {} if errors is None else dict(zip(names, errors, strict=True))
    return Fit(template, dict(zip(names, map(float, point), strict=True)), told, variance, length, fixed)


def _length(point: Array, steepness: Array, variance: float) -> float:
    """Return how long the constants are, written as precisely as the data know them [nat]."""
    known = np.abs(point) * steepness / np.sqrt(variance)
    return float(np.sum(np.log(np.maximum(known, 1.0)) - 0.5 * np.log(3.0)))


def _errors(jacobian: Array, variance: float) -> list[float] | None:
    """Return the standard errors, None when two constants say the same."""
    lengths = np.linalg.norm(jacobian, axis=0)
    if not lengths.all():
        return None
    _, sizes, turn = np.linalg.svd(jacobian / lengths, full_matrices=False)
    if sizes[-1] < 1e-8 * sizes[0]:
        return None
    return [float(item) for item in np.sqrt(variance * ((turn.T / sizes) ** 2).sum(axis=1)) / lengths]


def cost(found: Fit, y: Array, alphabet: int) -> float:
    """Return twice the description length of data and formula: the less the better.

    n ln(Σr²/n) + 2 N ln A + 2 L: N operations, variables and numbers out of an alphabet of A, and L for
    writing the constants as precisely as the data know them (D. J. Bartlett, H. Desmond, P. G. Ferreira, Exhaustive
    Symbolic Regression, IEEE Trans. Evol. Comput. 28, 950, 2024, eq. 3). To that comes the correction for few rows,
    2K(K + 1)/(n − K − 1) with K = constants + 1 (C. M. Hurvich, C.-L. Tsai, Biometrika 76, 297, 1989).

    Args:
        found: The fit.
        y: What it was fitted to, (rows,).
        alphabet: How many operations and variables formulas are made of.
    """
    rows, k = len(y), len(found.constants) + 1
    if rows <= k + 1:
        return float("inf")
    floor = EXACT * (float(np.var(y)) or 1.0)
    square = max(found.variance * (rows - k + 1) / rows, floor)
    length = _size(found.template) * float(np.log(alphabet)) + found.length
    return rows * float(np.log(square)) + 2 * length + 2 * k * (k + 1) / (rows - k - 1)


def simplify(found: Fit, columns: Mapping[str, Array], y: Array, alphabet: int) -> Fit:
    """Return a fit with terms dropped and exponents made simple fractions, as long as the cost falls.

    Args:
        found: The fit.
        columns: Name → values, (rows,).
        y: Target, (rows,).
        alphabet: See `cost`.
    """
    while True:
        for formula, note in _simpler(found):
            again = fit(plainest(formula), columns, y, (*found.fixed, *note))
            if again is not None and cost(again, y, alphabet) < cost(found, y, alphabet):
                found = again
                break
        else:
            return found


def _simpler(found: Fit) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Yield the formula with one constant replaced by an exact number, and what is to be told about it."""
    import sympy

    exponents = {name for power in found.template.atoms(sympy.Pow) for name in power.exp.free_symbols}
    for name, value in sorted(found.constants.items(), key=lambda item: (abs(item[1]), str(item[0]))):
        error = found.errors.get(name, 0.0)
        shown = f"{value:.6g} ± {error:.2g}" if error else f"{value:.6g}"
        others = {other: sympy.Float(number) for other, number in found.constants.items() if other != name}
        options: list[tuple[Any, str]] = []
        if abs(value) <= SIGMAS * error or abs(value) < ROUND * max(map(abs, found.constants.values())):
            options.append((sympy.Integer(0), f"a constant of {shown} was left out"))
        options += [(sympy.Integer(one), "") for one in (1, -1) if abs(value - one) < WORTH]
        if name in exponents:
            for bottom in (1, 2, 3):
                near = sympy.Rational(round(value * bottom), bottom)
                if abs(value - float(near)) <= max(SIGMAS * error, ROUND):
                    options.append((near, f"an exponent of {shown} was fixed at {near}"))
        for exact, note in options:
            formula = found.template.xreplace({name: exact}).xreplace(others)
            if not formula.has(sympy.nan, sympy.zoo, sympy.oo):
                yield formula, (note,) if note else ()
