"""From what file libraries hand out to what a result may hold: native arrays, clean texts, JSON attributes."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from physlab.errors import PhyslabError, ValidationError
from physlab.tools.context import Context
from physlab.tools.types import Array, File

EXACT = 2**53  # whole numbers from here on are not exact in JSON
MEGA = 1e6
BROKEN: tuple[type[Exception], ...] = (
    OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, ArithmeticError,
    AssertionError, BufferError, struct.error, zlib.error,
)  # fmt: skip
"""What libraries raise over damaged bytes."""


def file_of(file: File) -> Path:
    """Return the path of a file that exists and is not empty.

    Raises:
        ValidationError: It is missing, a folder, empty, or not readable.
    """
    path = Path(file.path)
    try:
        if path.is_file():
            with path.open("rb") as stream:
                if stream.read(1):
                    return path
            raise ValidationError(f"'{file.name}' is empty.", hint="Was it still being written?")
    except OSError as error:
        raise ValidationError(f"'{file.name}' cannot be read: {error.strerror}.", hint="Check its rights.") from error
    raise ValidationError(f"The file '{file.name}' does not exist: {path}.", hint="Check the path.")


@contextmanager
def reading(file: File, kind: str, *others: type[Exception]) -> Iterator[None]:
    """Translate what a library raises over damaged bytes; memory that ran out stays what it is.

    Raises:
        ValidationError: The file cannot be read as `kind`.
    """
    broken: tuple[type[Exception], ...] = (*BROKEN, *others)
    try:
        yield
    except PhyslabError:
        raise
    except broken as error:
        if isinstance(error, RecursionError):
            reason = "its parts are nested without end"
        else:
            reason = " ".join(clean(str(error)).split())[:300] or type(error).__name__
        raise ValidationError(
            f"'{file.name}' cannot be read as {kind}: {reason.rstrip('.')}.",
            hint="The file is damaged, cut off or of another kind; copy it again, and check that it was closed.",
            details={"exception": type(error).__name__},
        ) from error


def megabytes(path: Path) -> float:
    """Return the size of a file [MB]."""
    return path.stat().st_size / MEGA


def clean(text: str) -> str:
    """Return a text that can be written as UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if not text.isascii() else text


def decode(value: Any) -> str:
    """Return the text that bytes hold: UTF-8, or Latin-1 where they are not."""
    if isinstance(value, str):
        try:
            return value.encode("utf-8", "surrogateescape").decode()
        except UnicodeDecodeError:
            return value.encode("utf-8", "surrogateescape").decode("latin-1")
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        return bytes(value).decode("latin-1")


def texts(array: Array) -> Any:
    """Return an array of bytes or texts as nested lists of texts; one text when it has no dimension."""
    flat = [decode(item) for item in array.ravel().tolist()]
    return np.array(flat, dtype=object).reshape(array.shape).tolist() if array.ndim else flat[0]


def native(array: Array, context: Context, name: str) -> Array:
    """Return numbers in this machine's byte order and in types that can be stored."""
    if array.dtype.kind in "fc" and array.dtype.itemsize > (8 if array.dtype.kind == "f" else 16):
        context.warn(
            f"{name}: {array.dtype} has no exact counterpart in the store; it was rounded to double precision."
        )
        return array.astype(float if array.dtype.kind == "f" else complex)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).reshape(array.shape)


def jagged(rows: Iterable[Any], shape: tuple[int, ...], context: Context, name: str) -> dict[str, Array]:
    """Return rows of different lengths as `values`, one after the other, and `counts`, how many each row has."""
    parts = [np.asarray(row) for row in rows]
    values = np.concatenate([part.ravel() for part in parts]) if parts else np.empty(0)
    context.enforce("values", values.size, f"the values of '{name}'")
    context.warn(f"'{name}' is jagged: its rows have different lengths; 'values' has them in a row, 'counts' how many.")
    return {
        "values": native(values, context, name),
        "counts": np.array([part.size for part in parts], dtype=np.int64).reshape(shape),
    }


def attribute(value: Any) -> Any:
    """Return an attribute as JSON or a numeric array; what JSON cannot hold becomes a text such as `nan`."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biufc" and value.ndim:
            wide = value.dtype.kind in "fc" and value.dtype.itemsize > 16 - 8 * (value.dtype.kind == "f")
            return value.astype("f8" if value.dtype.kind == "f" else "c16") if wide else value.astype(
                value.dtype.newbyteorder("=")
            )  # fmt: skip
        if value.dtype.kind in "biufc":
            return attribute(value[()])
        if value.dtype.names is None and value.ndim:
            return [attribute(item) for item in value.tolist()]
        return attribute(value[()]) if value.ndim == 0 and value.dtype.names is None else clean(str(value))
    if isinstance(value, np.generic) and not isinstance(value, np.void):
        value = complex(value) if value.dtype.kind == "c" else value.item()
    if isinstance(value, np.floating):  # longdouble has no plain counterpart
        value = float(value)
    if isinstance(value, str | bytes):
        return decode(value)
    if isinstance(value, list | tuple):
        return [attribute(item) for item in value]
    if isinstance(value, Mapping):
        return {clean(str(key)): attribute(item) for key, item in value.items()}
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if -EXACT < value < EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, complex):
        return value if math.isfinite(abs(value)) else str(value)
    return clean(str(value))
