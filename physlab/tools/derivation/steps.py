"""The steps of a derivation, and the checks that each of them has to pass.

A step is either given (a definition, the problem itself) or it claims that two expressions are equal. A claim is held
against numbers at several points first, to 15 digits, and then proved by simplification where SymPy can; a claim that
fails is an error, never a step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from physlab.errors import ComputationError

LEVELS = {"undergrad": 2, "grad": 1, "expert": 0}
_DIGITS, _SMALL, _POINTS, _TRIALS = 40, 1e-15, 3, 12
_SIMPLE = 150  # operations up to which a proof is tried
_FAILURES = (NotImplementedError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class Step:
    """One line of a derivation.

    Attributes:
        rule: Name of what was done.
        text: What was done and why, one sentence.
        latex: The line.
        how: `given`, `symbolically` or `numerically`: how it was checked.
        depth: 0 for a line every reader needs, 1 for the working, 2 for elementary rules.
    """

    rule: str
    text: str
    latex: str
    how: str
    depth: int = 0


@dataclass
class Ledger:
    """Collects steps; what is wrong never gets in."""

    steps: list[Step] = field(default_factory=list)

    def given(self, rule: str, text: str, latex: str, depth: int = 0) -> None:
        """Add a line that says what is asked or defines something."""
        self.steps.append(Step(rule, text, latex, "given", depth))

    def claim(self, rule: str, text: str, latex: str, *pairs: tuple[Any, Any], depth: int = 0) -> None:
        """Add a line that holds when each pair is equal for all values of its variables.

        Raises:
            ComputationError: A pair is not equal, or has no value anywhere.
        """
        found = {equal(left, right) for left, right in pairs}
        if None in found or not pairs:
            raise ComputationError(
                f"The step '{rule}' ({latex}) could not be verified.",
                hint="It is not shown. Give assumptions, such as x > 0, or another form of the problem.",
            )
        self.steps.append(Step(rule, text, latex, "numerically" if "numerically" in found else "symbolically", depth))

    def shown(self, level: str) -> list[Step]:
        """Return the steps that a reader of a level is shown."""
        return [step for step in self.steps if step.depth <= LEVELS[level]]


def equal(left: Any, right: Any) -> str | None:
    """Say how two expressions were found to be equal, None when they are not."""
    import sympy

    try:
        gap = sympy.expand_func((left - right).doit())
    except _FAILURES:
        return None
    if gap == 0:
        return "symbolically"
    seen = 0
    for size, scale in _residuals(left, right):
        if size > _SMALL * max(scale, 1e-30):
            return None
        seen += 1
        if seen == _POINTS:
            break
    if not seen:
        return "symbolically" if _vanishes(gap) else None
    return "symbolically" if _vanishes(gap) else "numerically"


def _vanishes(gap: Any) -> bool:
    import sympy

    try:
        return bool(gap.count_ops() <= _SIMPLE and sympy.simplify(gap) == 0)
    except _FAILURES:
        return False


def _residuals(left: Any, right: Any) -> Iterator[tuple[float, float]]:
    """Yield |left − right| and the size of its larger side at points where both have a value."""
    try:
        sides = left.doit(), right.doit()
    except _FAILURES:
        return
    for values in points(sides[0].free_symbols | sides[1].free_symbols):
        try:
            one, other = (side.subs(values).evalf(_DIGITS) for side in sides)
            gap, size = abs(complex(one - other)), max(abs(complex(one)), abs(complex(other)))
        except _FAILURES:
            continue
        if size < float("inf") and gap == gap:
            yield gap, size


def points(symbols: Iterable[Any]) -> Iterator[dict[Any, Any]]:
    """Yield values of variables that fit their assumptions; the same for the same variables."""
    import sympy

    for trial in range(_TRIALS):
        values = {}
        for place, item in enumerate(sorted(symbols, key=str)):
            value = sympy.Float(sympy.Rational(37 + 29 * place + 17 * trial + 7 * place * trial, 101), 2 * _DIGITS)
            if item.is_integer:
                value = sympy.Integer(2 + place + trial)
            values[item] = -value if item.is_negative or item.is_nonpositive else value
        yield values


def slope_agrees(function: Any, derivative: Any, variable: Any) -> bool:
    """Say whether a derivative agrees with central differences of the function, a check that uses no rule.

    Args:
        function: Expression.
        derivative: What its derivative is said to be.
        variable: What it is derived by.
    """
    import sympy

    step, seen = sympy.Float(10, 2 * _DIGITS) ** -13, 0
    for values in points(function.free_symbols | derivative.free_symbols | {variable}):
        try:
            here = values[variable]
            others = {item: value for item, value in values.items() if item != variable}
            above, below = (function.subs({**others, variable: here + shift}).evalf(60) for shift in (step, -step))
            slope = complex((above - below) / (2 * step))
            said = complex(derivative.subs(values).evalf(_DIGITS))
        except _FAILURES:
            continue
        if not abs(slope) + abs(said) < float("inf"):
            continue
        if abs(slope - said) > 1e-12 * max(abs(slope), abs(said), 1e-20):
            return False
        seen += 1
        if seen == _POINTS:
            return True
    return bool(seen)


def latex(item: Any) -> str:
    """Return an expression as LaTeX."""
    import sympy

    return str(sympy.latex(item))
