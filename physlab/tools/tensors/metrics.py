"""Metrics: those with a name, and those that are written as rows of formulas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from physlab.errors import PhysicsError, ValidationError
from physlab.expressions import from_latex, is_condition, is_latex, normal_name, parse
from physlab.expressions.functions import find_function
from physlab.expressions.spelling import to_ascii
from physlab.tools.cas.algebra import rational, require_defined


class Named(NamedTuple):
    """A metric with a name: its coordinates and its rows, signature (−+++), G = c = 1."""

    coords: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def _diagonal(coords: tuple[str, ...], entries: tuple[str, ...]) -> Named:
    return Named(coords, tuple(tuple(e if i == j else "0" for j in range(len(coords))) for i, e in enumerate(entries)))


_POLAR = ("t", "r", "theta", "phi")
_SIGMA = "(r^2 + a^2*cos(theta)^2)"
NAMED: dict[str, Named] = {
    "minkowski": _diagonal(("t", "x", "y", "z"), ("-1", "1", "1", "1")),
    "sphere": _diagonal(("theta", "phi"), ("R^2", "R^2*sin(theta)^2")),
    "schwarzschild": _diagonal(_POLAR, ("-(1 - 2*M/r)", "1/(1 - 2*M/r)", "r^2", "r^2*sin(theta)^2")),
    "flrw": _diagonal(_POLAR, ("-1", "a(t)^2/(1 - k*r^2)", "a(t)^2*r^2", "a(t)^2*r^2*sin(theta)^2")),
    "kerr": Named(  # Boyer-Lindquist coordinates
        _POLAR,
        (
            (f"-(1 - 2*M*r/{_SIGMA})", "0", "0", f"-2*M*a*r*sin(theta)^2/{_SIGMA}"),
            ("0", f"{_SIGMA}/(r^2 - 2*M*r + a^2)", "0", "0"),
            ("0", "0", _SIGMA, "0"),
            (f"-2*M*a*r*sin(theta)^2/{_SIGMA}", "0", "0",
             f"(r^2 + a^2 + 2*M*a^2*r*sin(theta)^2/{_SIGMA})*sin(theta)^2"),
        ),
    ),
}  # fmt: skip
ROUGH = (
    "Abs",
    "sign",
    "Min",
    "Max",
    "floor",
    "ceiling",
    "Piecewise",
    "Heaviside",
    "Mod",
    "re",
    "im",
    "arg",
    "conjugate",
)
ALIASES = {
    "flat": "minkowski", "frw": "flrw", "friedmann": "flrw", "robertson-walker": "flrw", "2-sphere": "sphere",
    "two_sphere": "sphere", "s2": "sphere",
}  # fmt: skip


def read_metric(
    rows: Any, coords: list[str], functions: Mapping[str, tuple[str, ...]], values: Mapping[str, float]
) -> tuple[Any, list[Any]]:
    """Return a metric as a SymPy matrix, and its coordinates as symbols.

    Args:
        rows: Formulas, (n, n); `a(t)` is an unknown function where t is a coordinate and `a` no known function.
        coords: Names of the coordinates, (n,).
        functions: Further unknown functions and what they depend on.
        values: Numbers of parameters.

    Raises:
        ValidationError: An entry cannot be read, or is not real.
        PhysicsError: The matrix is not symmetric as written.
    """
    import sympy

    unknown = {normal_name(name): tuple(map(normal_name, on)) for name, on in functions.items()}
    numbers = {normal_name(name): rational(sympy.Number(value)) for name, value in values.items()}
    clash = sorted(set(coords) & numbers.keys())
    if clash:
        raise ValidationError(f"{clash[0]} is a coordinate and has a value in vars.", hint="Take it out of vars.")
    entries = [[_entry(str(text), coords, unknown, numbers) for text in row] for row in rows]
    return sympy.Matrix(entries), [sympy.Symbol(name) for name in coords]


def _entry(text: str, coords: list[str], unknown: dict[str, tuple[str, ...]], numbers: dict[str, Any]) -> Any:
    import sympy

    known: dict[str, Any] = dict(numbers)
    plain = from_latex(text, {*coords, *known, *unknown}, functions=None) if is_latex(text) else to_ascii(text)

    def mark(match: re.Match[str]) -> str:
        name, args = match[1], tuple(part.strip() for part in match[2].split(","))
        if name not in unknown and (find_function(name) or not set(args) <= set(coords)):
            return match[0]
        if args != unknown.get(name, args):
            raise ValidationError(f"{match[0]} and functions do not agree on what {name} depends on.", hint="Check it.")
        token = f"{name}_of_{'_'.join(args)}"
        known[token] = sympy.Function(name)(*map(sympy.Symbol, args))
        return f" {token} "

    marked = re.sub(r"(?<![A-Za-z_])([A-Za-z]\w*)\s*\(\s*(\w+(?:\s*,\s*\w+)*)\s*\)", mark, plain)
    expression = parse(marked, variables={*coords, *known, *unknown})
    if is_condition(expression.tree) or "I" in expression.constants:
        raise ValidationError(f"The entry {text!r} is no real formula.", hint="Write real formulas of coordinates.")
    bare = {name: sympy.Function(name)(*map(sympy.Symbol, on)) for name, on in unknown.items()}
    found = rational(expression.to_sympy({}, {**bare, **known}))
    require_defined(found, f"The entry {text!r}")
    if found.has(*(getattr(sympy, name) for name in ROUGH)):
        raise ValidationError(
            f"The entry {text!r} is not smooth.", hint="Write it without abs, sign, min, max, floor and conditions."
        )
    return found


def check_square(rows: Any, coords: list[str]) -> None:
    """Refuse rows that are no square of the coordinates' size.

    Raises:
        PhysicsError: They are not; the message says what they are.
    """
    lengths = sorted({len(row) for row in rows})
    if lengths != [len(rows)]:
        raise PhysicsError(
            f"metric is not square: it has {len(rows)} rows of {' and '.join(map(str, lengths))} entries.",
            hint="Give one row of n entries for each of the n coordinates.",
        )
    if len(rows) != len(coords):
        raise ValidationError(
            f"metric is {len(rows)} × {len(rows)}, and there are {len(coords)} coords.",
            hint="Give one coordinate for each row.",
        )
    if len(set(coords)) < len(coords):
        raise ValidationError(f"a coordinate stands twice in coords: {', '.join(coords)}.", hint="Name each once.")
