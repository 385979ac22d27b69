"""Finding entries, and taking those of other notebooks in."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from physlab.collab.people.naming import account_of
from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.notebook import notebooks, open_book
from physlab.notebook.contents import contents
from physlab.notebook.search import read_question, search
from physlab.service.notebook.people import speaker_of


def search_entries(lab: Lab, text: str, notebook: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
    """Return entries that fit a question, the best first, from one notebook or all.

    Raises:
        ValidationError: The question cannot be read.
    """
    names = [notebook] if notebook else list(notebooks(lab.store))
    accounts = {author: account_of(lab.settings, author) for author in read_question(text).authors}
    ids = {author: account.id for author, account in accounts.items() if account is not None}
    found = search((open_book(lab.store, name) for name in names), text, limit=limit, ids=ids)
    return [
        {"entry_id": hit.page.entry.entry_id, "notebook": hit.page.entry.notebook, "title": hit.page.entry.title,
         "author": hit.page.entry.author, "at": hit.page.entry.at, "snippet": hit.text, "score": hit.score,
         "revision": hit.page.entry.revision} for hit in found
    ]  # fmt: skip


def contents_of(lab: Lab, notebook: str | None = None) -> list[dict[str, Any]]:
    """Return a line for each entry of a notebook."""
    return [asdict(line) for line in contents(open_book(lab.store, notebook or lab.settings.collaboration.session))]


def import_file(lab: Lab, archive: Path, notebook: str | None = None, *, dry_run: bool = False) -> dict[str, Any]:
    """Write the entries of an .eln file into a notebook; all that are not there yet, or none.

    Raises:
        ValidationError: It is no such file, or something in it is wrong.
        StoreError: The store cannot take it.
    """
    from physlab.notebook.eln import import_eln

    if not archive.is_file():
        raise ValidationError(f"There is no file '{archive}'.", hint="Give an .eln file.")
    name = notebook or lab.settings.collaboration.session
    found = import_eln(lab.store, name, archive, speaker_of(lab.settings).id, dry_run=dry_run)
    entries = [{"entry_id": page.entry.entry_id, "title": page.entry.title} for page in found.pages]
    known = [{"entry_id": page.entry.entry_id, "title": page.entry.title} for page in found.known]
    return {"notebook": name, "entries": entries, "known": known, "titles": found.titles, "dry_run": dry_run,
            "warnings": found.warnings}  # fmt: skip
