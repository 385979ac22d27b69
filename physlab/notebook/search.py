"""Full text of notebooks: words, "phrases", tag:, author:, since:, until:; the best first, with where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from types import MappingProxyType

import sqlalchemy as sa
from markupsafe import Markup, escape

from physlab.errors import ValidationError
from physlab.model.notebook import Remark
from physlab.notebook.book import Book, Page

MAX_CHARS = 1000
FIELDS = ("tag", "author", "since", "until")
_PART = re.compile(r'(?P<field>[A-Za-z]+):(?:"(?P<quoted>[^"]*)"|(?P<value>\S+))|"(?P<phrase>[^"]*)"|(?P<word>\S+)')
_OPEN, _CLOSE = "\ue000", "\ue001"
_TABLE = sa.text(
    "CREATE VIRTUAL TABLE pages USING fts5(title, tags, content, conclusions, files, remarks,"
    " tokenize = 'unicode61 remove_diacritics 2')"
)
_INSERT = sa.text("INSERT INTO pages(rowid, title, tags, content, conclusions, files, remarks)"
                  " VALUES (:number, :title, :tags, :content, :conclusions, :files, :remarks)")  # fmt: skip
_FIND = sa.text(
    "SELECT rowid, bm25(pages, 10, 6, 1, 2, 3, 1) AS rank, snippet(pages, -1, :open, :close, '…', 24) AS part"
    " FROM pages WHERE pages MATCH :question ORDER BY rank, rowid"
)


@dataclass(frozen=True)
class Question:
    """What is looked for, read.

    Attributes:
        phrases: Words, and several that stand together; all of them have to be there.
        tags: All of these.
        authors: One of these.
        since: Not before this day, in UTC.
        until: Not after it.
    """

    phrases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class Hit:
    """A page that was found.

    Attributes:
        page: The revision.
        score: The larger, the better; 0 where no words were looked for.
        snippet: Where the words stand, as HTML with `<mark>` around them.
        text: The same as plain text.
    """

    page: Page
    score: float
    snippet: Markup = field(default_factory=Markup)
    text: str = ""


def read_question(text: str) -> Question:
    """Return a question, read.

    Raises:
        ValidationError: It is too long or empty, or a day is none.
    """
    if not text.strip() or len(text) > MAX_CHARS:
        raise ValidationError(
            f"The question has {len(text.strip())} characters.",
            hint='Give words, "phrases", tag:NAME, author:NAME, since:2026-11-01.',
        )
    phrases: list[str] = []
    given: dict[str, list[str]] = {name: [] for name in FIELDS}
    for match in _PART.finditer(text.replace("\0", " ")):
        name = (match["field"] or "").lower()
        if name in FIELDS:
            given[name].append(match["value"] if match["quoted"] is None else match["quoted"])
        else:
            phrases.append(match[0] if match["phrase"] is None else match["phrase"])
    kept = tuple(phrase for phrase in phrases if any(sign.isalnum() for sign in phrase))
    return Question(kept, tuple(given["tag"]), tuple(given["author"]), _day(given["since"]), _day(given["until"]))


def _day(given: list[str]) -> date | None:
    try:
        return date.fromisoformat(given[-1]) if given else None
    except ValueError as error:
        raise ValidationError(f"'{given[-1][:40]}' is no day.", hint="Write it as 2026-11-20.") from error


def search(
    books: Iterable[Book], text: str, *, limit: int = 20, all_revisions: bool = False,
    ids: Mapping[str, str] = MappingProxyType({}),
) -> list[Hit]:  # fmt: skip
    """Return the pages that a question asks for, the best first; without words the newest first.

    Args:
        books: Where to look.
        text: The question.
        limit: How many at most.
        all_revisions: Whether to look into revisions that others took the place of.
        ids: What records call an author whom the question calls by a login.

    Raises:
        ValidationError: The question cannot be read.
    """
    question = read_question(text)
    question = replace(question, authors=(*question.authors, *(ids[name] for name in question.authors if name in ids)))
    pages = [page for book in books for page in (book.pages() if all_revisions else _with_all_remarks(book))]
    fitting = [page for page in pages if _fits(page, question)]
    if not question.phrases:
        newest = sorted(fitting, key=lambda page: (page.entry.at, page.record), reverse=True)
        return [Hit(page, 0.0) for page in newest[:limit]]
    return _ranked(fitting, question.phrases)[:limit]


def _with_all_remarks(book: Book) -> list[Page]:
    """Return the last revision of each entry, with what was said of those before."""
    said: dict[str, list[Remark]] = {}
    for page in book.pages():
        said.setdefault(page.entry.entry_id, []).extend(page.remarks)
    return [replace(page, remarks=tuple(said[page.entry.entry_id])) for page in book.latest()]


def _fits(page: Page, question: Question) -> bool:
    tags, author = {tag.casefold() for tag in page.entry.tags}, page.entry.author.casefold()
    day = datetime.fromisoformat(page.entry.at).astimezone(UTC).date()
    return (
        all(tag.casefold() in tags for tag in question.tags)
        and (not question.authors or author in {name.casefold() for name in question.authors})
        and (question.since is None or day >= question.since)
        and (question.until is None or day <= question.until)
    )


def _ranked(pages: list[Page], phrases: tuple[str, ...]) -> list[Hit]:
    """Look for words in an index that lives as long as the question: nothing is kept that could be out of date."""
    quoted = " ".join('"{}"'.format(phrase.replace('"', '""')) for phrase in phrases)
    engine = sa.create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            connection.execute(_TABLE)
            if pages:
                connection.execute(_INSERT, [_row(number, page) for number, page in enumerate(pages)])
            asked = {"question": quoted, "open": _OPEN, "close": _CLOSE}
            rows = connection.execute(_FIND, asked).all()
    finally:
        engine.dispose()
    return [Hit(pages[row.rowid], -float(row.rank), _marked(row.part), _bare(row.part)) for row in rows]


def _row(number: int, page: Page) -> dict[str, object]:
    entry = page.entry
    return {
        "number": number, "title": entry.title, "tags": " ".join(entry.tags), "content": entry.content,
        "conclusions": entry.conclusions, "files": " ".join(item.name for item in entry.attachments),
        "remarks": "\n".join([*(item.text for item in page.remarks), entry.reason]),
    }  # fmt: skip


def _marked(part: str) -> Markup:
    marks = str(escape(part)).replace(_OPEN, "<mark>").replace(_CLOSE, "</mark>")
    if marks.count("<mark>") != marks.count("</mark>"):  # the text has these signs itself
        return escape(_bare(part))
    return Markup(marks)  # noqa: S704 - escaped but for the marks


def _bare(part: str) -> str:
    return " ".join(part.replace(_OPEN, "").replace(_CLOSE, "").split())
