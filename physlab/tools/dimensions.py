"""Dimensional analysis of formulas: which unit a formula has, and which its unknown must have.

Numbers are computed in coherent SI units, where an equation between quantities is an equation between numbers; this
module says whether the equation is allowed, and names the unit of what comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from physlab.errors import UnitsError, ValidationError
from physlab.expressions import CONSTANTS, Constant, Expression, Name
from physlab.expressions.functions import CONDITIONS, FUNCTIONS, OPERATIONS
from physlab.expressions.tree import Leaf
from physlab.tools.measures import parse_unit, unit_registry
from physlab.tools.units import spell_dimensions

Base = dict[str, float]  # powers of SI base units: {"meter": 1, "second": -1}; empty for a pure number
UNKNOWN = "?"
_TABLE = OPERATIONS | FUNCTIONS
_POWERS = {"sqrt": 0.5, "cbrt": 1 / 3}
_ALIKE = frozenset(("+", "neg", "abs", "re", "im", "conjugate", "min", "max", "%", "mod", "hypot"))
_NAMED = ("newton", "joule", "watt", "pascal", "coulomb", "volt", "ohm", "farad", "tesla", "weber", "henry")


class Part(NamedTuple):
    """What a part of a formula is: its base units (None: any, as zero has) and its number in them."""

    base: Base | None
    value: Any


class _Inferred(Exception):  # noqa: N818  (it carries the answer out of the walk)
    def __init__(self, base: Base) -> None:
        super().__init__()
        self.base = base


def in_base_units(value: float, unit: str) -> Part:
    """Return a quantity as a number of SI base units.

    Raises:
        UnitsError: The unit is unknown.
    """
    registry = unit_registry()
    quantity = registry.Quantity(float(value), parse_unit(unit)).to_base_units()
    powers = {name: float(power) for name, power in quantity.unit_items() if not registry.Unit(name).dimensionless}
    return Part(powers, float(quantity.magnitude))


def unit_of(base: Base) -> Any:
    """Return base units as one Pint unit."""
    registry = unit_registry()
    return registry.Unit(registry.UnitsContainer({name: _whole(power) for name, power in base.items()}))


def natural_unit(base: Base, given: list[str]) -> Any:
    """Return the unit to show a result in: one that was given, else an SI unit with a name, else base units."""
    target = unit_of(base)
    if not base:
        return target
    for name in (*given, *_NAMED):
        unit = parse_unit(name)
        if unit.dimensionality == target.dimensionality and unit_registry().Quantity(1, unit)._is_multiplicative:
            return unit
    return target


def convert(value: Any, base: Base, unit: Any) -> Any:
    """Return a number of base units as a number of `unit`, to 15 digits.

    Raises:
        UnitsError: The unit has other dimensions.
    """
    source = unit_of(base)
    if source.dimensionality != unit.dimensionality:
        raise UnitsError(
            f"The result has the dimensions {spell_dimensions(source)}, '{unit}' has {spell_dimensions(unit)}.",
            hint=f"Use a unit with the dimensions {spell_dimensions(source)}.",
        )
    if source == unit:
        return value
    found = unit_registry().Quantity(value, source).to(unit).magnitude
    return float(f"{found:.15g}") if isinstance(found, float) else found


def measure(expression: Expression, parts: Mapping[str, Part]) -> Part:
    """Return the base units of a formula and its number.

    Args:
        expression: The formula.
        parts: Base units and number of each of its variables.

    Raises:
        UnitsError: It adds, compares or raises what does not go together; the message names both dimensions.
    """
    missing = sorted(expression.names - parts.keys())
    if missing:
        raise ValidationError(
            f"The formula {expression.text!r} has no value for {', '.join(missing)}.",
            hint="With units every variable needs one: {value, unit}.",
        )

    def leaf(node: Leaf) -> Part:
        if isinstance(node, Name):
            return parts[node.name]
        value = CONSTANTS[node.name][0] if isinstance(node, Constant) else node.value
        return Part(None if value in (0, np.inf) else {}, value)

    with np.errstate(all="ignore"):
        return expression.fold(leaf, lambda operation, args: _apply(operation, args, repr(expression.text)))


def agree(left: Base | None, right: Base | None, text: str) -> Base | None:
    """Return the base units that two sides share.

    Raises:
        UnitsError: They differ.
    """
    if left is None or right is None:
        return right if left is None else left
    ratio = times(left, right, -1)
    power = ratio.pop(UNKNOWN, 0)
    if power:
        raise _Inferred({name: -value / power for name, value in ratio.items()})
    if ratio:
        one, other = _show(left), _show(right)
        raise UnitsError(
            f"{text} puts {one} and {other} together.",
            hint="Check the units of its variables.",
            details={"left": one, "right": other},
        )
    return left


def infer(left: Expression, right: Expression, symbol: str, parts: Mapping[str, Part], text: str) -> Base | None:
    """Return the base units that the unknown of an equation must have, None when any would do.

    Raises:
        UnitsError: The equation's dimensions do not fit, whatever the unknown is.
    """
    try:
        check(left, right, symbol, {UNKNOWN: 1.0}, parts, text)
    except _Inferred as found:
        check(left, right, symbol, found.base, parts, text)
        return found.base
    return None


def check(left: Expression, right: Expression, symbol: str, base: Base, parts: Mapping[str, Part], text: str) -> None:
    """Refuse an equation whose dimensions do not fit when its unknown has the given base units."""
    known = {**parts, symbol: Part(base, np.nan)}
    agree(measure(left, known).base, measure(right, known).base, repr(text))


def _apply(operation: str, args: list[Part], text: str) -> Part:
    value = _TABLE[operation].numeric(*(part.value for part in args))
    return Part(_base(operation, args, text), value)


def _base(operation: str, args: list[Part], text: str) -> Base | None:
    bases = [part.base for part in args]
    if operation in _ALIKE:
        return _all_agree(bases, text)
    if operation in ("*", "/"):
        return _product(bases, -1 if operation == "/" else 1)
    if operation in _POWERS:
        return _scaled(bases[0], _POWERS[operation])
    if operation == "**":
        agree(bases[1], {}, text)
        return _power(bases[0], args[1].value, text)
    if operation in ("where", "piecewise"):
        return _all_agree(bases[1:] if operation == "where" else bases[0::2], text)
    if operation in CONDITIONS or operation in ("atan2", "sign", "arg", "heaviside"):
        _all_agree(bases, text)
        return {}
    for base in bases:
        agree(base, {}, text)
    return {}


def _all_agree(bases: list[Base | None], text: str) -> Base | None:
    found = bases[0]
    for base in bases[1:]:
        found = agree(found, base, text)
    return found


def _product(bases: list[Base | None], sign: int) -> Base | None:
    result: Base | None = bases[0]
    for base in bases[1:]:
        result = None if result is None or base is None else times(result, base, sign)
    return result


def _power(base: Base | None, exponent: Any, text: str) -> Base | None:
    if not base:
        return base
    if not np.isreal(exponent) or not np.isfinite(exponent):
        raise UnitsError(
            f"{text} raises {_show(base)} to a power that is not a known real number.",
            hint="Make the base a pure number, or give the power a value.",
        )
    return _scaled(base, float(np.real(exponent)))


def _scaled(base: Base | None, factor: float) -> Base | None:
    return None if base is None else _tidy({name: power * factor for name, power in base.items()})


def times(left: Base, right: Base, sign: float = 1) -> Base:
    """Return the base units of a product (sign 1) or a quotient (sign -1)."""
    return _tidy({name: left.get(name, 0.0) + sign * right.get(name, 0.0) for name in (*left, *right)})


def _tidy(base: Base) -> Base:
    return {name: power for name, power in base.items() if abs(power) > 1e-9}


def _show(base: Base) -> str:
    return "the unknown's dimensions" if UNKNOWN in base else spell_dimensions(unit_of(base))


def _whole(power: float) -> float:
    """Return a power without the dust of thirds that were added up."""
    nearest_whole = round(power)
    return nearest_whole if abs(power - nearest_whole) < 1e-9 else power
