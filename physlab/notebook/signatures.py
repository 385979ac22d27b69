"""Signatures of entries: what is signed, by whom, with which meaning; bound so that none can be moved elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from physlab.errors import ValidationError
from physlab.keys import canonical, digest
from physlab.model.notebook import Entry, EntrySignature, Meaning
from physlab.notebook.book import Page, open_book
from physlab.notebook.writing import Clock, alone, now
from physlab.signing import PublicKey, SecretKey, open_envelope, read_public, read_signature, seal_envelope, verify
from physlab.store import Store

KIND = "urn:physlab:notebook-signature:1"


def sign_entry(
    store: Store, page: Page, signer: str, secret: SecretKey, meaning: Meaning, clock: Clock = now, *,
    wrote: bool | None = None,
) -> EntrySignature:  # fmt: skip
    """Sign a revision; what is signed already, as the same and with the same key, is returned as it is.

    Args:
        store: Where to.
        page: The revision.
        signer: Who signs.
        secret: Their key.
        meaning: As what.
        clock: Tells when.
        wrote: Whether it is their own, where the revision calls them otherwise than the signature; None: by the name.

    Raises:
        ValidationError: Somebody signs as the author of what another one wrote, or reviews what they wrote themselves.
        StoreError: The store cannot take it.
    """
    wrote = signer == page.entry.author if wrote is None else wrote
    if wrote != (meaning == "author"):
        said = f"{page.entry.author} wrote it" if not wrote else "its author signs as author"
        raise ValidationError(
            f"{signer} cannot sign as {meaning}: {said}.", hint="Meanings: author, review, approval, witness."
        )
    with alone(store):
        book = open_book(store, page.entry.notebook)
        for there in book.find(page.record).signatures:
            if (there.signer, there.meaning, there.key) == (signer, meaning, secret.public.line):
                return there
        spelled = book.texts[page.record]
        made = make_signature(page, spelled, book.heads, signer, secret, meaning, clock().isoformat())
        store.append(made.kind, made.model_dump(mode="json"))
        store.flush()
    return made


def make_signature(
    page: Page, spelled: bytes, previous: tuple[str, ...], signer: str, secret: SecretKey, meaning: Meaning, at: str
) -> EntrySignature:
    """Return a signature of a revision, which follows the last records of its notebook.

    Args:
        page: The revision.
        spelled: Its canonical JSON.
        previous: The last records.
        signer: Who signs.
        secret: Their key.
        meaning: As what.
        at: When.
    """
    told = _predicate(page.record, page.entry, signer, meaning, at, previous)
    return EntrySignature(
        notebook=page.entry.notebook, previous=previous, at=at, entry=page.record, meaning=meaning, signer=signer,
        key=secret.public.line, minisig=secret.minisign(spelled, _comment(told)),
        statement=seal_envelope(secret, _name(page.entry), page.record, KIND, told),
    )  # fmt: skip


def check_signature(record: str, entry: Entry, made: EntrySignature, spelled: bytes | None = None) -> PublicKey:
    """Verify a signature against the revision that it stands at; return the signer's key.

    Args:
        record: Digest of the revision's record.
        entry: The revision.
        made: The signature.
        spelled: The revision's canonical JSON, where it is at hand.

    Raises:
        ValidationError: It does not hold, or was made for something else; the message says what.
    """
    public = read_public(made.key)
    told = _predicate(record, entry, made.signer, made.meaning, made.at, made.previous)
    signed = read_signature(made.minisig)
    verify(public, canonical(entry.model_dump(mode="json")) if spelled is None else spelled, signed)
    if signed.comment != _comment(told):
        raise ValidationError(f"The signature says '{signed.comment}', the notebook '{_comment(told)}'.", hint=_MOVED)
    statement = open_envelope(made.statement, public)
    subject = [{"name": _name(entry), "digest": {"sha256": record}}]
    if (statement.get("subject"), statement.get("predicateType"), statement.get("predicate")) != (subject, KIND, told):
        raise ValidationError("The statement was made for something else.", hint=_MOVED)
    return public


_MOVED = "It was moved here, or the record beside it was changed: ask the signer for the original."


def _name(entry: Entry) -> str:
    return f"{entry.notebook}/{entry.entry_id}@{entry.revision}"


def _predicate(
    record: str, entry: Entry, signer: str, meaning: str, at: str, previous: Sequence[str]
) -> dict[str, Any]:
    """Return what is signed: the revision, and by the last records before it everything else in the notebook."""
    return {
        "notebook": entry.notebook, "entry": entry.entry_id, "revision": entry.revision, "before": entry.before,
        "record": record, "content": digest([entry.title, entry.content, entry.conclusions]),
        "attachments": [item.sha256 for item in entry.attachments],
        "computations": [item.record for item in entry.sources],
        "signer": signer, "meaning": meaning, "at": at, "previous": list(previous),
    }  # fmt: skip


def _comment(told: dict[str, Any]) -> str:
    return (
        f"{told['signer']} signed as {told['meaning']} at {told['at']}: "
        f"{told['notebook']} {told['entry']}@{told['revision']} sha256:{told['record']}"
    )
