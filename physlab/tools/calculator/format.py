"""How results are spelled: exact, as decimals, or as fractions; always with the number itself."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from physlab.errors import ComputationError
from physlab.expressions import Apply, Expression, Name, Number
from physlab.expressions.tree import Leaf, Node
from physlab.tools.calculator.names import Environment, Names, Text
from physlab.tools.cas.algebra import Setup, number_of, rational, write
from physlab.tools.context import Context
from physlab.tools.registry import Port
from physlab.tools.types import Params

Format = Literal["exact", "decimal", "fraction"]
NO_NAMES = Environment(variables={}, functions={}, lists={})
SUCCESS = Port("success", "boolean", description="true; a failure is an error")
RESULT = (
    SUCCESS,
    Port("result", "text", description="The result, spelled as `format` asks"),
    Port("latex", "text", description="The same as LaTeX"),
    Port("exact", "text", description="The result as an exact formula that `expression` accepts"),
    Port("value", "any", description="Its number in full precision, complex as {real, imag}; null when it has none"),
    Port("format", "text", description="How `result` is spelled"),
    Port("original", "text", description="The formula as it was given"),
)
SERIES = Port("csv_data", "text", description="The same as CSV, with `export_data` or `emit_csv`")


class Spelled(Params):
    """How numbers are spelled."""

    format: Format | None = Field(
        None, description="exact, decimal or fraction; default: exact, and decimal where the input holds decimals."
    )
    precision: int = Field(6, ge=1, le=100, description="Significant digits of decimals.")


class Calculation(Spelled):
    """What calculations with formulas take."""

    variables: dict[str, Text] = Field(
        {}, description='Values of names: `{"a": 2, "b": "pi/3"}`; they go before those of `environment`.'
    )
    environment: Environment = Field(
        NO_NAMES, description="Values, functions and lists of another node: `from:step1.environment`."
    )

    def names(self, *bound: str) -> Names:
        """Return what reads formulas in this calculation's environment."""
        return Names(self.environment, self.variables, bound)


def exact(expression: Expression, setup: Setup | None = None) -> tuple[Any, bool]:
    """Return a formula for SymPy with every decimal as the fraction that it spells, and whether there was one.

    Args:
        expression: The formula.
        setup: What is assumed of its variables.

    Raises:
        ComputationError: It is undefined or infinite.
    """
    import sympy

    values: dict[str, Any] = {}

    def leaf(node: Leaf) -> Node:
        if isinstance(node, Number) and isinstance(node.value, float):
            name = f"decimal {len(values)}"  # no formula can hold such a name
            values[name] = sympy.Rational(repr(node.value))
            return Name(name)
        return node

    tree = expression.fold(leaf, lambda operation, args: Apply(operation, tuple(args)))
    whole = Expression(expression.text, tree, expression.names | values.keys(), expression.constants)
    return (setup or Setup({}, {}, "")).build(whole, values), bool(values)


def has_decimals(result: Any) -> bool:
    """Say whether an expression holds floating-point numbers."""
    import sympy

    return bool(result.has(sympy.Float))


class Speller:
    """Spells results the way a request asks.

    Args:
        asked: The format, None to choose by the input.
        precision: Significant digits of decimals.
        decimals: True when the input held decimals.
    """

    def __init__(self, asked: Format | None, precision: int, *, decimals: bool = False) -> None:
        self.format: Format = asked or ("decimal" if decimals else "exact")
        self.precision = precision

    def spell(self, result: Any) -> dict[str, str]:
        """Return an expression as text and LaTeX.

        Raises:
            ComputationError: A fraction is asked of what is not a real number or a formula of fractions.
        """
        return write(self._shaped(result))

    def _shaped(self, result: Any) -> Any:
        import sympy

        if self.format == "decimal":
            whole = rational(result)
            short = whole.is_Integer and abs(int(whole)) < 10**self.precision
            return whole if short else sympy.N(result, self.precision)
        if self.format == "fraction" and not result.free_symbols and not result.is_rational:
            value = rational(result)
            return value if value.is_Rational else _near(value, self.precision)
        return rational(result)

    def all(self, results: list[Any]) -> list[str]:
        """Return the texts of several expressions."""
        return [self.spell(item)["str"] for item in results]


def _near(value: Any, digits: int) -> Any:
    """Return the simplest continued fraction of an irrational number that agrees with it to so many digits."""
    import sympy
    from sympy.ntheory.continued_fraction import continued_fraction_convergents, continued_fraction_iterator

    if not value.is_real:
        raise ComputationError(
            f"{write(value)['str']} is no real number, so no fraction.", hint="Use exact or decimal."
        )
    precise = sympy.Rational(str(sympy.N(value, 2 * digits + 10)))
    tolerance = abs(precise) * sympy.Rational(1, 10**digits)
    for found in continued_fraction_convergents(continued_fraction_iterator(precise)):
        if abs(found - precise) <= tolerance:
            return found
    return precise


def present(
    result: Any, params: Spelled, original: str, context: Context, *, decimals: bool | None = None
) -> dict[str, Any]:
    """Return the fields `RESULT` of one expression.

    Args:
        result: SymPy expression; its decimals are read as the fractions that they spell.
        params: Format and precision.
        original: The formula as it was given.
        context: Gets a warning when a fraction is only near, or the number is beyond floating point.
        decimals: True when the input held decimals; None looks at the result.
    """
    speller = Speller(params.format, params.precision, decimals=has_decimals(result) if decimals is None else decimals)
    exact = rational(result)
    value = number_of(exact)
    if value is None and not exact.free_symbols and not exact.is_infinite:
        context.warn(f"The value of {original!r} is beyond the range of floating-point numbers.")
    spelled = speller.spell(exact)
    if speller.format == "fraction" and not exact.free_symbols and not exact.is_rational:
        context.warn(f"{spelled['str']} is the simplest fraction that agrees to {params.precision} digits; exact: "
                     f"{write(exact)['str']}.")  # fmt: skip
    return {
        "success": True, "result": spelled["str"], "latex": spelled["latex"], "exact": write(exact)["str"],
        "value": value, "format": speller.format, "original": original,
    }  # fmt: skip


def only_variable(names: frozenset[str], asked: str | None, what: str) -> str:
    """Return the variable that is meant: as asked, the only free name, or x.

    Raises:
        ValidationError: There are several to choose from, or none.
    """
    from physlab.errors import ValidationError
    from physlab.expressions import normal_name

    if asked is not None:
        return normal_name(asked)
    if len(names) == 1:
        return next(iter(names))
    if "x" in names:
        return "x"
    if not names:
        raise ValidationError(f"{what} contains no variable.", hint="Name it in `variable`.")
    raise ValidationError(f"{what} contains {', '.join(sorted(names))}.", hint="Say which one in `variable`.")
