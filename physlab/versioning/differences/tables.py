"""Tables: columns, rows, and by how much the numbers differ."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from physlab.versioning.differences.arrays import compare_values

LARGEST = 64 << 20
"""Larger tables are compared as bytes [bytes]."""


def compare(before: Path, after: Path) -> tuple[list[str], dict[str, Any]] | None:
    """Compare two tables with a header; None when one of them is none, or too large."""
    try:
        old, new = _read(before), _read(after)
    except (UnicodeDecodeError, csv.Error, ValueError):
        return None
    lines: list[str] = []
    figures: dict[str, Any] = {"columns": {}, "rows": [_rows(old), _rows(new)]}
    for verb, names in (("removed", old.keys() - new.keys()), ("added", new.keys() - old.keys())):
        figures[verb] = sorted(names)
        lines += [f"column {name} was {verb}" for name in sorted(names)]
    if _rows(old) != _rows(new):
        lines.append(f"rows: {_rows(old)} → {_rows(new)}")
    for name in [name for name in old if name in new]:
        told, figures["columns"][name] = _compare_column(name, old[name], new[name])
        lines += told
    return lines or ["only the spelling differs: the values are the same"], figures


def _rows(table: dict[str, list[str]]) -> int:
    return len(next(iter(table.values()), []))


def _read(path: Path) -> dict[str, list[str]]:
    if path.stat().st_size > LARGEST:
        raise ValueError("too large")
    text = path.read_bytes().decode("utf-8-sig")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    rows = list(csv.reader(lines, delimiter="\t" if "\t" in "".join(lines[:1]) else ","))
    if not rows or len(set(rows[0])) != len(rows[0]) or any(len(row) != len(rows[0]) for row in rows):
        raise ValueError("not a table")
    return {name: [row[place] for row in rows[1:]] for place, name in enumerate(rows[0])}


def _compare_column(name: str, old: list[str], new: list[str]) -> tuple[list[str], dict[str, Any]]:
    common = min(len(old), len(new))
    try:
        a, b = (np.array([float(value) for value in column[:common]]) for column in (old, new))
    except ValueError:
        changed = [row for row in range(common) if old[row] != new[row]]
        said = [f"{name}: {len(changed)} of {common} values differ, first in row {changed[0] + 1}"] if changed else []
        return said, {"equal": not changed, "changed": len(changed)}
    return compare_values(name, a, b)
