"""The parameters of `cas`: formulas, values with units, assumptions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from physlab.errors import ValidationError, nearest
from physlab.expressions import ASSUMPTIONS
from physlab.tools.types import Params
from physlab.tools.units import split_quantity


class Value(BaseModel):
    """The number of a variable, with its unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float = Field(allow_inf_nan=False, description="The number, in `unit`.")
    unit: str | None = Field(None, max_length=200, description="Unit as Pint spells it; none for a pure number.")
    sigma: float | None = Field(None, ge=0, description="Standard uncertainty, in `unit`.")


def _to_value(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"value": value}
    return split_quantity(value)


def _to_text(value: Any) -> Any:
    return repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _to_assumptions(value: Any) -> Any:
    """Read `positive`, `[real]`, `{positive: true}` and `{x: positive}` as `{variable or *: [words]}`."""
    if isinstance(value, str | list | tuple):
        return {"*": [value] if isinstance(value, str) else value}
    if isinstance(value, dict):
        if value and all(isinstance(held, bool) for held in value.values()):
            return {"*": [word for word, holds in value.items() if holds]}
        return {name: [words] if isinstance(words, str) else words for name, words in value.items()}
    return value


Quantity = Annotated[Value, BeforeValidator(_to_value)]
Formula = Annotated[str, BeforeValidator(_to_text)]
EXPR = Field(
    validation_alias=AliasChoices("expr", "expression"),
    description="Formula such as `a*exp(-x^2/2)`: + - * / ^, known functions, Greek letters, pi, e, I.",
)
SYMBOL = Field(
    validation_alias=AliasChoices("symbol", "variable"), min_length=1, description="The variable, for instance `x`."
)
TO = Field(None, description="Unit wanted for the number; default: a unit of the variables or of the SI.")


class Symbolic(Params):
    """What all methods of `cas` take."""

    vars: dict[str, Quantity] = Field(
        {}, description='Values of variables: `{"m": 2, "v": {"value": 3, "unit": "m/s"}}`; units are checked.'
    )
    assumptions: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_to_assumptions)] = Field(
        {},
        description='What is known of variables: `{"a": ["positive"], "n": ["integer"]}`, or `"real"` for all of them.',
    )

    @field_validator("assumptions")
    @classmethod
    def _known(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for word in (word for words in value.values() for word in words):
            if word not in ASSUMPTIONS:
                raise ValidationError(f"there is no assumption '{word}'.", hint=nearest(word, ASSUMPTIONS))
        return value


class Evaluate(Symbolic):
    """Parameters of `cas.evaluate`."""

    expr: Formula = EXPR
    to: str | None = TO


class Differentiate(Symbolic):
    """Parameters of `cas.diff`."""

    expr: Formula = EXPR
    symbol: str = SYMBOL
    order: int = Field(1, ge=1, le=20, description="How many times to differentiate, 1 to 20.")
    to: str | None = TO


class Integrate(Symbolic):
    """Parameters of `cas.integrate`."""

    expr: Formula = EXPR
    symbol: str = SYMBOL
    bounds: tuple[float | str | Value, float | str | Value] | None = Field(
        None,
        description='`[lower, upper]`: numbers, formulas such as `"pi/2"` or `"-inf"`, or `{value, unit}`; '
        "without it the integral is indefinite.",
    )
    numeric: bool = Field(False, description="Take the number from quadrature at once, without seeking a closed form.")
    to: str | None = TO


class SolveEquation(Symbolic):
    """Parameters of `cas.solve_equation`."""

    equation: Formula = Field(description="`left = right`, or a formula that is to be zero.")
    symbol: str = SYMBOL
    guess: float | None = Field(
        None,
        allow_inf_nan=False,
        description="Search one numeric root near this number (SI units when units are used).",
    )
    to: str | None = TO
