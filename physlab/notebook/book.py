"""A notebook as its records tell it: which entries stand, what was said of them, who signed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from pydantic import TypeAdapter

from physlab.errors import ValidationError, nearest
from physlab.model.notebook import Entry, EntrySignature, NotebookRecord, Remark
from physlab.store import Store

Item = Entry | Remark | EntrySignature
KINDS = ("notebook_entry", "notebook_remark", "notebook_signature")
ADAPTER: TypeAdapter[Item] = TypeAdapter(NotebookRecord)
EMPTY = "It is empty. See: physlab notebook list"
_REFERENCE = re.compile(r"(?P<entry>[0-9a-f]{4,16})(?:@(?P<revision>\d{1,6}))?")


@dataclass(frozen=True)
class Page:
    """One revision, with its record's digest and everything that belongs to it.

    Attributes:
        record: Digest of its record.
        entry: What it says.
        remarks: What was said of it, in order.
        signatures: Who signed it, in order.
    """

    record: str
    entry: Entry
    remarks: tuple[Remark, ...] = ()
    signatures: tuple[EntrySignature, ...] = ()

    @property
    def state(self) -> str:
        """`approved` or `changes requested` by the last review, else `signed` or `open`; `awaits NAME` to sign it."""
        reviews = [(item.at, item.word) for item in self.remarks if item.word != "comment"]
        reviews += [(item.at, "approve") for item in self.signatures if item.meaning == "approval"]
        said = ("approved" if max(reviews)[1] == "approve" else "changes requested") if reviews else ""
        if self.awaits:
            return ", ".join(filter(None, (said, f"awaits {self.awaits}")))
        return said or ("signed" if self.signatures else "open")

    @property
    def awaits(self) -> str:
        """Who was to sign it as its author, and did not yet; empty for nobody."""
        signed = any(item.meaning == "author" for item in self.signatures)
        return "" if signed else self.entry.sign_as or ""


@dataclass
class Book:
    """One notebook.

    Attributes:
        name: Its name.
        records: Everything in it, by digest, in an order in which each follows what it names.
        texts: The same as canonical JSON: what was signed, whatever fields a later physlab adds.
    """

    name: str
    records: dict[str, Item] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)

    @property
    def heads(self) -> tuple[str, ...]:
        """Return the records that nothing followed yet."""
        followed = {before for item in self.records.values() for before in item.previous}
        return tuple(sorted(self.records.keys() - followed))

    def pages(self) -> list[Page]:
        """Return all revisions of all entries, in order."""
        remarks: dict[str, list[Remark]] = {}
        signatures: dict[str, list[EntrySignature]] = {}
        for item in self.records.values():
            if isinstance(item, Remark):
                remarks.setdefault(item.entry, []).append(item)
            elif isinstance(item, EntrySignature):
                signatures.setdefault(item.entry, []).append(item)
        return [
            Page(record, item, tuple(remarks.get(record, ())), tuple(signatures.get(record, ())))
            for record, item in self.records.items() if isinstance(item, Entry)
        ]  # fmt: skip

    def latest(self) -> list[Page]:
        """Return the last revision of each entry, in the order in which the entries were begun."""
        return last_revisions(self.pages())

    def revisions(self, entry_id: str) -> list[Page]:
        """Return all revisions of an entry, in order; two of one number where two labs revised it at the same time."""
        found = [page for page in self.pages() if page.entry.entry_id == entry_id]
        return sorted(found, key=lambda page: page.entry.revision)

    def find(self, name: str) -> Page:
        """Return a revision by the beginning of its entry's name, `@3` for its third revision, or its record's digest.

        Raises:
            ValidationError: There is none, or more than one.
        """
        pages = self.pages()
        bare = name.removeprefix("sha256:")
        exact = [page for page in pages if page.record == bare]
        match = _REFERENCE.fullmatch(name)
        if exact or match is None:
            return exact[0] if exact else _missing(self, name)
        entries = {page.entry.entry_id for page in pages if page.entry.entry_id.startswith(match["entry"])}
        if len(entries) > 1:
            raise ValidationError(f"'{name}' is the beginning of {len(entries)} entries.", hint="Give more digits.")
        found = [
            page for page in pages
            if page.entry.entry_id in entries and match["revision"] in (None, str(page.entry.revision))
        ]  # fmt: skip
        if entries and not found:
            last = max(page.entry.revision for page in pages if page.entry.entry_id in entries)
            raise ValidationError(
                f"Entry {match['entry']} has no revision {match['revision']}.", hint=f"It has 1 to {last}."
            )
        return max(found, key=lambda page: page.entry.revision) if found else _missing(self, name)


def last_revisions(pages: Iterable[Page]) -> list[Page]:
    """Return the last revision of each entry, in the order in which the entries were begun."""
    found: dict[str, Page] = {}
    for page in pages:
        if page.entry.entry_id not in found or page.entry.revision >= found[page.entry.entry_id].entry.revision:
            found[page.entry.entry_id] = page
    return list(found.values())


def _missing(book: Book, name: str) -> Page:
    known = [page.entry.entry_id for page in book.latest()]
    raise ValidationError(
        f"The notebook {book.name} has no entry '{name}'.", hint=nearest(name, known) if known else EMPTY,
        details={"missing": name},
    )  # fmt: skip


def open_book(store: Store, name: str) -> Book:
    """Return a notebook; one that nobody wrote into is empty.

    Raises:
        StoreError: A record of it is damaged.
    """
    store.refresh()
    texts = dict(texts_of(store, name))
    found = {digest: ADAPTER.validate_json(text) for digest, text in texts.items()}
    order = _ordered({digest: item.previous for digest, item in found.items()})
    return Book(name, {digest: found[digest] for digest in order}, texts)


def lines_of(store: Store, name: str) -> list[bytes]:
    """Return the records of a notebook unread, in an order in which each follows what it names."""
    store.refresh()
    texts = dict(texts_of(store, name))
    return [texts[digest] for digest in _ordered({digest: _previous(text) for digest, text in texts.items()})]


def _previous(text: bytes) -> Sequence[str]:
    return tuple(orjson.loads(text)["previous"])


def texts_of(store: Store, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield digest and canonical JSON of the records of a notebook, in the order in which they came into this lab."""
    mine = b'"notebook":%s' % orjson.dumps(name)  # in a text inside the record its quotation marks would be escaped
    for digest, text in store.texts_of(*KINDS):
        if mine in text and orjson.loads(text)["notebook"] == name:
            yield digest, text


def _ordered(found: Mapping[str, Sequence[str]]) -> list[str]:
    """Return records so that each follows what it names; those of another lab may have come in any order."""
    placed: dict[str, None] = {}
    for digest in found:
        todo = [digest]
        while todo:
            lacking = [name for name in found[todo[-1]] if name in found and name not in placed]
            if lacking:
                todo += lacking
            else:
                placed[todo.pop()] = None
    return list(placed)


def notebooks(store: Store) -> dict[str, int]:
    """Return the names of all notebooks, and how many entries each has."""
    store.refresh()
    found: dict[str, set[str]] = {}
    for _, text in store.texts_of("notebook_entry"):
        item = orjson.loads(text)
        found.setdefault(item["notebook"], set()).add(item["entry_id"])
    return {name: len(entries) for name, entries in sorted(found.items())}
