"""`lab_notebook`: from what it is given to a signed entry and its page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from physlab.errors import ConfigurationError, ResourceError
from physlab.lab import Lab
from physlab.service.notebook.pages import write_pdf
from physlab.service.notebook.send import export_pages
from physlab.service.notebook.told import told_source
from physlab.service.notebook.write import Wish, add_entry


def lab_notebook(lab: Lab, params: Mapping[str, Any], base_dir: Path) -> dict[str, Any]:
    """Write an entry, sign it if somebody is named and their key is at hand, and print it.

    Args:
        lab: The lab.
        params: Checked parameters of `distributed_collaboration.lab_notebook`.
        base_dir: Folder that relative paths start from.

    Returns:
        entry_id; pdf_path: its page, empty where it could not be printed; state; sources: the computations that the
        ledger links; meta: `hash` of its record, and warnings.

    Raises:
        ValidationError: A file or run is not there; nothing is written.
        StoreError: The store cannot take it.
    """
    begun = time.perf_counter()
    told = dict(params.get("entry") or {})
    files = params.get("attach_artifacts") or told.get("artifacts") or ()
    wish = Wish(
        title=params.get("title") or told["title"],
        notebook=params.get("session_id"),
        content=params.get("notes_md") or told.get("content", ""),
        conclusions=params.get("conclusions") or told.get("conclusions", ""),
        tools_used=params.get("tools_used") or told.get("tools_used", ()),
        tags=params.get("tags") or (),
        files=[files] if isinstance(files, str) else files,
        runs=params.get("runs") or (),
        sign_as=params.get("sign_as"),
    )
    written = add_entry(lab, wish, base_dir)
    page, warnings = written.page, list(written.warnings)
    entry, pdf = page.entry, ""
    try:
        path, remarks = write_pdf(lab, f"{entry.entry_id}-r{entry.revision}", [page])
        pdf = str(path)
        warnings += remarks
    except (ResourceError, ConfigurationError) as error:
        again = f"physlab notebook print {entry.entry_id} --notebook {entry.notebook}"
        warnings.append(f"The entry is kept, its page was not printed: {error} Then: {again}")
    meta = {"hash": f"sha256:{page.record}", "warnings": warnings, "duration_ms": (time.perf_counter() - begun) * 1e3}
    return {
        "entry_id": entry.entry_id, "pdf_path": pdf, "notebook": entry.notebook, "revision": entry.revision,
        "author": entry.author, "state": page.state, "sources": [told_source(item) for item in entry.sources],
        "meta": meta,
    }  # fmt: skip


def notebook_export(lab: Lab, params: Mapping[str, Any], base_dir: Path) -> dict[str, Any]:
    """Write a notebook, or some of its entries, as a document."""
    named = params.get("entry_id") or ()
    entries = [named] if isinstance(named, str) else list(named)
    return export_pages(lab, params.get("session_id"), entries, params.get("format") or "pdf")
