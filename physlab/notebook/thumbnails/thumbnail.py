"""What is shown of a file: a small picture, or the first rows of a table, and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

PIXELS = 50_000_000
"""A picture that has more is a bomb, or needs a program of its own."""
ROWS, CELL = 6, 24


@dataclass(frozen=True)
class Thumbnail:
    """What is shown of a file.

    Attributes:
        kind: `picture`, `page`, `table`, `arrays`, `text`, or `file` where nothing more is known of it.
        words: What it is: shape, type of its numbers, units.
        png: A small picture, encoded here from its pixels; None where there is none.
        rows: The first rows of a table, its header first; empty where there is none.
    """

    kind: str
    words: str
    png: bytes | None = None
    rows: tuple[tuple[str, ...], ...] = ()

    @property
    def table(self) -> Markup:
        """The rows as a table in HTML; empty where there are none."""
        if not self.rows:
            return Markup("")
        head, *body = self.rows
        cell, title = Markup("<td>{}</td>"), Markup("<th>{}</th>")
        lines = [Markup("<tr>{}</tr>").format(_cells(row, cell)) for row in body]
        return Markup('<table class="preview"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>').format(
            _cells(head, title), Markup("").join(lines)
        )


def _cells(row: Sequence[str], cell: Markup) -> Markup:
    return Markup("").join(cell.format(text) for text in row)


def short(text: str, limit: int = CELL) -> str:
    """Return a text on one line, cut, without control characters."""
    flat = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"
