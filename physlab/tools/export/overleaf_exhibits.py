"""Figures, tables and equations as LaTeX, and the files that go with them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from physlab.errors import ValidationError, nearest
from physlab.tools.context import Context
from physlab.tools.export import latex
from physlab.tools.export.archive import slug
from physlab.tools.export.overleaf_params import Exhibit, OverleafParams
from physlab.tools.types import File

PREFIX = {"figure": "fig", "table": "tab", "equation": "eq"}
MAGIC = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg", b"%PDF-": "pdf"}
FLOATING_ROWS = {"article": 30, "report": 30, "book": 30, "beamer": 14, "poster": 25}
MOST_COLUMNS = 20
_NUMBER = re.compile(r"[+\-\N{MINUS SIGN}]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


@dataclass
class Piece:
    """One exhibit, ready for a template.

    Attributes:
        kind: `figure`, `table` or `equation`.
        body: LaTeX without float, caption and label.
        caption: LaTeX.
        label: Its label.
        long: True for a table that runs over pages; its body then holds caption and label.
    """

    kind: str
    body: str
    caption: str
    label: str
    long: bool = False


@dataclass
class Material:
    """What the document is made of, beside its text.

    Attributes:
        pieces: The exhibits in order.
        files: Name in the project → file.
        sources: What the user gave: name in the project, name there, SHA-256.
    """

    pieces: list[Piece] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    sources: list[tuple[str, str, str]] = field(default_factory=list)


def gather(params: OverleafParams, context: Context, cite: Any) -> Material:
    """Turn every exhibit into LaTeX.

    Args:
        params: The document.
        context: The call.
        cite: Escapes a text and turns `[@key]` into citations.

    Raises:
        ValidationError: A picture is none that LaTeX takes, a table is not rectangular or too long, LaTeX is broken.
    """
    found, counts = Material(), dict.fromkeys(PREFIX, 0)
    for number, item in enumerate(params.artifacts):
        counts[item.type] += 1
        where = f"artifacts[{number}]"
        label = item.label or _label(item.type, counts[item.type], params)
        caption = cite(item.caption, f"{where}.caption")
        piece = Piece(item.type, "", caption, label)
        if item.type == "figure":
            _figure(piece, item, params, found, where, counts["figure"])
        elif item.type == "table":
            _table(piece, item, params, found, where, context)
        else:
            piece.body = latex.equation(_text(item.content, where), f"{where}.content")
        found.pieces.append(piece)
    return found


def _label(kind: str, number: int, params: OverleafParams) -> str:
    taken = {item.label for item in params.artifacts}
    label = f"{PREFIX[kind]}:{number}"
    while label in taken:
        label += "a"
    return label


def _text(content: Any, where: str) -> str:
    if isinstance(content, Mapping) and isinstance(content.get("latex"), str):
        content = content["latex"]  # the reply of a cas node
    if isinstance(content, File):
        content = _read(content, where)
    if not isinstance(content, str):
        raise ValidationError(f"{where}.content = {str(content)[:60]!r} is no LaTeX.", hint=r"Give a text: E = mc^2.")
    return content


def _read(file: File, where: str) -> str:
    try:
        return file.path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError(f"{where}: '{file.name}' cannot be read as text: {error}.", hint="Use UTF-8.") from error


def _file(content: Any, params: OverleafParams, where: str) -> File | None:
    if isinstance(content, list | tuple) and len(content) == 1:
        content = content[0]
    if isinstance(content, Path):
        content = str(content)
    if isinstance(content, str) and "\n" not in content:
        if content not in params.files:
            raise ValidationError(f"{where}.content = '{content}' is no file.", hint=nearest(content, params.files))
        content = params.files[content]
    return content if isinstance(content, File) else None


def _figure(piece: Piece, item: Exhibit, params: OverleafParams, found: Material, where: str, number: int) -> None:
    file = _file(item.content, params, where)
    if file is None:
        raise ValidationError(
            f"{where}.content is no picture.", hint="Give a path, or from:node.field of a PNG, JPEG or PDF."
        )
    if not file.path.is_file():
        raise ValidationError(f"{where}: the file '{file.path}' does not exist.", hint="Check the path.")
    with file.path.open("rb") as stream:
        head = stream.read(8)
    kind = next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)
    if kind is None:
        raise ValidationError(
            f"{where}: '{file.name}' is no PNG, JPEG or PDF, and LaTeX takes no other pictures.",
            hint="Of a plot node use image_png_b64 or png_b64 rather than svg.",
        )
    name = f"figures/{number:02d}-{slug(PurePath(file.name).stem, 'figure').replace('.', '-')}.{kind}"
    found.files[name] = file.path
    found.sources.append((name, file.name, _sha256(file)))
    piece.body = rf"\includegraphics[width={item.width:g}\linewidth,height=0.72\textheight,keepaspectratio]{{{name}}}"


def _sha256(file: File) -> str:
    from physlab import keys

    if file.sha256 is not None:
        return file.sha256
    with file.path.open("rb") as stream:
        return keys.digest_stream(stream)[0]


def _table(piece: Piece, item: Exhibit, params: OverleafParams, found: Material, where: str, context: Context) -> None:
    header, rows = _rows(item, params, found, where)
    header = item.header or header
    width = len(header or rows[0] if rows else header or [])
    if not rows or not width:
        raise ValidationError(f"{where}: the table is empty.", hint="Give at least one row.")
    for number, row in enumerate(rows):
        if len(row) != width:
            raise ValidationError(
                f"{where}: row {number + 1} has {len(row)} cells, and there are {width} columns.",
                hint="Give each row as many cells as the header.",
            )
    if width > MOST_COLUMNS:
        raise ValidationError(
            f"{where}: {width} columns do not fit on a page; at most {MOST_COLUMNS} are printed.",
            hint="Choose columns, or turn the table.",
        )
    context.enforce("samples", len(rows) * width, f"cells of {where}")
    most = FLOATING_ROWS[params.template]
    piece.long = len(rows) > most
    if piece.long and params.template in ("beamer", "poster"):
        raise ValidationError(
            f"{where}: {len(rows)} rows do not fit; a {params.template} takes {most}.",
            hint="Give fewer rows, or use the template article.",
        )
    piece.body = _tabular(piece, header, rows, item.digits, where)


def _rows(
    item: Exhibit, params: OverleafParams, found: Material, where: str
) -> tuple[list[str] | None, list[list[Any]]]:
    """Return header and rows of CSV, rows, columns or an array."""
    content = item.content
    if isinstance(content, str) and "\n" in content:
        return _parse(content, where)
    file = _file(content, params, where) if isinstance(content, str | Path | File) else None
    if file is not None:
        found.sources.append(("(table)", file.name, _sha256(file)))
        return _parse(_read(file, where), where)
    if isinstance(content, Mapping):
        columns = {str(name): np.asarray(column).tolist() for name, column in content.items()}
        lengths = {name: len(column) if isinstance(column, list) else 0 for name, column in columns.items()}
        if not columns or len(set(lengths.values())) != 1:
            raise ValidationError(f"{where}: the columns have different lengths: {lengths}.", hint="Give equal ones.")
        return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]
    if isinstance(content, np.ndarray):
        content = content.tolist()
    if isinstance(content, list | tuple) and content:
        if all(isinstance(row, Mapping) for row in content):
            names = list(dict.fromkeys(str(key) for row in content for key in row))
            return names, [[row.get(name) for name in names] for row in content]
        rows = [list(row) if isinstance(row, list | tuple | np.ndarray) else [row] for row in content]
        return None, rows
    raise ValidationError(
        f"{where}.content is no table.", hint="Give a CSV file or its text, a list of rows, or {column: values}."
    )


def _parse(text: str, where: str) -> tuple[list[str], list[list[Any]]]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) < 2:
        raise ValidationError(f"{where}: the CSV has no rows below its header.", hint="Begin with a line of names.")
    separator = max(",;\t", key=lines[0].count)
    try:
        rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=separator, strict=True))
    except csv.Error as error:
        raise ValidationError(f"{where}: the CSV cannot be read: {error}.", hint="Check its quotes.") from error
    return [cell.strip() for cell in rows[0]], [[cell.strip() for cell in row] for row in rows[1:]]


def _tabular(piece: Piece, header: list[str] | None, rows: list[list[Any]], digits: int, where: str) -> str:
    printed = [[_cell(cell, digits, where) for cell in row] for row in rows]
    columns = "".join("r" if all(_is_number(row[place]) for row in rows) else "l" for place in range(len(rows[0])))
    top = " & ".join(latex.escape(str(name), f"{where}.header") for name in header) + r" \\" if header else None
    body = "\n".join(" & ".join(row) + r" \\" for row in printed)
    head = [r"\toprule", *([top, r"\midrule"] if top else [])]
    if piece.long:
        caption = rf"\caption{{{piece.caption}}}\label{{{piece.label}}}\\" "\n"
        begin = "\n".join([rf"\begin{{longtable}}{{{columns}}}", caption.rstrip(), *head, r"\endfirsthead"])
        return "\n".join([begin, *head, r"\endhead", r"\bottomrule", r"\endfoot", body, r"\end{longtable}"])
    inner = "\n".join([rf"\begin{{tabular}}{{{columns}}}", *head, body, r"\bottomrule", r"\end{tabular}"])
    return rf"\resizebox{{\ifdim\width>\linewidth\linewidth\else\width\fi}}{{!}}{{%" f"\n{inner}}}"


def _is_number(cell: Any) -> bool:
    if isinstance(cell, str):
        return not cell or _NUMBER.fullmatch(cell.strip()) is not None
    return cell is None or (isinstance(cell, int | float | np.number) and not isinstance(cell, bool))


def _cell(cell: Any, digits: int, where: str) -> str:
    """Return one cell; a number has at most so many significant digits, whole numbers and texts stay as they are."""
    if cell is None:
        return ""
    if isinstance(cell, np.generic):
        cell = cell.item()
    if isinstance(cell, bool) or not _is_number(cell) or not _NUMBER.fullmatch(str(cell).strip()):
        if not isinstance(cell, str | bool | float):
            raise ValidationError(f"{where}: a cell holds a {type(cell).__name__}.", hint="Cells are numbers, texts.")
        return latex.escape(str(cell), f"a cell of {where}")
    written = str(cell).strip().replace("\N{MINUS SIGN}", "-").lower()
    mantissa, _, power = written.partition("e")
    significant = len(mantissa.lstrip("+-").replace(".", "").lstrip("0"))
    if isinstance(cell, float) or (significant > digits and ("." in mantissa or power)):
        mantissa, _, power = f"{float(written):.{digits}g}".partition("e")
    return rf"${mantissa}$" if not power else rf"${mantissa}\times 10^{{{int(power)}}}$"
