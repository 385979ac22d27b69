"""Writing into a notebook: entries, their revisions, and remarks; nothing is ever overwritten."""

from __future__ import annotations

import fcntl
import mimetypes
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydantic

from physlab.errors import StoreError, ValidationError
from physlab.keys import digest
from physlab.model import NodeRecord
from physlab.model.notebook import Attachment, Entry, Remark, Source, Word
from physlab.model.version import Content
from physlab.notebook.book import Book, Page, open_book
from physlab.spills import refuse_spills
from physlab.store import Store
from physlab.versioning.contents import keep_all
from physlab.versioning.history import of_bytes
from physlab.versioning.origins import maker_of

Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the present time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Draft:
    """What an entry shall say.

    Attributes:
        title: Its title.
        author: Who writes it.
        content: Markdown with math.
        conclusions: Markdown with math.
        tools_used: Tools, as the author says.
        tags: Words to find it by.
        files: Its files: paths, or name → path.
        kept: Files that the revision before has, and this one has too.
        runs: Runs and nodes that it speaks of.
        template: What it was begun from.
        sign_as: Who is to sign it as its author.
    """

    title: str
    author: str
    content: str = ""
    conclusions: str = ""
    tools_used: Sequence[str] = ()
    tags: Sequence[str] = ()
    files: Sequence[Path] | Mapping[str, Path] = ()
    kept: Sequence[Attachment] = ()
    runs: Sequence[Source] = ()
    template: str | None = None
    sign_as: str | None = None


def write(store: Store, notebook: str, draft: Draft, clock: Clock = now) -> Page:
    """Write a new entry.

    Raises:
        ValidationError: A file is not there, or the title is empty; nothing was written.
        StoreError: The store cannot take it.
    """
    attached = attach(store, draft)
    with alone(store):
        told = _told(open_book(store, notebook), draft, attached, clock)
        return _keep(store, {**told, "entry_id": digest(told)[:16], "revision": 1})


def write_all(store: Store, notebook: str, drafts: Sequence[Draft], clock: Clock = now) -> list[Page]:
    """Write new entries, all of them or, where one of them cannot be, none.

    Raises:
        ValidationError: As `write`; nothing was written.
        StoreError: The store cannot take it.
    """
    attached = [attach(store, draft) for draft in drafts]
    pages: list[Page] = []
    with alone(store):
        book = open_book(store, notebook)
        for draft, files in zip(drafts, attached, strict=True):
            told = _told(book, draft, files, clock)
            entry = _checked({**told, "entry_id": digest(told)[:16], "revision": 1})
            pages.append(Page(digest(entry.model_dump(mode="json")), entry))
            book.records[pages[-1].record] = entry
        store.append_all([(page.entry.kind, page.entry.model_dump(mode="json")) for page in pages])
        store.flush()
    return pages


def revise(store: Store, page: Page, draft: Draft, reason: str, clock: Clock = now) -> Page:
    """Write a new revision of an entry; the one before stays, with its remarks and signatures.

    Raises:
        ValidationError: No reason is given, the entry was revised meanwhile, or a file is not there.
        StoreError: The store cannot take it.
    """
    if not reason.strip():
        raise ValidationError("A revision needs a reason.", hint="Say why: --reason TEXT.")
    refuse_spills({"reason": reason})
    attached = attach(store, draft)
    with alone(store):
        book = open_book(store, page.entry.notebook)
        latest = book.find(page.entry.entry_id)
        if latest.record != page.record:
            raise ValidationError(
                f"Entry {page.entry.entry_id} has revision {latest.entry.revision} by {latest.entry.author} meanwhile.",
                hint=f"See: physlab notebook diff {page.entry.entry_id}; then revise that one.",
            )
        told = _told(book, draft, attached, clock)
        more = {"entry_id": page.entry.entry_id, "revision": page.entry.revision + 1, "before": page.record}
        return _keep(store, {**told, **more, "reason": reason.strip()})


def remark(store: Store, page: Page, author: str, text: str, word: Word = "comment", clock: Clock = now) -> Remark:
    """Say something of a revision: a comment, a request for changes, or an approval.

    Raises:
        ValidationError: A comment or a request without a text; its author reviews what they wrote themselves; or
            the text holds a secret.
    """
    if word != "approve" and not text.strip():
        raise ValidationError("There is nothing said.", hint="Give a text.")
    if word != "comment" and author == page.entry.author:
        raise ValidationError(f"{author} wrote this entry and cannot review it.", hint="Ask somebody else.")
    refuse_spills({"text": text})
    with alone(store):
        book = open_book(store, page.entry.notebook)
        said = Remark(notebook=book.name, previous=book.heads, at=clock().isoformat(), entry=page.record, word=word,
                      text=text.strip(), author=author)  # fmt: skip
        store.append(said.kind, said.model_dump(mode="json"))
        store.flush()
    return said


@contextmanager
def alone(store: Store) -> Iterator[None]:
    """Keep others of this lab from writing meanwhile: each record follows the last one.

    Raises:
        StoreError: The store cannot be written.
    """
    try:
        descriptor = os.open(store.root / ".notebook", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(
            f"The store at {store.root} cannot be written: {error.strerror or error}.", hint="Make it writable."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


Attached = tuple[tuple[Attachment, ...], list[Source]]


def _told(book: Book, draft: Draft, attached: Attached, clock: Clock) -> dict[str, Any]:
    attachments, made = attached
    known = {item.record: item for item in [*draft.runs, *made]}
    return {
        "notebook": book.name, "previous": book.heads, "at": clock().isoformat(), "title": draft.title,
        "content": draft.content, "conclusions": draft.conclusions, "tools_used": tuple(draft.tools_used),
        "tags": tuple(dict.fromkeys(draft.tags)),
        "attachments": [item.model_dump(mode="json") for item in attachments],
        "sources": [item.model_dump(mode="json") for item in known.values()],
        "author": draft.author, "template": draft.template, "sign_as": draft.sign_as,
    }  # fmt: skip


def _keep(store: Store, said: dict[str, Any]) -> Page:
    entry = _checked(said)
    record = store.append(entry.kind, entry.model_dump(mode="json"))
    store.flush()
    return Page(record, entry)


def _checked(said: dict[str, Any]) -> Entry:
    try:
        return Entry.model_validate(said)
    except pydantic.ValidationError as error:
        [first, *_] = error.errors()
        name = ".".join(map(str, first["loc"]))
        raise ValidationError(
            f"{name}: {first['msg']}: {first['input']!r:.80}.", hint="Nothing was written."
        ) from error


def attach(store: Store, draft: Draft, *, keep: bool = True) -> Attached:
    """Keep the files of a draft, or only read them; say which nodes made them, as the ledger has it.

    Raises:
        ValidationError: Some are not there, the message names them all; or something holds a secret. Nothing is kept.
        StoreError: The store cannot take them.
    """
    named = named_files(draft)
    texts = {"title": draft.title, "content": draft.content, "conclusions": draft.conclusions}
    refuse_spills({**texts, "tags": "\n".join(draft.tags), "tools_used": "\n".join(draft.tools_used)}, dict(named))
    paths = [path for _, path in named]
    kept = keep_all(store, paths) if keep else _read_all(store, paths)
    makers = maker_of(store, [content.sha256 for content in kept])
    attachments, sources = list(draft.kept), []
    for (name, _), content in zip(named, kept, strict=True):
        record = makers.get(content.sha256)
        if record is not None:
            node = NodeRecord.model_validate(store.record(record))
            tool = f"{node.tool}.{node.method}" if node.method else node.tool
            sources.append(Source(record=record, run_id=node.run_id, node_id=node.node_id, tool=tool))
        versions = of_bytes(store, content.sha256)
        media = mimetypes.guess_type(name)[0] or "application/octet-stream"
        attachments.append(
            Attachment(sha256=content.sha256, name=name, media_type=media, size=content.size,
                       record=record or (versions[-1].record if versions else None))
        )  # fmt: skip
    return tuple(attachments), sources


def _read_all(store: Store, paths: Sequence[Path]) -> list[Content]:
    digests = store.digest_files(paths)
    return [Content(sha256=digests[path], size=path.stat().st_size) for path in paths]


def named_files(draft: Draft) -> list[tuple[str, Path]]:
    """Return the files of a draft with their names.

    Raises:
        ValidationError: Some are not there, or are folders; the message names them all.
    """
    files = draft.files
    named = list(files.items()) if isinstance(files, Mapping) else [(path.name, path) for path in files]
    missing = [str(path) for _, path in named if not path.exists()]
    folders = [str(path) for _, path in named if path.exists() and not path.is_file()]
    said, hints = [], []
    if missing:
        said.append(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not there.")
        hints.append("Attach files that are; nothing was written.")
    if folders:
        said.append(f"{', '.join(folders)}: not a file.")
        hints.append("Attach files, or a ZIP of a folder; nothing was written.")
    if said:
        details = {"missing": missing} if missing else {}
        raise ValidationError(" ".join(said), hint=" ".join(hints), details=details)
    return named
