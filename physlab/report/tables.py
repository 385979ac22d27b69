"""Tables of a report: CSV files in full or abridged, and the scalar results of nodes with their units."""

from __future__ import annotations

import csv
import itertools
import math
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape

from physlab.errors import StoreError
from physlab.report import words
from physlab.report.contents import Content, Item, stored_digest
from physlab.store import Store
from physlab.store.blobs import damaged

ROWS, COLUMNS = 12, 6  # up to which a series is shown whole
LISTED, SERIES = 12, 64  # numbers of a list that are shown one by one; up to which a list is a result at all
WHOLE = 200  # rows up to which a table that is a result in itself is shown whole
ALIKE = 4  # nodes of one method that share a table
_POWER = re.compile(r"\^(-?\d+)")
TEXT = 60  # characters of a text result
COUNTS = ("rows", "samples")  # what physlab's own tools count, no result
MANNER = ("dimensionality", "format", "method", "success", "unit", "verified")  # how a result is meant, no result


@dataclass(frozen=True)
class Table:
    """A table: header and body cells; `left_out` rows are missing after the first `gap`."""

    header: list[Markup]
    rows: list[list[Markup]]
    gap: int = 0
    left_out: int = 0
    words: str = ""  # `w` for each column of words, `m` for the one with most, `n` for numbers; missing: numbers
    notes: list[str] = field(default_factory=list)


def read_table(item: Item, store: Store, whole: bool = False) -> Table:
    """Return a CSV artifact as a table: whole when it is small or a result in itself, else its head and tail.

    Raises:
        StoreError: The file is missing, damaged or no CSV in UTF-8.
    """
    digest = item.artifact.sha256
    if not store.blobs.intact(digest):
        raise damaged(digest, store.blobs.path(digest))
    limit = WHOLE if whole else ROWS
    try:
        with open(store.blobs.path(digest), encoding="utf-8-sig", newline="") as stream:
            lines = csv.reader(stream)
            header = next(lines, [])
            rows = list(itertools.islice(lines, limit + 1))
            tail: deque[list[str]] = deque(rows, maxlen=3)
            total = len(rows)
            for line in lines:
                tail.append(line)
                total += 1
    except (UnicodeDecodeError, csv.Error) as error:
        raise StoreError(
            f"The table {item.path} of node '{item.node_id}' cannot be read: {error}.", hint="Tables are CSV in UTF-8."
        ) from error
    gap = 0
    if total > limit:
        gap = WHOLE - 3 if whole else 5
        rows = rows[:gap] + list(tail)
    left_out, columns = total - len(rows), 12 if whole else COLUMNS
    notes = [f"{len(header) - columns + 1} of {len(header)} columns are left out."] if len(header) > columns else []
    return Table(
        [_heading(cell) for cell in _narrow(header, columns)],
        [[_cell(cell) for cell in _narrow(row, columns)] for row in rows], gap, left_out, "", notes,
    )  # fmt: skip


def _narrow(row: list[str], columns: int) -> list[str]:
    return row if len(row) <= columns else [*row[: columns - 2], "…", row[-1]]


def _heading(text: str) -> Markup:
    """Return `name [unit]` with the unit set as one."""
    match = re.fullmatch(r"(.*)\[([^\[\]]+)\]\s*", text)
    name = _POWER.sub(r"<sup>\1</sup>", str(escape(match[1] if match else text)))
    return Markup(name) + (Markup("[{}]").format(words.unit(match[2])) if match else Markup(""))  # noqa: S704  (escaped)


def _cell(text: str) -> Markup:
    try:
        return escape(words.number(float(text) if not text.isdecimal() else int(text), 6))
    except ValueError:
        return escape(words.cut(text, TEXT))


@dataclass(frozen=True)
class Scalar:
    """One scalar result."""

    name: str
    value: Any
    unit: str | None
    meaning: str


def scalars(content: Content) -> Iterator[Scalar]:
    """Yield the scalar results of a node: numbers, short texts and short lists of numbers, not what it was given."""
    kind = content.method.kind if content.method else "user"
    if content.record is None or kind == "plot":
        return
    fields, params = _spread(content), list(content.record.params.values())
    units = {name: _unit(content, name, fields) for name in fields}
    spent = {f"{name}_unit" for name in fields} | {_beside(name) for name in fields if _last(name) == "value"}
    for name, value in fields.items():
        if name in spent or not _shown(value) or _again(name, value, fields):
            continue
        if isinstance(value, str) and value in params:
            continue
        if kind == "lookup" and not _is_number(value):  # a looked-up thing describes itself at length
            continue
        port = content.method.port(name) if content.method else None
        if port and (name in (*COUNTS, *MANNER) or (name == "exit_code" and value == 0)):
            continue
        if isinstance(value, list) and value == list(range(len(value))):  # an index, which says nothing
            continue
        yield Scalar(name, value, units[name], port.description.replace("`", "") if port else "")


def _again(name: str, value: Any, fields: Mapping[str, Any]) -> bool:
    """Tell whether a formula's result is one that `str` or `value` shows better: its LaTeX, its number once more."""
    number = fields.get("value")
    if name == "latex":
        return isinstance(fields.get("str"), str)
    if name not in ("evalf", "str") or not isinstance(number, int | float):
        return False
    try:
        return math.isclose(float(str(value).partition(" ")[0]), number, rel_tol=1e-12)
    except ValueError:  # a formula such as pi/2
        return False


def _spread(content: Content) -> dict[str, Any]:
    """Return the fields of a node; of the user's own program also what its mappings hold, as `result.x_end`."""
    fields = content.record.fields if content.record else {}
    return dict(_leaves(fields)) if content.method is None or content.method.open_returns else dict(fields)


def _leaves(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, dict) and stored_digest(value) is None:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _beside(name: str) -> str:
    """Return the name of the unit that stands beside a `value`."""
    return name.removesuffix("value") + "unit"


def _unit(content: Content, name: str, fields: Mapping[str, Any]) -> str | None:
    port = content.method.port(name) if content.method else None
    spoken = fields.get(f"{name}_unit", fields.get(_beside(name)) if _last(name) == "value" else None)
    return port.unit if port and port.unit else spoken if isinstance(spoken, str) else None


def _shown(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= TEXT and "\n" not in value
    if isinstance(value, list):
        return 0 < len(value) <= SERIES and all(map(_is_number, value))
    return isinstance(value, bool) or _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def scalar_table(contents: Sequence[Content]) -> Table | None:
    """Return the scalar results of nodes, one row each."""
    rows = []
    for content in contents:
        for index, item in enumerate(scalars(content)):
            step = Markup('<a href="#node-{0}">{0}</a>').format(content.id) if index == 0 else Markup("")
            meaning = escape(item.meaning or "")
            rows.append(
                [step, Markup("<code>{}</code>").format(item.name), meaning, _scalar(item), words.unit(item.unit)]
            )
    header = [escape(name) for name in ("Step", "Result", "Meaning", "Value", "Unit")]
    if not any(row[2] for row in rows):
        header, rows = [*header[:2], *header[3:]], [[*row[:2], *row[3:]] for row in rows]
    return _abridged(header, rows, "wwmnw" if len(header) == 5 else "wwnw") if rows else None


def _scalar(item: Scalar) -> Markup:
    if isinstance(item.value, str):
        return Markup("<code{}>{}</code>").format(Markup(' class="long"') if len(item.value) > 24 else "", item.value)
    if isinstance(item.value, list):
        if len(item.value) > LISTED:
            return escape(words.value(item.value))
        return Markup('<span class="long">{}</span>').format(", ".join(words.number(v, 6) for v in item.value))
    return escape(words.number(item.value))


def sweep_table(contents: Sequence[Content]) -> Table | None:
    """Return one row for each node of the same method: the parameters that differ, then the numbers it gave."""
    records = [content.record for content in contents if content.record]
    names = list(dict.fromkeys(name for record in records for name in record.params))
    varying = [n for n in names if len({words.compact(record.params.get(n)) for record in records}) > 1]
    varying = [n for n in varying if all(not isinstance(r.params.get(n), dict | list) for r in records)][:3]
    found = {
        content.id: {s.name: s for s in scalars(content) if not isinstance(s.value, str | list)} for content in contents
    }
    results = list(dict.fromkeys(name for row in found.values() for name in row))[: COLUMNS - len(varying)]
    if not results:
        return None
    units = {name: next((row[name].unit for row in found.values() if name in row), None) for name in results}
    header = [Markup("Step"), *(Markup("<i>{}</i>").format(n) for n in varying)]
    for name in results:
        written = words.unit(units[name])
        header.append(
            Markup("<code>{}</code>").format(name) + (Markup(" [{}]").format(written) if written else Markup(""))
        )
    rows = []
    for content in contents:
        if content.record:
            row = [Markup('<a href="#node-{0}">{0}</a>').format(content.id)]
            row += [escape(words.value(content.record.written.get(n), 24)) for n in varying]
            row += [_scalar(found[content.id][n]) if n in found[content.id] else Markup("—") for n in results]
            rows.append(row)
    return _abridged(header, rows, "w")


def _abridged(header: list[Markup], rows: list[list[Markup]], kinds: str) -> Table:
    if len(rows) <= 60:
        return Table(header, rows, words=kinds)
    return Table(header, rows[:40] + rows[-5:], 40, len(rows) - 45, kinds)
