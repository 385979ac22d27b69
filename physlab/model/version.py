"""Versions of artifacts as the ledger keeps them: whose bytes, from what, by which code, with which parameters."""

from __future__ import annotations

from typing import Any, Literal

from physlab.model.base import Model
from physlab.model.stored import Digest

ContentKind = Literal["file", "folder", "external"]


class Content(Model):
    """What a version holds.

    Attributes:
        kind: A file, a folder, or bytes that stay where they are.
        sha256: Of the file's bytes; of a folder that of its list of files, which is a file in the store.
        size: Of all bytes [bytes].
        files: How many.
        uri: Where the bytes stay, for `external`.
    """

    kind: ContentKind = "file"
    sha256: Digest
    size: int
    files: int = 1
    uri: str | None = None


class Parent(Model):
    """Something that a version was made from.

    Attributes:
        sha256: Its content.
        path: How it was named, unless by its digest.
        version: The record of its latest version, or of the node that made it, at that time.
    """

    sha256: Digest
    path: str | None = None
    version: str | None = None


class CodeState(Model):
    """The code that made a version.

    Attributes:
        version: What people call it: what was given, or the first 8 digits of the commit, `+changes` behind it.
        commit: The commit that was checked out.
        changed: Whether files differed from it.
        diff: SHA-256 of the differences as git writes them, kept in the store.
        repository: Its folder.
    """

    version: str = ""
    commit: str | None = None
    changed: bool = False
    diff: Digest | None = None
    repository: str | None = None


class Version(Model):
    """One registered state of an artifact.

    Attributes:
        artifact: Its absolute path, or the address of external bytes.
        content: What it holds.
        parents: What it was made from.
        params: With which parameters.
        code: By which code.
        metadata: What else was told: experiment, tools_used, ….
        lineage_id: Identity of content, parents, parameters and code together (16 hex digits).
        made_by: The record of the node that made these bytes, where a run did.
        registered_at: When, in UTC.
        by: Who, on which machine.
        session: The session that it belongs to.
    """

    kind: Literal["version"] = "version"
    artifact: str
    content: Content
    parents: tuple[Parent, ...] = ()
    params: dict[str, Any] = {}
    code: CodeState = CodeState()
    metadata: dict[str, Any] = {}
    lineage_id: str
    made_by: str | None = None
    registered_at: str
    by: str = ""
    session: str = "lab"

    def brief(self) -> dict[str, Any]:
        """Return the record as JSON, without what says nothing."""
        return {"kind": self.kind, **self.model_dump(mode="json", exclude_defaults=True)}
