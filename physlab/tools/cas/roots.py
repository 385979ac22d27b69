"""The solutions of one equation: closed forms, roots near a guess, and what they leave out."""

from __future__ import annotations

from typing import Any

from physlab.errors import ComputationError, ValidationError
from physlab.tools.cas.algebra import Setup, number_of, rational, require_defined, write
from physlab.tools.cas.params import SolveEquation
from physlab.tools.context import Context


def solve(setup: Setup, residual: Any, params: SolveEquation, context: Context) -> list[Any]:
    """Return the solutions of `residual = 0` as SymPy expressions, real ones in ascending order first.

    Raises:
        ComputationError: No solution, every value is one, or no closed form.
    """
    import sympy

    unknown, text = setup.symbol(setup.unknown), params.equation
    decimal = residual.has(sympy.Float)
    exact = rational(residual)
    if sympy.simplify(exact) == 0:
        raise ComputationError(f"Every {params.symbol} solves {text!r}.", hint="The two sides are identical.")
    if params.guess is not None:
        return [_near(exact, unknown, params.guess, text)]
    try:
        found = sympy.solve(exact, unknown)
    except NotImplementedError as error:
        raise ComputationError(
            f"SymPy knows no closed form of the solutions of {text!r}.",
            hint="Give `guess`, a number near the root, to get its number.",
        ) from error
    if not found:
        kept = ", ".join(setup.assumed(setup.unknown))
        raise ComputationError(
            f"{text!r} has no solution for {params.symbol}" + (f" that is {kept}." if kept else "."),
            hint="Check the equation" + (", or drop an assumption." if kept else "."),
        )
    _tell_period(exact, unknown, text, context)
    found = _other_branches(found, exact, unknown, text, context)
    for item in found:
        require_defined(item, f"A solution of {text!r}")
    return sorted((sympy.nfloat(item, 15) if decimal else item for item in found), key=_order)


def _near(residual: Any, unknown: Any, guess: float, text: str) -> Any:
    import sympy

    others = sorted(str(item) for item in residual.free_symbols - {unknown})
    if others:
        raise ValidationError(
            f"A numeric root of {text!r} needs a value for {', '.join(others)}.", hint="Give them in vars."
        )
    try:
        scale = sympy.Float(min(abs(guess), 1) or 1, 30)
        size = abs(residual.subs(unknown, sympy.Float(guess, 30)).evalf(30))
        if size == 0:
            return sympy.Float(guess)
        within = residual.subs(unknown, scale * unknown) / (
            size if size.is_finite else 1
        )  # nsolve's tolerance is absolute
        found = scale * sympy.nsolve(within, unknown, guess / float(scale), prec=30, maxsteps=100)
        if _is_root(residual, unknown, found, guess):
            return sympy.N(found, 15)
        failure: Exception | None = None
    except (ValueError, ZeroDivisionError, TypeError) as error:
        failure = error
    raise ComputationError(
        f"No root of {text!r} was found from {unknown} = {guess:g}.", hint="Give a guess nearer to the root."
    ) from failure


def _is_root(residual: Any, unknown: Any, found: Any, guess: float) -> bool:
    """Say whether a residual vanishes at a point, and is not only small there and around, as exp(-x) far out."""
    step = max(1e-3 * max(float(abs(found)), abs(guess)), 1e-9)
    here, *around = (abs(residual.subs(unknown, x).evalf(20)) for x in (found, found - step, found + step))
    return bool(here == 0 or any(here < 0.1 * value for value in around))


def _other_branches(found: list[Any], residual: Any, unknown: Any, text: str, context: Context) -> list[Any]:
    """Return solutions with the real ones of Lambert's other branch, W₋₁, which SymPy may leave out.

    W has two real branches on [-1/e, 0) (Corless et al., Adv. Comput. Math. 5, 329 (1996)) and infinitely many
    complex ones, which are never listed.
    """
    import sympy

    more: list[Any] = []
    for item in found:
        lambert = [w for w in item.atoms(sympy.LambertW) if len(w.args) == 1]
        other = item.xreplace({w: sympy.LambertW(w.args[0], -1) for w in lambert})
        if other == item or other.free_symbols:
            continue
        value = other.evalf(30)
        if abs(sympy.im(value)) > 1e-20 or any(abs((known - value).evalf(20)) < 1e-12 for known in [*found, *more]):
            continue
        whole = sympy.Integer(round(value)) if abs(value - round(value)) < 1e-20 else None
        exact = whole if whole is not None and residual.subs(unknown, whole) == 0 else other
        if abs(residual.subs(unknown, exact).evalf(20)) < 1e-12:
            more.append(exact)
    if not unknown.is_real and any(item.has(sympy.LambertW) for item in found):
        context.warn(f"{text!r} holds Lambert's W, which has infinitely many complex branches: they are not listed.")
    return [*found, *more]


def _order(item: Any) -> tuple[Any, ...]:
    """Real numbers ascending, then complex ones, then formulas."""
    value = number_of(item)
    if isinstance(value, dict):
        return (1, value["real"], value["imag"], "")
    return (0, value, 0.0, "") if value is not None else (2, 0.0, 0.0, str(item))


def _tell_period(residual: Any, unknown: Any, text: str, context: Context) -> None:
    """Warn that a periodic equation has more solutions than those listed."""
    from sympy.calculus.util import periodicity
    from sympy.functions.elementary.trigonometric import TrigonometricFunction

    if any(item.has(unknown) for item in residual.atoms(TrigonometricFunction)):
        try:
            period = periodicity(residual, unknown)
        except NotImplementedError:
            period = None
        if period is not None:
            context.warn(f"{text!r} repeats every {write(period)['str']}: only solutions of one period are listed.")
