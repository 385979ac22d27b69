"""The `data` tool: tables and series in and out."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from physlab.errors import ValidationError
from physlab.model import Visuals
from physlab.tools.context import Context
from physlab.tools.data.csvfile import read_table
from physlab.tools.figures import save_series
from physlab.tools.registry import Port, registry
from physlab.tools.types import Array, InputFile, Params, VisualParams

WRITES_SERIES = Visuals(static=False, series=True, animation=False)
CSV_PORTS = (
    Port("csv_path", "file", None, "the CSV file"),
    Port("csv_data", "text", None, "its text"),
)


def _csv_name(name: str) -> str:
    if name != PurePath(name).name or not name.isprintable() or name.startswith(".") or "\\" in name:
        raise ValueError("a file name without folders is needed")
    return name.removesuffix(".csv")


CsvName = Annotated[str, AfterValidator(_csv_name)]

registry.tool("data", summary="Tables, series, signals and scientific files.", discriminator="action")


class ImportCsvParams(Params):
    """A table of numbers in a text file."""

    file: InputFile = Field(description="Path, or from:node.field of a file.")
    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="What separates cells; found out when absent; ' ' is white space."
    )
    comment: str = Field("#", min_length=1, description="What begins a comment line.")
    decimal: Literal[".", ","] = Field(".", description="Decimal sign.")
    encoding: str = Field("utf-8", description="Text encoding.")
    missing: Literal["error", "nan"] = Field("error", description="What an empty cell is.")
    text_columns: list[str] = Field([], description="Columns that stay text.")


@registry.method(
    "data",
    "import_csv",
    params=ImportCsvParams,
    returns=(
        Port("columns", "object", None, "name → array"),
        Port("x", "array", None, "the first column of numbers"),
        Port("y", "array", None, "the second column of numbers"),
        Port("names", "list", None, "column names, as references spell them"),
        Port("labels", "list", None, "headers as they are written"),
        Port("units", "object", None, "name → unit, null where the header has none"),
        Port("rows", "number", "1", "how many rows"),
    ),
    libraries=("numpy",),
    kind="data",
)
def import_csv(params: ImportCsvParams, context: Context) -> dict[str, Any]:
    """Read a table of numbers; headers may carry units, as in `r [a_0]`."""
    table = read_table(
        params.file,
        delimiter=params.delimiter,
        comment=params.comment,
        decimal=params.decimal,
        encoding=params.encoding,
        missing=params.missing == "nan",
        text_columns=params.text_columns,
    )
    numeric = [column for column in table.columns.values() if isinstance(column, np.ndarray)]
    context.meta.update(delimiter=table.delimiter, comments=table.comments[:20])
    return {
        "columns": table.columns,
        **dict(zip(("x", "y"), numeric, strict=False)),
        "names": table.names,
        "labels": table.labels,
        "units": table.units,
        "rows": len(table.columns[table.names[0]]),
    }


Column = Array | list[str]


class ExportCsvParams(Params):
    """Columns of one length."""

    columns: dict[str, Column] = Field(min_length=1, description="Name → numbers or texts, or references to them.")
    units: dict[str, str | None] = Field({}, description="Name → unit, for the header.")
    name: CsvName = Field("data", description="Name of the file.")
    caption: str = Field("", description="One sentence for the report.")


@registry.method(
    "data",
    "export_csv",
    params=ExportCsvParams,
    returns=(
        *CSV_PORTS,
        Port("rows", "number", "1", "how many rows"),
        Port("names", "list", None, "column names in the file"),
    ),
    can=WRITES_SERIES,
    libraries=("numpy",),
    kind="data",
)
def export_csv(params: ExportCsvParams, context: Context) -> dict[str, Any]:
    """Write columns as a CSV file; a complex column becomes its real and imaginary part."""
    columns = _spread(params.columns)
    _same_length({name: len(column) for name, column in columns.items()})
    strangers = sorted(set(params.units) - set(params.columns))
    if strangers:
        raise ValidationError(
            f"There is a unit for '{strangers[0]}', and no such column.", hint=f"Columns: {', '.join(params.columns)}."
        )
    units = {name: params.units.get(name) or params.units.get(name[:-3]) for name in columns}
    headed = {_headed(name, units[name]): column for name, column in columns.items()}
    caption = params.caption or f"{', '.join(params.columns)} as a table."
    fields = save_series(context, headed, params.name, caption, text_field="csv_data")
    return {**fields, "rows": len(next(iter(columns.values()))), "names": list(columns)}


def _spread(columns: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, column in columns.items():
        if isinstance(column, np.ndarray) and column.ndim != 1:
            raise ValidationError(
                f"The column '{name}' has the shape {column.shape}.", hint="A column is a list of numbers, (rows,)."
            )
        if isinstance(column, np.ndarray) and column.dtype.kind == "c":
            found |= {f"{name}_re": column.real, f"{name}_im": column.imag}
        else:
            found[name] = column
    return found


def _same_length(lengths: dict[str, int]) -> None:
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise ValidationError(f"The columns have different lengths ({told}).", hint="Give columns of one length.")


class TableParams(Params):
    """A small table for the report, by rows or by columns."""

    columns: list[str] = Field([], description="Headers, with units if they have one; required with rows.")
    rows: list[list[Any]] = Field([], description="Rows of numbers, texts, or references to them.")
    data: dict[str, Column] = Field({}, description="Instead of rows: header → column, or a reference to it.")
    name: CsvName = Field("table", description="Name of the file.")
    caption: str = Field("", description="One sentence for the report.")

    @model_validator(mode="after")
    def _one_form(self) -> TableParams:
        if bool(self.rows) == bool(self.data):
            raise ValueError("give either 'columns' with 'rows', or 'data'")
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.columns):
                raise ValueError(f"row {number} has {len(row)} cells for {len(self.columns)} columns")
        if self.data and self.columns and sorted(self.columns) != sorted(self.data):
            raise ValueError("'columns' names other columns than 'data'")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("two columns have one header")
        return self


@registry.method(
    "data",
    "table",
    params=TableParams,
    returns=(
        *CSV_PORTS,
        Port("rows", "list", None, "the rows"),
        Port("columns", "list", None, "the headers"),
    ),
    can=WRITES_SERIES,
    inline=True,
    libraries=("numpy",),
    kind="data",
)
def table(params: TableParams, context: Context) -> dict[str, Any]:
    """Put values of other nodes into a small table for the report."""
    headers = params.columns or list(params.data)
    columns = {header: np.atleast_1d(np.asarray(params.data[header])).tolist() for header in params.data}
    _same_length({header: len(column) for header, column in columns.items()})
    given = params.rows or zip(*(columns[header] for header in headers), strict=True)
    rows = [[_cell(cell, header) for cell, header in zip(row, headers, strict=True)] for row in given]
    by_column = {header: np.array([row[index] for row in rows], dtype=object) for index, header in enumerate(headers)}
    caption = params.caption or f"{', '.join(headers)}."
    fields = save_series(context, by_column, params.name, caption, text_field="csv_data")
    return {**fields, "rows": rows, "columns": headers}


def _cell(value: Any, header: str) -> Any:
    plain = value.item() if isinstance(value, np.generic | np.ndarray) and value.size == 1 else value
    if isinstance(plain, complex):
        return f"{plain.real!r}{plain.imag:+}i"
    if plain is None or isinstance(plain, str | int | float):
        return plain
    raise ValidationError(
        f"A cell of the column '{header}' is a {type(value).__name__}, not a number or a text.",
        hint="Refer to a scalar field, or give whole columns in 'data'.",
    )


class SeriesParams(VisualParams):
    """A formula, and the values of its variables: a range, or arrays of other nodes."""

    expression: str = Field(description="Formula of the variable and of the names in 'values'.")
    variable: str = Field("x", description="Name of the independent variable.")
    start: float | None = Field(None, allow_inf_nan=False, description="First value of the variable.")
    stop: float | None = Field(None, allow_inf_nan=False, description="Last value of the variable.")
    samples: int = Field(200, ge=2, description="How many values the range has.")
    spacing: Literal["linear", "log"] = Field("linear", description="How the range is divided.")
    x: Array | None = Field(None, description="Values of the variable, instead of a range.")
    values: dict[str, Array] = Field({}, description="Other names of the formula → number or array.")
    x_unit: str = Field("", description="Unit of the variable, for the header.")
    y_label: str = Field("y", min_length=1, description="What the formula is called.")
    y_unit: str = Field("", description="Unit of the formula's values, for the header.")

    @model_validator(mode="after")
    def _one_source(self) -> SeriesParams:
        if (self.start is None) != (self.stop is None):
            raise ValueError("a range needs both 'start' and 'stop'")
        if self.x is not None and self.start is not None:
            raise ValueError("give either 'x' or a range with 'start' and 'stop'")
        if self.spacing == "log" and min(self.start or 0.0, self.stop or 0.0) <= 0:
            raise ValueError("a logarithmic range needs 'start' and 'stop' above 0")
        if self.variable in self.values:
            raise ValueError(f"'{self.variable}' is the variable; give its values as 'x'")
        return self


@registry.method(
    "data",
    "series",
    params=SeriesParams,
    returns=(
        Port("x", "array", None, "values of the variable; the index when there is neither 'x' nor a range"),
        Port("y", "array", None, "values of the formula"),
        Port("samples", "number", "1", "how many"),
        *CSV_PORTS[:1],
    ),
    can=WRITES_SERIES,
    caps={"samples": "samples"},
    libraries=("numpy", "scipy"),
    kind="data",
)
def series(params: SeriesParams, context: Context) -> dict[str, Any]:
    """Compute a formula over a range, or combine arrays of other nodes by a formula."""
    from physlab.expressions import normal_name, parse

    arrays = {normal_name(name): np.asarray(value) for name, value in params.values.items()}
    x = _abscissa(params, context, arrays)
    known = {normal_name(params.variable): x, **arrays}
    for name, array in known.items():
        if array.ndim and array.shape != x.shape:
            raise ValidationError(
                f"'{name}' has the shape {array.shape}, and '{params.variable}' has {x.shape}.",
                hint="Arrays in one formula need one length.",
            )
    y = np.array(np.broadcast_to(parse(params.expression, known).evaluate(**known), x.shape))
    bad = int(np.count_nonzero(~np.isfinite(y)))
    if bad:
        context.warn(f"{bad} of {y.size} values of {params.expression} are not finite.")
    context.meta["samples"] = int(x.size)
    fields: dict[str, Any] = {"x": x, "y": y, "samples": int(x.size)}
    if context.wants("series"):
        caption = f"{params.y_label} = {params.expression}, {x.size} values."
        columns = {_headed(params.variable, params.x_unit): x}
        columns |= {_headed(name, params.y_unit): column for name, column in _spread({params.y_label: y}).items()}
        fields |= save_series(context, columns, "series", caption)
    return fields


def _abscissa(params: SeriesParams, context: Context, arrays: dict[str, Array]) -> Array:
    if params.start is not None and params.stop is not None:
        context.enforce("samples", params.samples, "samples")
        make = np.linspace if params.spacing == "linear" else np.geomspace
        return make(params.start, params.stop, params.samples)
    if params.x is not None:
        found = np.asarray(params.x)
    else:
        length = next((len(array) for array in arrays.values() if array.ndim), None)
        if length is None:
            raise ValidationError(
                "There is nothing to compute the formula over.", hint="Give 'start' and 'stop', 'x', or an array."
            )
        found = np.arange(length)
    if found.ndim != 1:
        raise ValidationError(f"x has the shape {found.shape}.", hint="Give a list of numbers, (samples,).")
    return found


def _headed(name: str, unit: str | None) -> str:
    return f"{name} [{unit}]" if unit else name


class StatisticsParams(Params):
    """An array to summarise."""

    values: Array = Field(description="Numbers, or from:node.field of an array.")
    ddof: int = Field(1, ge=0, le=1, description="1: standard deviation of a sample; 0: of a population.")


@registry.method(
    "data",
    "statistics",
    params=StatisticsParams,
    returns=(
        Port("n", "number", "1", "how many numbers"),
        Port("mean", "number", None, "arithmetic mean"),
        Port("std", "number", None, "standard deviation"),
        Port("sem", "number", None, "standard error of the mean, std / sqrt(n)"),
        Port("median", "number", None, "median"),
        Port("min", "number", None, "smallest"),
        Port("max", "number", None, "largest"),
    ),
    inline=True,
    libraries=("numpy",),
    kind="data",
)
def statistics(params: StatisticsParams, context: Context) -> dict[str, Any]:
    """Summarise an array: mean, standard deviation, extremes."""
    values = np.asarray(params.values)
    if values.dtype.kind == "c":
        raise ValidationError("Complex numbers have no order.", hint="Take their modulus or a part first.")
    flat = values.astype(float).ravel()
    if flat.size <= params.ddof:
        raise ValidationError(
            f"The standard deviation of {flat.size} numbers with ddof = {params.ddof} does not exist.",
            hint="Give more numbers, or ddof: 0.",
        )
    bad = int(np.count_nonzero(~np.isfinite(flat)))
    if bad:
        raise ValidationError(
            f"{bad} of {flat.size} values are NaN or infinite, the first at index {int(np.argmin(np.isfinite(flat)))}.",
            hint="Remove them first.",
        )
    std = float(flat.std(ddof=params.ddof))
    return {
        "n": int(flat.size),
        "mean": float(flat.mean()),
        "std": std,
        "sem": std / float(np.sqrt(flat.size)),
        "median": float(np.median(flat)),
        "min": float(flat.min()),
        "max": float(flat.max()),
    }
