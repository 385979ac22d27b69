"""Entries as a PDF: the one place where a page of the notebook is printed, sealed by the lab and put into a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from types import MappingProxyType

from physlab.collab.people.naming import people_in
from physlab.durable import replace_file
from physlab.errors import StoreError, ValidationError
from physlab.lab import Lab
from physlab.model.notebook import Attachment
from physlab.notebook.book import Book, Page, open_book
from physlab.settings import Settings
from physlab.store import Store

PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
NOBODY: Mapping[str, str] = MappingProxyType({})
MOST_INSIDE = 5_000_000
"""A larger picture is named, not shown [bytes]."""
SHEET_PX, SHEET_COLUMNS = 256, 5
_STYLE = (
    "body{font:16px/1.5 Georgia,serif;max-width:46rem;margin:2rem auto;padding:0 1rem}img{max-width:100%}"
    "code{font-size:.8em;overflow-wrap:anywhere}.facts{color:#666;font-size:.9em}table{border-collapse:collapse}"
    "td,th{border-bottom:1px solid #ccc;padding:.2rem .6rem}img.math{vertical-align:middle}"
)


def write_pdf(lab: Lab, name: str, pages: Sequence[Page]) -> tuple[Path, list[str]]:
    """Print entries into the results folder; return the file, and what could not be shown as it was meant.

    Args:
        lab: The lab.
        name: Of the file, without its ending.
        pages: The entries, each in the revision that is wanted.

    Raises:
        ResourceError: Printing takes more memory or time than it may, or the authority of time stamps is silent.
        StoreError: It cannot be written.
    """
    told = voices(open_book(lab.store, pages[0].entry.notebook).pages())
    names = {person.id: person.name for person in people_in(lab.settings, told).values()}
    sealed, problems = make_pdf(lab.store, lab.settings, pages, names)
    return _kept(lab, pages[0], f"{name}.pdf", sealed), problems


def make_pdf(
    store: Store, settings: Settings, pages: Sequence[Page], names: Mapping[str, str] = NOBODY
) -> tuple[bytes, list[str]]:
    """Return entries as a PDF with the seal of the lab, and what could not be shown as it was meant.

    Args:
        store: Where the entries are.
        settings: Of the lab.
        pages: The entries.
        names: What people are called, by their ids.
    """
    from physlab.notebook.paper import lab_certificate, print_entry, print_notebook, seal

    title, book = settings.report.lab, open_book(store, pages[0].entry.notebook)
    if len(pages) == 1:
        paper = print_entry(store, book, pages[0], lab=title, names=names)
    else:
        paper = print_notebook(store, _only(book, pages), lab=title, names=names)
    certificate = lab_certificate(settings.home / "keys", title)
    sealed = seal(paper.pdf, certificate, authority_url=settings.collaboration.timestamp_url or "")
    left = [f"{name} is too large to be in the PDF; it is in the store." for name in paper.left_out]
    return sealed, [*paper.problems, *left]


def write_html(lab: Lab, name: str, pages: Sequence[Page]) -> tuple[Path, list[str]]:
    """Write entries as one page of HTML that needs nothing else: formulas and pictures are in it.

    Raises:
        StoreError: It cannot be written.
    """
    title = pages[0].entry.title if len(pages) == 1 else f"Notebook {pages[0].entry.notebook}"
    parts: list[str] = []
    problems: list[str] = []
    names = {person.id: person.name for person in people_in(lab.settings, voices(pages)).values()}
    for page in pages:
        html, found = entry_html(lab.store, page, names)
        parts.append(html)
        problems += found
    head = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>"
    )
    text = f"{head}{''.join(parts)}</body></html>\n"
    return _kept(lab, pages[0], f"{name}.html", text.encode()), problems


def write_sheet(lab: Lab, name: str, pages: Sequence[Page]) -> tuple[Path, list[str]]:
    """Write the files of entries as one picture of small pictures.

    Raises:
        ValidationError: They have no files.
        StoreError: A file is damaged, or the picture cannot be written.
    """
    from physlab.notebook.paper.chapters import files_of

    return _kept(lab, pages[0], f"{name}-files.png", make_sheet(lab.store, files_of(pages))), []


def make_sheet(store: Store, files: Sequence[Attachment]) -> bytes:
    """Return the files of entries as one picture of small pictures, as PNG.

    Raises:
        ValidationError: There are none.
        StoreError: One is damaged.
    """
    from physlab.notebook.thumbnails import Thumbnail, contact_sheets, look_at

    if not files:
        raise ValidationError("The entry has no files to show.", hint="Attach some: physlab notebook revise ENTRY")
    here = {item.sha256: item for item in files if store.blobs.path(item.sha256).is_file()}
    paths = [(store.blobs.verified(sha256), item.name) for sha256, item in here.items()]
    seen = dict(zip(here, look_at(paths, SHEET_PX), strict=True))
    shown = [(item.name, seen.get(item.sha256, Thumbnail("not in this store", ""))) for item in files]
    columns = min(SHEET_COLUMNS, len(shown))
    [sheet] = contact_sheets(shown, rows=-(-len(shown) // columns), columns=columns, width_px=SHEET_PX)
    return sheet


def voices(pages: Sequence[Page]) -> list[str]:
    """Return who wrote, is to sign, said something of and signed entries, as the records call them."""
    return [
        who for page in pages for who in (
            page.entry.author, *filter(None, [page.awaits]), *(item.author for item in page.remarks),
            *(made.signer for made in page.signatures),
        )
    ]  # fmt: skip


def entry_html(store: Store, page: Page, names: Mapping[str, str] = NOBODY) -> tuple[str, list[str]]:
    """Return an entry as safe HTML with its pictures inside, and what could not be shown.

    Args:
        store: Where the pictures are.
        page: The entry.
        names: What people are called, by their ids.
    """
    import base64

    from physlab.notebook.markdown import render

    entry = page.entry
    kinds = {item.sha256: item.media_type for item in entry.attachments if item.size <= MOST_INSIDE}

    def address(sha256: str) -> str | None:
        kind = kinds.get(sha256, "")
        if kind not in PICTURES or not store.check_blobs([sha256]):
            return None
        return f"data:{kind};base64,{base64.b64encode(store.blobs.path(sha256).read_bytes()).decode()}"

    parts: list[str] = []
    problems: list[str] = []
    for words, text in (("", entry.content), ("<h2>Conclusions</h2>", entry.conclusions)):
        if text:
            made = render(text, entry.attachments, address, strict=False)
            parts.append(words + made.html)
            problems += made.problems
    files = "".join(f"<li>{escape(item.name)} <code>sha256:{item.sha256}</code></li>" for item in entry.attachments)
    signed = "".join(
        f"<li>{escape(names.get(made.signer, made.signer))} as {escape(made.meaning)}, {escape(made.at)}</li>"
        for made in page.signatures
    )
    author, state = names.get(entry.author, entry.author), page.state
    if page.awaits:
        state = state.replace(page.awaits, names.get(page.awaits, page.awaits))
    facts = f"{entry.entry_id}, revision {entry.revision}, {escape(author)}, {escape(entry.at)}, {escape(state)}"
    html = (
        f"<article><h1>{escape(entry.title)}</h1><p class=facts>{facts}<br><code>sha256:{page.record}</code></p>"
        f"{''.join(parts)}{f'<div class=list><h2>Files</h2><ul>{files}</ul></div>' if files else ''}"
        f"{f'<div class=list><h2>Signatures</h2><ul>{signed}</ul></div>' if signed else ''}</article>"
    )
    return html, problems


def _kept(lab: Lab, page: Page, name: str, data: bytes) -> Path:
    folder = lab.settings.results / "notebooks" / page.entry.notebook
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / name, data)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"The page {folder / name} cannot be written: {error.strerror or error}.", hint="See: --results"
        ) from error
    return folder / name


def _only(book: Book, pages: Sequence[Page]) -> Book:
    """Return a notebook with some of its entries."""
    names = {page.entry.entry_id for page in pages}
    mine = {page.record for page in book.pages() if page.entry.entry_id in names}
    kept = {name: item for name, item in book.records.items() if name in mine or getattr(item, "entry", None) in mine}
    return Book(book.name, kept, book.texts)
