"""Looking into the notebook: lists, single entries, differences between revisions, and its last records."""

from __future__ import annotations

import difflib
from typing import Any

from physlab.collab.people.naming import account_of
from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.notebook import notebooks, open_book
from physlab.notebook.book import Page
from physlab.service.notebook.people import register_of
from physlab.service.notebook.places import find_there
from physlab.service.notebook.told import told_brief, told_page
from physlab.service.notebook.write import unlinked_tools


def list_notebooks(lab: Lab) -> dict[str, int]:
    """Return the names of all notebooks, and how many entries each has."""
    return notebooks(lab.store)


def list_entries(
    lab: Lab, notebook: str | None = None, *, tag: str | None = None, author: str | None = None,
    state: str | None = None, limit: int | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the entries of a notebook in their last revision, latest first.

    Args:
        lab: The lab.
        notebook: Its name; that of the settings' session when None.
        tag: Only those with it.
        author: Only theirs: a login, or what the records call them.
        state: Only those in a state that begins so: `open`, `signed`, `awaits`, `approved`, `changes`.
        limit: At most so many.
    """
    pages = reversed(open_book(lab.store, notebook or lab.settings.collaboration.session).latest())
    account = None if author is None else account_of(lab.settings, author)
    authors = {author, account.id if account else author}
    found = [page for page in pages if tag in (None, *page.entry.tags) and ({page.entry.author, None} & authors)]
    found = [page for page in found if any(word.startswith(state or "") for word in page.state.split(", "))]
    return [told_brief(page) for page in found[:limit]]


def show_entry(lab: Lab, name: str, notebook: str | None = None) -> dict[str, Any]:
    """Return everything of an entry: texts, files, computations, remarks, and signatures, each verified.

    Raises:
        ValidationError: There is none of that name.
    """
    book, page = find_there(lab, name, notebook)
    return told_page(book, page, register_of(lab.settings).trusted(), unlinked_tools(lab, page.entry))


def diff_entry(lab: Lab, name: str, other: str | None = None, notebook: str | None = None) -> dict[str, Any]:
    """Return how two revisions differ; without the second, a revision and the one before it.

    Raises:
        ValidationError: There is none of that name, or none before it.
    """
    book, new = find_there(lab, other or name, notebook)
    if other is None and new.entry.before is None:
        raise ValidationError(
            f"{_named(new)} is the first revision.", hint=f"Revise it: physlab notebook revise {new.entry.entry_id}"
        )
    old = book.find(name if other is not None else str(new.entry.before))
    fields = {}
    for field in ("title", "author", "tags", "tools_used"):
        before, after = getattr(old.entry, field), getattr(new.entry, field)
        if before != after:
            fields[field] = [before, after] if isinstance(before, str) else [list(before), list(after)]
    texts = {
        field: _lines(getattr(old.entry, field), getattr(new.entry, field)) for field in ("content", "conclusions")
    }
    files = _files(old, new)
    changed = {field: lines for field, lines in texts.items() if lines}
    return {"before": _named(old), "after": _named(new), "reason": new.entry.reason, "fields": fields,
            "texts": changed, "files": files, "equal": not (fields or changed or files)}  # fmt: skip


def _named(page: Page) -> str:
    return f"{page.entry.entry_id}@{page.entry.revision}"


def _lines(before: str, after: str) -> list[str]:
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    return [line for line in found if not line.startswith(("---", "+++"))]


def _files(old: Page, new: Page) -> list[dict[str, str]]:
    """Return the files that were added, removed or changed."""
    before = {item.name: item.sha256 for item in old.entry.attachments}
    after = {item.name: item.sha256 for item in new.entry.attachments}
    words = {name: "added" if name not in before else "removed" if name not in after else "changed"
             for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)}  # fmt: skip
    return [{"name": name, "what": word} for name, word in words.items()]


def heads_of(lab: Lab, notebook: str | None = None) -> dict[str, Any]:
    """Return the last records of a notebook: who keeps them elsewhere can tell later that nothing was cut off."""
    book = open_book(lab.store, notebook or lab.settings.collaboration.session)
    last = max((item.at for item in book.records.values()), default=None)
    return {"notebook": book.name, "records": len(book.records), "heads": [f"sha256:{name}" for name in book.heads],
            "at": last}  # fmt: skip
