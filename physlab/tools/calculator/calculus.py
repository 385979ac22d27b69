"""`graphing_calculator`: derivatives, integrals, limits and power series."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AliasChoices, Field

from physlab.errors import ComputationError, ValidationError
from physlab.tools.calculator.algebra import EXPRESSION
from physlab.tools.calculator.format import RESULT, Calculation, Speller, exact, has_decimals, only_variable, present
from physlab.tools.calculator.names import Names, Text
from physlab.tools.cas.algebra import Setup, number_of, rational, require_defined, write
from physlab.tools.cas.tool import definite, derive, require_smooth
from physlab.tools.context import Context
from physlab.tools.registry import Port


class CalculusParams(Calculation):
    """A formula and its variable."""

    expression: Text = EXPRESSION
    variable: str | None = Field(None, description="The variable; default: the only free name, or x.")


class DerivativeParams(CalculusParams):
    """Which derivative."""

    order: int = Field(1, ge=1, le=20, description="How many times to differentiate.")
    point: Text | None = Field(None, description="Take the value here, for instance `0` or `pi/4`.")


class IntegralParams(CalculusParams):
    """Which integral."""

    bounds: tuple[Text, Text] | None = Field(
        None, description='`[lower, upper]`, numbers or formulas such as "pi/2" and "-inf"; without it indefinite.'
    )
    numeric: bool = Field(False, description="Take the number from quadrature at once.")


class LimitParams(CalculusParams):
    """Which limit."""

    point: Text = Field("0", validate_default=True, description="Where to: a number, a formula, `inf` or `-inf`.")
    direction: Literal["both", "+", "-", "right", "left"] = Field(
        "both", description="From both sides, from above (`+`, right) or from below (`-`, left)."
    )


class SeriesParams(CalculusParams):
    """Which power series."""

    point: Text = Field("0", validate_default=True, description="Where it is developed.")
    order: int = Field(
        6, ge=1, le=60, validation_alias=AliasChoices("order", "terms"), description="Highest power that is kept."
    )


class _Problem:
    """A formula read with its variable.

    Attributes:
        expression: The formula with everything put in.
        setup: Its variable, for the shared algebra.
        symbol: The variable as a SymPy symbol.
        decimals: True when the formula holds decimals.
        function: The formula for SymPy, decimals as fractions.
    """

    def __init__(self, params: CalculusParams, context: Context) -> None:
        bound = () if params.variable is None else (params.variable,)
        self.expression = params.names(*bound).read(params.expression, context)
        names, what = self.expression.names, f"The formula {params.expression!r}"
        unknown = "x" if not names and params.variable is None else only_variable(names, params.variable, what)
        self.names: Names = params.names(unknown)
        self.setup = Setup({}, {}, unknown)
        self.symbol = self.setup.symbol(unknown)
        self.function, self.decimals = exact(self.expression, self.setup)

    def number(self, text: str, context: Context, *, infinite: bool = False) -> Any:
        """Return a point on the variable's axis.

        Raises:
            ValidationError: It depends on the variable.
            ComputationError: It is undefined, or infinite where it must not be.
        """
        import sympy

        found = self.names.read(text, context)
        if self.setup.unknown in found.names:
            raise ValidationError(f"{text!r} depends on {self.setup.unknown}.", hint="Give a number.")
        value, decimals = (rational(found.to_sympy()), False) if "inf" in found.constants else exact(found)
        if not (infinite and value in (sympy.oo, -sympy.oo)):
            require_defined(value, f"The point {text!r}")
        self.decimals = self.decimals or decimals
        return value


DERIVATIVE = (*RESULT, Port("derivative", "text", description="The derivative as a formula, before `point` is put in"))


def derivative(params: DerivativeParams, context: Context) -> dict[str, Any]:
    """Differentiate a formula, and take its value at a point.

    Args:
        params: The formula, the variable, the order, the point.
        context: Gets notes on how letters were read.

    Returns:
        The derivative, or its value at the point; `derivative` is the formula in either case.

    Raises:
        ComputationError: There is no derivative, or it is undefined at the point.
    """
    problem = _Problem(params, context)
    if problem.setup.unknown not in problem.expression.names:
        context.warn(f"{params.expression!r} does not contain {problem.setup.unknown}; its derivative is zero.")
    found = rational(derive(problem.setup, problem.expression, params.order))
    formula = write(found)["str"]
    if params.point is not None:
        place = problem.number(params.point, context)
        target = next((s for s in found.free_symbols if s.name == problem.setup.unknown), problem.symbol)
        require_smooth(found, {target: place}, f"The derivative of {params.expression!r} at {params.point}")
        found = found.subs(target, place)
        require_defined(found, f"The derivative of {params.expression!r} at {params.point}")
    fields = present(found, params, params.expression, context, decimals=problem.decimals)
    return {**fields, "derivative": formula}


INTEGRAL = (*RESULT, Port("definite", "boolean", description="True when bounds were given"))


def integral(params: IntegralParams, context: Context) -> dict[str, Any]:
    """Integrate a formula.

    Args:
        params: The formula, the variable, bounds for a definite integral.
        context: Gets notes, for instance that the number comes from quadrature.

    Returns:
        The antiderivative (without its constant), or the definite integral.

    Raises:
        ComputationError: It diverges, is undefined, or has no closed form.
    """
    import sympy

    problem, quadrature = _Problem(params, context), False
    if params.bounds is None:
        found = sympy.integrate(problem.function, problem.symbol)
        if found.has(sympy.Integral):
            raise ComputationError(
                f"SymPy knows no closed form of the integral of {params.expression!r}.",
                hint="Give bounds to get its number.",
            )
        require_defined(found, f"The integral of {params.expression!r}")
    else:
        ends = [problem.number(text, context, infinite=True) for text in params.bounds]
        found = definite(
            problem.setup, problem.expression, problem.function, problem.symbol, ends, context, params.numeric
        )
        quadrature = has_decimals(found)
    fields = present(found, params, params.expression, context, decimals=problem.decimals or quadrature)
    return {**fields, **({"exact": None} if quadrature else {}), "definite": params.bounds is not None}


LIMIT = (*RESULT, Port("infinite", "boolean", description="True when the limit is inf or -inf"))


def limit(params: LimitParams, context: Context) -> dict[str, Any]:
    """Take the limit of a formula at a point.

    Args:
        params: The formula, the variable, the point and the side.
        context: Gets notes on how letters were read.

    Returns:
        The limit; `inf` and `-inf` have no number.

    Raises:
        ComputationError: There is none: the sides differ, it oscillates, or it cannot be found.
    """
    import sympy

    problem = _Problem(params, context)
    place = problem.number(params.point, context, infinite=True)
    what = f"The limit of {params.expression!r} at {problem.setup.unknown} = {params.point}"
    either = place in (sympy.oo, -sympy.oo)
    ways = {"right": "+", "left": "-"}
    asked = ["+", "-"] if params.direction == "both" and not either else [ways.get(params.direction, params.direction)]
    found = [_one_sided(problem, place, "+" if way == "both" else way, what) for way in asked]
    if len(found) == 2 and sympy.simplify(found[0] - found[1]) != 0 and found[0] != found[1]:
        raise ComputationError(
            f"{what} does not exist: {_spelled(found[0])} from the right, {_spelled(found[1])} from the left.",
            hint='Say direction: "+" or "-".',
        )
    result = found[0]
    fields = present(result, params, params.expression, context, decimals=problem.decimals)
    infinite = result in (sympy.oo, -sympy.oo)
    if infinite:
        sign = "" if result == sympy.oo else "-"
        fields |= {"result": f"{sign}inf", "exact": f"{sign}inf", "value": None}
    return {**fields, "infinite": infinite}


def _spelled(value: Any) -> str:
    return str(write(value)["str"]).replace("oo", "inf")


def _one_sided(problem: _Problem, place: Any, way: str, what: str) -> Any:
    import sympy

    try:
        found = sympy.limit(problem.function, problem.symbol, place, way)
    except (NotImplementedError, ValueError, TypeError, sympy.PoleError) as error:
        raise ComputationError(f"{what} cannot be found: {error}.", hint="Give values to its other names.") from error
    if found.has(sympy.Limit):
        raise ComputationError(f"{what} cannot be found by SymPy.", hint="Give values to its other names.")
    if found.has(sympy.AccumBounds):
        raise ComputationError(f"{what} does not exist: it oscillates between bounds.", hint="Check the point.")
    if found.has(sympy.nan, sympy.zoo):
        raise ComputationError(f"{what} does not exist.", hint="Check the point.")
    return found


SERIES_PORTS = (
    *RESULT,
    Port("coefficients", "list", description="[power, coefficient] of each term, lowest power first"),
    Port("numeric_coefficients", "list", description="The coefficients as numbers; null where symbolic"),
    Port("remainder", "text", description="The order of what was left out"),
)


def series(params: SeriesParams, context: Context) -> dict[str, Any]:
    """Develop a formula into a power series (Taylor, Laurent or Puiseux).

    Args:
        params: The formula, the variable, the point and the highest power.
        context: Gets notes on how letters were read.

    Returns:
        The sum of all terms up to that power, their coefficients, and the order of the remainder.

    Raises:
        ComputationError: There is no such series at the point.
    """
    import sympy

    problem = _Problem(params, context)
    place = problem.number(params.point, context)
    step = sympy.Symbol("h", positive=True)
    what = f"The formula {params.expression!r} at {problem.setup.unknown} = {params.point}"
    try:
        developed = sympy.series(problem.function.subs(problem.symbol, place + step), step, 0, params.order + 1)
    except (NotImplementedError, ValueError, TypeError, sympy.PoleError) as error:
        raise ComputationError(f"{what} has no power series.", hint="Take another point.") from error
    body = sympy.expand(developed.removeO())
    pairs = []
    for term in sympy.Add.make_args(body):
        coefficient, power = term.as_independent(step)
        exponent = power.as_base_exp()[1] if power != 1 else sympy.Integer(0)
        if coefficient.has(step) or (power != 1 and power.as_base_exp()[0] != step) or not exponent.is_Rational:
            raise ComputationError(
                f"{what} has no power series: it has the term {write(term.subs(step, problem.symbol - place))['str']}.",
                hint="Take another point.",
            )
        if exponent <= params.order:
            pairs.append((exponent, coefficient))
    merged: dict[Any, Any] = {}
    for exponent, coefficient in pairs:
        merged[exponent] = merged.get(exponent, 0) + coefficient
    kept = {power: merged[power] for power in sorted(merged) if merged[power] != 0}
    shift = problem.symbol - place
    total = sympy.Add(*(value * shift**power for power, value in kept.items()))
    for item in kept.values():
        require_defined(item, what)
    speller = Speller(params.format, params.precision, decimals=problem.decimals)
    return {
        **present(total, params, params.expression, context, decimals=problem.decimals),
        "coefficients": [[write(power)["str"], speller.spell(value)["str"]] for power, value in kept.items()],
        "numeric_coefficients": [number_of(value) for value in kept.values()],
        "remainder": f"O({write(shift)['str'] if place == 0 else '(' + write(shift)['str'] + ')'}^{params.order + 1})"
        if developed.getO() is not None
        else "0",
    }
