"""A table of contents: one line for each entry."""

from __future__ import annotations

from dataclasses import dataclass

from physlab.notebook.book import Book


@dataclass(frozen=True)
class Line:
    """An entry in a table of contents.

    Attributes:
        entry_id: Which entry.
        title: Of its last revision.
        author: Of its last revision.
        begun: When its first revision was written, in UTC.
        revised: When its last one was.
        revision: How many there are.
        state: `open`, `signed`, `changes requested` or `approved`.
        tags: Its tags.
        files: How many it has.
        remarks: How many were made on all its revisions.
        record: Of its last revision.
    """

    entry_id: str
    title: str
    author: str
    begun: str
    revised: str
    revision: int
    state: str
    tags: tuple[str, ...]
    files: int
    remarks: int
    record: str


def contents(book: Book) -> list[Line]:
    """Return a line for each entry, in the order in which they were begun."""
    begun: dict[str, str] = {}
    remarks: dict[str, int] = {}
    for page in book.pages():
        name = page.entry.entry_id
        begun.setdefault(name, page.entry.at)
        remarks[name] = remarks.get(name, 0) + len(page.remarks)
    return [
        Line(
            page.entry.entry_id, page.entry.title, page.entry.author, begun[page.entry.entry_id], page.entry.at,
            page.entry.revision, page.state, page.entry.tags, len(page.entry.attachments),
            remarks[page.entry.entry_id], page.record,
        )
        for page in book.latest()
    ]  # fmt: skip
