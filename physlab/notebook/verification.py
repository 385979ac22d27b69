"""Verification of a notebook's records without the lab that wrote them: chain, revisions, signatures."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import orjson
import pydantic

from physlab.errors import ValidationError
from physlab.keys import canonical, digest_bytes
from physlab.model.notebook import Entry, EntrySignature
from physlab.notebook.book import ADAPTER, Book, Item
from physlab.notebook.signatures import check_signature
from physlab.signing import Known, read_public

MANY = 200
"""So many signatures are one piece of work for a thread."""


@dataclass
class Checked:
    """What was verified.

    Attributes:
        book: The notebook, as far as it is right.
        signers: Who signed: key id → name.
        unknown: Key ids of signers that nobody vouched for.
        problem: The first thing that is wrong, with its place; empty when nothing is.
    """

    book: Book
    signers: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    problem: str = ""


class _WrongError(Exception):
    """Something is wrong; the text says what."""


@dataclass(frozen=True)
class _Task:
    """A signature that is to be verified: number and title of its record, the entry and its bytes, and itself."""

    number: int
    title: str
    entry: Entry
    spelled: bytes
    made: EntrySignature


def check_records(lines: Iterable[bytes], heads: Collection[str] | None, known: Known | None = None) -> Checked:
    """Verify the records of one notebook, up to the first thing that is wrong.

    Args:
        lines: The canonical JSON of each record, in an order in which each follows what it names.
        heads: The records that nothing follows, if that is known: a cut end is found by them alone.
        known: Keys that signers are known to have; None takes those that signed.
    """
    found = Checked(Book(""))
    last: dict[str, int] = {}
    signatures = _Signatures()
    number, place = 0, "the beginning"
    try:
        for number, line in enumerate(lines, 1):
            place = f"record {number}"
            digest, item = _read(line, found.book)
            title = _title(item, found.book)
            place = f"{place} ({title})"
            _follow(digest, item, found.book, last)
            if isinstance(item, EntrySignature):
                _claim(item, found, known)
                entry = _entry_of(item, found.book)
                signatures.take(_Task(number, title, entry, found.book.texts[item.entry], item))
            found.book.records[digest], found.book.texts[digest] = item, line
        number, place = number + 1, "the end"
        if heads is not None and found.book.heads != tuple(sorted(heads)):
            raise _WrongError("the last records are not those that were to be there: some were cut off or added")
    except (_WrongError, ValidationError) as error:
        found.problem = f"{place}: {error.message if isinstance(error, ValidationError) else error}"
    found.problem = signatures.problem() or found.problem
    return found


class _Signatures:
    """Signatures that are verified while the records behind them are read; the arithmetic of many on all cores."""

    def __init__(self) -> None:
        self._tasks: list[_Task] = []
        self._begun: list[Future[str]] = []
        self._pool: ThreadPoolExecutor | None = None

    def take(self, task: _Task) -> None:
        """Verify one, now or later."""
        self._tasks.append(task)
        if len(self._tasks) == MANY:
            self._pool = self._pool or ThreadPoolExecutor(os.cpu_count())
            self._begun.append(self._pool.submit(_first_untrue, self._tasks))
            self._tasks = []

    def problem(self) -> str:
        """Return what is wrong with the first one that does not hold."""
        try:
            done = (begun.result() for begun in self._begun)
            return next(filter(None, done), "") or _first_untrue(self._tasks)
        finally:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)


def _first_untrue(tasks: list[_Task]) -> str:
    for task in tasks:
        try:
            check_signature(task.made.entry, task.entry, task.made, task.spelled)
        except ValidationError as error:
            return f"record {task.number} ({task.title}): {error.message}"
    return ""


def _read(line: bytes, book: Book) -> tuple[str, Item]:
    try:
        told = orjson.loads(line)
        item = ADAPTER.validate_json(line)
    except (orjson.JSONDecodeError, pydantic.ValidationError) as error:
        raise _WrongError(f"this is no record of a notebook: {str(error).splitlines()[0]}") from error
    if orjson.dumps(told, option=orjson.OPT_SORT_KEYS) != line and canonical(told) != line:
        raise _WrongError("the record is not in its canonical form")
    if book.records and item.notebook != book.name:
        raise _WrongError(f"it belongs to the notebook {item.notebook}, not to {book.name}")
    book.name = item.notebook
    return digest_bytes(line), item


def _title(item: Item, book: Book) -> str:
    entry = item if isinstance(item, Entry) else book.records.get(item.entry)
    if not isinstance(entry, Entry):
        return f"of an unknown entry {str(getattr(item, 'entry', ''))[:12]}"
    what = "entry" if item is entry else "signature of" if isinstance(item, EntrySignature) else "remark on"
    return f"{what} {entry.entry_id}@{entry.revision} '{entry.title}'"


def _follow(digest: str, item: Item, book: Book, last: dict[str, int]) -> None:
    if digest in book.records:
        raise _WrongError("the record is there twice")
    if list(item.previous) != sorted(set(item.previous)) or bool(item.previous) != bool(book.records):
        raise _WrongError("it does not name the records before it")
    for before in item.previous:
        if before not in book.records:
            raise _WrongError(f"the record before it ({before[:12]}…) was cut out or changed")
    if not isinstance(item, Entry):
        _entry_of(item, book)
        return
    before_it = book.records.get(item.before or "")
    expected = before_it.revision + 1 if isinstance(before_it, Entry) and before_it.entry_id == item.entry_id else 1
    if item.revision != expected or (item.before is None) != (item.revision == 1):
        raise _WrongError(f"revision {item.revision} does not follow the one that it names")
    if item.revision == 1 and item.entry_id in last:
        raise _WrongError(f"the entry {item.entry_id} begins twice")
    last[item.entry_id] = item.revision


def _entry_of(item: Item, book: Book) -> Entry:
    entry = book.records.get(getattr(item, "entry", ""))
    if not isinstance(entry, Entry):
        raise _WrongError("the entry that it speaks of was cut out or changed")
    return entry


def _claim(item: EntrySignature, found: Checked, known: Known | None) -> None:
    """Take down who says to have signed; that it holds is verified behind all records."""
    public = read_public(item.key)
    if found.signers.setdefault(public.id, item.signer) != item.signer:
        raise _WrongError(f"key {public.id} signed as {found.signers[public.id]} before, and as {item.signer} here")
    if known is None:
        return
    refusal = known.refusal(public, item.signer, item.at, [found.book.records[name].at for name in item.previous])
    if refusal:
        raise _WrongError(refusal)
    if public.id not in known and public.id not in found.unknown:
        found.unknown.append(public.id)
