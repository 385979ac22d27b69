"""Verifying notebooks: those of the lab, and exports of any lab with nothing but public keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.notebook import notebooks
from physlab.notebook.archive import unpacked
from physlab.notebook.book import Page, last_revisions, lines_of
from physlab.notebook.export import verify_export
from physlab.notebook.verification import Checked, check_records
from physlab.service.notebook.people import read_key, register_of
from physlab.settings import Settings
from physlab.signing import Known, KnownKey


def verify_notebook(lab: Lab, name: str | None = None, heads: Sequence[str] = ()) -> dict[str, Any]:
    """Verify a notebook of the lab, or all: chain, revisions, signatures, keys, and the bytes of attachments.

    Args:
        lab: The lab.
        name: Its name; None for all.
        heads: Digests of records that must be there: what `heads` said once.

    Returns:
        ok; problem: the first thing that is wrong; notebooks; records, entries, signatures, files: how many;
        warnings: who signed with keys that nobody vouches for, and who has not signed yet.
    """
    known = register_of(lab.settings).trusted()
    total: dict[str, Any] = {"ok": True, "problem": "", "notebooks": [], "records": 0, "entries": 0, "signatures": 0,
                             "files": 0, "warnings": []}  # fmt: skip
    there: set[str] = set()
    for one in [name] if name is not None else list(notebooks(lab.store)):
        checked = check_records(lines_of(lab.store, one), None, known)
        pages = checked.book.pages()
        problem = checked.problem or _lost(lab, pages)
        there |= checked.book.records.keys()
        total["notebooks"].append(one)
        _count(total, checked, pages)
        if problem:
            return {**total, "ok": False, "problem": f"notebook {one}: {problem}"}
    cut = [head for head in heads if head.removeprefix("sha256:") not in there]
    if cut:
        return {**total, "ok": False, "problem": f"the record {cut[0]} is not there: the end was cut off"}
    return total


def _lost(lab: Lab, pages: Sequence[Page]) -> str:
    for page in pages:
        for item in page.entry.attachments:
            if not lab.store.blobs.intact(item.sha256):
                entry = page.entry
                return f"entry {entry.entry_id}@{entry.revision}: the bytes of {item.name} are missing or damaged"
    return ""


def _count(total: dict[str, Any], checked: Checked, pages: Sequence[Page]) -> None:
    latest = last_revisions(pages)
    total["records"] += len(checked.book.records)
    total["entries"] += len(latest)
    total["signatures"] += sum(len(page.signatures) for page in pages)
    total["files"] += len({item.sha256 for page in pages for item in page.entry.attachments})
    total["warnings"] += _warnings(checked, latest)


def _warnings(checked: Checked, latest: Sequence[Page]) -> list[str]:
    unknown = [
        f"key {key} signed as {checked.signers[key]}, and nobody vouches for it: "
        f"physlab sign trust {checked.signers[key]} KEY" for key in checked.unknown
    ]  # fmt: skip
    waiting = [page for page in latest if page.awaits]
    late = [
        f"{page.entry.entry_id}@{page.entry.revision} awaits the signature of {page.awaits}" for page in waiting[:5]
    ]
    more = [f"{len(waiting) - 5} more entries await a signature"] if len(waiting) > 5 else []
    return [*unknown, *late, *more]


def verify_file(settings: Settings, path: Path, keys: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """Verify an export, a folder or a ZIP file, without the lab that made it.

    Args:
        settings: Lead to the keys that this lab vouches for; no lab is opened.
        path: The export.
        keys: Persons with their public keys, or files of them: instead of those.

    Returns:
        As `verify_notebook`; vouches: who says that this is all of it.

    Raises:
        ValidationError: It is no export of a notebook.
    """
    if not path.exists():
        raise ValidationError(f"There is no '{path}'.", hint="Give the folder or ZIP file of an export.")
    given = [KnownKey(name, read_key(text)) for name, text in keys]
    known = Known(given) if keys else register_of(settings).trusted()
    with unpacked(path) as folder:
        found = verify_export(folder, known)
    total: dict[str, Any] = {"ok": not found.problem, "problem": found.problem, "notebooks": [found.checked.book.name],
                             "records": 0, "entries": 0, "signatures": 0, "files": 0, "warnings": []}  # fmt: skip
    _count(total, found.checked, found.checked.book.pages())
    warnings = [*total["warnings"], *found.warnings]
    if total["ok"] and not found.signer and not found.warnings:
        warnings.append("Nobody signed that this is all of it: entries may be missing at its end.")
    return {**total, "warnings": warnings, "vouches": found.vouches, "key": found.signer}
