"""`cas`: symbolic mathematics. Formulas are read by the one parser, computed by SymPy, with units through Pint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from physlab.errors import ComputationError, PhyslabError, ValidationError, nearest
from physlab.expressions import Expression
from physlab.tools.cas.algebra import (
    Setup,
    exact_int,
    in_unit,
    number_of,
    quadrature,
    rational,
    report,
    require_defined,
    sides,
    without_cancellation,
    write,
)
from physlab.tools.cas.params import Differentiate, Evaluate, Integrate, SolveEquation, Symbolic, Value
from physlab.tools.cas.roots import solve
from physlab.tools.context import Context
from physlab.tools.dimensions import Base, Part, agree, check, in_base_units, infer, measure, times
from physlab.tools.registry import Port, registry

SymPy = ("sympy", "pint")


registry.tool(
    "cas",
    summary="Symbolic mathematics: evaluate, differentiate, integrate, solve, propagate uncertainties; with units.",
    discriminator="action",
    aliases={
        "eval": "evaluate", "simplify": "evaluate", "differentiate": "diff", "derivative": "diff", "derive": "diff",
        "integral": "integrate", "solve": "solve_equation", "dsolve": "solve_ode", "ode": "solve_ode",
        "uncertainty": "propagate_uncertainty", "propagate": "propagate_uncertainty",
    },
)  # fmt: skip
for _name in ("evaluate", "diff", "integrate", "solve_equation", "solve_ode", "propagate_uncertainty"):
    registry.alias(f"cas_{_name}", "cas", _name)

RESULT = (
    Port("latex", "text", description="The result as LaTeX"),
    Port("str", "text", description="The result as a formula that `expr` accepts; with units: number and unit"),
    Port("original", "text", description="The formula as it was given"),
    Port("evalf", "number", description="The real number of the result, in `unit`; null when there is none"),
    Port("value", "any", description="The number, complex as {real, imag}; null when the result is symbolic"),
    Port("unit", "text", description="Unit of the number; null when no units were used"),
    Port("dimensionality", "text", description="Dimensions of the number; null when no units were used"),
)


@registry.method("cas", "evaluate", params=Evaluate, returns=RESULT, libraries=SymPy, imports=("sympy",))
def evaluate(params: Evaluate, context: Context) -> dict[str, Any]:
    """Simplify a formula, and compute it where its variables have values.

    Args:
        params: The formula, values and assumptions of its variables, the unit wanted.
        context: Gets notes on how letters were read.

    Returns:
        The formula with the values put in, as text, LaTeX and number.

    Raises:
        ComputationError: It divides by zero, is undefined or infinite.
        UnitsError: The dimensions do not fit.
    """
    import sympy

    setup = _set_up(params, context, units=params.to is not None)
    expression = setup.parse(params.expr, context)
    base = measure(expression, setup.parts).base if setup.dimensional else None
    result = setup.build(expression, setup.numbers)
    if not setup.dimensional:
        result = sympy.simplify(result)
        require_defined(result, f"The formula {params.expr!r}")
    result = without_cancellation(setup, expression, result)
    return report(setup, result, params.expr, context, base, params.to)


@registry.method("cas", "diff", params=Differentiate, returns=RESULT, libraries=SymPy, imports=("sympy",))
def differentiate(params: Differentiate, context: Context) -> dict[str, Any]:
    """Differentiate a formula.

    Args:
        params: The formula, the variable, the order; with values for all variables also the number there.
        context: Gets notes on how letters were read.

    Returns:
        The derivative as text and LaTeX, and its number where `vars` gives every variable a value.

    Raises:
        ComputationError: There is no derivative, or it is undefined at the values given.
        UnitsError: The dimensions do not fit.
    """
    import sympy

    setup = _set_up(params, context, params.symbol, units=params.to is not None)
    expression = setup.parse(params.expr, context)
    if setup.unknown not in expression.names:
        context.warn(f"{params.expr!r} does not contain {params.symbol}; its derivative is zero.")
    derivative = derive(setup, expression, params.order)
    answer = write(derivative)
    known = {item: setup.numbers[item.name] for item in derivative.free_symbols if item.name in setup.numbers}
    value = derivative.subs({item: sympy.Number(number) for item, number in known.items()})
    require_defined(value, f"The derivative of {params.expr!r} at the values given")
    require_smooth(derivative, known, f"The derivative of {params.expr!r} at the values given")
    base = None
    if setup.dimensional:
        base = measure(expression, setup.parts).base or {}
        step = setup.parts[setup.unknown].base if setup.unknown in setup.parts else None
        for _ in range(params.order):
            base = times(base, step or {}, -1)
    return {**report(setup, value, params.expr, context, base, params.to), **answer}


def derive(setup: Setup, expression: Expression, order: int) -> Any:
    """Return the derivative; functions such as |x| have one on the real axis only."""
    import sympy

    for extra in ({}, {"real": True}):
        function = setup.build(expression, {}, extra)
        target = next((item for item in function.free_symbols if item.name == setup.unknown), sympy.Symbol("_"))
        derivative = sympy.simplify(sympy.diff(function, target, order))
        if not derivative.has(sympy.Derivative, sympy.Subs):
            return derivative
    raise ComputationError(
        f"SymPy knows no closed form of the derivative of {expression.text!r}.",
        hint="Use functions it can differentiate.",
    )


def require_smooth(derivative: Any, known: Mapping[Any, Any], what: str) -> None:
    """Refuse the value of a derivative at a corner, such as that of |x| at 0, where sign(0) = 0 is no slope.

    Raises:
        ComputationError: A sign in the derivative has the argument zero.
    """
    import sympy

    if any(item.args[0].subs(known) == 0 for item in derivative.atoms(sympy.sign)):
        raise ComputationError(f"{what} does not exist: the formula has a corner there.", hint="Take another point.")


@registry.method(
    "cas",
    "integrate",
    params=Integrate,
    returns=(*RESULT, Port("definite", "boolean", description="True when bounds were given")),
    libraries=(*SymPy, "scipy"),
    imports=("sympy",),
)
def integrate(params: Integrate, context: Context) -> dict[str, Any]:
    """Integrate a formula.

    Args:
        params: The formula, the variable, bounds for a definite integral, values of the other variables.
        context: Gets notes, for instance that the number comes from quadrature.

    Returns:
        The antiderivative, or the definite integral with its number.

    Raises:
        ComputationError: It diverges, is undefined, or has no closed form.
        UnitsError: The dimensions do not fit.
    """
    import sympy

    setup = _set_up(params, context, params.symbol, units=params.to is not None)
    _refuse_value(setup, "integration variable")
    expression = setup.parse(params.expr, context)
    integrand = rational(setup.build(expression, setup.numbers))
    symbol = setup.symbol(setup.unknown)
    if params.bounds is None:
        if setup.dimensional:
            raise ValidationError(
                "An indefinite integral has no number and so no unit.", hint="Give bounds, or values without units."
            )
        result = sympy.integrate(integrand, symbol)
        if result.has(sympy.Integral):
            raise ComputationError(
                f"SymPy knows no closed form of the integral of {params.expr!r}.", hint="Give bounds to get its number."
            )
        require_defined(result, f"The integral of {params.expr!r}")
        return {**report(setup, result, params.expr, context, None, None), "definite": False}
    ends = [_bound(setup, item, context) for item in params.bounds]
    base = _integral_base(setup, expression, ends) if setup.dimensional else None
    result = definite(setup, expression, integrand, symbol, [end.value for end in ends], context, params.numeric)
    return {**report(setup, result, params.expr, context, base, params.to), "definite": True}


def _bound(setup: Setup, item: float | str | Value, context: Context) -> Part:
    """Return one bound: its base units and its SymPy number."""
    import sympy

    if isinstance(item, Value):
        part = in_base_units(item.value, item.unit or "")
        return Part(part.base, rational(sympy.Number(exact_int(part.value))))
    expression = setup.parse(item if isinstance(item, str) else repr(item), context)
    base = measure(expression, setup.parts).base if setup.dimensional else {}
    assumed = {name: setup.assumed(name) for name in expression.names}
    return Part(base, rational(expression.to_sympy(assumed, setup.numbers)))


def _integral_base(setup: Setup, expression: Expression, ends: list[Part]) -> Base:
    """Return the base units of a definite integral: those of the formula times those of the variable."""
    width = agree(ends[0].base, ends[1].base, f"The pair of bounds of {setup.unknown}") or {}
    found = measure(expression, {**setup.parts, setup.unknown: Part(width, 1.0)}).base or {}
    return times(found, width, 1)


def definite(
    setup: Setup, expression: Expression, integrand: Any, symbol: Any, ends: list[Any], context: Context, numeric: bool
) -> Any:
    """Return a definite integral in closed form, or its number by quadrature.

    Raises:
        ComputationError: It diverges, is undefined, or has neither a closed form nor a number.
    """
    import sympy

    what = f"The integral of {expression.text!r} from {ends[0]} to {ends[1]}"
    whole = sympy.Integral(integrand, (symbol, *ends))
    result = whole if numeric else whole.doit()
    if result in (sympy.oo, -sympy.oo):
        raise ComputationError(f"{what} diverges.", hint="Change the bounds, or the formula.")
    if not result.has(sympy.Integral):
        require_defined(result, what)
        _compare(result, expression, setup, ends, what)
        return result
    if result.free_symbols:
        raise ComputationError(
            f"{what} has no closed form that SymPy knows, and no number.",
            hint=f"Give values for {', '.join(sorted(map(str, result.free_symbols)))} to get its number.",
        )
    value, error = quadrature(expression, setup, (float(ends[0]), float(ends[1])))
    if not numeric:
        context.warn(f"{what} has no closed form; its number comes from quadrature (estimated error {error:.1e}).")
    context.meta["quadrature_error"] = error
    if value == 0 and error == 0:
        context.warn(f"{expression.text!r} is zero in double precision wherever it was looked at: narrow the bounds.")
    return sympy.Float(value)


def _compare(result: Any, expression: Expression, setup: Setup, ends: list[Any], what: str) -> None:
    """Refuse a closed form that quadrature contradicts: antiderivatives may jump between branches on the way.

    Raises:
        ComputationError: The two differ, though quadrature converges.
    """
    if result.free_symbols or not all(end.is_extended_real and not end.free_symbols for end in ends):
        return
    exact = number_of(result)
    try:
        value, error = quadrature(expression, setup, (float(ends[0]), float(ends[1])))
    except (PhyslabError, TypeError, ValueError, KeyError):
        return
    if isinstance(exact, float) and abs(exact - value) > 1e-6 * max(abs(exact), abs(value)) + 10 * error:
        raise ComputationError(
            f"{what} is {exact:.10g} by SymPy's closed form and {value:.10g} by quadrature; one is wrong.",
            hint="Divide the interval, or take the number from quadrature: numeric: true.",
        )


@registry.method(
    "cas",
    "solve_equation",
    params=SolveEquation,
    returns=(
        Port("solutions", "list", description="The solutions as formulas, or as numbers with a unit"),
        Port("latex_solutions", "list", description="The solutions as LaTeX"),
        Port(
            "numeric_solutions",
            "list",
            description="Their numbers in `unit`, complex as {real, imag}, null if symbolic",
        ),
        Port("count", "number", description="How many there are"),
        Port("assumptions", "object", description="What was assumed of the variables"),
        Port("unit", "text", description="Unit of the numbers; null when no units were used"),
        Port("dimensionality", "text", description="Dimensions of the unknown; null when no units were used"),
    ),
    libraries=SymPy,
    imports=("sympy",),
)
def solve_equation(params: SolveEquation, context: Context) -> dict[str, Any]:
    """Solve an equation for one variable.

    Args:
        params: The equation, the unknown, values and assumptions of its variables.
        context: Gets notes, for instance that a periodic equation has more solutions.

    Returns:
        All solutions found, as formulas, LaTeX and numbers; real ones in ascending order first.

    Raises:
        ComputationError: No solution, every value is one, or no closed form; the message says which.
        UnitsError: The dimensions do not fit.
    """
    setup = _set_up(params, context, params.symbol, units=params.to is not None)
    _refuse_value(setup, "unknown")
    left, right = (setup.parse(side, context) for side in sides(params.equation))
    names = left.names | right.names
    if setup.unknown not in names:
        raise ValidationError(
            f"The equation {params.equation!r} does not contain {params.symbol}.", hint=nearest(params.symbol, names)
        )
    base = infer(left, right, setup.unknown, setup.parts, params.equation) if setup.dimensional else None
    residual = setup.build(left, setup.numbers) - setup.build(right, setup.numbers)
    found = solve(setup, residual, params, context)
    answer: dict[str, Any] = {
        "solutions": [write(item)["str"] for item in found],
        "latex_solutions": [write(item)["latex"] for item in found],
        "numeric_solutions": [number_of(item) for item in found],
        "count": len(found),
        "assumptions": {name: list(words) for name, words in params.assumptions.items()},
        "unit": None,
        "dimensionality": None,
    }
    return {**answer, **_with_unit(setup, left, right, base, params, answer)} if setup.dimensional else answer


def _with_unit(
    setup: Setup, left: Expression, right: Expression, base: Base | None, params: SolveEquation, answer: dict[str, Any]
) -> dict[str, Any]:
    """Return solutions and their numbers in the unknown's unit."""
    if base is None:
        if params.to is None:
            raise ValidationError(
                f"The dimensions of {params.symbol} do not follow from {params.equation!r}.",
                hint="Give its unit in `to`.",
            )
        base = in_base_units(1.0, params.to).base or {}
        check(left, right, setup.unknown, base, setup.parts, params.equation)
    items = [in_unit(setup, value, base, params.to) for value in answer["numeric_solutions"]]
    return {
        "solutions": [item["str"] for item in items],
        "latex_solutions": [item["latex"] for item in items],
        "numeric_solutions": [item["value"] for item in items],
        "unit": items[0]["unit"],
        "dimensionality": items[0]["dimensionality"],
    }


def _set_up(params: Symbolic, context: Context, unknown: str = "", *, units: bool) -> Setup:
    uncertain = sorted(name for name, value in params.vars.items() if value.sigma)
    if uncertain:
        context.warn(f"The uncertainty of {', '.join(uncertain)} is not propagated by this method.")
    return Setup(params.vars, params.assumptions, unknown, units=units)


def _refuse_value(setup: Setup, role: str) -> None:
    if setup.unknown in setup.numbers:
        raise ValidationError(f"{setup.unknown} is the {role} and has a value in vars.", hint="Take it out of vars.")
