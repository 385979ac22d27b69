"""Entries and notebooks as PDF/A-3; the same records give the same bytes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from physlab import __version__
from physlab.errors import ValidationError
from physlab.keys import digest_bytes
from physlab.notebook.book import Book, Page
from physlab.notebook.export import texts
from physlab.notebook.limited import Limits, run_limited
from physlab.notebook.paper.chapters import Chapter, chapter, files_of, pictures_of, tally
from physlab.notebook.paper.exhibits import Room, gather
from physlab.notebook.paper.press import PAGE, PAPER
from physlab.report import words
from physlab.store import Store

TASK = "physlab.notebook.paper.press"
RECORDS = "records"
Names = Mapping[str, str]
NOBODY: Names = MappingProxyType({})
LIMITS = Limits(memory_gb=6.0, cpu_s=900, wall_s=1800.0, file_gb=2.0)


@dataclass(frozen=True)
class Paper:
    """A notebook, or an entry, as PDF.

    Attributes:
        pdf: The file.
        sha256: Of it.
        pages: How many it has.
        problems: What of the texts could not be shown; it stands there as it was written.
        left_out: Names of files that the paper does not hold, since they are too large or not in the store.
    """

    pdf: bytes
    sha256: str
    pages: int
    problems: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def print_entry(
    store: Store, book: Book, page: Page, *, lab: str = "", room: Room | None = None, names: Names = NOBODY
) -> Paper:
    """Return one entry on paper: this revision in full, those before by what each changed.

    Args:
        store: Where files and records are.
        book: Its notebook.
        page: The revision.
        lab: Name of the lab, for the head of the page.
        room: What the paper may hold of files.
        names: What people are called whom the records tell by their ids.

    Raises:
        StoreError: A file is damaged.
        ResourceError: Printing takes more memory or time than it may.
    """
    return _print(store, _of_entry(book, page), [page], page.entry.title, lab, room or Room(), names, whole=False)


def print_notebook(
    store: Store, book: Book, *, lab: str = "", room: Room | None = None, names: Names = NOBODY
) -> Paper:
    """Return a whole notebook on paper, with a title page and a table of contents; else as `print_entry`.

    Raises:
        ValidationError: It is empty.
    """
    if not book.records:
        raise ValidationError(f"The notebook {book.name} is empty.", hint="See: physlab notebook list")
    return _print(store, book, book.latest(), f"Notebook {book.name}", lab, room or Room(), names, whole=True)


def _of_entry(book: Book, page: Page) -> Book:
    """Return the records of an entry, up to a revision."""
    names = {item.record for item in book.pages() if item.entry.entry_id == page.entry.entry_id
             and item.entry.revision <= page.entry.revision}  # fmt: skip
    mine = {name: item for name, item in book.records.items()
            if name in names or getattr(item, "entry", None) in names}  # fmt: skip
    return Book(book.name, mine, book.texts)


def _print(
    store: Store, book: Book, pages: Sequence[Page], title: str, lab: str, room: Room, names: Names, *, whole: bool
) -> Paper:
    exhibits = gather(store, files_of(pages), pictures_of(pages), room)
    folder = Path(tempfile.mkdtemp(prefix="physlab-paper-"))
    try:
        records = _records(book, folder)
        chapters = [chapter(store, book, page, exhibits) for page in pages]
        facts = tally(book)
        facts["authors"] = [names.get(author, author) for author in facts["authors"]]
        page = str(_template().render(
            title=title, lab=lab, book=book, chapters=chapters, whole=whole, facts=facts, records=records,
            names=names, version=__version__, count=words.count, created=facts["last_iso"],
        ))  # fmt: skip
        (folder / PAGE).write_text(page, encoding="utf-8")
        held = [{"path": str(folder / RECORDS / sha256), "name": name} for name, sha256 in records.items()]
        order = {"files": exhibits.held, "records": held, "at": facts["last_iso"]}
        told = run_limited(TASK, order, folder, LIMITS)
        pdf = (folder / PAPER).read_bytes()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    problems = [f"{one.entry.entry_id}: {line}" for one in chapters for line in one.problems]
    if told["missing"]:
        problems.append(f"No font of this machine has {' '.join(told['missing'][:40])}: install one (fonts-noto).")
    return Paper(pdf, digest_bytes(pdf), int(told["pages"]), tuple(problems), _left_out(chapters))


def _left_out(chapters: Sequence[Chapter]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(card.name for one in chapters for card in one.cards if not card.link))


def _records(book: Book, folder: Path) -> dict[str, str]:
    """Write the records that a paper is made from, with their signatures: name → SHA-256 of each file."""
    (folder / RECORDS).mkdir()
    found = {}
    for name, data in texts(book):
        flat = name.replace("/", "-")
        found[flat] = digest_bytes(data)
        (folder / RECORDS / found[flat]).write_bytes(data)
    return found


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    text = files("physlab.notebook.paper").joinpath("template.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(
        text
    )
