"""Reading tables of numbers from text files, and saying exactly which cell is wrong."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from physlab.errors import ValidationError
from physlab.tools.types import Array, File

DELIMITERS = ("\t", ";", "|", ",", " ")  # the first that fits wins: a comma may also be a decimal sign
_SAMPLE = 50
_MISSING = {"", "-", "na", "n/a", "null", "none"}
_UNIT = re.compile(r"(.*?)\s*\[([^\]]*)\]|(.+?)\s+\(([^)]*)\)|(.+?)\s+/\s+(\S.*)")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class Line(NamedTuple):
    """One line with data: its number in the file, and its text."""

    number: int
    text: str


@dataclass(frozen=True)
class Format:
    """How a file spells its numbers."""

    delimiter: str
    decimal: str = "."
    missing: bool = False
    text_columns: Collection[str] = ()


@dataclass(frozen=True)
class Table:
    """Columns of one length.

    Attributes:
        labels: Headers as they are written.
        names: Headers without units, usable in `from:node.columns.name`.
        units: Unit of each name; None where the header has none.
        columns: Values by name; text columns are lists.
        delimiter: What separates the cells.
        comments: Comment lines, without their mark.
    """

    labels: list[str]
    names: list[str]
    units: dict[str, str | None]
    columns: dict[str, Array | list[str]]
    delimiter: str
    comments: list[str]


def read_table(
    file: File,
    *,
    delimiter: str | None = None,
    comment: str = "#",
    decimal: str = ".",
    encoding: str = "utf-8",
    missing: bool = False,
    text_columns: Collection[str] = (),
) -> Table:
    """Read a table of numbers with an optional header.

    Args:
        file: The file.
        delimiter: What separates cells; None finds it out, a blank stands for any white space.
        comment: What begins a comment line.
        decimal: Decimal sign, `.` or `,`.
        encoding: Text encoding.
        missing: True reads empty cells as NaN.
        text_columns: Names of columns that stay text.

    Raises:
        ValidationError: The file is missing, empty, binary, cut off or not a table; says the line and the column.
    """
    lines, comments = _lines(file, comment, encoding)
    chosen = delimiter or _sniff(lines)
    form = Format(chosen, decimal, missing, text_columns)
    labels, body = _header(lines, comments, form)
    if not body:
        raise ValidationError(f"'{file.name}' has a header and no rows.", hint="Was it still being written?")
    parts = [_unit_of(label, index) for index, label in enumerate(labels, start=1)]
    names = [name for name, _ in parts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValidationError(f"'{file.name}' has two columns called '{twice[0]}'.", hint="Rename one in its header.")
    unknown = sorted(set(text_columns) - set(names))
    if unknown:
        raise ValidationError(f"'{file.name}' has no column '{unknown[0]}'.", hint=f"It has: {', '.join(names)}.")
    columns = _columns(file, body, names, form)
    return Table(labels, names, dict(parts), columns, chosen, comments)


def _lines(file: File, comment: str, encoding: str) -> tuple[list[Line], list[str]]:
    if not file.path.is_file():
        raise ValidationError(f"The file '{file.name}' does not exist: {file.path}.", hint="Check the path.")
    try:
        data = file.path.read_bytes()
    except OSError as error:
        raise ValidationError(f"'{file.name}' cannot be read: {error.strerror}.", hint="Check its rights.") from error
    if b"\0" in data and not encoding.lower().startswith(("utf-16", "utf-32")):
        raise ValidationError(
            f"'{file.name}' is a binary file, not text (NUL byte in line {_line_of(data, data.index(0))}).",
            hint="Give a CSV file; for UTF-16 text set encoding: utf-16.",
        )
    try:
        text = data.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except UnicodeDecodeError as error:
        raise ValidationError(
            f"'{file.name}' line {_line_of(data, error.start)} is not {encoding} text.",
            hint="Set its encoding, for instance encoding: latin-1.",
        ) from error
    except LookupError as error:
        raise ValidationError(f"The encoding '{encoding}' is unknown.", hint="Use utf-8, latin-1 or utf-16.") from error
    split = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [Line(number, line) for number, line in enumerate(split, start=1) if line.strip()]
    comments = [line.text.strip() for line in lines if line.text.lstrip().startswith(comment)]
    rows = [line for line in lines if not line.text.lstrip().startswith(comment)]
    if not rows:
        raise ValidationError(
            f"'{file.name}' is empty{' but for comments' if comments else ''}.", hint="Was it still being written?"
        )
    return rows, [line.removeprefix(comment).strip() for line in comments]


def _line_of(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _split(text: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return text.split()
    return [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter, skipinitialspace=True))]


def _sniff(lines: Sequence[Line]) -> str:
    """Return the delimiter that splits most of the first lines into as many cells as the last of them, at least two."""
    sample = lines[:_SAMPLE]
    best, best_score = DELIMITERS[-1], 0
    for delimiter in DELIMITERS:
        widths = [len(_split(line.text, delimiter)) for line in sample]
        score = sum(width == widths[0] for width in widths) if widths[0] > 1 else 0
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _header(lines: list[Line], comments: Sequence[str], form: Format) -> tuple[list[str], list[Line]]:
    first = _split(lines[0].text, form.delimiter)
    if not all(_number(cell, form) is not None or cell.lower() in _MISSING for cell in first):
        return (_join_units(lines[0].text) if form.delimiter == " " else first), lines[1:]
    if comments:  # numpy writes its header as a comment
        spelled = _join_units(comments[-1]) if form.delimiter == " " else _split(comments[-1], form.delimiter)
        if len(spelled) == len(first) and all(_number(cell, form) is None for cell in spelled):
            return spelled, lines
    return [f"c{index}" for index in range(1, len(first) + 1)], lines


def _join_units(text: str) -> list[str]:
    """Split a header at white space, keeping `r [a_0]` together."""
    return re.findall(r"[^\s\[]+(?:\s*\[[^\]]*\])?", text)


def _unit_of(label: str, index: int) -> tuple[str, str | None]:
    match = _UNIT.fullmatch(label.strip())
    found = [part for part in match.groups() if part is not None] if match else [label, ""]
    name, unit = found[0], found[-1].strip() if len(found) == 2 else ""
    return _UNSAFE.sub("_", name.strip()).strip("_") or f"c{index}", unit or None


def _columns(file: File, body: list[Line], names: list[str], form: Format) -> dict[str, Array | list[str]]:
    fast = _load_fast(body, len(names), form)
    if fast is not None:
        return {name: np.ascontiguousarray(fast[:, index]) for index, name in enumerate(names)}
    cells: list[list[Any]] = [[] for _ in names]
    for line in body:
        row = _split(line.text, form.delimiter)
        if len(row) != len(names):
            cut = line is body[-1] and len(row) < len(names)
            raise ValidationError(
                f"'{file.name}' line {line.number} has {len(row)} cells instead of {len(names)}.",
                hint="The file ends in the middle of a row; was it still being written?"
                if cut
                else f"Each row needs: {', '.join(names)}. If the cells are separated otherwise, set delimiter.",
                details={"line": line.number},
            )
        for column, name, cell in zip(cells, names, row, strict=True):
            column.append(cell if name in form.text_columns else _value(file, line, cell, name, names, form))
    return {
        name: column if name in form.text_columns else np.array(column, dtype=float)
        for name, column in zip(names, cells, strict=True)
    }


def _load_fast(body: list[Line], width: int, form: Format) -> Array | None:
    """Let NumPy read the table; None when it cannot, so that the slow way finds out why."""
    if form.text_columns or form.decimal != ".":
        return None
    try:
        table = np.loadtxt(
            [line.text for line in body],
            delimiter=None if form.delimiter == " " else form.delimiter,
            comments=None,
            quotechar='"',
            ndmin=2,
        )
    except ValueError:
        return None
    return table if table.shape[1] == width else None


def _number(cell: str, form: Format) -> float | None:
    text = cell.replace(",", ".") if form.decimal == "," else cell
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return float(re.sub(r"(?<=[\d.])[dD](?=[+-]?\d+$)", "e", text))  # Fortran's double precision
    except ValueError:
        return None


def _value(file: File, line: Line, cell: str, name: str, names: Sequence[str], form: Format) -> float:
    number, position = _number(cell, form), names.index(name) + 1
    if number is not None:
        return number
    if form.missing and cell.lower() in _MISSING:
        return float("nan")
    hint = f"Correct the cell, or keep the column as text: text_columns: [{name}]."
    if cell.lower() in _MISSING:
        hint = "Fill the cell, or set missing: nan."
    elif re.fullmatch(r"[+-]?\d+,\d+([eE][+-]?\d+)?", cell):
        hint = "If that is a decimal comma, set decimal: ','."
    raise ValidationError(
        f"'{file.name}' line {line.number}, column {position} ({name}): '{cell[:60]}' is not a number.",
        hint=hint,
        details={"line": line.number, "column": position, "name": name},
    )
