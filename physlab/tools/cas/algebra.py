"""What the methods of `cas` share: variables with units and assumptions, checks of what SymPy gave, its spelling."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

from physlab.errors import ComputationError, ValidationError
from physlab.expressions import Expression, is_condition, is_latex, normal_name, parse, symbol
from physlab.expressions.latex_tokens import split_equation
from physlab.tools.context import Context
from physlab.tools.dimensions import Base, convert, in_base_units, natural_unit
from physlab.tools.measures import parse_unit
from physlab.tools.units import spell_dimensions

EXACT = 2**53
DIGITS, CLOSE = 400, 1e-12  # digits that a difference of nearly equal numbers may take; how exact floats are
READ_AS = {"e": "Euler's number", "I": "the imaginary unit (as is i)"}


class Setup:
    """The variables of one call: their numbers (SI numbers as soon as one has a unit) and what is assumed of them.

    Attributes:
        numbers: Number of each variable that has one.
        parts: The same with its base units.
        dimensional: True when units are in play.
        functions: Names of unknown functions and of their derivatives.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        assumptions: Mapping[str, tuple[str, ...]],
        unknown: str,
        *,
        units: bool = False,
        functions: Collection[str] = (),
    ) -> None:
        given = {normal_name(name): value for name, value in values.items()}
        self.units = [value.unit for value in given.values() if value.unit]
        self.dimensional = units or bool(self.units)
        self.parts = {name: in_base_units(value.value, value.unit or "") for name, value in given.items()}
        plain = {name: value.value for name, value in given.items()}
        si = {name: part.value for name, part in self.parts.items()}
        self.numbers = {name: exact_int(value) for name, value in (si if self.dimensional else plain).items()}
        everywhere = assumptions.get("*", ())
        self._own = {normal_name(name): words for name, words in assumptions.items() if name != "*"}
        self._everywhere = everywhere
        self.unknown = normal_name(unknown) if unknown else ""
        self.functions = frozenset(functions)

    @property
    def declared(self) -> set[str]:
        """The names that the caller spoke of."""
        return {*self.numbers, *self._own, *self.functions, *((self.unknown,) if self.unknown else ())}

    def parse(self, text: str, context: Context) -> Expression:
        """Read a formula, and say which letters were read as constants."""
        expression = parse(text, variables=self.declared)
        if is_condition(expression.tree):
            raise ValidationError(f"{text!r} is a condition, not a number.", hint="Use where(condition, a, b).")
        for name in sorted(expression.constants & READ_AS.keys()):
            context.meta.setdefault("read_as", {})[name] = READ_AS[name]
            if self.dimensional or name == "I":
                context.warn(
                    f"In {text!r}, {name} is {READ_AS[name]}; name it in vars or assumptions to make it a variable."
                )
        return expression

    def assumed(self, name: str) -> dict[str, bool]:
        """Return what is assumed of a variable."""
        return dict.fromkeys((*self._everywhere, *self._own.get(name, ())), True)

    def symbol(self, name: str) -> Any:
        """Return the SymPy symbol of a variable."""
        return symbol(name, self.assumed(name))

    def build(self, expression: Expression, values: Mapping[str, Any], extra: Mapping[str, bool] | None = None) -> Any:
        """Return the SymPy expression, `values` standing for variables from the start.

        Raises:
            ComputationError: It is undefined or infinite.
        """
        assumed = {name: {**(extra or {}), **self.assumed(name)} for name in expression.names}
        found = expression.to_sympy(assumed, values)
        require_defined(found, f"The formula {expression.text!r}")
        return found


def sides(equation: str) -> tuple[str, str]:
    """Return the two sides of an equation (`a = b`, `a == b`, `Eq(a, b)`); without `=` the right one is zero.

    Raises:
        ValidationError: It is not one equation.
    """
    inner = re.fullmatch(r"\s*Eq\((.*)\)\s*", equation, re.DOTALL)
    parts = (
        split_equation(equation)
        if is_latex(equation)
        else _arguments(inner[1])
        if inner
        else re.split(r"(?<![<>=!])={1,2}(?!=)", equation)
    )
    if len(parts) > 2 or re.search(r"[<>≤≥≠]|!=", equation):
        raise ValidationError(f"{equation!r} is not one equation.", hint="Write left = right.")
    return parts[0], (parts[1] if len(parts) == 2 else "0")


def _arguments(text: str) -> list[str]:
    """Return what the commas outside parentheses separate."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def exact_int(value: float) -> float:
    """Return a whole number as an integer, so that 2 and 2.0 are one value."""
    return int(value) if value == int(value) and abs(value) < EXACT else value


def rational(expression: Any) -> Any:
    """Return an expression with its decimal numbers as fractions, on which SymPy is reliable."""
    import sympy

    return sympy.nsimplify(expression, rational=True) if expression.has(sympy.Float) else expression


def require_defined(result: Any, what: str) -> None:
    """Refuse results that are no numbers.

    Raises:
        ComputationError: The result is undefined, or infinite; the message says which.
    """
    import sympy

    if result.has(sympy.zoo):
        raise ComputationError(
            f"{what} divides by zero, or has another pole such as log(0).", hint="Check the values of its variables."
        )
    if result.has(sympy.nan) or result.has(sympy.AccumBounds):
        raise ComputationError(
            f"{what} is undefined (such as 0/0, infinity - infinity, or sin(infinity)).",
            hint="Check the values of its variables.",
        )
    if result.has(sympy.oo, -sympy.oo):
        raise ComputationError(f"{what} is infinite.", hint="Check the values of its variables.")


def number_of(result: Any) -> Any:
    """Return the number of an expression: a float, `{real, imag}`, or None when it is symbolic or beyond 1e308."""
    if result.free_symbols:
        return None
    try:
        value = complex(result.evalf(20))
    except (TypeError, OverflowError):
        return None
    if abs(value) == float("inf") or value != value:
        return None
    if abs(value.imag) <= 1e-15 * abs(value.real):
        return value.real
    return {"real": value.real, "imag": value.imag}


def without_cancellation(setup: Setup, expression: Expression, result: Any) -> Any:
    """Return the number of a formula, computed with as many digits as it takes if those of a float did not do.

    With x = 1e-10, 1 - cos(x) is 0 in floats; it is 5e-21.

    Args:
        setup: The variables.
        expression: The formula.
        result: What it gives with its values put in as floats.
    """
    import sympy

    rough = number_of(result)
    if not any(isinstance(value, float) for value in setup.numbers.values()) or not isinstance(rough, float):
        return result
    exact = {setup.symbol(name): sympy.Rational(value) for name, value in setup.numbers.items()}
    try:
        found = setup.build(expression, {}).evalf(20, subs=exact, maxn=DIGITS)
        fine = number_of(found)
    except (ComputationError, TypeError, ValueError, ArithmeticError, AttributeError):
        return result  # what has no value symbolically, such as a branch that is chosen by a number
    if not isinstance(fine, float) or abs(fine - rough) <= CLOSE * abs(fine):
        return result
    return sympy.Float(fine)


def write(result: Any) -> dict[str, str]:
    """Return an expression as text (which the parser reads back) and as LaTeX."""
    import sympy

    return {"str": _printer().doprint(result), "latex": sympy.latex(result)}


@cache
def _printer() -> Any:
    from sympy.printing.str import StrPrinter

    class Plain(StrPrinter):  # type: ignore[misc]
        def _print_Exp1(self, expr: Any) -> str:
            return "exp(1)"

    return Plain({"full_prec": False})


def report(
    setup: Setup, result: Any, original: str, context: Context, base: Base | None, to: str | None
) -> dict[str, Any]:
    """Return the fields of a reply that holds one expression.

    Args:
        setup: The variables.
        result: SymPy expression, in SI numbers when units are in play.
        original: The formula as it was asked.
        context: Gets a warning when the number is beyond floating point.
        base: Base units of the result.
        to: The unit wanted.
    """
    value = number_of(result)
    if value is None and not result.free_symbols:
        context.warn(f"The value of {original!r} is beyond the range of floating-point numbers.")
    fields = {**write(result), "original": original, "value": value, "unit": None, "dimensionality": None}
    if setup.dimensional:
        fields.update(in_unit(setup, value, base, to))
    fields["evalf"] = fields["value"] if isinstance(fields["value"], float) else None
    return fields


def in_unit(setup: Setup, value: Any, base: Base | None, to: str | None) -> dict[str, Any]:
    """Return an SI number in the unit wanted: value, unit, dimensionality, str and latex."""
    if base is None:  # zero fits any unit
        base = in_base_units(1.0, to or "").base or {}
    unit = parse_unit(to) if to else natural_unit(base, setup.units)
    plain = complex(value["real"], value["imag"]) if isinstance(value, dict) else value
    found = None if plain is None else convert(plain, base, unit)
    shown = {"real": found.real, "imag": found.imag} if isinstance(found, complex) else found
    spelled = "?" if found is None else f"{found:.15g}"
    return {
        "value": shown,
        "unit": str(unit),
        "dimensionality": spell_dimensions(unit),
        "str": f"{spelled} {unit}",
        "latex": rf"{spelled}\ {unit:L}",
    }


_REWRITE = "Write it so that nothing overflows there, for instance with exp(-x) for exp(x), or change the bounds."


def quadrature(expression: Expression, setup: Setup, ends: tuple[float, float]) -> tuple[float, float]:
    """Return a definite integral by adaptive quadrature (QUADPACK), and its estimated error.

    Quadrature sees a formula at few points and takes a narrow peak between them for nothing. The formula is therefore
    scanned first; where the scan finds a peak that quadrature did not see, the interval is divided around it.

    Raises:
        ComputationError: It does not converge to 8 digits.
    """
    import warnings

    from scipy.integrate import IntegrationWarning, quad

    without: list[float] = []  # where the formula has no value, as exp(x)/exp(x) at 1000
    seen = 0.0

    def integrand(x: float) -> float:
        nonlocal seen
        value = float(expression.evaluate(**{**setup.numbers, setup.unknown: x}))
        if math.isnan(value):
            without.append(x)
        seen = max(seen, abs(value))
        return value

    def piece(start: float, end: float, deeper: int) -> list[tuple[float, float]]:
        nonlocal seen
        seen = 0.0
        found = quad(integrand, start, end, limit=500, epsabs=0, epsrel=1e-10)[:2]
        peak = _peak(expression, setup, (start, end)) if deeper else None
        if peak is None or peak[2] <= max(2 * seen, 1e-12 * highest[0]):
            return [found]
        highest[0] = max(highest[0], peak[2])
        parts = list(pairwise(_around(peak[0], peak[1], (start, end))))
        outer = (parts[0], parts[-1])
        return [one for part in parts for one in piece(*part, deeper - 1 if part in outer else 0)]

    highest = [0.0]
    what = f"The integral of {expression.text!r} from {ends[0]:g} to {ends[1]:g} has no number: quadrature"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", IntegrationWarning)
            parts = piece(*ends, 4)
            value, error = math.fsum(part[0] for part in parts), math.fsum(part[1] for part in parts)
    except (IntegrationWarning, TypeError) as failure:
        reason = " ".join(str(failure).split(".")[0].split())
        if without:
            reason = f"the formula has no value at {setup.unknown} = {without[0]:g}"
        raise ComputationError(
            f"{what} fails: {reason}.", hint=_REWRITE if without else "Change the bounds."
        ) from failure
    if not abs(error) <= 1e-8 * abs(value):
        raise ComputationError(f"{what} does not converge ({value:g} ± {error:.1e}).", hint="Change the bounds.")
    return value, error


def _peak(expression: Expression, setup: Setup, ends: tuple[float, float]) -> tuple[float, float, float] | None:
    """Return place, width and height of the largest |f| that a scan finds between the ends; None without one."""
    import numpy as np

    def height(places: Any) -> Any:
        with np.errstate(all="ignore"):
            found = np.abs(np.asarray(expression.evaluate(**{**setup.numbers, setup.unknown: places}), dtype=complex))
        return np.where(np.isfinite(found), found, 0.0) * np.ones_like(places)

    low, high = min(ends), max(ends)
    far = np.geomspace(1e-6, 1e12, 20_001)
    grids = [-far, np.zeros(1), far]
    if math.isfinite(low) and math.isfinite(high):
        near = (high - low) * np.geomspace(1e-15, 1, 10_001)
        grids += [np.linspace(low, high, 40_001), low + near, high - near]
    else:
        grids += [low + far] if math.isfinite(low) else [high - far] if math.isfinite(high) else []
    places = np.concatenate(grids)
    places = np.unique(places[(places > low) & (places < high)])
    if not places.size:
        return None
    try:
        values = height(places)
        for _ in range(12):  # nearer and nearer to the top
            top = int(np.argmax(values))
            place, value = float(places[top]), float(values[top])
            left, right = places[max(top - 1, 0)], places[min(top + 1, len(places) - 1)]
            places = np.linspace(left, right, 201)
            values = height(places)
            if not value > 0 or not right > left or values.max() <= value * (1 + 1e-12):
                break
    except (TypeError, ValueError, FloatingPointError):
        return None
    if not value > 0:
        return None
    longest = max([abs(end - place) for end in (low, high) if math.isfinite(end)] + [abs(place), 1e-300])
    steps = np.geomspace(1e-15 * longest, longest, 2_001)
    edges = [end for end in (low, high) if math.isfinite(end) and abs(place - end) <= 1e-9 * longest]
    if edges and not height(np.array(edges)).all():
        return None  # a singular end, which quadrature knows how to treat
    above, under = place + steps, place - steps
    sides = np.maximum(np.where(above < high, height(above), 0.0), np.where(under > low, height(under), 0.0))
    below = np.flatnonzero(sides < value / 2)
    return (place, float(steps[below[0]]), value) if below.size else None


def _around(place: float, width: float, ends: tuple[float, float]) -> list[float]:
    """Return the ends of an integral with bounds around a peak between them, in the order of the ends."""
    low, high = min(ends), max(ends)
    found = sorted({x for step in (0, 4, 40, 400) for x in (place - step * width, place + step * width)
                    if low < x < high} | {low, high})  # fmt: skip
    return found if ends[0] <= ends[1] else found[::-1]
