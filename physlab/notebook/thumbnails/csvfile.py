"""Tables in text."""

from __future__ import annotations

import csv
from pathlib import Path

from physlab.notebook.thumbnails.text import beginning, lines_of
from physlab.notebook.thumbnails.thumbnail import ROWS, Thumbnail, short

SUFFIXES = (".csv", ".tsv", ".dat")
COLUMNS = 6


def look(path: Path, width_px: int, scratch: Path) -> Thumbnail:
    """Return the header and the first rows of a table, with how many there are."""
    lines = [line for line in beginning(path).splitlines() if line.strip() and not line.startswith("#")]
    try:
        dialect: type[csv.Dialect] | csv.Dialect = csv.Sniffer().sniff("\n".join(lines[:20]), delimiters=",;\t| ")
    except csv.Error:
        dialect = csv.excel
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines[:ROWS], dialect)]
    if not rows:
        return Thumbnail("table", "an empty table")
    columns, total = max(map(len, rows)), lines_of(path)
    headed = not any(_is_number(cell) for cell in rows[0])
    header = rows[0] if headed else [f"column {number}" for number in range(1, columns + 1)]
    shown = [header, *(rows[1:] if headed else rows[: ROWS - 1])]
    cut = [tuple(short(cell) for cell in row[:COLUMNS]) + (("…",) if columns > COLUMNS else ()) for row in shown]
    named = f": {', '.join(short(name) for name in header[:COLUMNS])}" if headed else ""
    return Thumbnail("table", f"table of {columns} columns and {total} lines{named}", rows=tuple(cut))


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
