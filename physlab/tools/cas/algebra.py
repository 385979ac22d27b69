"""What the methods of `cas` share: variables with units and assumptions, checks of what SymPy gave, its spelling."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from physlab.errors import ComputationError, ValidationError
from physlab.expressions import Expression, is_condition, is_latex, normal_name, parse, symbol
from physlab.expressions.latex_tokens import split_equation
from physlab.tools.context import Context
from physlab.tools.dimensions import Base, convert, in_base_units, natural_unit
from physlab.tools.measures import parse_unit
from physlab.tools.units import spell_dimensions

EXACT = 2**53
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

    Raises:
        ComputationError: It does not converge to 8 digits.
    """
    import warnings

    from scipy.integrate import IntegrationWarning, quad

    without: list[float] = []  # where the formula has no value, as exp(x)/exp(x) at 1000

    def integrand(x: float) -> float:
        value = float(expression.evaluate(**{**setup.numbers, setup.unknown: x}))
        if math.isnan(value):
            without.append(x)
        return value

    what = f"The integral of {expression.text!r} from {ends[0]:g} to {ends[1]:g} has no number: quadrature"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", IntegrationWarning)
            value, error = quad(integrand, ends[0], ends[1], limit=500, epsabs=0, epsrel=1e-10)
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
