"""Pages of the notebook as plain values, for programs and for the faces of the lab."""

from __future__ import annotations

from typing import Any

from physlab.errors import ValidationError
from physlab.model.notebook import Attachment, EntrySignature, Remark, Source
from physlab.notebook.book import Book, Page
from physlab.notebook.signatures import check_signature
from physlab.signing import Known, read_public


def told_attachment(item: Attachment) -> dict[str, Any]:
    """Return a file of an entry."""
    made = f"sha256:{item.record}" if item.record else None
    return {"name": item.name, "hash": f"sha256:{item.sha256}", "size": item.size, "media_type": item.media_type,
            "record": made}  # fmt: skip


def told_source(item: Source) -> dict[str, Any]:
    """Return a computation that an entry speaks of."""
    return {"run_id": item.run_id, "node_id": item.node_id, "tool": item.tool, "record": f"sha256:{item.record}"}


def told_remark(item: Remark) -> dict[str, Any]:
    """Return what somebody said."""
    return {"word": item.word, "author": item.author, "at": item.at, "text": item.text}


def told_signature(book: Book, page: Page, made: EntrySignature, known: Known) -> dict[str, Any]:
    """Return a signature with what is wrong with it: verified, and held against the keys that are vouched for."""
    try:
        public = check_signature(page.record, page.entry, made, book.texts.get(page.record))
        follows = [book.records[name].at for name in made.previous if name in book.records]
        problem = known.refusal(public, made.signer, made.at, follows)
    except ValidationError as error:
        problem = error.message
    key = read_public(made.key).id
    return {"signer": made.signer, "meaning": made.meaning, "at": made.at, "key": key, "known": key in known,
            "problem": problem}  # fmt: skip


def told_brief(page: Page) -> dict[str, Any]:
    """Return a revision without its texts."""
    entry = page.entry
    return {
        "entry_id": entry.entry_id, "revision": entry.revision, "hash": f"sha256:{page.record}",
        "notebook": entry.notebook, "title": entry.title, "author": entry.author, "at": entry.at, "state": page.state,
        "tags": list(entry.tags), "signed_by": sorted({item.signer for item in page.signatures}),
        "attachments": len(entry.attachments), "remarks": len(page.remarks),
    }  # fmt: skip


def told_page(book: Book, page: Page, known: Known, unlinked: list[str]) -> dict[str, Any]:
    """Return everything of a revision."""
    entry = page.entry
    rivals = [one for one in book.revisions(entry.entry_id) if one.entry.revision == entry.revision]
    return {
        **told_brief(page), "content": entry.content, "conclusions": entry.conclusions, "reason": entry.reason,
        "before": f"sha256:{entry.before}" if entry.before else None, "template": entry.template,
        "tools_used": list(entry.tools_used), "unlinked_tools": unlinked,
        "attachments": [told_attachment(item) for item in entry.attachments],
        "sources": [told_source(item) for item in entry.sources],
        "remarks": [told_remark(item) for item in page.remarks],
        "signatures": [told_signature(book, page, item, known) for item in page.signatures],
        "revisions": len({one.entry.revision for one in book.revisions(entry.entry_id)}),
        "rivals": [f"sha256:{one.record}" for one in rivals if one.record != page.record],
    }  # fmt: skip
