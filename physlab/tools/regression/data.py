"""Reading the data of a regression: files, texts, lists and objects become columns with names and units."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from physlab.errors import ValidationError
from physlab.expressions import normal_name
from physlab.tools.context import Context
from physlab.tools.data.csvfile import read_table
from physlab.tools.data.filevalues import file_of
from physlab.tools.regression.params import RegressionParams
from physlab.tools.types import Array, File

FEWEST = 5


@dataclass(frozen=True)
class Data:
    """The data of a regression.

    Attributes:
        columns: Name → values, (rows,).
        y: Target, (rows,).
        target: Its name.
        units: Unit of each column and of the target; empty when none was given.
    """

    columns: dict[str, Array]
    y: Array
    target: str
    units: dict[str, str]

    @property
    def matrix(self) -> Array:
        """The columns side by side, (rows, features)."""
        return np.column_stack(list(self.columns.values()))

    def label(self, name: str) -> str:
        """Return a name with its unit, for axes and headers."""
        return f"{name} [{self.units[name]}]" if self.units.get(name) else name

    def rows(self, chosen: Array) -> tuple[dict[str, Array], Array]:
        """Return some of the rows: columns and target."""
        return {name: column[chosen] for name, column in self.columns.items()}, self.y[chosen]


@dataclass
class _Table:
    columns: dict[str, Any]
    units: dict[str, str]
    named: bool


def read_data(params: RegressionParams, context: Context) -> Data:
    """Return the columns and the target.

    Raises:
        ValidationError: Something is missing, is no list of finite numbers, has another length, too few rows, or more
            rows than the cap allows.
    """
    table = _read(params.X, "X", context)
    goal = table if params.y is None else _read(params.y, "y", context)
    name, values = _target(params, goal)
    if params.y is None or (_same_file(params.X, params.y) and table.named):
        table.columns.pop(name, None)
    columns = _features(params, table)
    target = normal_name(name)
    if target in columns:
        target = f"{target}_0"
    units = {normal_name(key): unit for key, unit in params.units.items()}
    strange = sorted(units.keys() - {*columns, target})
    if strange:
        raise ValidationError(
            f"units speak of '{strange[0]}', which is no column.", hint=f"Columns: {', '.join([*columns, target])}."
        )
    found = {normal_name(key): unit for key, unit in table.units.items() if normal_name(key) in columns}
    if goal.units.get(name):
        found[target] = goal.units[name]
    found |= units
    bare = [key for key in (*columns, target) if key not in found]
    if found and bare:
        context.warn(f"No unit is given for {', '.join(bare)}: taken as a pure number.")
    if found:
        found = {key: found.get(key, "") for key in (*columns, target)}
    y = _column(values, target)
    for key, column in columns.items():
        if len(column) != len(y):
            raise ValidationError(
                f"The column '{key}' has {len(column)} rows and '{target}' has {len(y)}.",
                hint="Give one y for each row.",
            )
    _check_rows(columns, y, target, context)
    return Data(columns, y, target, found)


def _check_rows(columns: Mapping[str, Array], y: Array, target: str, context: Context) -> None:
    context.enforce("samples", len(y), "rows of X")
    if len(y) < FEWEST:
        raise ValidationError(f"There are {len(y)} rows.", hint=f"A formula needs {FEWEST} at least.")
    if not np.ptp(y):
        raise ValidationError(f"'{target}' is {y[0]:g} in every row.", hint="There is nothing to explain.")
    if not any(np.ptp(column) for column in columns.values()):
        raise ValidationError("No column of X varies.", hint="Give columns that say where y was measured.")
    for name, column in columns.items():
        if not np.ptp(column):
            context.warn(f"The column '{name}' is {column[0]:g} in every row and cannot explain anything.")


def _read(source: Any, what: str, context: Context) -> _Table:
    if isinstance(source, File):
        return _from_file(source, what)
    if isinstance(source, Mapping) and isinstance(source.get("csv"), str):
        path = context.workdir / f"{what}.csv"
        path.write_text(source["csv"], encoding="utf-8")
        return _from_file(File(path, f"{what} (base64)"), what)
    if isinstance(source, Mapping):
        return _Table(dict(source), {}, True)
    array = np.asarray(source)
    if array.ndim > 2 or not array.size:
        raise ValidationError(f"{what} has the shape {array.shape}.", hint="Give (rows,) or (rows, features).")
    return _Table(_numbered(array, "x" if what == "X" else "y"), {}, False)


def _numbered(array: Array, stem: str) -> dict[str, Any]:
    if array.ndim == 1 or array.shape[1] == 1:
        return {stem: array.reshape(-1)}
    return {f"{stem}_{index + 1}": array[:, index] for index in range(array.shape[1])}


def _from_file(file: File, what: str) -> _Table:
    if Path(file.name).suffix.lower() not in (".npz", ".npy"):
        table = read_table(file)
        units = {name: unit for name, unit in table.units.items() if unit and unit not in ("1", "-")}
        return _Table(dict(table.columns), units, not all(re.fullmatch(r"c\d+", name) for name in table.names))
    path = file_of(file)
    try:
        with path.open("rb") as stream:
            loaded = np.load(stream, allow_pickle=False)
            arrays = {"": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValidationError(
            f"'{file.name}' is no NPZ file of numbers: {error}.", hint="Write it by numpy.savez, without objects."
        ) from error
    columns: dict[str, Any] = {}
    for name, array in arrays.items():
        if array.ndim not in (1, 2):
            raise ValidationError(f"'{name}' in '{file.name}' has the shape {array.shape}.", hint="Give columns.")
        columns |= _numbered(array, name or ("x" if what == "X" else "y"))
    if not columns:
        raise ValidationError(f"'{file.name}' holds no array.", hint="Write it by numpy.savez.")
    return _Table(columns, {}, True)


def _same_file(one: Any, other: Any) -> bool:
    if isinstance(one, File) and isinstance(other, File):
        return one.path == other.path or (one.sha256 is not None and one.sha256 == other.sha256)
    return isinstance(one, Mapping) and isinstance(other, Mapping) and "csv" in one and one == other


def _target(params: RegressionParams, goal: _Table) -> tuple[str, Any]:
    names = list(goal.columns)
    if params.target is not None:
        if params.target in goal.columns:
            return params.target, goal.columns[params.target]
        if params.y is None or len(names) > 1:
            raise ValidationError(
                f"There is no column '{params.target}' to explain.", hint=f"Columns: {', '.join(names)}."
            )
        return params.target, goal.columns[names[0]]
    if len(names) == 1:
        return (names[0] if goal.named else "y"), goal.columns[names[0]]
    if "y" in goal.columns:
        return "y", goal.columns["y"]
    raise ValidationError(f"y has {len(names)} columns: {', '.join(names)}.", hint="Name the one to explain: target.")


def _features(params: RegressionParams, table: _Table) -> dict[str, Array]:
    names = list(table.columns)
    asked = list(params.features)
    if asked and not set(asked) <= set(names):
        if len(asked) != len(names) or table.named:
            missing = sorted(set(asked) - set(names))
            raise ValidationError(
                f"X has {len(names)} columns ({', '.join(names)}), and features name {', '.join(missing)}.",
                hint="Name columns of the file, or give one name for each column.",
            )
        table.units = {new: table.units[old] for new, old in zip(asked, names, strict=True) if old in table.units}
        table.columns = dict(zip(asked, table.columns.values(), strict=True))
    found = {normal_name(name): _column(table.columns[name], name) for name in asked or names}
    taken = [name for name in found if re.fullmatch(r"c_\d+", name)]
    if taken:
        raise ValidationError(f"'{taken[0]}' is what constants are called.", hint="Give it another name in features.")
    if not found:
        raise ValidationError("X has no column left to explain y with.", hint="Name columns in features.")
    return found


def _column(values: Any, name: str) -> Array:
    array = np.asarray(values)
    if array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        raise ValidationError(
            f"The column '{name}' is no list of real numbers (shape {array.shape}, type {array.dtype}).",
            hint="Give numbers, (rows,).",
        )
    bad = ~np.isfinite(array)
    if bad.any():
        raise ValidationError(
            f"{int(bad.sum())} of {array.size} values of '{name}' are NaN or infinite, the first in row "
            f"{int(bad.argmax())}.",
            hint="Leave such rows out.",
        )
    return array.astype(float)
