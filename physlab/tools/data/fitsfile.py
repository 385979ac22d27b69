"""FITS files: images and tables with their headers.

Physical values are returned, BZERO + BSCALE times what is stored (FITS Standard 4.0, sections 4.4.2.5, 5.3 and 7.3.2);
the header is returned as it was written. World coordinates stay keywords: nothing is transformed.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from physlab.errors import ValidationError, nearest
from physlab.tools.context import Context
from physlab.tools.data.file_params import ImportFitsParams
from physlab.tools.data.filefigures import show
from physlab.tools.data.filevalues import attribute, clean, file_of, jagged, megabytes, native, reading, texts
from physlab.tools.extras import require
from physlab.tools.registry import Port
from physlab.tools.types import Array, File

PURPOSE = "FITS"
SIGNED_BYTE = ((-128, None), (-128, ""), (-128, 1))  # TZERO and TSCAL of the standard's signed bytes (table 19)
ARCHIVE = b"PK\x03\x04"
COMMENTARY = ("COMMENT", "HISTORY", "")

IMPORT_PORTS = (
    Port("data", "any", None, "image (last axis NAXIS1 first in the file), or name → column of a table; null: none"),
    Port("header", "object", None, "keyword → value as the file has it; COMMENT and HISTORY are lists of lines"),
    Port("header_comments", "object", None, "keyword → its comment, where it has one"),
    Port("hdu_info", "list", None, "{index, name, type, shape} of each HDU"),
    Port("hdu_index", "number", "1", "the HDU that was read"),
    Port("units", "object", None, "table: column → unit (TUNIT); image: {data: BUNIT}; null where there is none"),
    Port("shape", "list", None, "shape of the image, or [rows]; null when there are no data"),
    Port("dtype", "any", None, "number type of the image, or column → FITS format (TFORM)"),
)


def import_fits(params: ImportFitsParams, context: Context) -> dict[str, Any]:
    """Read one HDU of a FITS file: image or table, header and units.

    Args:
        params: The file and the HDU.
        context: The surroundings of the call.

    Returns:
        Physical values: scaled by BSCALE and BZERO, blank integers as NaN.

    Raises:
        ValidationError: The file is damaged or cut off, the HDU is missing, or the data are above the cap.
    """
    fits = require("astropy.io.fits", PURPOSE)
    path = file_of(params.file_path)
    with (
        warnings.catch_warnings(record=True) as told,
        path.open("rb") as stream,
        reading(params.file_path, PURPOSE, fits.VerifyError),
    ):
        warnings.simplefilter("always")
        if stream.read(4) == ARCHIVE:
            raise ValidationError(f"'{params.file_path.name}' is a ZIP archive.", hint="Unpack it, or use gzip.")
        stream.seek(0)
        with fits.open(stream, memmap=False, lazy_load_hdus=False) as hdus:
            _check_whole(params.file_path, told)
            info = [_info(index, hdu) for index, hdu in enumerate(hdus)]
            index = _find(params.hdu_index, info)
            fields = _content(hdus[index], context, fits, index)
            _check_whole(params.file_path, told)
    if fields["data"] is None:
        others = ", ".join(f"{item['index']} {item['name']}".strip() for item in info if item["shape"])
        context.warn(f"HDU {index} has no data. HDUs with data: {others or 'none'}.")
    for text in dict.fromkeys(clean(str(item.message)) for item in told):
        context.warn(text[:300])
    context.meta.update(file_size_mb=megabytes(path), format="FITS", hdu_count=len(info), current_hdu=index)
    caption = f"HDU {index}{' ' + info[index]['name'] if info[index]['name'] else ''} of {params.file_path.name}."
    unit = fields["units"].get("data") or "" if isinstance(fields["data"], np.ndarray) else ""
    return fields | {"hdu_info": info} | show(fields["data"], context, "fits", caption, unit=unit)


def _check_whole(file: File, told: list[warnings.WarningMessage]) -> None:
    """Refuse a file of which a part is missing; the library only warns."""
    for item in told:
        text = " ".join(str(item.message).split())
        if "truncated" in text or "unreadable" in text.lower() or "Error validating header" in text:
            raise ValidationError(
                f"'{file.name}' is cut off or damaged: {clean(text)[:200].rstrip('.')}.",
                hint="Copy it again, and check that it was closed.",
            )


def _info(index: int, hdu: Any) -> dict[str, Any]:
    kind = type(hdu).__name__
    if kind in ("BinTableHDU", "TableHDU"):
        shape: list[int] | None = [int(hdu.header["NAXIS2"])]
    else:
        shape = [int(length) for length in hdu.shape] if getattr(hdu, "shape", ()) else None
    return {"index": index, "name": clean(hdu.name), "type": kind, "shape": shape}


def _find(wanted: int | str, info: list[dict[str, Any]]) -> int:
    if isinstance(wanted, int):
        if 0 <= wanted < len(info):
            return wanted
        raise ValidationError(
            f"hdu_index = {wanted}: the file has {len(info)} HDUs.", hint=f"Use 0 to {len(info) - 1}."
        )
    found = [item["index"] for item in info if item["name"] and item["name"].upper() == wanted.strip().upper()]
    if len(found) == 1:
        return int(found[0])
    if found:
        raise ValidationError(f"{len(found)} HDUs are called '{wanted}'.", hint=f"Use a number: {found}.")
    raise ValidationError(
        f"The file has no HDU '{wanted}'.", hint=nearest(wanted, (item["name"] for item in info if item["name"]))
    )


def _content(hdu: Any, context: Context, fits: Any, index: int) -> dict[str, Any]:
    header = hdu.header.copy()  # reading the data changes what it says about their scale
    fields: dict[str, Any] = {
        "header": _keywords(header),
        "header_comments": {
            clean(key): clean(header.comments[key])
            for key in dict.fromkeys(header)
            if key not in COMMENTARY and header.comments[key]
        },
        "hdu_index": index,
        "units": {},
        "shape": None,
        "dtype": None,
        "data": None,
    }
    if isinstance(hdu, fits.BinTableHDU | fits.TableHDU):
        return fields | _table(hdu, context)
    if isinstance(hdu, fits.GroupsHDU) or not hasattr(hdu, "shape"):
        raise ValidationError(
            f"HDU {index} is a {type(hdu).__name__}, which is not read.", hint="Images and tables are."
        )
    if not hdu.shape or 0 in hdu.shape:
        return fields
    context.enforce("values", float(np.prod(hdu.shape, dtype=float)), f"the size of the image, {hdu.shape},")
    image = native(np.asarray(hdu.data), context, "the image")
    context.meta["dtype"] = str(image.dtype)
    unit = header.get("BUNIT")
    return fields | {
        "data": image,
        "shape": list(image.shape),
        "dtype": str(image.dtype),
        "units": {"data": clean(str(unit)).strip() or None if unit is not None else None},
    }


def _keywords(header: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for card in header.cards:
        key = clean(card.keyword)
        if card.keyword in COMMENTARY:
            if str(card.value).strip():
                found.setdefault(key or "_blank", []).append(clean(str(card.value)))
        else:
            value = card.value
            found[key] = None if type(value).__name__ == "Undefined" else attribute(value)
    return found


def _table(hdu: Any, context: Context) -> dict[str, Any]:
    rows, columns = int(hdu.header["NAXIS2"]), hdu.columns
    width = sum(int(np.prod(dtype.shape, dtype=float)) or 1 for dtype, _ in columns.dtype.fields.values())
    context.enforce("values", rows * width, f"the size of the table, {rows} rows of {width} values,")
    table = hdu.data
    data: dict[str, Any] = {}
    for number, column in enumerate(columns, start=1):
        name = clean(column.name or f"col{number}")
        data[name] = _column(table.field(number - 1), column, name, context) if rows else np.empty(0)
    return {
        "data": data,
        "shape": [rows],
        "dtype": {clean(column.name or ""): clean(str(column.format)) for column in columns},
        "units": {clean(column.name or ""): clean(column.unit) if column.unit else None for column in columns},
    }


def _column(values: Any, column: Any, name: str, context: Context) -> Any:
    values = np.asarray(values) if not isinstance(values, np.ndarray) or values.dtype.kind != "O" else values
    if values.dtype.kind == "O":
        rows = [np.asarray(row) for row in values]
        if any(row.dtype.kind not in "biufc" for row in rows):
            return ["".join(map(str, row)) if isinstance(row, np.ndarray) and row.ndim else str(row) for row in rows]
        return jagged(rows, (len(rows),), context, name)
    if values.dtype.kind in "SU":
        return texts(np.char.rstrip(np.asarray(values)))  # trailing blanks mean nothing in FITS
    if values.dtype.kind == "f" and str(column.format).endswith("B") and (column.bzero, column.bscale) in SIGNED_BYTE:
        values = values.astype(np.int8)
    null = column.null
    if values.dtype.kind in "iu" and null not in (None, "") and isinstance(null, int):
        missing = _raw_nulls(values, column, null)
        if missing.any():
            context.warn(f"'{name}': {int(missing.sum())} blank values (TNULL = {null}) are NaN.")
            return np.where(missing, np.nan, values.astype(float))
    return native(values, context, name)


def _raw_nulls(values: Array, column: Any, null: int) -> Array:
    """Return where an integer column, after BZERO, holds the stored value that stands for blank."""
    zero = column.bzero if column.bzero not in (None, "") else 0
    scale = column.bscale if column.bscale not in (None, "") else 1
    return np.asarray(values == null * scale + zero)
