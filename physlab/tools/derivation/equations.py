"""Solving an equation step by step: isolating the unknown, the quadratic formula, factors; each solution put back."""

from __future__ import annotations

from typing import Any

from physlab.errors import ComputationError
from physlab.tools.cas.algebra import require_defined
from physlab.tools.derivation.steps import Ledger, equal, latex


def solve(left: Any, right: Any, unknown: Any, ledger: Ledger) -> list[Any]:
    """Solve an equation for one unknown.

    Args:
        left: SymPy expression.
        right: SymPy expression.
        unknown: SymPy symbol.
        ledger: Takes the steps.

    Returns:
        The solutions, each of which fulfils the equation.

    Raises:
        ComputationError: There is none, or no closed form.
    """
    import sympy

    ledger.given("problem", f"Solve for {unknown}.", _line(left, right))
    top, _ = sympy.fraction(sympy.together(left - right))
    found = None
    if top.is_polynomial(unknown):
        found = _polynomial(left - right, unknown, ledger)
    elif _count(left, unknown) + _count(right, unknown) == 1:
        found = _isolate(left, right, unknown, ledger)
    if not found:
        try:
            found = sympy.solve(left - right, unknown)
        except NotImplementedError as error:
            raise ComputationError(
                f"No closed form of the solutions of {left} = {right} is known.",
                hint="cas.solve_equation with `guess` finds a numeric root.",
            ) from error
        ledger.given("algorithm", "SymPy's solver finds the candidates; each is put back into the equation.",
                     _line(left, right), 1)  # fmt: skip
    kept = []
    for item in found:
        require_defined(item, f"A solution of {left} = {right}")
        if equal(left.subs(unknown, item), right.subs(unknown, item)) and item not in kept:
            kept.append(item)
            ledger.claim("solution", "Put back into the equation it makes both sides equal.", _line(unknown, item),
                         (left.subs(unknown, item), right.subs(unknown, item)))  # fmt: skip
    if not kept:
        assumed = [word for word in ("positive", "negative", "real", "integer") if getattr(unknown, f"is_{word}")]
        raise ComputationError(
            f"{left} = {right} has no solution for {unknown}" + (f" that is {', '.join(assumed)}." if assumed else "."),
            hint="Check the equation and the assumptions.",
        )
    return kept


def _line(left: Any, right: Any) -> str:
    return f"{latex(left)} = {latex(right)}"


def _count(item: Any, unknown: Any) -> int:
    return int(item == unknown) or sum(_count(part, unknown) for part in item.args)


def _polynomial(residual: Any, unknown: Any, ledger: Ledger) -> list[Any]:
    import sympy

    top, below = sympy.fraction(sympy.together(residual))
    poly = sympy.Poly(sympy.expand(top), unknown)
    if poly.degree() < 1:
        raise ComputationError(f"{unknown} drops out of the equation.", hint="It holds for every value, or for none.")
    note = f" times {below}" if below.has(unknown) else ""
    ledger.claim("collecting", f"Everything on one side{note}, in powers of {unknown}.", f"{latex(poly.as_expr())} = 0",
                 (poly.as_expr(), residual * below), depth=1)  # fmt: skip
    coefficients = poly.all_coeffs()
    if poly.degree() == 1:
        a, b = coefficients
        ledger.claim("linear equation", "a x + b = 0 has the solution −b/a.", _line(unknown, -b / a),
                     (a * (-b / a) + b, sympy.Integer(0)), depth=1)  # fmt: skip
        return [sympy.simplify(-b / a)]
    if poly.degree() == 2:
        return _quadratic(coefficients, unknown, ledger)
    factored = sympy.factor(poly.as_expr())
    if factored != poly.as_expr():
        ledger.claim("factoring", "A product is zero where one of its factors is.", f"{latex(factored)} = 0",
                     (factored, poly.as_expr()), depth=1)  # fmt: skip
    return list(sympy.solve(poly.as_expr(), unknown))


def _quadratic(coefficients: list[Any], unknown: Any, ledger: Ledger) -> list[Any]:
    import sympy

    a, b, c = coefficients
    discriminant = sympy.factor(b**2 - 4 * a * c)
    ledger.claim("discriminant", "D = b² − 4ac decides how many real solutions there are.",
                 rf"D = \left({latex(b)}\right)^2 - 4 \left({latex(a)}\right) \left({latex(c)}\right) = "
                 rf"{latex(discriminant)}", (b**2 - 4 * a * c, discriminant), depth=1)  # fmt: skip
    found = [sympy.simplify((-b + sign * sympy.sqrt(discriminant)) / (2 * a)) for sign in (1, -1)]
    ledger.claim("quadratic formula", "x = (−b ± √D)/2a.",
                 rf"{latex(unknown)} = \frac{{-\left({latex(b)}\right) \pm \sqrt{{{latex(discriminant)}}}}}{{2 "
                 rf"\left({latex(a)}\right)}}",
                 *((a * item**2 + b * item + c, sympy.Integer(0)) for item in found), depth=1)  # fmt: skip
    return [item for item in dict.fromkeys(found) if _fits(item, unknown)]


def _fits(item: Any, unknown: Any) -> bool:
    """Say whether a solution does not contradict what is assumed of the unknown."""
    return not any(
        getattr(unknown, f"is_{word}") and getattr(item, f"is_{word}") is False
        for word in ("real", "positive", "negative", "nonnegative", "integer")
    )


def _isolate(left: Any, right: Any, unknown: Any, ledger: Ledger) -> list[Any] | None:
    """Undo one operation after the other around the only place where the unknown stands."""
    import sympy

    if right.has(unknown):
        left, right = right, left
    lines = []
    while left != unknown:
        done = _undo(left, right, unknown)
        if done is None:
            return None
        left, right, rule = done
        right = sympy.simplify(right)
        lines.append((left, right, rule))
    for one, other, rule in lines:
        ledger.claim("isolating", f"{rule} on both sides; the solution fulfils this line too.", _line(one, other),
                     (one.subs(unknown, right), other), depth=1)  # fmt: skip
    return [right] if _fits(right, unknown) else []


def _undo(left: Any, right: Any, unknown: Any) -> tuple[Any, Any, str] | None:
    """Return both sides without the outermost operation; None where it has more than one inverse."""
    import sympy

    if left.is_Add:
        other, rest = left.as_independent(unknown)
        return rest, right - other, f"Subtract {other}"
    if left.is_Mul:
        other, rest = left.as_independent(unknown, as_Add=False)
        return rest, right / other, f"Divide by {other}"
    if isinstance(left, sympy.exp):
        return left.args[0], sympy.log(right), "Take the logarithm"
    if isinstance(left, sympy.log):
        return left.args[0], sympy.exp(right), "Take the exponential"
    if left.is_Pow:
        base, exponent = left.args
        if exponent.has(unknown):
            return exponent, sympy.log(right) / sympy.log(base), f"Take the logarithm to the base {base}"
        if base.is_nonnegative or (exponent.is_Rational and exponent.p % 2 and not exponent.is_integer):
            return base, right ** (1 / exponent), f"Raise to the power {1 / exponent}"
    return None
