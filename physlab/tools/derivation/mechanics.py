"""Euler-Lagrange equations from a Lagrangian, with conserved quantities."""

from __future__ import annotations

import re
from typing import Any

from physlab.errors import ComputationError, ValidationError
from physlab.tools.derivation.steps import Ledger, equal, latex

_PRIMES = str.maketrans({"′": "'", "’": "'", "″": "''", "˙": "'"})


def find_coordinates(text: str, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the coordinates of a Lagrangian: those given, or those whose velocity it holds."""
    if given:
        return given
    plain = _ascii(text)
    spellings = (
        r"([A-Za-z]\w*?)'",
        r"\b([A-Za-z]\w*?)_dot\b",
        r"(?:diff|Derivative)\(\s*([A-Za-z]\w*)\s*(?:\([^()]*\))?\s*,",
    )
    found = [name for spelling in spellings for name in re.findall(spelling, plain)]
    if not found:
        raise ValidationError(
            f"The Lagrangian {text!r} holds no velocity.", hint="Write x' (or x_dot, diff(x, t)), or give coordinates."
        )
    return tuple(dict.fromkeys(found))


def _ascii(text: str) -> str:
    import unicodedata

    from physlab.expressions.spelling import to_ascii

    plain = unicodedata.normalize("NFD", text).replace("\u0307", "'").replace("\u0308", "''")
    return to_ascii(unicodedata.normalize("NFC", plain.translate(_PRIMES)))


def mark_velocities(text: str, coordinates: tuple[str, ...], time: str) -> str:
    """Return a Lagrangian in which each velocity is one name, `x__1`.

    Raises:
        ValidationError: It holds an acceleration, or primes something that is no coordinate.
    """
    plain = _ascii(text)
    for name in coordinates:
        if re.search(rf"\b{name}''", plain):
            raise ValidationError(
                f"{text!r} holds the acceleration of {name}.", hint="Only velocities may stand in it."
            )
        call = rf"(?:\s*\(\s*{re.escape(time)}\s*\))?"
        plain = re.sub(rf"(?:diff|Derivative)\(\s*{name}{call}\s*,\s*{re.escape(time)}\s*\)", f" {name}__1 ", plain)
        plain = re.sub(rf"\b{name}(?:'|_dot\b){call}", f" {name}__1 ", plain)
        plain = re.sub(rf"\b{name}\s*\(\s*{re.escape(time)}\s*\)", f" {name} ", plain)
    if "'" in plain:
        raise ValidationError(
            f"{text!r} has a prime that belongs to no coordinate.", hint=f"Coordinates: {', '.join(coordinates)}."
        )
    return plain


def euler_lagrange(lagrangian: Any, coordinates: tuple[str, ...], time: Any, ledger: Ledger) -> list[Any]:
    """Derive the equations of motion, d/dt ∂L/∂q' − ∂L/∂q = 0 for each coordinate.

    Args:
        lagrangian: SymPy expression in the symbols `q` and `q__1` of each coordinate.
        coordinates: Their names.
        time: Symbol of the time.
        ledger: Takes the steps.

    Returns:
        The equations as SymPy equations, solved for the acceleration where that is possible.
    """
    import sympy

    symbols = {str(item): item for item in lagrangian.free_symbols}
    pairs = [
        (symbols.get(name, sympy.Symbol(name)), symbols.get(f"{name}__1", sympy.Symbol(f"{name}__1")))
        for name in coordinates
    ]
    paths = [sympy.Function(name)(time) for name in coordinates]
    along = {q: path for (q, _), path in zip(pairs, paths, strict=True)}
    along |= {v: path.diff(time) for (_, v), path in zip(pairs, paths, strict=True)}
    shown = {v: sympy.Symbol(rf"\dot{{{latex(q)}}}") for q, v in pairs}
    ledger.given("problem", "The Lagrangian.", f"L = {latex(lagrangian.xreplace(shown))}")
    law = r"\frac{d}{dt} \frac{\partial L}{\partial \dot{q}} - \frac{\partial L}{\partial q} = 0"
    ledger.given("principle", "Hamilton's principle gives one equation for each coordinate.", law, 1)
    whole = lagrangian.xreplace(along)
    independent = sympy.euler_equations(whole, paths, [time])
    found = []
    for (q, v), path, check in zip(pairs, paths, independent, strict=True):
        found.append(_equation(lagrangian, q, v, path, along, shown, time, check, ledger))
    _energy(lagrangian, pairs, paths, along, shown, time, found, ledger)
    return found


def _equation(
    lagrangian: Any, q: Any, v: Any, path: Any, along: Any, shown: Any, time: Any, check: Any, ledger: Ledger
) -> Any:
    import sympy

    momentum, force = sympy.diff(lagrangian, v), sympy.diff(lagrangian, q)
    name, dot = latex(q), latex(shown[v])
    ledger.claim(f"momentum of {q}", "The derivative by the velocity.",
                 rf"\frac{{\partial L}}{{\partial {dot}}} = {latex(momentum.xreplace(shown))}",
                 (sympy.Derivative(lagrangian, v), momentum), depth=1)  # fmt: skip
    ledger.claim(f"force on {q}", "The derivative by the coordinate.",
                 rf"\frac{{\partial L}}{{\partial {name}}} = {latex(force.xreplace(shown))}",
                 (sympy.Derivative(lagrangian, q), force), depth=1)  # fmt: skip
    rate = sympy.expand(momentum.xreplace(along).diff(time))
    residual = sympy.simplify(rate - force.xreplace(along))
    written = (
        rf"\frac{{d}}{{d{latex(time)}}} \frac{{\partial L}}{{\partial {dot}}} - \frac{{\partial L}}{{\partial {name}}}"
    )
    _same(residual, check.lhs - check.rhs, ledger, path, f"{written} = {latex(residual)} = 0")
    acceleration = path.diff(time, 2)
    if force == 0:
        ledger.claim("conserved", f"{q} does not stand in L, so that its momentum is conserved.",
                     rf"\frac{{\partial L}}{{\partial {dot}}} = {latex(momentum.xreplace(shown))} = \mathrm{{const}}",
                     (sympy.Derivative(lagrangian, q), sympy.Integer(0)))  # fmt: skip
    solved = sympy.solve(residual, acceleration) if residual.has(acceleration) else []
    equation = sympy.Eq(acceleration, sympy.simplify(solved[0])) if len(solved) == 1 else sympy.Eq(residual, 0)
    if len(solved) == 1 and equation is not sympy.true:
        ledger.claim(f"equation of motion of {q}", "Solved for the acceleration; it fulfils the equation above.",
                     f"{latex(acceleration)} = {latex(equation.rhs)}",
                     *_plain_pairs(residual.subs(acceleration, equation.rhs), sympy.Integer(0)))  # fmt: skip
    else:
        ledger.claim(f"equation of motion of {q}", "As it stands.", f"{latex(residual)} = 0",
                     *_plain_pairs(residual, rate - force.xreplace(along)))  # fmt: skip
    return equation


def _same(residual: Any, other: Any, ledger: Ledger, path: Any, shown: str) -> None:
    """State the Euler-Lagrange equation, which SymPy's own derivation must give too (up to its sign)."""
    for sign in (1, -1):
        pairs = _plain_pairs(residual, sign * other)
        if all(equal(*pair) for pair in pairs):
            ledger.claim(f"Euler-Lagrange equation of {path.func}", "Momentum derived along the path, less the force; "
                         "an independent derivation gives the same.", shown, *pairs, depth=1)  # fmt: skip
            return
    raise ComputationError(
        f"The equation of motion of {path.func} could not be verified.", hint="Check the Lagrangian."
    )


def _plain_pairs(left: Any, right: Any) -> list[tuple[Any, Any]]:
    """Return the pair with functions and their derivatives as variables, so that numbers can go in."""
    import sympy
    from sympy.core.function import AppliedUndef

    parts = sorted(
        (left.atoms(sympy.Derivative, AppliedUndef) | right.atoms(sympy.Derivative, AppliedUndef)),
        key=lambda item: (-sympy.count_ops(item), str(item)),
    )
    names = {item: sympy.Symbol(f"p_{place}", real=True) for place, item in enumerate(parts)}
    ordered = sorted(names.items(), key=lambda pair: -len(str(pair[0])))
    for item, name in ordered:
        left, right = left.subs(item, name), right.subs(item, name)
    return [(left, right)]


def _energy(
    lagrangian: Any, pairs: Any, paths: Any, along: Any, shown: Any, time: Any, equations: list[Any], ledger: Ledger
) -> None:
    """State the energy function, and that it is conserved when the Lagrangian does not hold the time."""
    import sympy

    if lagrangian.has(time) or any(item is sympy.true for item in equations):
        return
    energy = sympy.simplify(sum(v * sympy.diff(lagrangian, v) for _, v in pairs) - lagrangian)
    accelerations = {path.diff(time, 2): item.rhs for path, item in zip(paths, equations, strict=True)}
    if any(item.lhs not in accelerations for item in equations):
        return
    if any(rhs.has(*accelerations) for rhs in accelerations.values()):
        return
    rate = energy.xreplace(along).diff(time).subs(accelerations)
    ledger.claim("energy", "The time does not stand in L, so the energy is conserved: along the motion its rate is 0.",
                 rf"E = \sum \dot{{q}} \frac{{\partial L}}{{\partial \dot{{q}}}} - L = {latex(energy.xreplace(shown))}",
                 *_plain_pairs(rate, sympy.Integer(0)))  # fmt: skip
