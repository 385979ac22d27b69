"""The parameter types that tools share: quantities with a unit, arrays, files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, PlainSerializer
from pydantic.json_schema import JsonSchemaValue

from physlab.model.stored import is_stored_file
from physlab.tools.measures import conversion_factor


class Params(BaseModel):
    """Base of every method's parameters: closed to unknown names, checked, with defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, populate_by_name=True)

    allow_large: bool = Field(False, description="Lift the safety caps of this node.")


class VisualParams(Params):
    """Parameters of a numeric method, which can draw what it computes."""

    emit_plots: bool | None = Field(None, description="Draw static figures (PNG and SVG).")
    emit_csv: bool | None = Field(None, description="Write the series as CSV.")
    emit_animation: bool | None = Field(None, description="Write an animation (MP4).")


EMIT_FLAGS = {"emit_plots": "static", "emit_csv": "series", "emit_animation": "animation"}


@dataclass(frozen=True)
class File:
    """A file that enters or leaves a tool.

    Attributes:
        path: Where the bytes are; read-only when it comes from the store.
        name: The name people see.
        media_type: For instance `image/png`.
        show: How a reply shows it: `base64`, `text` or `path`.
        sha256: Digest of the bytes, when known.
    """

    path: Path
    name: str
    media_type: str = "application/octet-stream"
    show: str = "path"
    sha256: str | None = None

    def __fspath__(self) -> str:
        return str(self.path)


class Unit:
    """Marks a parameter as a quantity in a unit; its JSON value may be a number, `"5 eV"` or `{value, unit}`."""

    def __init__(self, unit: str) -> None:
        self.unit = unit

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "unit": self.unit}


def to_unit(value: Any, unit: str) -> Any:
    """Return the magnitude of a quantity in a unit.

    Args:
        value: A number (already in `unit`), a text such as `"5 eV"`, or `{value, unit}`.
        unit: Unit name as Pint spells it.

    Raises:
        UnitsError: The unit is unknown or has another dimension.
    """
    if isinstance(value, dict) and set(value) == {"value", "unit"}:
        number, given = value["value"], str(value["unit"])
    elif isinstance(value, str):
        head, _, tail = value.strip().partition(" ")
        try:
            number, given = float(head), tail.strip()
        except ValueError:
            return value
        if not given:
            return number
    else:
        return value
    return float(number) * conversion_factor(given, unit)


def quantity(unit: str) -> Any:
    """Return the parameter type of a number in a unit."""
    return Annotated[float, BeforeValidator(lambda value: to_unit(value, unit)), Unit(unit)]


def _to_array(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, dict) and set(value) == {"real", "imag"}:
        return np.asarray(value["real"], dtype=float) + 1j * np.asarray(value["imag"], dtype=float)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"a rectangular list of numbers is needed ({error})") from error
    if array.dtype.kind not in "biufc":
        raise ValueError("a list of numbers is needed")
    return array


def array_to_json(value: Any) -> Any:
    """Return an array as JSON: nested lists, complex ones as `{real, imag}`."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "c":
            return {"real": value.real.tolist(), "imag": value.imag.tolist()}
        return value.tolist()
    return value


def _to_file(value: Any) -> Any:
    if isinstance(value, File) or is_stored_file(value):
        return value
    if isinstance(value, str | Path):
        path = Path(value)
        return File(path=path, name=path.name)
    raise ValueError("a path, or from:node.field of a file, is needed")


def _file_to_json(value: Any) -> Any:
    return str(value.path) if isinstance(value, File) else value


if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]
    InputFile = File
else:
    _array_schema = {"type": "array", "items": {}, "description": "numbers, or from:node.field"}
    Array = Annotated[
        Any,
        BeforeValidator(_to_array),
        PlainSerializer(array_to_json),
        Field(json_schema_extra=_array_schema),
    ]
    InputFile = Annotated[
        Any, BeforeValidator(_to_file), PlainSerializer(_file_to_json), Field(json_schema_extra={"format": "path"})
    ]
