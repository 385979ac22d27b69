"""Reading .eln files: everything is verified before anything is written down."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import orjson

from physlab.errors import ValidationError
from physlab.notebook.book import Page, open_book
from physlab.notebook.eln.archive import Bounds, Member, unpack
from physlab.notebook.eln.exporting import ENTRY, METADATA, PUBLISHER
from physlab.notebook.eln.html import markdown_of
from physlab.notebook.writing import Clock, Draft, named_files, now, write_all
from physlab.store import Store

MAX_METADATA = 20_000_000
TEMPLATE = "eln"
WRITTEN = ": written by "
OWN = re.compile(rf"{re.escape(ENTRY)}(\.\d+-.+\.minisig)?")
"""What physlab puts beside the files of an entry: the record itself and its signatures, which hold only there."""
Part = Mapping[str, Any]
Meant = tuple[str, str, tuple[str, ...], tuple[str, ...]]


@dataclass
class Imported:
    """What was read.

    Attributes:
        pages: The entries that were written.
        warnings: What the file did not say, or could not be taken.
        known: Entries that were taken in before.
        titles: Of the others: what was written, or would be.
    """

    pages: list[Page] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    known: list[Page] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)


@dataclass
class _Crate:
    """What an archive says of itself, and its files by their names in its root folder."""

    parts: dict[str, Part]
    files: dict[str, Member]
    warnings: list[str]
    claimed: set[str] = field(default_factory=set)
    placed: int = 0

    @property
    def is_ours(self) -> bool:
        """Whether physlab wrote it."""
        told = self.parts.get(METADATA, {}).get("sdPublisher")
        return isinstance(told, dict) and told.get("@id") == PUBLISHER

    def of(self, value: Any) -> Iterator[Part]:
        """Yield what a property refers to."""
        for one in value if isinstance(value, list) else [value]:
            name = one.get("@id") if isinstance(one, dict) else None
            yield self.parts.get(str(name), one) if isinstance(one, dict) else {"name": str(one)}


def import_eln(
    store: Store, notebook: str, archive: Path, author: str, bounds: Bounds | None = None, clock: Clock = now, *,
    dry_run: bool = False,
) -> Imported:  # fmt: skip
    """Write the entries of an .eln file into a notebook, as entries of who imports them; who wrote them is told there.

    What was taken into it before is not taken again, also from a file of another name.

    Args:
        store: Where to.
        notebook: Which notebook.
        archive: The file.
        author: Who imports it.
        bounds: What it may hold.
        clock: Tells when.
        dry_run: Verify all of it, and write nothing.

    Raises:
        ValidationError: Something is wrong with it; nothing was written.
        StoreError: The store cannot take it.
    """
    folder = Path(tempfile.mkdtemp(prefix="physlab-eln-"))
    try:
        (folder / "packed").mkdir()
        crate = _open(unpack(archive, folder / "packed", bounds))
        drafts = list(_drafts(crate, archive.name, author, folder))
        if not drafts:
            raise ValidationError(f"'{archive.name}' has no entries.", hint="Export them again where they are.")
        before = {_told(page): page for page in open_book(store, notebook).pages() if page.entry.template == TEMPLATE}
        mine = [_meant(store, draft) for draft in drafts]
        known = [before[one] for one in mine if one in before]
        fresh = [draft for draft, one in zip(drafts, mine, strict=True) if one not in before]
        pages = [] if dry_run or not fresh else write_all(store, notebook, fresh, clock)
        return Imported(pages, crate.warnings, known, [draft.title for draft in fresh])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _told(page: Page) -> Meant:
    entry = page.entry
    return entry.title, _body(entry.content), entry.tags, tuple(sorted(item.sha256 for item in entry.attachments))


def _meant(store: Store, draft: Draft) -> Meant:
    """Return what tells an entry that is taken in from another one."""
    digests = store.digest_files([path for _, path in named_files(draft)])
    return draft.title, _body(draft.content), tuple(dict.fromkeys(draft.tags)), tuple(sorted(digests.values()))


def _body(content: str) -> str:
    """Return what an entry says that was taken in, but for the name of the file."""
    return content.partition(WRITTEN)[2]


def _open(members: dict[str, Member]) -> _Crate:
    roots = {name.partition("/")[0] for name in members}
    root = next(iter(roots), "")
    told = members.get(f"{root}/{METADATA}")
    if len(roots) != 1 or told is None:
        raise ValidationError(
            f"The archive has no {METADATA} in one folder.", hint="Take an .eln file as another notebook exported it."
        )
    try:
        if told.size > MAX_METADATA:
            raise ValueError(f"it has {told.size} bytes")
        graph = orjson.loads(told.path.read_bytes())["@graph"]
        parts = {str(part["@id"]): part for part in graph}
        if len(parts) != len(graph) or "./" not in parts:
            raise ValueError("its parts have no names of their own")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValidationError(
            f"{METADATA} cannot be read: {error}.", hint="It must be RO-Crate 1.1 in JSON. Nothing was written."
        ) from error
    files = {name.removeprefix(f"{root}/"): member for name, member in members.items()}
    return _Crate(parts, files, [])


def _drafts(crate: _Crate, source: str, author: str, folder: Path) -> Iterator[Draft]:
    for number, part in enumerate(crate.of(crate.parts["./"].get("hasPart", []))):
        if "Dataset" in str(part.get("@type")):
            yield _draft(crate, part, source, author, folder / f"entry-{number}")
    known = {METADATA, f"{METADATA}.minisig", *crate.claimed}
    crate.warnings += [
        f"{name}: no entry names this file; it was left out" for name in sorted(crate.files.keys() - known)
    ]


def _draft(crate: _Crate, part: Part, source: str, author: str, folder: Path) -> Draft:
    title = " ".join(str(part.get("name") or part.get("@id")).split())[:200]
    writers = ", ".join(_name(one) for one in crate.of(part.get("author") or [])) or "somebody unnamed"
    written = str(part.get("dateCreated") or "a day that is not told")[:40]
    head = f"> Imported from {_plain(source)}{WRITTEN}{_plain(writers)}, {_plain(written)}."
    text = str(part.get("text") or "")
    is_html = str(part.get("encodingFormat") or "text/html") != "text/markdown"
    said = [
        f"- {_plain(', '.join(map(_name, crate.of(one.get('author') or []))) or 'somebody')}, "
        f"{_plain(str(one.get('dateCreated', ''))[:40])}: {_plain(markdown_of(str(one.get('text', ''))))}"
        for one in crate.of(part.get("comment") or [])
    ]
    parts = [head, markdown_of(text) if is_html else text, *(["# Comments", "\n".join(said)] if said else [])]
    words = part.get("keywords") or ""
    tags = words if isinstance(words, list) else str(words).split(",")
    files = [_place(crate, one, folder, title) for one in crate.of(part.get("hasPart") or [])]
    return Draft(
        title, author, content="\n\n".join(filter(None, parts)), template=TEMPLATE,
        tags=tuple(str(tag).strip() for tag in tags if str(tag).strip()), files=tuple(path for path in files if path),
    )  # fmt: skip


def _name(part: Part) -> str:
    whole = " ".join(str(part.get(name, "")) for name in ("givenName", "familyName")).strip()
    return str(part.get("name") or whole or "somebody")[:100]


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("<", "‹").replace("`", "'")


def _place(crate: _Crate, part: Part, folder: Path, title: str) -> Path | None:
    """Put a file under its own name, verified; None for what is no file."""
    if "File" not in str(part.get("@type")):
        return None
    name = unquote(str(part.get("@id"))).removeprefix("./")
    member = crate.files.get(name) or crate.files.get(str(part.get("@id")).removeprefix("./"))
    if member is None:
        raise ValidationError(
            f"The entry '{title}' names '{name[:80]}', which is not in the archive.", hint="Nothing was written."
        )
    told = part.get("sha256")
    if told is None:
        crate.warnings.append(f"{name}: the archive tells no SHA-256 of it")
    elif str(told).lower() != member.sha256:
        raise ValidationError(
            f"'{name[:80]}' is not what its SHA-256 says.", hint="Ask for the original. Nothing was written."
        )
    crate.claimed.add(member.name.partition("/")[2])
    if crate.is_ours and OWN.fullmatch(PurePosixPath(member.name).name):
        return None
    own = PurePosixPath(member.name).name
    crate.placed += 1
    target = folder / str(crate.placed) / own
    target.parent.mkdir(parents=True)
    os.link(member.path, target)  # two entries may name it
    return target
