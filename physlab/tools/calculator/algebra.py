"""`graphing_calculator`: evaluate, simplify, expand, factor, and solve equations and systems, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field

from physlab.errors import ComputationError, ValidationError, nearest
from physlab.expressions import normal_name
from physlab.tools.calculator.format import RESULT, SUCCESS, Calculation, Speller, exact, only_variable, present
from physlab.tools.calculator.names import Names, Text
from physlab.tools.cas.algebra import Setup, number_of, require_defined, sides, write
from physlab.tools.cas.params import SolveEquation
from physlab.tools.cas.roots import solve
from physlab.tools.context import Context
from physlab.tools.registry import Port

EXPRESSION = Field(
    validation_alias=AliasChoices("expression", "expr", "function"),
    description="Formula such as `2*sin(x)^2`; names may be those of `variables` and `environment`.",
)


class ExpressionParams(Calculation):
    """One formula."""

    expression: Text = EXPRESSION


class SolveParams(Calculation):
    """One equation."""

    equation: Text = Field(
        validation_alias=AliasChoices("equation", "expression"),
        description="`left = right`, or a formula that is to be zero.",
    )
    variable: str | None = Field(
        None,
        validation_alias=AliasChoices("variable", "solve_for"),
        description="The unknown; default: the only free name, or x.",
    )
    guess: float | None = Field(None, allow_inf_nan=False, description="Search one numeric root near this number.")


def _to_list(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class SystemParams(Calculation):
    """Several equations."""

    equations: list[Text] = Field(min_length=1, max_length=50, description="`left = right`, one in each item.")
    solve_for: Annotated[list[str] | None, BeforeValidator(_to_list)] = Field(
        None,
        validation_alias=AliasChoices("solve_for", "variable"),
        description="The unknowns, `[x, y]` or `x, y`; default: all free names.",
    )
    guess: dict[str, float] | None = Field(
        None, description="Search one numeric solution near these values, one for each unknown."
    )


def _read(params: ExpressionParams, context: Context) -> tuple[Any, bool]:
    """Return the formula, and whether it holds decimals."""
    return exact(params.names().read(params.expression, context))


def evaluate(params: ExpressionParams, context: Context) -> dict[str, Any]:
    """Compute a formula, exactly and as a number.

    Args:
        params: The formula, values of its names, how to spell the result.
        context: Gets notes on how letters were read.

    Returns:
        The result as asked, exactly, and as a number where it has one.

    Raises:
        ComputationError: It divides by zero, is undefined or infinite.
    """
    import sympy

    result, decimals = _read(params, context)
    if not result.free_symbols:
        result = sympy.nsimplify(result) if result.is_Rational else sympy.simplify(result)
    require_defined(result, f"The formula {params.expression!r}")
    return present(result, params, params.expression, context, decimals=decimals)


def simplify(params: ExpressionParams, context: Context) -> dict[str, Any]:
    """Simplify a formula.

    Args:
        params: The formula and values of its names.
        context: Gets notes on how letters were read.

    Returns:
        A shorter formula that is equal for all complex values of its names.

    Raises:
        ComputationError: It divides by zero, is undefined or infinite.
    """
    import sympy

    result, decimals = _read(params, context)
    return present(sympy.simplify(result), params, params.expression, context, decimals=decimals)


def expand(params: ExpressionParams, context: Context) -> dict[str, Any]:
    """Multiply a formula out.

    Args:
        params: The formula and values of its names.
        context: Gets notes on how letters were read.

    Returns:
        The sum of products.

    Raises:
        ComputationError: It divides by zero, is undefined or infinite.
        ValidationError: A power would make more than 10,000 terms.
    """
    import sympy

    result, decimals = _read(params, context)
    _refuse_many_terms(result, params.expression)
    return present(sympy.expand(result), params, params.expression, context, decimals=decimals)


def _refuse_many_terms(result: Any, text: str) -> None:
    """Refuse a product or power of sums whose terms are too many to write, counted by stars and bars."""
    from math import comb

    def terms(item: Any) -> int:
        if item.is_Add:
            return sum(map(terms, item.args))
        if item.is_Mul:
            count = 1
            for arg in item.args:
                count *= terms(arg)
            return count
        if item.is_Pow and item.exp.is_Integer and item.exp > 1:
            inner = terms(item.base)
            return comb(int(item.exp) + inner - 1, inner - 1)
        return 1

    if (count := terms(result)) > 10_000:
        raise ValidationError(f"{text!r} has up to {count} terms; at most 10000 are written.", hint="Use lower powers.")


def factor(params: ExpressionParams, context: Context) -> dict[str, Any]:
    """Factor a formula over the rational numbers; a whole number into primes.

    Args:
        params: The formula and values of its names.
        context: Gets notes on how letters were read.

    Returns:
        The product, and `factors`, each `{factor, multiplicity}`.

    Raises:
        ComputationError: It divides by zero, is undefined, infinite, or a whole number of more than 40 digits.
    """
    import sympy

    result, decimals = _read(params, context)
    if result.is_Rational:
        if max(abs(result.p), result.q) > 10**40:
            raise ComputationError(f"{params.expression!r} has more than 40 digits.", hint="Factor a smaller number.")
        powers = sympy.factorrat(result)
        product = sympy.Mul(
            *(sympy.Pow(p, e, evaluate=False) if e != 1 else sympy.Integer(p) for p, e in powers.items()),
            evaluate=False,
        )
        if not powers:
            product = result
        fields = present(result, params, params.expression, context, decimals=decimals)
        fields |= {"result": write(product)["str"], "latex": write(product)["latex"], "exact": write(product)["str"]}
        pairs = [(sympy.Integer(p), e) for p, e in powers.items()]
    else:
        fields = present(sympy.factor(result), params, params.expression, context, decimals=decimals)
        pairs = _factors(sympy.factor(result))
    return {**fields, "factors": [{"factor": write(item)["str"], "multiplicity": int(e)} for item, e in pairs]}


def _factors(product: Any) -> list[tuple[Any, int]]:
    import sympy

    found = []
    for item in sympy.Mul.make_args(product):
        base, power = item.as_base_exp()
        found.append((base, power) if power.is_Integer else (item, 1))
    return found


SOLUTIONS = (
    SUCCESS,
    Port("solutions", "list", description="The solutions, spelled as `format` asks"),
    Port("latex_solutions", "list", description="The same as LaTeX"),
    Port("numeric_solutions", "list", description="Their numbers, complex as {real, imag}; null where symbolic"),
    Port("count", "number", description="How many there are"),
    Port("variable", "text", description="The unknown"),
)


def solve_equation(params: SolveParams, context: Context) -> dict[str, Any]:
    """Solve an equation for one unknown, exactly.

    Args:
        params: The equation, the unknown, values of the other names.
        context: Gets notes, for instance that a periodic equation has more solutions.

    Returns:
        All solutions found: real ones in ascending order, then complex ones, then formulas.

    Raises:
        ComputationError: No solution, every value is one, or no closed form; the message says which.
    """
    texts = sides(params.equation)
    bound = () if params.variable is None else (params.variable,)
    left, right = (params.names(*bound).read(text, context) for text in texts)
    unknown = only_variable(left.names | right.names, params.variable, f"The equation {params.equation!r}")
    if unknown not in left.names | right.names:
        raise ValidationError(
            f"The equation {params.equation!r} does not contain {unknown}.", hint=nearest(unknown, left.names)
        )
    setup = Setup({}, {}, unknown)
    (first, some), (second, more) = exact(left, setup), exact(right, setup)
    asked = SolveEquation(equation=params.equation, symbol=unknown, guess=params.guess)
    found = solve(setup, first - second, asked, context)
    decimals = some or more or params.guess is not None
    speller = Speller(params.format, params.precision, decimals=decimals)
    return {
        "success": True, "solutions": speller.all(found), "count": len(found), "variable": unknown,
        "latex_solutions": [speller.spell(item)["latex"] for item in found],
        "numeric_solutions": [number_of(item) for item in found],
    }  # fmt: skip


SYSTEM = (
    SUCCESS,
    Port("solutions", "list", description="For each solution, {unknown: text}; a free unknown stands for itself"),
    Port("numeric_solutions", "list", description="The same as numbers; null where a free unknown remains"),
    Port("count", "number", description="How many solutions, or families of them"),
    Port("variables", "list", description="The unknowns"),
    Port("free", "list", description="Unknowns that may have any value"),
)


def solve_system(params: SystemParams, context: Context) -> dict[str, Any]:
    """Solve several equations together.

    Args:
        params: The equations, the unknowns, values of the other names; a guess asks for one numeric solution.
        context: Gets notes on how letters were read.

    Returns:
        All solutions found; where unknowns stay free, the others as formulas of them.

    Raises:
        ComputationError: The equations contradict each other, or have no closed form.
    """
    import sympy

    names = params.names(*(params.solve_for or ()))
    setup = Setup({}, {}, "")
    residuals = [_residual(text, names, setup, context) for text in params.equations]
    equations = [item for item, _ in residuals]
    present_names = sorted({str(item) for residual in equations for item in residual.free_symbols})
    unknowns = [normal_name(name) for name in params.solve_for or present_names]
    if missing := [name for name in unknowns if name not in present_names]:
        raise ValidationError(f"No equation contains {missing[0]}.", hint=nearest(missing[0], present_names))
    if not unknowns:
        raise ValidationError("The equations contain no unknown.", hint="Check `variables`.")
    symbols = [setup.symbol(name) for name in unknowns]
    if params.guess is not None:
        found = [_near(equations, symbols, params.guess)]
    else:
        try:
            found = sympy.solve(equations, symbols, dict=True)
        except NotImplementedError as error:
            raise ComputationError(
                "SymPy knows no closed form of the solutions of these equations.",
                hint="Give `guess`, a value near the solution for each unknown, to get its numbers.",
            ) from error
    if not found:
        raise ComputationError("The equations contradict each other: there is no solution.", hint="Check them.")
    decimals = any(some for _, some in residuals) or params.guess is not None
    speller = Speller(params.format, params.precision, decimals=decimals)
    rows = [[row.get(symbol, symbol) for symbol in symbols] for row in found]
    for row in rows:
        for item in row:
            require_defined(item, "A solution")
    rows.sort(key=lambda row: [_rank(item) for item in row])
    free = sorted({str(s) for row in found for s in symbols if s not in row})
    return {
        "success": True,
        "solutions": [dict(zip(unknowns, speller.all(row), strict=True)) for row in rows],
        "numeric_solutions": [dict(zip(unknowns, map(number_of, row), strict=True)) for row in rows],
        "count": len(rows), "variables": unknowns, "free": free,
    }  # fmt: skip


def _rank(item: Any) -> tuple[int, float, float]:
    value = number_of(item)
    if isinstance(value, dict):
        return (1, value["real"], value["imag"])
    return (0, value, 0.0) if value is not None else (2, 0.0, 0.0)


def _residual(text: str, names: Names, setup: Setup, context: Context) -> tuple[Any, bool]:
    """Return left - right, and whether a side holds decimals."""
    (left, some), (right, more) = (exact(names.read(side, context), setup) for side in sides(text))
    return left - right, some or more


def _near(equations: Sequence[Any], symbols: Sequence[Any], guess: dict[str, float]) -> dict[Any, Any]:
    import sympy

    start = {normal_name(name): value for name, value in guess.items()}
    if lacking := [str(item) for item in symbols if str(item) not in start]:
        raise ValidationError(f"guess has no value for {lacking[0]}.", hint="Give one for each unknown.")
    others = {str(item) for residual in equations for item in residual.free_symbols} - {str(item) for item in symbols}
    if others or len(equations) != len(symbols):
        raise ValidationError(
            f"A numeric solution needs as many equations as unknowns and values for all other names: {len(equations)} "
            f"equations, {len(symbols)} unknowns{', no value for ' + min(others) if others else ''}."
        )
    try:
        point = sympy.nsolve(list(equations), list(symbols), [start[str(item)] for item in symbols])
    except (ValueError, ZeroDivisionError, TypeError) as error:
        raise ComputationError(
            f"No solution was found near {guess}.", hint="Give a guess nearer to the solution."
        ) from error
    return dict(zip(symbols, list(point), strict=True))


EXPRESSION_PORTS = RESULT
FACTOR_PORTS = (*RESULT, Port("factors", "list", description="{factor, multiplicity} of each factor"))
