"""The parameters of symbolic regression, and the spellings of its data and operations."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AliasChoices, BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from physlab.errors import ValidationError, nearest
from physlab.expressions import normal_name
from physlab.tools.regression.search import OPERATIONS
from physlab.tools.types import VisualParams, _file_to_json, _to_array, _to_file, array_to_json

DEFAULT_OPS = ("+", "-", "*", "/", "sin", "cos", "exp", "log", "pow")
_OTHER_NAMES = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "plus": "+", "minus": "-", "times": "*", "mult": "*",
    "divide": "/", "**": "pow", "^": "pow", "power": "pow", "ln": "log", "arcsin": "asin", "arccos": "acos",
    "arctan": "atan", "Abs": "abs", "÷": "/", "×": "*", "·": "*", "−": "-",
}  # fmt: skip


def _decoded(text: str) -> str | None:
    """Return the table that a base64 text holds, None when it is no such text."""
    body = re.sub(r"\s+", "", re.sub(r"^data:[^,]*;base64,", "", text.strip()))
    if len(body) < 8 or len(body) % 4 or not re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", body):
        return None
    try:
        table = base64.b64decode(body, validate=True).decode("utf-8-sig")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return table if "\n" in table.strip() and all(sign.isprintable() or sign.isspace() for sign in table) else None


def _listed(value: Any) -> Any:
    """Return numbers as lists: what may also be a file enters the key as it is."""
    return array_to_json(_to_array(value))


def to_source(value: Any) -> Any:
    """Read a path, a base64 text, a list of numbers or an object of columns."""
    if isinstance(value, str):
        table = _decoded(value) or (value if "\n" in value.strip() else None)
        return {"csv": table} if table is not None else _to_file(value)
    if isinstance(value, Mapping) and set(value) == {"csv"} and isinstance(value["csv"], str):
        return value
    if isinstance(value, Mapping) and not any(str(key).startswith("$") for key in value):
        if not value:
            raise ValueError("an object of columns needs at least one")
        return {str(name): _listed(column) for name, column in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return _listed(value)
    return _to_file(value)


Source = Annotated[
    Any, BeforeValidator(to_source), PlainSerializer(_file_to_json), Field(json_schema_extra={"format": "path"})
]


def _to_ops(value: Any) -> Any:
    names = re.split(r"[,\s]+", value.strip()) if isinstance(value, str) else list(value or ())
    found = []
    for name in names:
        plain = _OTHER_NAMES.get(str(name), str(name))
        if plain not in OPERATIONS:
            raise ValidationError(
                f"there is no operation '{name}' to search with.", hint=nearest(str(name), OPERATIONS)
            )
        found.append(plain)
    if not found:
        raise ValidationError("ops are empty.", hint=f"Use for instance {', '.join(DEFAULT_OPS)}.")
    return tuple(sorted(set(found), key=list(OPERATIONS).index))


class RegressionParams(VisualParams):
    """Data, and how a formula for them is searched."""

    X: Source = Field(
        validation_alias=AliasChoices("X", "data_x", "x"),
        description="The columns to explain y with: path of a CSV or NPZ file, CSV as base64, a list (rows,) or "
        "(rows, features), an object name → column, or from:node.field of any of these.",
    )
    y: Source | None = Field(
        None,
        validation_alias=AliasChoices("y", "data_y"),
        description="What is explained, (rows,): like X; or the name of a column of X. Needed unless `target` is "
        "a column of X.",
    )
    target: str | None = Field(None, min_length=1, description="Name of y; in a file, its column.")
    features: tuple[str, ...] = Field(
        (), description="Names of the columns of X; in a file, which of them are used. Default: all but the target."
    )
    units: dict[str, str] = Field(
        {}, description="Column → unit, target included; headers such as `a [AU]` say it too. Dimensions are checked."
    )
    ops: Annotated[tuple[str, ...], BeforeValidator(_to_ops)] = Field(
        DEFAULT_OPS,
        description=f"Operations that formulas may use, of: {' '.join(OPERATIONS)}. Numbers, and numeric factors of "
        "columns, are always allowed.",
    )
    max_depth: int = Field(12, ge=1, le=20, description="Deepest formula, 1 to 20 levels.")
    max_length: int = Field(
        25,
        ge=3,
        le=100,
        validation_alias=AliasChoices("max_length", "target_complexity"),
        description="Longest formula while searching, 3 to 100 operations, columns and numbers.",
    )
    pop_size: int = Field(1000, ge=10, le=10_000, description="Candidates that live at once, 10 to 10000.")
    generations: int = Field(
        30,
        ge=1,
        le=10_000,
        validation_alias=AliasChoices("generations", "max_iterations"),
        description="How many times the candidates are replaced.",
    )
    trials: int = Field(1, ge=1, le=10, description="Independent searches, 1 to 10; their formulas are pooled.")
    metric: Literal["mse", "mae", "r2"] = Field("mse", description="Error that the search makes small.")
    test_fraction: float = Field(
        0.2,
        ge=0,
        le=0.5,
        description="Part of the rows that is held out for the score, 0 to 0.5; below 20 rows none is, and "
        "each row is left out of the fit of the constants in its turn.",
    )
    seed: int = Field(0, ge=0, lt=2**53, description="Of the search; the same seed gives the same formula.")
    use_pysr: bool = Field(
        True, description="Accepted for older callers: PySR needs Julia, the search always runs in Operon."
    )

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, data: Any) -> Any:
        """Read a y that is one bare word as the name of a column of X."""
        if not isinstance(data, Mapping):
            return data
        name = next((key for key in ("y", "data_y") if key in data), None)
        word = data[name] if name else None
        if not isinstance(word, str) or not re.fullmatch(r"[^\W\d]\w{0,60}", word) or "target" in data:
            return data
        return {**{key: value for key, value in data.items() if key != name}, "target": word}

    @field_validator("features")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        plain = [normal_name(name) for name in names]
        twice = {name for name in plain if plain.count(name) > 1}
        if twice:
            raise ValueError(f"the name '{min(twice)}' stands twice")
        return names

    @model_validator(mode="after")
    def _has_target(self) -> RegressionParams:
        if self.y is None and self.target is None:
            raise ValueError("y is missing: give its numbers, its file, or `target`, the name of a column of X")
        return self
