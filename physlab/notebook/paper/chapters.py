"""What a paper says of each entry: text, files, computations, what was said of it, signatures, history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from physlab.errors import ValidationError
from physlab.model.notebook import Attachment, Entry, EntrySignature, Remark
from physlab.notebook.book import Book, Page
from physlab.notebook.markdown import Rendered, render
from physlab.notebook.paper.differences import differences
from physlab.notebook.paper.exhibits import Card, Exhibits
from physlab.notebook.paper.sources import Origin, moment, origin_of
from physlab.notebook.signatures import check_signature
from physlab.signing import read_public
from physlab.store import Store

TEXT_PX = 13.4
"""Size of the letters of formulas, to fit those around them [px]."""
WORDS = {"comment": "Comment", "request_changes": "Changes requested", "approve": "Approved"}


@dataclass(frozen=True)
class Signature:
    """A signature as it is printed.

    Attributes:
        line: Meaning, signer and time.
        key: Id of the key.
        revision: Which revision.
        record: What was signed.
        problem: Why it does not hold; empty where it does.
    """

    line: str
    meaning: str
    signer: str
    at: str
    key: str
    revision: int
    record: str
    problem: str


@dataclass(frozen=True)
class Said:
    """A remark as it is printed."""

    word: str
    author: str
    at: str
    revision: int
    text: Markup


@dataclass(frozen=True)
class Revision:
    """A revision as its history tells it."""

    number: int
    author: str
    at: str
    reason: str
    record: str
    changed: list[tuple[str, Markup]]


@dataclass(frozen=True)
class Chapter:
    """An entry as it is printed: its last revision in full, those before by what each changed."""

    page: Page
    at: str
    content: Markup
    conclusions: Markup
    cards: list[Card]
    origins: list[Origin]
    said: list[Said]
    signatures: list[Signature]
    history: list[Revision]
    problems: tuple[str, ...]

    @property
    def entry(self) -> Entry:
        """What it says."""
        return self.page.entry

    @property
    def anchor(self) -> str:
        """Where links to it lead."""
        return f"entry-{self.page.entry.entry_id}"


def pictures_of(pages: Sequence[Page]) -> list[str]:
    """Return the SHA-256 of the attachments that the texts of pages show as pictures."""
    found: list[str] = []
    for page in pages:
        own = {item.sha256 for item in page.entry.attachments}
        for text in (page.entry.content, page.entry.conclusions):
            shown = render(text, page.entry.attachments, lambda sha256: "#", strict=False).shown
            found += [sha256 for sha256 in shown if sha256 in own]
    return found


def chapter(store: Store, book: Book, page: Page, exhibits: Exhibits) -> Chapter:
    """Return what is printed of an entry: the last revision of it that `page` is."""
    revisions = [item for item in book.pages() if item.entry.entry_id == page.entry.entry_id
                 and item.entry.revision <= page.entry.revision]  # fmt: skip
    content, conclusions = (_text(text, page, exhibits) for text in (page.entry.content, page.entry.conclusions))
    said = [_said(remark, item, exhibits) for item in revisions for remark in item.remarks]
    return Chapter(
        page, moment(page.entry.at), Markup(content.html), Markup(conclusions.html),  # noqa: S704 - cleaned
        cards=[exhibits.card(item) for item in page.entry.attachments],
        origins=[origin_of(store, source) for source in page.entry.sources],
        said=[item for item, _ in said],
        signatures=[_signature(made, item) for item in revisions for made in item.signatures],
        history=list(_history(revisions)),
        problems=(*content.problems, *conclusions.problems, *(line for _, lines in said for line in lines)),
    )  # fmt: skip


def _text(text: str, page: Page, exhibits: Exhibits) -> Rendered:
    own = {item.sha256 for item in page.entry.attachments}
    return render(
        text, page.entry.attachments, lambda sha256: exhibits.large.get(sha256) if sha256 in own else None,
        size_px=TEXT_PX, strict=False,
    )  # fmt: skip


def _said(remark: Remark, page: Page, exhibits: Exhibits) -> tuple[Said, tuple[str, ...]]:
    text = _text(remark.text, page, exhibits)
    told = Said(
        WORDS[remark.word], remark.author, moment(remark.at), page.entry.revision, Markup(text.html)  # noqa: S704 - cleaned
    )  # fmt: skip
    return told, text.problems


def _signature(made: EntrySignature, page: Page) -> Signature:
    try:
        problem, key = "", check_signature(page.record, page.entry, made).id
    except ValidationError as error:
        problem, key = error.message, _key(made)
    line = f"{made.signer} signed revision {page.entry.revision} as {made.meaning}"
    return Signature(line, made.meaning, made.signer, moment(made.at), key, page.entry.revision, page.record, problem)


def _key(made: EntrySignature) -> str:
    try:
        return read_public(made.key).id
    except ValidationError:
        return "unreadable"


def _history(revisions: Sequence[Page]) -> Iterator[Revision]:
    before: Page | None = None
    for page in revisions:
        entry = page.entry
        changed = differences(before.entry, entry) if before else []
        yield Revision(entry.revision, entry.author, moment(entry.at), entry.reason, page.record, changed)
        before = page


def files_of(pages: Sequence[Page]) -> list[Attachment]:
    """Return the attachments of pages, each once."""
    return list({item.sha256: item for page in pages for item in page.entry.attachments}.values())


def tally(book: Book) -> dict[str, Any]:
    """Return what a title page says of a notebook: who wrote, when, and how much there is."""
    pages, last = book.pages(), max(item.at for item in book.records.values())
    return {
        "authors": list(dict.fromkeys(page.entry.author for page in pages)),
        "first": moment(min(item.at for item in book.records.values())),
        "last": moment(last), "last_iso": _second(last),
        "entries": len(book.latest()), "revisions": len(pages),
        "remarks": sum(len(page.remarks) for page in pages), "signatures": sum(len(page.signatures) for page in pages),
        "records": len(book.records), "heads": book.heads,
    }  # fmt: skip


def _second(text: str) -> str:
    """Return an ISO time in UTC with whole seconds, as PDF takes it; the beginning of time when it is none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="seconds")
    except ValueError:
        return "1970-01-01T00:00:00+00:00"
