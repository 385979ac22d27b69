"""`cas.solve_ode`: ordinary differential equations in closed form, held against the equation before they are told."""

from __future__ import annotations

import re
from typing import Any

from physlab.errors import PhyslabError, ValidationError
from physlab.expressions import normal_name
from physlab.tools.cas.algebra import Setup, rational, require_defined, sides, write
from physlab.tools.cas.derivatives import UnknownFunction
from physlab.tools.cas.odes import Condition, Problem, fit, general_solutions
from physlab.tools.cas.params import SolveOde
from physlab.tools.context import Context
from physlab.tools.registry import Port, registry


@registry.method(
    "cas",
    "solve_ode",
    params=SolveOde,
    returns=(
        Port("general_solution", "text", description="`y(x) = …` with the constants C1, C2, …; several joined by `or`"),
        Port("latex", "text", description="The general solution as LaTeX"),
        Port("solutions", "list", description="Right-hand sides of the general solution, as formulas"),
        Port("ode", "text", description="The equation as it was understood"),
        Port("ode_original", "text", description="The equation as it was given"),
        Port("order", "number", description="Order of the equation"),
        Port("particular_solution", "text", description="`y(x) = …` that fulfils the conditions; null without any"),
        Port("particular_latex", "text", description="The particular solution as LaTeX"),
        Port("expr", "text", description="The solution as a formula that `expr` accepts; null when it is not one"),
        Port("initial_conditions", "object", description="The conditions as they were understood"),
        Port("free_constants", "list", description="Constants that the conditions leave open"),
        Port("verified", "text", description="How substitution proved it: `exactly`, or `numerically` to 15 digits"),
    ),
    libraries=("sympy",),
    imports=("sympy",),
)
def solve_ode(params: SolveOde, context: Context) -> dict[str, Any]:
    """Solve an ordinary differential equation in closed form.

    Args:
        params: The equation, its variable and function, conditions, values and assumptions of parameters.
        context: Gets notes, for instance on constants that stay free.

    Returns:
        The general solution and, with conditions, the particular one. Each was substituted into the equation and
        fulfils it.

    Raises:
        ComputationError: There is no closed form, or nothing fulfils the conditions; the hint shows a numerical way.
        ValidationError: The equation or a condition cannot be read.
    """
    problem, conditions = read_problem(params, context)
    found = general_solutions(problem)
    answer: dict[str, Any] = {
        **_spelled(found.solutions, "general_solution", "latex"),
        "solutions": [_formula(item, problem) for item in found.solutions],
        "ode": f"{write(problem.equation.lhs)['str']} = {write(problem.equation.rhs)['str']}",
        "ode_original": params.ode,
        "order": problem.order,
        "verified": found.verified,
        "particular_solution": None,
        "particular_latex": None,
        "initial_conditions": {item.spelled: item.given for item in conditions},
        "free_constants": [],
    }
    chosen = found.solutions
    if conditions:
        chosen = fit(problem, found.solutions, conditions)
        answer |= _spelled(chosen, "particular_solution", "particular_latex")
        free = sorted({str(item) for one in chosen for item in one.free_symbols - problem.known})
        answer["free_constants"] = free
        if free:
            context.warn(f"The conditions leave {', '.join(free)} free.")
        if len(chosen) > 1:
            context.warn(f"{len(chosen)} solutions fulfil the conditions.")
    answer["expr"] = _formula(chosen[0], problem) if len(chosen) == 1 else None
    return answer


def _spelled(solutions: list[Any], text: str, latex: str) -> dict[str, str]:
    parts = [(write(item.lhs), write(item.rhs)) for item in solutions]
    return {
        text: " or ".join(f"{left['str']} = {right['str']}" for left, right in parts),
        latex: r" \quad\text{or}\quad ".join(f"{left['latex']} = {right['latex']}" for left, right in parts),
    }


def _formula(solution: Any, problem: Problem) -> str | None:
    """Return the right-hand side of an explicit solution, None for an implicit one."""
    return write(solution.rhs)["str"] if solution.lhs == problem.function else None


def read_problem(params: SolveOde, context: Context) -> tuple[Problem, list[Condition]]:
    """Read a differential equation and its conditions."""
    import sympy

    unknown = UnknownFunction(normal_name(params.func), normal_name(params.symbol))
    if unknown.name == unknown.variable:
        raise ValidationError(f"{unknown.name} is both the function and its variable.", hint="Give func and symbol.")
    named = {normal_name(name) for name in (*params.vars, *params.assumptions) if name != "*"}
    marked = [unknown.mark(side, named) for side in sides(params.ode)]
    orders = {order for side in marked for order in unknown.orders(side)}
    if not orders - {0}:
        raise ValidationError(
            f"The equation {params.ode!r} holds no derivative of {unknown.name}.",
            hint=f"Write {unknown.name}', {unknown.name}'' or Derivative({unknown.name}, {unknown.variable}, 2).",
        )
    setup = Setup(
        params.vars, params.assumptions, params.symbol, functions={unknown.token(order) for order in {*orders, 0}}
    )
    _refuse_values(setup, unknown, params)
    function = sympy.Function(unknown.name, **setup.assumed(unknown.name))(setup.symbol(unknown.variable))
    values = {unknown.token(order): function.diff(setup.symbol(unknown.variable), order) for order in orders}
    left, right = (_build(setup, unknown, side, {**setup.numbers, **values}, context) for side in marked)
    equation = sympy.Eq(rational(left), rational(right), evaluate=False)
    conditions = [_condition(setup, unknown, key, value, context) for key, value in params.ics.items()]
    known = (equation.free_symbols | {setup.symbol(unknown.variable)}).union(
        *(item.value.free_symbols | item.point.free_symbols for item in conditions)
    )
    decimal = left.has(sympy.Float) or right.has(sympy.Float) or any(item.decimal for item in conditions)
    return Problem(params.ode, equation, function, max(orders), known, decimal), conditions


def _refuse_values(setup: Setup, unknown: UnknownFunction, params: SolveOde) -> None:
    if setup.dimensional:
        raise ValidationError(
            "solve_ode computes with pure numbers, and vars have units.",
            hint="Give all numbers in one coherent system of units, without the units.",
        )
    for name in {unknown.name, unknown.variable} & setup.numbers.keys():
        raise ValidationError(f"{name} has a value in vars.", hint=f"Take {name} out of vars; conditions go into ics.")
    uncertain = sorted(name for name, value in params.vars.items() if value.sigma)
    if uncertain:
        raise ValidationError(
            f"The uncertainty of {', '.join(uncertain)} is not propagated by solve_ode.",
            hint="Keep it as a letter, and put the solution into cas.propagate_uncertainty.",
        )


def _build(setup: Setup, unknown: UnknownFunction, text: str, values: dict[str, Any], context: Context) -> Any:
    try:
        return setup.build(setup.parse(text, context), values)
    except PhyslabError as error:
        raise type(error)(unknown.spell(error.message), hint=unknown.spell(error.hint)) from error


def _condition(setup: Setup, unknown: UnknownFunction, key: str, value: str, context: Context) -> Condition:
    """Read `y'(0)`, `Derivative(y(x), x)(0)`, `y(x).diff(x).subs(x, 0)` and `Subs(Derivative(y(x), x), x, 0)`."""
    marked = unknown.mark(key).strip()
    name, variable = re.escape(unknown.name), re.escape(unknown.variable)
    inner = re.fullmatch(rf"Subs\(\s*({name}(?:__\d+)?)\s*,\s*{variable}\s*,(.*)\)", marked)
    marked = f"{inner[1]}({inner[2]})" if inner else re.sub(rf"\s*\.subs\(\s*{variable}\s*,", "(", marked)
    match = re.fullmatch(rf"{name}(?:__(\d+))?\s*\(\s*(?:{variable}\s*=)?(.+)\)", marked, re.DOTALL)
    if match is None:
        raise ValidationError(
            f"The condition '{key}' cannot be read.",
            hint=f"Write {unknown.name}(0), {unknown.name}'(0) or {unknown.name}''(pi/2), and its value.",
        )
    point, number = (_build(setup, unknown, text, dict(setup.numbers), context) for text in (match[2], value))
    taken = {str(item) for item in point.free_symbols | number.free_symbols} & {unknown.name, unknown.variable}
    if taken:
        raise ValidationError(
            f"The condition '{key}': {value} holds {min(taken)}.", hint="Points and values are numbers or parameters."
        )
    require_defined(number, f"The condition '{key}'")
    order = int(match[1] or 0)
    primes = "'" * order
    spelled = f"{unknown.name}{primes}({write(point)['str']})"
    return Condition(spelled, order, rational(point), rational(number), write(number)["str"])
