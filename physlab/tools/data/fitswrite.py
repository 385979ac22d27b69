"""Writing FITS files: an image, or a table, whose bytes depend on the values alone."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from physlab.errors import ValidationError
from physlab.tools.context import Context
from physlab.tools.data.file_params import ExportFitsParams
from physlab.tools.data.filevalues import BROKEN, megabytes
from physlab.tools.extras import require
from physlab.tools.registry import Port
from physlab.tools.types import Array

PURPOSE = "FITS"
IMAGE_TYPES = ("u1", "i2", "i4", "i8", "u2", "u4", "u8", "i1", "f4", "f8")
# What describes the form of the data: made anew from the data themselves.
STRUCTURE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|TFIELDS|THEAP|END|BSCALE|BZERO|BLANK|CHECKSUM|"
    r"DATASUM|EXTNAME|Z(IMAGE|TABLE|BITPIX|NAXIS\d*|TILE\d+|CMPTYPE|NAME\d+|VAL\d+|QUANTIZ|DITHER0|EXTEND|PCOUNT|"
    r"GCOUNT|TENSION|SIMPLE|BLANK|SCALE|ZERO)|T(TYPE|FORM|UNIT|NULL|SCAL|ZERO|DISP|DIM|BCOL)\d+|_blank|"
)
EXPORT_PORTS = (
    Port("file_path", "file", None, "the file"),
    Port("file_size_mb", "number", "MB", "its size"),
    Port("hdu_index", "number", "1", "HDU that holds the data: 0 for an image, 1 for a table"),
    Port("header_left_out", "list", None, "given keywords that describe the form of the data, made anew"),
    Port("success", "boolean", None, "true; a failure is an error"),
)


def export_fits(params: ExportFitsParams, context: Context) -> dict[str, Any]:
    """Write an array as a FITS image, or columns as a FITS binary table.

    Args:
        params: The values, header and units.
        context: The surroundings of the call.

    Returns:
        The file; import_fits reads numbers back bit for bit.

    Raises:
        ValidationError: A value, a keyword or a unit cannot be written.
    """
    fits = require("astropy.io.fits", PURPOSE)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        hdu = _table(params, fits, context) if isinstance(params.data, Mapping) else _image(params, fits, context)
        left_out = [key for key in params.header if STRUCTURE.fullmatch(key)]
        for key, value in params.header.items():
            if key not in left_out:
                _keyword(hdu.header, key, value)
        image = not isinstance(params.data, Mapping)
        buffer = io.BytesIO()
        hdus = fits.HDUList([hdu] if image else [fits.PrimaryHDU(), hdu])
        try:
            hdus.writeto(buffer, output_verify="exception")
        except (*BROKEN, fits.VerifyError) as error:
            raise ValidationError(
                f"The FITS file cannot be written: {' '.join(str(error).split())[:300]}.", hint="Check the header."
            ) from error
    for text in dict.fromkeys(" ".join(str(item.message).split()) for item in told):
        context.warn(text[:300])
    name = PurePath(params.file_path.replace("\\", "/")).name
    if name != params.file_path:
        context.warn(f"The file lies in the store as '{name}'; nothing is written to '{params.file_path}'.")
    what = "image" if image else f"table of {', '.join(list(params.data)[:6])}"
    saved = context.save(buffer.getvalue(), name, role="data", media_type="application/fits", field="file_path",
                         caption=f"FITS {what}.")  # fmt: skip
    context.meta.update(format="FITS")
    return {
        "file_path": saved,
        "file_size_mb": megabytes(saved.path),
        "hdu_index": 0 if image else 1,
        "header_left_out": left_out,
        "success": True,
    }


def _image(params: ExportFitsParams, fits: Any, context: Context) -> Any:
    image = np.asarray(params.data)
    context.enforce("values", image.size, f"the size of the image, {image.shape},")
    if image.ndim == 0 or not image.size:
        raise ValidationError(f"data has the shape {image.shape}.", hint="An image has one axis or more, and values.")
    if image.dtype.newbyteorder("=").str[1:] not in IMAGE_TYPES:
        raise ValidationError(
            f"FITS images cannot hold {image.dtype}.", hint="Convert to integers or floats; write a complex image as "
            "two, or as a table column."
        )  # fmt: skip
    strangers = sorted(set(params.units) - {"BUNIT", "data"})
    if strangers:
        raise ValidationError(f"There is a unit for '{strangers[0]}'.", hint="An image takes units: {BUNIT: unit}.")
    hdu = fits.PrimaryHDU(np.array(image))
    for unit in params.units.values():
        hdu.header["BUNIT"] = unit
    return hdu


def _table(params: ExportFitsParams, fits: Any, context: Context) -> Any:
    columns = {name: _column(name, value, context) for name, value in params.data.items()}  # type: ignore[union-attr]
    lengths = {name: len(column) for name, column in columns.items()}
    if not columns or len(set(lengths.values())) > 1:
        told = ", ".join(f"{name}: {length}" for name, length in lengths.items()) or "none"
        raise ValidationError(f"The columns have different lengths ({told}).", hint="Give columns of one length.")
    context.enforce("values", sum(column.size for column in columns.values()), "the size of the table")
    strangers = sorted(set(params.units) - set(columns))
    if strangers:
        raise ValidationError(
            f"There is a unit for '{strangers[0]}', and no such column.", hint=f"Columns: {', '.join(columns)}."
        )
    try:
        made = [
            fits.Column(name=name, array=column, unit=params.units.get(name), **_format(column))
            for name, column in columns.items()
        ]
        return fits.BinTableHDU.from_columns(made)
    except (*BROKEN, fits.VerifyError) as error:
        raise ValidationError(f"The table cannot be written: {error}.", hint="Check names and units.") from error


def _column(name: str, value: Any, context: Context) -> Array:
    if isinstance(value, Mapping) and set(value) == {"real", "imag"}:
        value = np.asarray(value["real"]) + 1j * np.asarray(value["imag"])
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValidationError(f"The column '{name}' is not rectangular.", hint="Rows need one length.") from error
    if array.dtype.kind == "U" and array.ndim == 1:
        if not all(item.isascii() and item.isprintable() for item in array.tolist()):
            raise ValidationError(f"The column '{name}' has texts beyond ASCII.", hint="FITS holds ASCII texts only.")
        return array.astype("S")
    if array.ndim == 0 or array.dtype.kind not in "biufc" or array.dtype.itemsize > 16 or array.dtype.str[1:] in (
        "f2", "f16"
    ):  # fmt: skip
        raise ValidationError(
            f"The column '{name}' is of the type {array.dtype} and the shape {array.shape}, which FITS cannot hold.",
            hint="Give a list of numbers, of booleans, or of texts.",
        )
    if array.ndim > 1 and array.size == len(array):
        context.warn(f"The column '{name}' of the shape {array.shape} is written as {len(array)} single values.")
        return array.reshape(-1)
    return array


def _format(column: Array) -> dict[str, Any]:
    """Return the TFORM, TZERO and TDIM of a column."""
    count = int(np.prod(column.shape[1:], dtype=int)) if column.ndim > 1 else 1
    repeat = "" if count == 1 and column.ndim == 1 else str(count)
    shape = {"dim": f"({','.join(map(str, reversed(column.shape[1:])))})"} if column.ndim > 2 else {}
    kind = column.dtype.newbyteorder("=").str[1:]
    if column.dtype.kind == "S":
        return {"format": f"{max(1, column.dtype.itemsize)}A"}
    letters = {"b1": "L", "u1": "B", "i2": "I", "i4": "J", "i8": "K", "f4": "E", "f8": "D", "c8": "C", "c16": "M"}
    if kind in letters:
        return {"format": repeat + letters[kind], **shape}
    zeros = {"i1": ("B", -128), "u2": ("I", 2**15), "u4": ("J", 2**31), "u8": ("K", 2**63)}
    letter, zero = zeros[kind]
    return {"format": repeat + letter, "bzero": zero, **shape}


def _keyword(header: Any, key: str, value: Any) -> None:
    try:
        if key in ("COMMENT", "HISTORY"):
            for line in value if isinstance(value, list) else [value]:
                header.add_comment(str(line)) if key == "COMMENT" else header.add_history(str(line))
        elif value is None or isinstance(value, str | bool | int | float | complex):
            header[key if len(key) <= 8 or key.upper().startswith("HIERARCH ") else f"HIERARCH {key}"] = value
        elif isinstance(value, np.generic):
            header[key] = value.item()
        else:
            raise ValidationError(
                f"header.{key} is a {type(value).__name__}.", hint="Keywords hold texts, numbers and true or false."
            )
    except ValidationError:
        raise
    except BROKEN as error:
        raise ValidationError(
            f"header.{key} = {value!r}: {error}.", hint="Keywords are ASCII, at most 8 signs."
        ) from error
