"""`graphing_calculator`: lists of numbers, and tables of formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import AliasChoices, Field, model_validator

from physlab.errors import ComputationError, ValidationError, nearest
from physlab.expressions import normal_name
from physlab.model import Visuals
from physlab.tools.calculator.format import SUCCESS, Calculation, only_variable
from physlab.tools.calculator.names import Environment, Text, plain_name, require_names
from physlab.tools.calculator.plot_params import real_values
from physlab.tools.calculator.regression import column
from physlab.tools.context import Context
from physlab.tools.figures import SERIES_PORTS, save_series
from physlab.tools.plot.params import table
from physlab.tools.registry import Port
from physlab.tools.types import Array, VisualParams

TABLE_CAN = Visuals(static=False, series=True, animation=False)


class CreateListParams(Calculation):
    """A list: its values, or a formula over a range."""

    list_name: str = Field("L1", description="Its name.")
    list_data: Array | None = Field(None, validation_alias=AliasChoices("list_data", "data"), description="Its values.")
    expression: Text | None = Field(None, description="Formula of each value instead, over `variable`.")
    variable: str = Field("n", description="The variable of the formula.")
    start: float = Field(1.0, allow_inf_nan=False, description="Its first value.")
    end: float | None = Field(None, allow_inf_nan=False, description="Its last value.")
    step: float = Field(1.0, allow_inf_nan=False, description="Its step; negative counts down.")

    @model_validator(mode="after")
    def _one(self) -> CreateListParams:
        if (self.list_data is None) == (self.expression is None):
            raise ValidationError(
                "One of `list_data` and `expression` is needed.", hint="Give the values, or a formula."
            )
        if self.expression is not None and self.end is None:
            raise ValidationError("A formula needs `end`.", hint="Give start, end and step.")
        return self


class ListParams(Calculation):
    """A list, and what to do with it."""

    list_operation: str = Field(
        validation_alias=AliasChoices("list_operation", "operator"),
        description="sort, sort_descending, reverse, unique, cumulative_sum, differences, sum, product, mean, median, "
        "std, min, max, length, map, filter, append, concatenate, dot, add, subtract, multiply, divide.",
    )
    list_data: Array | None = Field(None, validation_alias=AliasChoices("list_data", "data"), description="The list.")
    list_name: str | None = Field(None, description="Or its name in `environment`; the result is kept under this name.")
    list_b: Array | None = Field(
        None, validation_alias=AliasChoices("list_b", "data_y"), description="The second list of append, dot, add, …"
    )
    expression: Text | None = Field(None, description="map: a formula; filter: a condition such as `x > 2`.")
    variable: str = Field("x", description="What the formula calls a value; `index` counts from 0.")


class TableParams(Calculation, VisualParams):
    """Formulas over a range."""

    expression: Text | None = Field(
        None, validation_alias=AliasChoices("expression", "function", "expr"), description="The formula."
    )
    expressions: list[Text] = Field([], max_length=24, description="Several formulas.")
    variable: str | None = Field(None, description="The variable; default: the only free name, or x.")
    x_range: tuple[float, float] = Field((0.0, 10.0), description="[first, last] value of the variable.")
    step: float | None = Field(None, gt=0, allow_inf_nan=False, description="Step; default: a tenth of the range.")
    export_data: bool = Field(False, description="Write the table as CSV too (as emit_csv).")

    @model_validator(mode="before")
    @classmethod
    def _flags(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("export_data") is True and data.get("emit_csv") is None:
            return {**data, "emit_csv": True}
        return data

    @model_validator(mode="after")
    def _something(self) -> TableParams:
        if (self.expression is None) == (not self.expressions):
            raise ValidationError("One of `expression` and `expressions` is needed.", hint="Give a formula.")
        if not (np.isfinite(self.x_range).all() and self.x_range[0] < self.x_range[1]):
            raise ValidationError(f"x_range = {list(self.x_range)} is empty.", hint="Give [first, last].")
        return self


LIST = (
    SUCCESS,
    Port("list", "array", description="The values"),
    Port("list_name", "text", description="The name"),
    Port("length", "number", description="How many"),
    Port("environment", "object", description="The environment with this list: `environment: from:node.environment`"),
)
OPERATION = (
    SUCCESS,
    Port("result", "any", description="A list, or a number"),
    Port("list_operation", "text", description="What was done"),
    Port("length", "number", description="How many values the result has"),
    Port("environment", "object", description="The environment; a list with a name takes the result"),
)
TABLE = (
    SUCCESS,
    Port("x", "array", description="Values of the variable"),
    Port("y", "array", description="Values of the first formula; NaN where there is none"),
    Port("columns", "object", description="{formula: values}"),
    Port("rows", "number", description="How many rows"),
    Port("variable", "text", description="The variable"),
    Port("csv_data", "text", description="The table as CSV"),
    *SERIES_PORTS,
)


def create_list(params: CreateListParams, context: Context) -> dict[str, Any]:
    """Make a list, of values or of a formula over a range.

    Args:
        params: The name, and the values or the formula with its range.
        context: The surroundings of the call.

    Returns:
        The values, and an environment that holds them under the name.

    Raises:
        ValidationError: The name is taken by a function, or the range is empty.
        ComputationError: A value of the formula is no real number.
    """
    name = plain_name(params.list_name, "A list")
    if params.list_data is not None:
        values = column(params.list_data, "list_data", least=0)
    else:
        values = _generated(params, context)
    context.enforce("samples", len(values), "list_data")
    environment = params.environment.with_names(lists={name: values.tolist()})
    return {"success": True, "list": values, "list_name": name, "length": len(values),
            "environment": environment.model_dump(mode="json")}  # fmt: skip


def _generated(params: CreateListParams, context: Context) -> Array:
    assert params.end is not None and params.expression is not None  # noqa: S101 — the model looked
    places = _steps(params.start, params.end, params.step, context)
    variable = normal_name(params.variable)
    formula = params.names(variable).read(params.expression, context)
    require_names(formula, {variable})
    found = real_values(formula, **{variable: places})
    if np.isnan(found).any():
        where = places[np.isnan(found)][0]
        raise ComputationError(f"{params.expression!r} has no real value at {variable} = {where:g}.", hint="Change the "
                               "range.")  # fmt: skip
    return found


def _steps(start: float, end: float, step: float, context: Context) -> Array:
    if step == 0 or (end - start) * step < 0:
        raise ValidationError(f"Steps of {step:g} never lead from {start:g} to {end:g}.", hint="Change step.")
    count = math.floor((end - start) / step + 1e-9) + 1
    context.enforce("samples", count, "values")
    return start + step * np.arange(count)


def _unique(x: Array) -> Array:
    _, first = np.unique(x, return_index=True)
    return x[np.sort(first)]


ONE: dict[str, Callable[[Array], Any]] = {
    "sort": np.sort, "sort_descending": lambda x: np.sort(x)[::-1], "reverse": lambda x: x[::-1], "unique": _unique,
    "cumulative_sum": np.cumsum, "differences": np.diff, "sum": math.fsum, "product": np.prod,
    "mean": lambda x: math.fsum(x) / len(x), "median": np.median, "std": lambda x: x.std(ddof=1), "min": np.min,
    "max": np.max, "length": len,
}  # fmt: skip
TWO: dict[str, Callable[[Array, Array], Any]] = {
    "append": lambda x, y: np.concatenate([x, y]), "concatenate": lambda x, y: np.concatenate([x, y]),
    "dot": lambda x, y: math.fsum(x * y), "add": np.add, "subtract": np.subtract, "multiply": np.multiply,
    "divide": np.divide,
}  # fmt: skip
OTHER = {"cumsum": "cumulative_sum", "diff": "differences", "average": "mean", "minimum": "min", "maximum": "max",
         "len": "length", "count": "length", "prod": "product", "delta_list": "differences"}  # fmt: skip
NEEDS = {"mean": 1, "median": 1, "min": 1, "max": 1, "std": 2, "differences": 1}


def list_operations(params: ListParams, context: Context) -> dict[str, Any]:
    """Sort, sum, map, filter or join lists.

    Args:
        params: The list or its name, the operation, and what it needs.
        context: The surroundings of the call.

    Returns:
        The new list or the number; the environment holds a new list under the old one's name.

    Raises:
        ValidationError: The list or the operation is unknown, lists differ in length, or a list is too short.
        ComputationError: A value is no real number.
    """
    name = OTHER.get(params.list_operation.lower(), params.list_operation.lower())
    if name not in (*ONE, *TWO, "map", "filter"):
        raise ValidationError(
            f"There is no list operation '{name}'.", hint=nearest(name, (*ONE, *TWO, "map", "filter"))
        )
    x = _the_list(params)
    context.enforce("samples", len(x), "list_data")
    if len(x) < NEEDS.get(name, 0):
        raise ValidationError(f"{name} needs {NEEDS[name]} values or more; the list has {len(x)}.", hint="Give more.")
    if name in ONE:
        found = ONE[name](x)
    elif name in TWO:
        found = _two(name, x, params)
    else:
        found = _formula(name, x, params, context)
    environment: Environment = params.environment
    if isinstance(found, np.ndarray):
        if not np.isfinite(found).all():
            place = int(np.flatnonzero(~np.isfinite(found))[0])
            raise ComputationError(f"{name} gives no number at index {place}.", hint="Check the values.")
        if params.list_name is not None:
            named = {plain_name(params.list_name, "A list"): found.tolist()}
            environment = environment.with_names(lists=named)
    result = found if isinstance(found, np.ndarray) else int(found) if name == "length" else float(found)
    return {"success": True, "result": result, "list_operation": name, "length": int(np.size(found)),
            "environment": environment.model_dump(mode="json")}  # fmt: skip


def _the_list(params: ListParams) -> Array:
    if params.list_data is not None:
        return column(params.list_data, "list_data", least=0)
    if params.list_name is None:
        raise ValidationError("There is no list.", hint="Give list_data, or list_name with environment.")
    lists = params.environment.lists
    name = normal_name(params.list_name)
    if name not in lists:
        raise ValidationError(
            f"The environment has no list '{params.list_name}'.",
            hint=nearest(name, lists) if lists else "Give list_data, or environment: from:node.environment.",
        )
    return np.asarray(lists[name], dtype=float)


def _two(name: str, x: Array, params: ListParams) -> Any:
    if params.list_b is None:
        raise ValidationError(f"{name} needs `list_b`.", hint="Give a second list.")
    y = column(np.atleast_1d(np.asarray(params.list_b)), "list_b", least=0)
    if name not in ("append", "concatenate") and len(x) != len(y):
        raise ValidationError(f"The lists have {len(x)} and {len(y)} values.", hint=f"{name} needs as many in both.")
    with np.errstate(all="ignore"):
        return TWO[name](x, y)


def _formula(name: str, x: Array, params: ListParams, context: Context) -> Array:
    if params.expression is None:
        raise ValidationError(f"{name} needs `expression`.", hint="map: x^2; filter: x > 2.")
    variable = normal_name(params.variable)
    formula = params.names(variable, "index").read(params.expression, context, condition=name == "filter")
    require_names(formula, {variable, "index"})
    places = {variable: x, "index": np.arange(len(x), dtype=float)}
    if name == "filter":
        return np.asarray(x[np.asarray(formula.evaluate(**places), dtype=bool)])
    return real_values(formula, **places)


def table_values(params: TableParams, context: Context) -> dict[str, Any]:
    """Tabulate formulas.

    Args:
        params: The formulas, their variable, its range and step.
        context: Gets a warning where a formula has no real value.

    Returns:
        The columns as arrays, and as CSV when it is wanted.

    Raises:
        ValidationError: A formula uses an unknown name.
    """
    texts = params.expressions or [str(params.expression)]
    bound = () if params.variable is None else (params.variable,)
    read = [params.names(*bound).read(text, context) for text in texts]
    free = frozenset[str]().union(*(item.names for item in read))
    variable = "x" if not free and params.variable is None else only_variable(free, params.variable, "The table")
    low, high = params.x_range
    x = _steps(low, high, params.step or (high - low) / 10, context)
    columns: dict[str, Array] = {}
    for text, formula in zip(texts, read, strict=True):
        require_names(formula, {variable})
        columns[text] = real_values(formula, **{variable: x})
        if missing := int(np.isnan(columns[text]).sum()):
            context.warn(f"{text!r} has no real value at {missing} of {len(x)} points.")
    fields: dict[str, Any] = {
        "success": True, "x": x, "y": columns[texts[0]], "columns": columns, "rows": len(x), "variable": variable
    }  # fmt: skip
    if context.wants("series"):
        series = table((variable, *texts), (x, *(columns[text] for text in texts)))
        caption = f"{'; '.join(texts)} for {variable} from {x[0]:.6g} to {x[-1]:.6g}."
        fields |= save_series(context, series, "table_values", caption, text_field="csv_data")
    return fields
