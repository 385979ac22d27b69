"""Closed-form solutions of ordinary differential equations: found by SymPy, proved by substitution, fitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from physlab.errors import ComputationError

NUMERICALLY = (
    "Integrate it numerically: a python node whose function calls scipy.integrate.solve_ivp "
    "(physlab tools show python)."
)
_FAILURES = (NotImplementedError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError, IndexError)
_ENDLESS = frozenset(("lie_group", "2nd_nonlinear_autonomous_conserved"))  # searches that outlast any time limit
_DIGITS, _SMALL = 40, 1e-15


@dataclass(frozen=True)
class Problem:
    """A differential equation.

    Attributes:
        text: As it was written.
        equation: SymPy equation with exact numbers.
        function: The unknown, for instance y(x).
        order: Highest derivative.
        known: The variable and the parameters; other symbols of a solution are its constants.
        decimal: True when numbers were given as decimals, so that solutions shall show decimals.
    """

    text: str
    equation: Any
    function: Any
    order: int
    known: Any
    decimal: bool

    @property
    def variable(self) -> Any:
        """What the function depends on."""
        return self.function.args[0]


@dataclass(frozen=True)
class Condition:
    """The value of a derivative (order 0: of the function) at a point."""

    spelled: str
    order: int
    point: Any
    value: Any
    given: str

    @property
    def decimal(self) -> bool:
        """True when the value was given as a decimal number."""
        return "." in self.given


@dataclass(frozen=True)
class Found:
    """General solutions, and how they were proved."""

    solutions: list[Any]
    verified: str


def general_solutions(problem: Problem) -> Found:
    """Return the general solutions that fulfil the equation.

    Raises:
        ComputationError: SymPy finds none in closed form, or none that fulfils the equation.
    """
    wrong = False
    for solutions in _candidates(problem):
        if not solutions or any(_is_open(item, problem) for item in solutions):
            continue
        proofs = {_prove(problem, item) for item in solutions}
        if None not in proofs:
            return Found(solutions, "numerically" if "numerically" in proofs else "exactly")
        wrong = True
    reason = "that fulfils it when substituted" if wrong else "that SymPy knows"
    raise ComputationError(
        f"{problem.text!r} has no closed-form solution {reason}.", hint=NUMERICALLY, details={"order": problem.order}
    )


def _candidates(problem: Problem) -> Iterator[list[Any]]:
    """Yield what SymPy's methods find, the preferred one first; power series are no closed form."""
    import sympy

    try:
        hints = sympy.classify_ode(problem.equation, problem.function)
    except _FAILURES:
        return
    for hint in hints:
        if hint.endswith("_Integral") or "power_series" in hint or hint in _ENDLESS:
            continue
        try:
            found = sympy.dsolve(problem.equation, problem.function, hint=hint)
        except _FAILURES:
            continue
        yield list(found) if isinstance(found, list | tuple) else [found]


def _is_open(solution: Any, problem: Problem) -> bool:
    """Say whether a solution is none in closed form: series, integrals, derivatives left over."""
    import sympy

    left = sympy.Order, sympy.Integral, sympy.Subs, sympy.Derivative, sympy.zoo, sympy.nan
    explicit = solution.lhs == problem.function
    return bool(solution.has(*left) or (explicit and solution.rhs.has(problem.function.func)))


def _prove(problem: Problem, solution: Any) -> str | None:
    """Say how substitution into the equation proves a solution, None when it does not."""
    import sympy

    try:
        holds, _ = sympy.checkodesol(
            problem.equation, solution, problem.function, order=problem.order, solve_for_func=False
        )
    except _FAILURES:
        holds = False
    if holds:
        return "exactly"
    return "numerically" if solution.lhs == problem.function and _vanishes(problem, solution) else None


def _vanishes(problem: Problem, solution: Any) -> bool:
    """Say whether the equation's residual is zero to 15 digits at three points where it has a value."""
    import sympy

    terms = [
        term.subs(problem.function, solution.rhs).doit()
        for side in (problem.equation.lhs, -problem.equation.rhs)
        for term in sympy.Add.make_args(sympy.expand(side))
    ]
    symbols = sorted({item for term in terms for item in term.free_symbols}, key=str)
    seen = 0
    for trial in range(12):
        values = {item: sympy.Rational(37 + 13 * place + 17 * trial, 101) for place, item in enumerate(symbols)}
        try:
            numbers = [complex(term.subs(values).evalf(_DIGITS)) for term in terms]
            total = abs(complex(sum(term.subs(values).evalf(_DIGITS) for term in terms)))
        except _FAILURES:
            continue
        scale = max(map(abs, numbers))
        if not scale < float("inf"):
            continue
        if total > _SMALL * max(scale, 1e-300):
            return False
        seen += 1
        if seen == 3:
            return True
    return False


def fit(problem: Problem, solutions: list[Any], conditions: list[Condition]) -> list[Any]:
    """Return the solutions that fulfil the conditions, their constants determined as far as they are.

    Raises:
        ComputationError: None does, or a point is a singularity of every solution.
    """
    found: list[Any] = []
    troubles: list[str] = []
    for solution in solutions:
        equations = []
        for condition in conditions:
            residual = _residual(problem, solution, condition)
            if residual is None:
                troubles.append(condition.spelled)
                break
            equations.append(residual)
        else:
            found += [item for item in _fitted(problem, solution, equations) if item not in found]
    if found:
        return [_decimals(problem, item) for item in found]
    asked = ", ".join(f"{item.spelled} = {item.given}" for item in conditions)
    general = " or ".join(f"{item.lhs} = {item.rhs}" for item in solutions)
    if troubles:
        raise ComputationError(
            f"The general solution {general} has no value for {troubles[0]}.",
            hint="Give the conditions at a point where it is regular.",
        )
    raise ComputationError(
        f"No solution of {problem.text!r} fulfils {asked}.",
        hint=f"The general solution is {general}: check the conditions.",
    )


def _residual(problem: Problem, solution: Any, condition: Condition) -> Any:
    """Return what a condition asks to be zero, None where the solution has no value there."""
    import sympy

    x = problem.variable
    if solution.lhs == problem.function:
        residual = solution.rhs.diff(x, condition.order).subs(x, condition.point) - condition.value
    elif condition.order == 0:
        residual = (solution.lhs - solution.rhs).subs(problem.function, condition.value).subs(x, condition.point)
    else:
        return None
    residual = residual.doit()
    return None if residual.has(sympy.zoo, sympy.nan, sympy.oo, -sympy.oo) else residual


def _fitted(problem: Problem, solution: Any, equations: list[Any]) -> Iterator[Any]:
    """Yield a solution with each set of constants that makes all equations zero."""
    import sympy

    constants = sorted(solution.free_symbols - problem.known, key=str)
    try:
        choices = sympy.solve(equations, constants, dict=True) if constants else [{}]
    except _FAILURES:
        return
    for choice in choices:
        if any(sympy.simplify(item.subs(choice)).equals(0) is False for item in equations):
            continue
        fitted = solution.subs(choice)
        if isinstance(fitted, sympy.Equality) and not fitted.has(sympy.zoo, sympy.nan) and _prove(problem, fitted):
            simple = sympy.simplify(fitted.rhs)
            rhs = simple if simple.count_ops() < fitted.rhs.count_ops() else fitted.rhs
            yield sympy.Eq(fitted.lhs, rhs, evaluate=False)


def _decimals(problem: Problem, solution: Any) -> Any:
    """Return a solution with decimal numbers where the question had them."""
    import sympy

    if not problem.decimal:
        return solution
    return sympy.Eq(solution.lhs, sympy.nfloat(solution.rhs, 15), evaluate=False)
