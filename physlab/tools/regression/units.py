"""Do the dimensions of a formula fit, and which unit must each of its constants have?

Every constant has an unknown unit. What is added needs one unit, what stands in a function or in an exponent none:
that is a linear system for the exponents of the units, and its solution is the unit of each constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from physlab.tools.dimensions import in_base_units
from physlab.tools.measures import parse_unit, unit_registry
from physlab.tools.types import Array

NEAR = 1e-6


class Verdict(NamedTuple):
    """What the dimensions say.

    Attributes:
        fits: True when units exist for the constants with which the formula makes sense.
        units: Name of a constant → its unit as Pint spells it; None where the formula leaves it open.
        note: What to tell.
    """

    fits: bool
    units: dict[str, str | None]
    note: str


class _System:
    """Linear equations for the exponents (constants × base) of the constants' units.

    A unit is held as (constants + 1, base): how much of each unknown it holds, and in the last row its known part.
    """

    def __init__(self, constants: list[Any], known: Mapping[str, Array], values: Mapping[Any, float]) -> None:
        self.constants, self.known, self.values = constants, known, values
        self.size = len(constants)
        self.base = len(next(iter(known.values())))
        self.rows: list[Array] = []
        self.sides: list[Array] = []

    def none(self) -> tuple[Array, Array]:
        return np.zeros(self.size), np.zeros(self.base)

    def equal(self, one: tuple[Array, Array], other: tuple[Array, Array]) -> None:
        self.rows.append(one[0] - other[0])
        self.sides.append(other[1] - one[1])

    def unit(self, item: Any) -> tuple[Array, Array]:
        import sympy

        if item in self.constants:
            row, known = self.none()
            row[self.constants.index(item)] = 1.0
            return row, known
        if item.is_Symbol:
            return self.none()[0], self.known[str(item)]
        if item.is_Add:
            parts = [self.unit(part) for part in item.args if not part.is_zero]
            for part in parts[1:]:
                self.equal(part, parts[0])
            return parts[0]
        if item.is_Mul:
            parts = [self.unit(part) for part in item.args]
            return sum(part[0] for part in parts), sum(part[1] for part in parts)  # type: ignore[return-value]
        if isinstance(item, sympy.Pow):
            return self._power(item)
        for part in item.args:
            if isinstance(item, sympy.Abs):
                return self.unit(part)
            self.equal(self.unit(part), self.none())
        return self.none()

    def _power(self, item: Any) -> tuple[Array, Array]:
        base, exponent = item.args
        self.equal(self.unit(exponent), self.none())
        number = exponent.xreplace({name: _number(value) for name, value in self.values.items()})
        unit = self.unit(base)
        if number.free_symbols:
            self.equal(unit, self.none())
            return self.none()
        return unit[0] * float(number), unit[1] * float(number)

    def solve(self) -> tuple[Array, list[bool]] | None:
        """Return the exponents (constants, base) and which constants are determined; None when nothing fits."""
        matrix, sides = np.array(self.rows), np.array(self.sides)
        if not len(matrix):
            return np.zeros((self.size, self.base)), [False] * self.size
        if not self.size:
            return (np.zeros((0, self.base)), []) if np.abs(sides).max(initial=0) < NEAR else None
        found, *_ = np.linalg.lstsq(matrix, sides, rcond=None)
        if np.abs(matrix @ found - sides).max() > NEAR * max(1.0, float(np.abs(sides).max())):
            return None
        _, sizes, turn = np.linalg.svd(matrix)
        free = turn[int((sizes > 1e-9).sum()) :]
        return found, [bool((np.abs(free[:, place]) < NEAR).all()) for place in range(self.size)]


def _number(value: float) -> Any:
    import sympy

    return sympy.Float(value)


def check_units(template: Any, values: Mapping[Any, float], units: Mapping[str, str], target: str) -> Verdict:
    """Say whether the dimensions of `target = template` fit, and which units its constants have.

    Args:
        template: SymPy expression of the columns and of the constants.
        values: Symbol of each constant → value.
        units: Name of each column and of the target → unit, "" for a pure number.
        target: Name of the target in `units`.

    Raises:
        UnitsError: A unit is unknown.
    """
    atoms = {name: _atoms(unit) for name, unit in units.items()}
    found = _solve(template, values, atoms, target)
    if found is not None:
        names, exponents, told = found
        spelled = {
            str(name): _spell(names, row) if known else None
            for name, row, known in zip(values, exponents, told, strict=True)
        }
        return Verdict(True, spelled, "The dimensions fit.")
    bases = {name: dict(in_base_units(1.0, unit).base or {}) for name, unit in units.items()}
    if _solve(template, values, bases, target) is not None:
        return Verdict(
            True, {}, "The dimensions fit only if a conversion is hidden in the numbers: columns have mixed units."
        )
    return Verdict(False, {}, "The dimensions do not fit, whatever units its constants have.")


def _atoms(unit: str) -> dict[str, float]:
    registry = unit_registry()
    return {
        str(name): float(power)
        for name, power in registry.Quantity(1.0, parse_unit(unit)).unit_items()
        if not registry.Unit(name).dimensionless
    }


def _solve(
    template: Any, values: Mapping[Any, float], units: Mapping[str, Mapping[str, float]], target: str
) -> tuple[list[str], Array, list[bool]] | None:
    names = sorted({name for unit in units.values() for name in unit}) or ["radian"]
    known = {column: np.array([unit.get(name, 0.0) for name in names]) for column, unit in units.items()}
    system = _System(list(values), known, values)
    system.equal(system.unit(template), (system.none()[0], known[target]))
    solved = system.solve()
    return None if solved is None else (names, *solved)


def _spell(names: list[str], exponents: Array) -> str:
    registry = unit_registry()
    powers = {name: _tidy(float(power)) for name, power in zip(names, exponents, strict=True) if abs(power) > NEAR}
    return str(registry.Unit(registry.UnitsContainer(powers)))


def _tidy(power: float) -> float:
    near = round(power * 12) / 12
    return float(f"{near if abs(power - near) < NEAR else power:.6g}")
