"""Ordinary differential equations step by step: linear of first order, separable, linear with constant coefficients."""

from __future__ import annotations

from typing import Any

from physlab.errors import ComputationError
from physlab.tools.cas.odes import Condition, Problem, fit, general_solutions
from physlab.tools.derivation.steps import Ledger, Step, latex


def solve_ode(problem: Problem, conditions: list[Condition], ledger: Ledger) -> list[Any]:
    """Solve a differential equation; the method is named, and the solution is put back.

    Args:
        problem: The equation.
        conditions: Initial or boundary conditions.
        ledger: Takes the steps.

    Returns:
        Solutions as SymPy equations; the particular ones when there are conditions.

    Raises:
        ComputationError: There is no closed form, or none that fulfils the conditions.
    """
    import sympy

    ledger.given("problem", f"An ordinary differential equation of order {problem.order}.",
                 f"{latex(problem.equation.lhs)} = {latex(problem.equation.rhs)}")  # fmt: skip
    solution = _constant_coefficients(problem, ledger) if problem.order > 1 else _first_order(problem, ledger)
    solutions = [solution] if solution is not None else general_solutions(problem).solutions
    if solution is None:
        hints = sympy.classify_ode(problem.equation, problem.function)
        ledger.given("method", f"SymPy's method '{hints[0]}' gives the solution, which is put back.",
                     f"{latex(problem.equation.lhs)} = {latex(problem.equation.rhs)}", 1)  # fmt: skip
    for item in solutions:
        _put_back(problem, item, "general solution", ledger)
    if not conditions:
        return solutions
    told = r",\; ".join(
        rf"{latex(problem.function.func)}{chr(39) * item.order}\left({latex(item.point)}\right) = {latex(item.value)}"
        for item in conditions
    )
    ledger.given("conditions", "The constants follow from the conditions.", told, 1)
    chosen = fit(problem, solutions, conditions)
    for item in chosen:
        _put_back(problem, item, "particular solution", ledger)
        _meets(problem, item, conditions, ledger)
    return chosen


def _put_back(problem: Problem, solution: Any, rule: str, ledger: Ledger) -> None:
    import sympy

    line = f"{latex(solution.lhs)} = {latex(solution.rhs)}"
    if solution.lhs == problem.function:
        pair = tuple(
            sympy.nsimplify(side, rational=True)
            .subs(problem.function, sympy.nsimplify(solution.rhs, rational=True))
            .doit()
            for side in (problem.equation.lhs, problem.equation.rhs)
        )
        ledger.claim(rule, "Put into the equation it makes both sides equal.", line, pair)
        return
    holds, _ = sympy.checkodesol(problem.equation, solution, problem.function, solve_for_func=False)
    if not holds:
        raise ComputationError(f"The solution {solution} could not be verified.", hint="Use cas.solve_ode.")
    ledger.steps.append(Step(rule, "An implicit solution; derived it gives the equation.", line, "symbolically"))


def _meets(problem: Problem, solution: Any, conditions: list[Condition], ledger: Ledger) -> None:
    if solution.lhs != problem.function:
        return
    exact = _exact(solution.rhs)
    for item in conditions:
        value = exact.diff(problem.variable, item.order).subs(problem.variable, item.point)
        ledger.claim("condition met", "The solution has the value asked.", f"{item.spelled} = {latex(item.value)}",
                     (value, item.value), depth=2)  # fmt: skip


def _exact(item: Any) -> Any:
    import sympy

    return sympy.nsimplify(item, rational=True)


def _standard(problem: Problem) -> list[Any] | None:
    """Return the coefficients of y, y', … and the rest of a linear equation `Σ a_k y⁽ᵏ⁾ = rest`, None if it is none."""
    import sympy

    y, x = problem.function, problem.variable
    names = [sympy.Dummy(f"d{k}") for k in range(problem.order + 1)]
    residual = problem.equation.lhs - problem.equation.rhs
    for order in range(problem.order, 0, -1):
        residual = residual.subs(y.diff(x, order), names[order])
    residual = sympy.expand(residual.subs(y, names[0]))
    coefficients = [residual.diff(name) for name in names]
    if any(item.has(*names) for item in coefficients):
        return None
    rest = -residual.subs(dict.fromkeys(names, 0))
    return [*(sympy.simplify(item) for item in coefficients), sympy.simplify(rest)]


def _first_order(problem: Problem, ledger: Ledger) -> Any:
    linear = _standard(problem)
    return _integrating_factor(problem, linear, ledger) if linear is not None else _separate(problem, ledger)


def _integrating_factor(problem: Problem, linear: list[Any], ledger: Ledger) -> Any:
    """Solve y' + P y = Q with the factor μ = exp ∫P."""
    import sympy

    y, x = problem.function, problem.variable
    a, b, rest = linear[1], linear[0], linear[2]
    p, q = sympy.simplify(b / a), sympy.simplify(rest / a)
    whole = sympy.integrate(p, x)
    factor = sympy.simplify(sympy.exp(whole))
    if whole.has(sympy.Integral):
        return None
    inner = sympy.integrate(sympy.simplify(factor * q), x)
    if inner.has(sympy.Integral):
        return None
    yx, prime = latex(y), latex(y.diff(x))
    ledger.claim("method", "Linear of first order: the form y' + P y = Q.",
                 rf"{prime} + \left({latex(p)}\right) {yx} = {latex(q)}", (a * p, b), (a * q, rest))  # fmt: skip
    ledger.claim("integrating factor", "μ = exp ∫P dx, so that μ' = P μ.",
                 rf"\mu = e^{{\int {latex(p)} \, d{latex(x)}}} = {latex(factor)}",
                 (sympy.Derivative(factor, x), p * factor), depth=1)  # fmt: skip
    ledger.claim("product rule", "Multiplied by μ the left side is a derivative.",
                 rf"\frac{{d}}{{d {latex(x)}}}\left[{latex(factor)} \, {yx}\right] = "
                 f"{latex(sympy.simplify(factor * q))}",
                 (sympy.diff(factor * y, x), factor * (y.diff(x) + p * y)), depth=1)  # fmt: skip
    constant = sympy.Symbol("C1")
    ledger.claim("integration", "Both sides are integrated.", rf"{latex(factor)} \, {yx} = {latex(inner)} + C_{{1}}",
                 (sympy.Derivative(inner, x), factor * q), depth=1)  # fmt: skip
    return sympy.Eq(y, sympy.expand((inner + constant) / factor), evaluate=False)


def _separate(problem: Problem, ledger: Ledger) -> Any:
    """Separate y' = f(x) g(y) into ∫dy/g = ∫f dx + C; SymPy solves it for y afterwards, so there is no answer."""
    import sympy

    y, x, level = problem.function, problem.variable, sympy.Symbol("y_", positive=True)
    slope = sympy.Symbol("slope_")
    try:
        [rate] = sympy.solve((problem.equation.lhs - problem.equation.rhs).subs(y.diff(x), slope), slope)
    except (ValueError, NotImplementedError):
        return None
    parts = sympy.separatevars(rate.subs(y, level), symbols=(x, level), dict=True)
    if not parts:
        return None
    f, g = parts[x] * parts["coeff"], parts[level]
    left, right = sympy.integrate(1 / g, level), sympy.integrate(f, x)
    if left.has(sympy.Integral) or right.has(sympy.Integral):
        return None
    name = problem.function.func.__name__
    plain = sympy.Symbol(name)
    ledger.claim("method", "Separable: the slope is a function of the variable times one of the unknown.",
                 rf"\frac{{d {name}}}{{d {latex(x)}}} = \left({latex(f)}\right) \cdot "
                 rf"\left({latex(g.subs(level, plain))}\right)",
                 (rate.subs(y, level), f * g))  # fmt: skip
    ledger.claim("separation", "Each variable on its own side, then integrated.",
                 rf"\int \frac{{d{name}}}{{{latex(g.subs(level, plain))}}} = {latex(left.subs(level, plain))} = "
                 rf"{latex(right)} + C_{{1}}",
                 (sympy.Derivative(left, level), 1 / g), (sympy.Derivative(right, x), f), depth=1)  # fmt: skip
    return None  # the explicit form is general_solutions' affair, which proves it


def _constant_coefficients(problem: Problem, ledger: Ledger) -> Any:
    """Solve a_n y⁽ⁿ⁾ + … + a_0 y = f(x) with constant a_k: characteristic equation, and a particular solution."""
    import sympy

    linear = _standard(problem)
    y, x = problem.function, problem.variable
    if linear is None or any(item.has(x) for item in linear[:-1]):
        return None
    r = sympy.Symbol("r")
    polynomial = sympy.Add(*(item * r**k for k, item in enumerate(linear[:-1])))
    trial = sympy.exp(r * x)
    roots = sympy.roots(sympy.Poly(polynomial, r))
    if sum(roots.values()) < problem.order:
        return None
    residual = sympy.Add(*(item * trial.diff(x, k) for k, item in enumerate(linear[:-1])))
    ledger.claim("method", "Linear with constant coefficients: y = exp(r x) gives the characteristic equation.",
                 f"{latex(polynomial)} = 0", (sympy.expand(residual / trial), polynomial))  # fmt: skip
    told = r",\quad ".join(
        f"r = {latex(root)}" + (rf"\;({many}\times)" if many > 1 else "") for root, many in roots.items()
    )
    ledger.claim("roots", "Put back they solve the characteristic equation.", told,
                 *((polynomial.subs(r, root), sympy.Integer(0)) for root in roots), depth=1)  # fmt: skip
    general = general_solutions(problem).solutions
    if len(general) != 1 or general[0].lhs != y:
        return None
    homogeneous = general[0].rhs - general[0].rhs.subs(
        {item: 0 for item in general[0].rhs.free_symbols if str(item).startswith("C") and str(item)[1:].isdigit()}
    )
    zero = sympy.Add(*(item * homogeneous.diff(x, k) for k, item in enumerate(linear[:-1])))
    ledger.claim("homogeneous solution", _root_words(roots), rf"{name_of(y)}_h = {latex(sympy.expand(homogeneous))}",
                 (zero, sympy.Integer(0)), depth=1)  # fmt: skip
    particular = sympy.simplify(general[0].rhs - homogeneous)
    if linear[-1] != 0:
        force = sympy.Add(*(item * particular.diff(x, k) for k, item in enumerate(linear[:-1])))
        ledger.claim("particular solution", "One solution of the full equation, from undetermined coefficients.",
                     rf"{name_of(y)}_p = {latex(particular)}", (force, linear[-1]), depth=1)  # fmt: skip
    return general[0]


def name_of(function: Any) -> str:
    """Return the name of a function as LaTeX."""
    import sympy

    return latex(sympy.Symbol(function.func.__name__))


def _root_words(roots: dict[Any, int]) -> str:
    words = []
    if any(root.is_real is False for root in roots):
        words.append("complex roots a ± ib give exp(a x) cos(b x) and exp(a x) sin(b x)")
    if any(root.is_real is not False for root in roots):
        words.append("a real root r gives exp(r x)")
    if any(many > 1 for many in roots.values()):
        words.append("an m-fold root also gives x exp(r x) … x^(m−1) exp(r x)")
    return f"Each root gives a solution: {'; '.join(words)}."
