"""The parameters of `cas`: formulas, values with units, assumptions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from physlab.errors import ValidationError, nearest
from physlab.expressions import ASSUMPTIONS, normal_name
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
    description="Formula such as `a*exp(-x^2/2)`: + - * / ^, known functions, Greek letters, pi, e, I; or LaTeX.",
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


class SolveOde(Symbolic):
    """Parameters of `cas.solve_ode`."""

    ode: Formula = Field(
        validation_alias=AliasChoices("ode", "equation"),
        description="`left = right`, or what is to be zero: `y'' + y = 0`, `Derivative(y(x), x, 2) + y(x)`, "
        "`diff(y, x, 2) = -y`, `d^2y/dx^2 = -y`, `ÿ + y = 0`; or LaTeX, with `\\frac{d^2 y}{dx^2}` or `\\ddot{y}`.",
    )
    symbol: str = SYMBOL
    func: str = Field(
        validation_alias=AliasChoices("func", "function"), min_length=1, description="The function: `y`, or `y(x)`."
    )
    ics: dict[str, Formula] = Field(
        {},
        validation_alias=AliasChoices("ics", "initial_conditions"),
        description='Initial or boundary conditions: `{"y(0)": 1, "y\'(0)": "v0"}`; numbers or formulas.',
    )

    @field_validator("func")
    @classmethod
    def _bare(cls, value: str) -> str:
        return value.partition("(")[0].strip()


class PropagateUncertainty(Symbolic):
    """Parameters of `cas.propagate_uncertainty`."""

    expr: Formula = EXPR
    correlations: dict[str, float] = Field(
        {},
        description='Correlation coefficients: `{"x,y": 0.5}`, `{"x": {"y": 0.5}}`, '
        '`{"variables": ["x", "y"], "matrix": [[1, 0.5], [0.5, 1]]}`, or, for two variables, the matrix alone.',
    )
    to: str | None = TO

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or data.get("correlations") is None:
            return data
        return {**data, "correlations": read_correlations(data["correlations"], data.get("vars"))}


def read_correlations(given: Any, values: Any) -> Any:
    """Return correlation coefficients as `{"x,y": r}`, names in alphabetical order; what is no spelling, as it is.

    Raises:
        ValidationError: A matrix is not square, symmetric, or of the variables' size, or has no ones on its diagonal;
            a pair stands twice with two coefficients.
    """
    if isinstance(given, Mapping) and set(given) == {"variables", "matrix"}:
        return _from_matrix(given["matrix"], list(given["variables"]))
    if isinstance(given, list | tuple):
        if not isinstance(values, Mapping) or len(values) > 2:  # the order of a mapping means nothing
            raise ValidationError("the rows of `correlations` have no names.", hint='Give {"variables", "matrix"}.')
        return _from_matrix(given, list(values))
    if not isinstance(given, Mapping):
        return given
    found: dict[str, Any] = {}
    for name, value in given.items():
        inner = value.items() if isinstance(value, Mapping) else ((None, value),)
        for other, number in inner:
            _note(found, _pair(name if other is None else f"{name},{other}"), number)
    return found


def _pair(text: str) -> tuple[str, str]:
    names = [normal_name(name) for name in re.split(r"[,;:\s]+", text.strip("() "))]
    if len(names) != 2:
        raise ValidationError(f"'{text}' does not name two variables.", hint='Write {"x,y": 0.5}.')
    first, second = sorted(names)
    return first, second


def _note(found: dict[str, Any], pair: tuple[str, str], number: Any) -> None:
    if pair[0] == pair[1]:
        if number != 1:
            raise ValidationError(f"the correlation of {pair[0]} with itself is {number}, not 1.", hint="Leave it out.")
        return
    name = ",".join(pair)
    if found.setdefault(name, number) != number:
        raise ValidationError(
            f"the correlation of {pair[0]} and {pair[1]} is both {found[name]} and {number}.", hint="Give it once."
        )


def _from_matrix(rows: Any, names: list[str]) -> dict[str, Any]:
    if not isinstance(rows, list | tuple) or any(not isinstance(row, list | tuple) for row in rows):
        raise ValidationError("the matrix of `correlations` is not a list of rows.", hint="Write [[1, r], [r, 1]].")
    if len(rows) != len(names) or any(len(row) != len(names) for row in rows):
        raise ValidationError(
            f"`correlations` is no {len(names)} × {len(names)} matrix, one row for each of {', '.join(names)}.",
            hint="Write [[1, r], [r, 1]].",
        )
    found: dict[str, Any] = {}
    for name, row in zip(names, rows, strict=True):
        for other, number in zip(names, row, strict=True):
            _note(found, _pair(f"{name},{other}"), number)
    return found
