"""All real roots of a formula in an interval, and what is certain about them.

Three ways, the strongest that applies:

- *algebraic*: the numerator of a rational function has finitely many roots, which are isolated exactly (Sturm).
- *interval*: the formula is evaluated on whole intervals (outward rounding, R. E. Moore, "Interval Analysis", 1966). An
  interval whose image lacks zero has no root; one on which the derivative's image lacks zero has at most one, and the
  signs at its ends decide. What is left when intervals are as short as `SMALLEST` is a root of even order or a near
  miss; it is named as such.
- *sampled*: for functions without an interval form. Roots closer together than a step may be missed, and it says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import AliasChoices, Field, model_validator

from physlab.errors import ComputationError, ValidationError
from physlab.expressions import Expression, parse
from physlab.tools.calculator.format import SUCCESS, Calculation, Speller, exact, only_variable
from physlab.tools.calculator.intervals import Nowhere, image
from physlab.tools.calculator.names import Text, require_names
from physlab.tools.cas.algebra import Setup, rational, sides, write
from physlab.tools.context import Context
from physlab.tools.registry import Port

MOST_BOXES = 40_000
SMALLEST = 2.0**-26  # of the range: where f ~ (x - r)², rounding hides everything closer than √ε
TOUCH = 1e-9  # of the largest |f|: above it a minimum of |f| is a near miss


class RootsParams(Calculation):
    """A formula and where to look."""

    expression: Text = Field(
        validation_alias=AliasChoices("expression", "function", "equation", "expr"),
        description="The formula whose zeros are sought, or an equation.",
    )
    variable: str | None = Field(None, description="The variable; default: the only free name, or x.")
    x_range: tuple[float, float] = Field((-10.0, 10.0), description="[from, to]: where to look, both ends included.")
    samples: int = Field(4001, ge=101, le=100_000, description="Points, where only sampling is possible.")

    @model_validator(mode="after")
    def _ordered(self) -> RootsParams:
        if not (np.isfinite(self.x_range).all() and self.x_range[0] < self.x_range[1]):
            raise ValidationError(f"x_range = {list(self.x_range)} is empty.", hint="Give [from, to], from below to.")
        return self


PORTS = (
    SUCCESS,
    Port("roots", "array", description="The roots in ascending order"),
    Port("exact", "list", description="The roots as formulas, where they have a closed form; else null"),
    Port("result", "list", description="The roots, spelled as `format` asks"),
    Port("multiplicities", "list", description="Order of each root; 2 stands for any even order unless algebraic"),
    Port("residuals", "array", description="The formula's value at each root"),
    Port("count", "number", description="How many roots there are"),
    Port("complete", "boolean", description="True when it is proved that there are no others in x_range"),
    Port("guarantee", "text", description="What is certain, in words"),
    Port("method", "text", description="algebraic, interval or sampled"),
    Port("variable", "text", description="The variable"),
)


@dataclass(frozen=True)
class Root:
    """One root: where, its order, its closed form when there is one."""

    x: float
    order: int
    exact: Any = None


def find_roots(params: RootsParams, context: Context) -> dict[str, Any]:
    """Find all real roots of a formula in an interval.

    Args:
        params: The formula, the variable and the interval.
        context: Gets a warning where roots may have been missed.

    Returns:
        The roots with their orders, and what is certain about them.

    Raises:
        ComputationError: The formula is zero everywhere, or has no real value in the interval.
    """
    left, right = sides(params.expression)
    text = left if right == "0" else f"({left}) - ({right})"
    bound = () if params.variable is None else (params.variable,)
    expression = params.names(*bound).read(text, context)
    unknown = only_variable(expression.names, params.variable, f"The formula {params.expression!r}")
    require_names(expression, {unknown})
    setup = Setup({}, {}, unknown)
    function = exact(expression, setup)[0]
    if function == 0 or function.equals(0):
        raise ComputationError(f"{params.expression!r} is zero everywhere.", hint="Check the formula.")
    found, method, said = _search(function, setup, expression, params)
    if said:
        context.warn(said)
    roots = np.array([root.x for root in found])
    speller = Speller(params.format, params.precision, decimals=any(root.exact is None for root in found))
    import sympy

    values = [sympy.Float(root.x) if root.exact is None else root.exact for root in found]
    return {
        "success": True, "roots": roots, "result": speller.all(values),
        "exact": [None if root.exact is None else write(root.exact)["str"] for root in found],
        "multiplicities": [root.order for root in found], "count": len(found),
        "residuals": np.asarray(expression.evaluate(**{unknown: roots}), dtype=complex).real,
        "complete": not said, "guarantee": said or _promise(method), "method": method, "variable": unknown,
    }  # fmt: skip


def _promise(method: str) -> str:
    return {
        "algebraic": "All real roots in x_range, isolated exactly; each to the last digit.",
        "interval": "Proved by interval arithmetic: these roots and no others; cells of 1e-8 of x_range "
        "at poles and at borders of the domain are left out.",
    }[method]


def _search(function: Any, setup: Setup, expression: Expression, params: RootsParams) -> tuple[list[Root], str, str]:
    """Return the roots, the way they were found, and the doubt that remains (empty: none)."""
    symbol = setup.symbol(setup.unknown)
    algebraic = _algebraic(function, symbol, params.x_range)
    if algebraic is not None:
        return algebraic, "algebraic", ""
    try:
        found, doubts = _by_factors(function, symbol, setup.unknown, params.x_range)
    except (KeyError, ValidationError):  # a function without an interval form, or a derivative without a spelling
        return _by_samples(expression, setup.unknown, params)
    value = _plain(expression, setup.unknown)
    scale = _scale(value, params.x_range)
    kept = [root for root in found if abs(value(root.x)) <= 1e-6 * scale]  # not where the denominator vanishes too
    said = ""
    if doubts:
        said = (
            f"Proved by interval arithmetic except near {', '.join(doubts[:6])}{', …' if len(doubts) > 6 else ''}: "
            f"there the curve touches zero, or comes closer than rounding can tell; a root listed there has |f| below "
            f"{TOUCH:g} of its scale."
        )
    return _merged(kept, params.x_range), "interval", said


def _by_factors(function: Any, symbol: Any, name: str, ends: tuple[float, float]) -> tuple[list[Root], list[str]]:
    """Return the roots of each distinct factor of the numerator, and the places of doubt."""
    import sympy

    top = sympy.fraction(sympy.together(function))[0]
    try:
        pairs = [
            (item, int(order) if order >= 1 else 1) for item, order in sympy.factor_list(top)[1] if item.has(symbol)
        ]
    except (sympy.PolynomialError, NotImplementedError):
        pairs = [(top, 1)]
    found: list[Root] = []
    doubts: list[str] = []
    real = sympy.Symbol(name, real=True)
    for factor, order in pairs:
        part = _algebraic(factor, symbol, ends)
        if part is None:
            spelled = [write(item)["str"] for item in (factor, rational(factor.subs(symbol, real).diff(real)))]
            curve, slope = (parse(text, {name}) for text in spelled)
            part, more = _by_intervals(curve, slope, name, ends)
            doubts += more
        found += [Root(root.x, root.order * order, root.exact) for root in part]
    return found, doubts


def _merged(roots: list[Root], ends: tuple[float, float]) -> list[Root]:
    """Return roots in order, those that several factors share as one."""
    merged: list[Root] = []
    for root in sorted(roots, key=lambda root: root.x):
        if merged and abs(root.x - merged[-1].x) <= 1e-12 * (ends[1] - ends[0]):
            merged[-1] = Root(merged[-1].x, merged[-1].order + root.order, merged[-1].exact or root.exact)
        else:
            merged.append(root)
    return merged


def _algebraic(function: Any, symbol: Any, ends: tuple[float, float]) -> list[Root] | None:
    """Return the real roots of a rational function with rational coefficients; None when it is none."""
    import sympy

    top, bottom = sympy.fraction(sympy.together(function))
    try:
        poly = sympy.Poly(top, symbol, domain="QQ")
        if not bottom.is_polynomial(symbol):
            return None
    except (sympy.PolynomialError, sympy.CoercionFailed):
        return None
    found = []
    low, high = (sympy.Rational(end) for end in ends)
    for factor, order in poly.factor_list()[1]:
        for root in factor.real_roots():
            if low <= root <= high and bottom.subs(symbol, root) != 0:
                closed = root if not root.has(sympy.CRootOf) else None
                found.append(Root(float(root.evalf(20)), order, closed))
    return sorted(found, key=lambda root: root.x)


def _by_intervals(
    expression: Expression, slope: Expression, name: str, ends: tuple[float, float]
) -> tuple[list[Root], list[str]]:
    from mpmath import iv

    width = ends[1] - ends[0]
    # An odd split keeps cell borders off the round numbers that roots love; the outer cells reach past the ends.
    start = [
        ends[0] - 1e-9 * width,
        *(ends[0] + width * (k - 0.5137) / 64 for k in range(1, 65)),
        ends[1] + 1e-9 * width,
    ]
    todo = [(start[k], start[k + 1]) for k in range(len(start) - 1)]
    simple: list[tuple[float, float]] = []
    doubtful: list[tuple[float, float]] = []
    outside: list[tuple[float, float]] = []
    count = 0

    def sign(x: float) -> int:
        value = image(expression, name, iv.mpf(x))
        return 1 if value.a > 0 else -1 if value.b < 0 else 0

    while todo:
        low, high = todo.pop()
        count += 1
        if count > MOST_BOXES:
            raise ComputationError(
                f"{expression.text!r} has too many roots or poles between {ends[0]:g} and {ends[1]:g}.",
                hint="Give a shorter x_range.",
            )
        box = iv.mpf([low, high])
        try:
            if 0 not in image(expression, name, box):
                continue
            if 0 not in image(slope, name, box):
                signs = sign(low), sign(high)
                if 0 not in signs:
                    if signs[0] != signs[1]:
                        simple.append((low, high))
                    continue
            bad = doubtful
        except Nowhere:
            continue
        except (ValueError, ZeroDivisionError):
            bad = outside
        if high - low < SMALLEST * width:
            bad.append((low, high))
            continue
        middle = low + (high - low) * 0.5000123
        todo += [(low, middle), (middle, high)]
    return _settle(expression, slope, name, ends, simple, doubtful, outside)


def _settle(
    expression: Expression,
    slope: Expression,
    name: str,
    ends: tuple[float, float],
    simple: list[tuple[float, float]],
    doubtful: list[tuple[float, float]],
    outside: list[tuple[float, float]],
) -> tuple[list[Root], list[str]]:
    """Turn boxes into roots; what is left is a root of higher order, a near miss, or the border of the domain."""
    value, steepness, width = _plain(expression, name), _plain(slope, name), ends[1] - ends[0]
    roots = [Root(_zero(value, *box), 1) for box in simple]
    doubts = []
    scale = _scale(value, ends)
    for box in _clusters(doubtful, SMALLEST * width):
        root = _touching(value, steepness, box, scale)
        if root is not None and not any(abs(root.x - other.x) < 1e-7 * width for other in roots):
            roots.append(root)
        doubts.append(f"{(box[0] + box[1]) / 2 if root is None else root.x:.6g}")
    for box in _clusters(outside, SMALLEST * width):
        root = _at_border(value, box, scale)
        if root is not None and not any(abs(root.x - other.x) < 1e-7 * width for other in roots):
            roots.append(root)
    return [root for root in roots if ends[0] - 1e-12 * width <= root.x <= ends[1] + 1e-12 * width], doubts


def _zero(value: Any, low: float, high: float) -> float:
    """Return where a function changes its sign, to the last digit."""
    from scipy.optimize import brentq

    found = float(brentq(value, low, high, xtol=1e-300, rtol=8.9e-16, maxiter=3000))
    return 0.0 if abs(found) < 1e-290 else found


def _plain(expression: Expression, name: str) -> Any:
    def value(x: float) -> float:
        found = complex(expression.evaluate(**{name: np.asarray(x, dtype=float)}))
        return found.real if abs(found.imag) <= 1e-12 * abs(found) else float("nan")

    return value


def _scale(value: Any, ends: tuple[float, float]) -> float:
    sampled = np.array([value(x) for x in np.linspace(*ends, 201)])
    finite = np.abs(sampled[np.isfinite(sampled)])
    return float(np.median(finite)) if len(finite) else 1.0


def _clusters(boxes: list[tuple[float, float]], gap: float) -> list[tuple[float, float]]:
    """Return neighbouring boxes as one."""
    merged: list[tuple[float, float]] = []
    for low, high in sorted(boxes):
        if merged and low - merged[-1][1] <= gap:
            merged[-1] = merged[-1][0], max(high, merged[-1][1])
        else:
            merged.append((low, high))
    return merged


def _touching(value: Any, steepness: Any, box: tuple[float, float], scale: float) -> Root | None:
    """Return the root in a small box where f and f' may both vanish: of odd order when the sign changes."""
    from scipy.optimize import minimize_scalar

    room = 1000 * (box[1] - box[0])
    low, high = box[0] - room, box[1] + room
    first, last = value(low), value(high)
    if first * last < 0:
        place = _zero(value, low, high)
        return Root(place, 3 if abs(steepness(place)) < 1e-6 * scale else 1)
    if steepness(low) * steepness(high) < 0:  # the turning point is far better determined than the zero
        place = _zero(steepness, low, high)
    else:
        lowest = minimize_scalar(
            lambda x: abs(value(x)), bounds=(low, high), method="bounded", options={"xatol": 1e-14}
        )
        place = float(lowest.x)
    return Root(place, 2) if abs(value(place)) <= TOUCH * scale else None


def _at_border(value: Any, box: tuple[float, float], scale: float) -> Root | None:
    """Return a root at the border of the domain, such as that of sqrt(x) at 0, found by bisection."""
    room = 10 * (box[1] - box[0])
    outer, inner = box[0] - room, box[1] + room
    if np.isfinite(value(outer)) == np.isfinite(value(inner)):
        return None  # a pole: both sides have values
    if np.isfinite(value(outer)):
        outer, inner = inner, outer
    for _ in range(1100):
        middle = (outer + inner) / 2
        if middle in (outer, inner):
            break
        outer, inner = (outer, middle) if np.isfinite(value(middle)) else (middle, inner)
    return Root(inner, 1) if abs(value(inner)) <= TOUCH * scale else None


def _by_samples(expression: Expression, name: str, params: RootsParams) -> tuple[list[Root], str, str]:
    from scipy.optimize import minimize_scalar

    value = _plain(expression, name)
    x = np.linspace(*params.x_range, params.samples)
    f = np.asarray(expression.evaluate(**{name: x}), dtype=complex)
    y = np.where(np.abs(f.imag) <= 1e-12 * np.abs(f), f.real, np.nan)
    finite = np.abs(y[np.isfinite(y)])
    if not len(finite):
        raise ComputationError(f"{expression.text!r} has no real value in {list(params.x_range)}.", hint="Change it.")
    scale = float(np.median(finite)) or 1.0
    roots = [Root(float(x[i]), 1) for i in np.flatnonzero(y == 0)]
    for i in np.flatnonzero(y[:-1] * y[1:] < 0):
        root = _zero(value, x[i], x[i + 1])
        if abs(value(root)) <= max(abs(y[i]), abs(y[i + 1])):  # else a pole
            roots.append(Root(root, 1))
    size = np.abs(y)
    for i in np.flatnonzero((size[1:-1] < size[:-2]) & (size[1:-1] < size[2:]) & (y[:-2] * y[2:] > 0)) + 1:
        if y[i] * y[i - 1] > 0:
            found = minimize_scalar(
                lambda t: abs(value(t)), bounds=(x[i - 1], x[i + 1]), method="bounded", options={"xatol": 1e-14}
            )
            if found.fun <= TOUCH * scale:
                roots.append(Root(float(found.x), 2))
    said = (
        f"Found from {params.samples} samples: roots closer together than {x[1] - x[0]:.3g} may have been missed, and "
        f"roots of even order are those with |f| below {TOUCH:g} of its median."
    )
    return sorted(roots, key=lambda root: root.x), "sampled", said
