"""Exports of the notebook: as a folder or ZIP file that stands alone, and as pages."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from physlab.errors import ConfigurationError, StoreError, ValidationError
from physlab.lab import Lab
from physlab.notebook import open_book
from physlab.notebook.archive import pack
from physlab.notebook.book import Book, Page
from physlab.notebook.eln import export_eln
from physlab.notebook.export import export
from physlab.service.notebook.pages import write_html, write_pdf, write_sheet
from physlab.service.notebook.people import Ask, open_key, speaker_of
from physlab.service.notebook.places import find_there
from physlab.versioning import labels


def export_notebook(lab: Lab, target: Path, notebook: str | None = None, ask: Ask | None = None) -> dict[str, Any]:
    """Write a notebook into a folder or a ZIP file that is verified without this lab; or into an .eln file.

    The person of this lab signs that it is all of it, if they have a key.

    Returns:
        path; records, files: how many; heads; signer: who vouches for the end; warnings.

    Raises:
        ValidationError: The notebook is empty, or something is there already.
        StoreError: A file is missing, damaged or may not leave, or it cannot be written.
    """
    book = open_book(lab.store, notebook or lab.settings.collaboration.session)
    _refuse_held(lab, book)
    person, warnings = speaker_of(lab.settings).id, []
    try:
        secret = open_key(lab.settings, person, ask)
    except ConfigurationError as error:
        secret = None
        warnings.append(f"Nobody signs that this is all of it: {error}")
    signer = person if secret else ""
    if target.suffix == ".eln":
        export_eln(lab.store, book, target, secret=secret)
        names = [item.sha256 for page in book.latest() for item in page.entry.attachments]
    elif target.suffix == ".zip":
        if target.exists():
            raise ValidationError(f"'{target}' is there already.", hint="Name a file that is not there yet.")
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            names = export(lab.store, book, scratch / "notebook", secret, signer)
            pack(scratch / "notebook", target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    else:
        names = export(lab.store, book, target, secret, signer)
    return {
        "path": str(target), "notebook": book.name, "records": len(book.records), "files": len(names),
        "heads": [f"sha256:{head}" for head in book.heads], "signer": signer, "warnings": warnings,
    }  # fmt: skip


def _refuse_held(lab: Lab, book: Book) -> None:
    may_leave = labels.may_leave(lab.store)
    for page in book.pages():
        for item in page.entry.attachments:
            why = may_leave(item.sha256)
            if why:
                raise StoreError(
                    f"{item.name} of entry {page.entry.entry_id} may not leave the lab: {why}.",
                    hint=f"If it may: physlab version label sha256:{item.sha256} open",
                )


FORMATS: dict[str, Callable[[Lab, str, Sequence[Page]], tuple[Path, list[str]]]] = {
    "pdf": write_pdf, "html": write_html, "sheet": write_sheet,
}  # fmt: skip
"""`sheet` is one picture of small pictures of all files."""


def export_pages(lab: Lab, notebook: str | None, entries: Sequence[str], form: str) -> dict[str, Any]:
    """Write entries of a notebook, or all, as a document.

    Raises:
        ValidationError: There is no such format or entry, or the notebook is empty.
    """
    if form not in FORMATS:
        raise ValidationError(f"A notebook is not written as '{form}'.", hint=f"Available: {', '.join(FORMATS)}.")
    book = open_book(lab.store, notebook or lab.settings.collaboration.session)
    pages = [find_there(lab, name, book.name)[1] for name in entries] if entries else book.latest()
    if not pages:
        raise ValidationError(f"The notebook {book.name} is empty.", hint="Write into it: physlab notebook add TITLE")
    entry = pages[0].entry
    path, remarks = FORMATS[form](lab, f"{entry.entry_id}-r{entry.revision}" if len(pages) == 1 else book.name, pages)
    return {"path": str(path), "format": form, "notebook": book.name, "entries": len(pages),
            "meta": {"heads": [f"sha256:{head}" for head in book.heads], "warnings": remarks}}  # fmt: skip
