"""The lab notebook as the ledger keeps it: entries that are never overwritten, what others say of them, signatures."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from physlab.model.base import Model
from physlab.model.stored import Digest

EntryId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$")]
"""Of a notebook or a person: letters, digits and `._@+-`."""


def _moment(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("the time does not say its zone")
    return text


Moment = Annotated[str, AfterValidator(_moment)]
"""A time in ISO 8601 with its zone."""
Meaning = Literal["author", "review", "approval", "witness"]
Word = Literal["comment", "request_changes", "approve"]


class Attachment(Model):
    """A file that belongs to an entry.

    Attributes:
        sha256: Its bytes.
        name: What it is called.
        media_type: Its kind.
        size: Of it [bytes].
        record: The record that tells where it comes from: of the node that made it, or of its version.
    """

    sha256: Digest
    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    media_type: str
    size: Annotated[int, Field(ge=0)]
    record: Digest | None = None


class Source(Model):
    """A computation that an entry speaks of, as the ledger has it.

    Attributes:
        record: Of the node, or of the run.
        run_id: The run.
        node_id: The node, unless the whole run is meant.
        tool: Its tool and method.
    """

    record: Digest
    run_id: str
    node_id: str | None = None
    tool: str | None = None


class Linked(Model):
    """A record of a notebook: each names those that were its last ones when it was written.

    Attributes:
        notebook: Name of the notebook.
        previous: Records that nothing followed yet; two where two labs wrote at the same time.
        at: When, in UTC.
    """

    notebook: Name
    previous: tuple[Digest, ...]
    at: Moment


class Entry(Linked):
    """One revision of an entry.

    Attributes:
        entry_id: The same for all its revisions.
        revision: Counts from 1.
        before: The revision that this one takes the place of.
        title: Its title.
        content: What was done and seen: Markdown with math.
        conclusions: What follows: Markdown with math.
        tools_used: Tools, as its author says.
        tags: Words to find it by.
        attachments: Its files.
        sources: The computations that it speaks of, as the ledger says.
        author: Who wrote it.
        reason: Why it was revised.
        template: What it was begun from.
        sign_as: Who was to sign it as its author; None where nobody was asked to.
    """

    kind: Literal["notebook_entry"] = "notebook_entry"
    entry_id: EntryId
    revision: Annotated[int, Field(ge=1)]
    before: Digest | None = None
    title: Title
    content: str = ""
    conclusions: str = ""
    tools_used: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    sources: tuple[Source, ...] = ()
    author: Name
    reason: str = ""
    template: str | None = None
    sign_as: Name | None = None


class Remark(Linked):
    """What somebody says of a revision.

    Attributes:
        entry: The record of the revision.
        word: A comment, a request for changes, or an approval.
        text: In words: Markdown.
        author: Who.
    """

    kind: Literal["notebook_remark"] = "notebook_remark"
    entry: Digest
    word: Word = "comment"
    text: str = ""
    author: Name


class EntrySignature(Linked):
    """A signature of a revision.

    Attributes:
        entry: The record of the revision.
        meaning: As what its signer signed.
        signer: Who.
        key: The one line of the signer's public key.
        minisig: The signature file of the revision's canonical JSON.
        statement: The same as a statement in an envelope (DSSE).
    """

    kind: Literal["notebook_signature"] = "notebook_signature"
    entry: Digest
    meaning: Meaning
    signer: Name
    key: str
    minisig: str
    statement: dict[str, Any]


NotebookRecord = Annotated[Entry | Remark | EntrySignature, Field(discriminator="kind")]
