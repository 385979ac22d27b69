"""Training data of a surrogate: from a table, an NPZ file or columns to points and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from physlab.errors import ValidationError
from physlab.expressions import normal_name
from physlab.tools.data.csvfile import read_table
from physlab.tools.data.filevalues import file_of, reading
from physlab.tools.types import Array, File

HELD_OUT = 0.2
FEWEST = 10


@dataclass(frozen=True)
class Samples:
    """Known values at points.

    Attributes:
        variables: Names of the columns of `points`.
        unknowns: Names of the columns of `values`.
        points: Shape (samples, variables).
        values: Shape (samples, unknowns).
    """

    variables: tuple[str, ...]
    unknowns: tuple[str, ...]
    points: Array
    values: Array

    def part(self, chosen: Array) -> Samples:
        """Return some of the samples."""
        return Samples(self.variables, self.unknowns, self.points[chosen], self.values[chosen])


def read_samples(given: Any, variables: Sequence[str], unknowns: Sequence[str]) -> Samples:
    """Return training data.

    Args:
        given: A file, a mapping name → numbers (lists of one length, or axes and an array on their grid), or rows.
        variables: Names of the variables; empty takes all columns that are not unknowns, or all but the last.
        unknowns: Names of the unknowns; empty takes all columns that are not variables.

    Raises:
        ValidationError: A column is missing, lengths differ, a value is not finite, or there are too few samples.
    """
    columns = _columns(given, variables, unknowns)
    inside = list(variables) or [name for name in columns if name not in unknowns]
    if not variables and not unknowns:
        inside = list(columns)[:-1]
    outside = list(unknowns) or [name for name in columns if name not in inside]
    lacking = [name for name in (*inside, *outside) if name not in columns]
    if lacking or not inside or not outside:
        raise ValidationError(
            f"train_data has no column {', '.join(lacking) or 'for the values'}; it has {', '.join(columns)}.",
            hint="Name the variables by domain.bounds and the values by unknowns.",
        )
    arrays = _spread({name: columns[name] for name in (*inside, *outside)}, inside, outside)
    samples = Samples(
        tuple(inside),
        tuple(outside),
        np.stack([arrays[name] for name in inside], axis=1),
        np.stack([arrays[name] for name in outside], axis=1),
    )
    if not (np.isfinite(samples.points).all() and np.isfinite(samples.values).all()):
        raise ValidationError("train_data holds values that are not finite.", hint="Leave those rows out.")
    if len(samples.points) < FEWEST:
        raise ValidationError(f"train_data has {len(samples.points)} samples.", hint=f"At least {FEWEST} are needed.")
    return samples


def split(samples: Samples, rng: np.random.Generator) -> tuple[Samples, Samples]:
    """Return the samples to train on, and the fifth that is held out."""
    order = rng.permutation(len(samples.points))
    count = max(1, round(HELD_OUT * len(order)))
    return samples.part(np.sort(order[count:])), samples.part(np.sort(order[:count]))


def _columns(given: Any, variables: Sequence[str], unknowns: Sequence[str]) -> dict[str, Array]:
    if isinstance(given, File):
        return _from_file(given)
    if isinstance(given, Mapping):
        if set(given) == {"X", "y"}:
            return _rows(np.column_stack([_array("X", given["X"]), _array("y", given["y"])]), variables, unknowns)
        return {normal_name(str(name)): _array(name, item) for name, item in given.items()}
    return _rows(_array("train_data", given), variables, unknowns)


def _from_file(file: File) -> dict[str, Array]:
    path = file_of(file)
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"PK"
    if zipped or file.name.lower().endswith(".npz"):
        with reading(file, "NPZ"), np.load(path, allow_pickle=False) as archive:
            return {normal_name(name): _array(name, archive[name]) for name in archive.files}
    table = read_table(file, delimiter=None, comment="#", decimal=".", encoding="utf-8", missing=False, text_columns=[])
    return {
        normal_name(name): _array(name, column)
        for name, column in table.columns.items()
        if isinstance(column, np.ndarray)
    }


def _rows(rows: Array, variables: Sequence[str], unknowns: Sequence[str]) -> dict[str, Array]:
    names = [*variables, *(unknowns or ["u"])]
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise ValidationError(
            f"train_data has the shape {rows.shape}, and its columns are to be {', '.join(names)}.",
            hint="Give rows [[x, t, u], …]: places by name, then the time, then unknowns; or columns by name.",
        )
    return {name: rows[:, index] for index, name in enumerate(names)}


def _array(name: Any, value: Any) -> Array:
    try:
        found = np.asarray(value)
    except ValueError as error:
        raise ValidationError(f"'{name}' of train_data is ragged.", hint="Give lists of one length.") from error
    if found.dtype.kind not in "biuf" or not found.ndim:
        raise ValidationError(f"'{name}' of train_data is no list of real numbers.", hint="Give numbers.")
    return found.astype(float)


def _spread(columns: dict[str, Array], inside: list[str], outside: list[str]) -> dict[str, Array]:
    """Return flat columns of one length: as they are, or the grid of the axes where the values have its shape."""
    shape = tuple(columns[name].size for name in inside)
    on_grid = all(columns[name].ndim == 1 for name in inside) and all(
        columns[name].shape == shape for name in outside
    )  # fmt: skip
    if on_grid and len(inside) > 1:
        axes = np.meshgrid(*(columns[name] for name in inside), indexing="ij")
        return {**dict(zip(inside, (axis.ravel() for axis in axes), strict=True)),
                **{name: columns[name].ravel() for name in outside}}  # fmt: skip
    shapes = {column.shape for column in columns.values()}
    if len(shapes) > 1:
        told = ", ".join(f"{name}: {column.shape}" for name, column in columns.items())
        raise ValidationError(
            f"The columns of train_data do not fit ({told}).",
            hint=f"Give columns of one length, or axes and values of the shape {shape}.",
        )
    return {name: column.ravel() for name, column in columns.items()}
