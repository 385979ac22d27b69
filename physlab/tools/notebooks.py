"""`lab_notebook` and `notebook_export` as nodes: entries with what the ledger knows of them. The lab answers itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from physlab.model.notebook import Name
from physlab.tools.collaboration import FAMILY
from physlab.tools.context import Context
from physlab.tools.registry import Port, registry
from physlab.tools.types import File, Params
from physlab.tools.versions import named_files

LONGEST = 200
SAME = {"title": "title", "notes_md": "content", "conclusions": "conclusions", "tools_used": "tools_used",
        "attach_artifacts": "artifacts"}  # fmt: skip


class EntryParams(BaseModel):
    """An entry in one piece."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1, max_length=LONGEST, description="Its title.")
    content: str = Field("", description="What was done and seen: Markdown with math.")
    tools_used: list[str] = Field([], description="Tools that were used.")
    artifacts: Any = Field(None, description="Its files.")
    conclusions: str = Field("", description="What follows: Markdown with math.")


class NotebookParams(Params):
    """What to write down, with which files, and who signs it."""

    session_id: Name | None = Field(
        None,
        validation_alias=AliasChoices("session_id", "notebook"),
        description="The session, and with it the notebook; unset: that of the runs, else collaboration.session.",
    )
    title: str | None = Field(None, min_length=1, max_length=LONGEST, description="Its title.")
    notes_md: str = Field(
        "",
        validation_alias=AliasChoices("notes_md", "content", "notes"),
        description="What was done and seen: Markdown with math.",
    )
    conclusions: str = Field("", description="What follows: Markdown with math.")
    attach_artifacts: Any = Field(
        None,
        validation_alias=AliasChoices("attach_artifacts", "artifacts", "attachments"),
        description="Paths of files, or what another node made (`from:node`).",
    )
    tools_used: list[str] = Field([], description="Tools that were used; what the linked runs say stands beside it.")
    tags: list[str] = Field([], description="Words to find it by.")
    runs: list[str] = Field([], description="Runs that it speaks of: ids, titles, or `latest`.")
    sign_as: Name = Field(
        "anonymous",
        validation_alias=AliasChoices("sign_as", "signature"),
        description="Who writes and signs it: the name of a person with a key; `anonymous` signs nothing.",
    )
    entry: EntryParams | None = Field(None, description="`{title, content, tools_used, artifacts, conclusions}`.")

    @model_validator(mode="after")
    def _one_title(self) -> NotebookParams:
        if self.entry is None and self.title is None:
            raise ValueError("title: an entry needs one")
        twice = [name for name, inside in SAME.items() if getattr(self, name) and self._inside(inside)]
        if twice:
            raise ValueError(f"{twice[0]} stands both beside and inside entry; give it once")
        return self

    def _inside(self, name: str) -> Any:
        return getattr(self.entry, name) if self.entry is not None else None


class NotebookExportParams(Params):
    """Which entries to write, as what."""

    session_id: Name | None = Field(
        None,
        validation_alias=AliasChoices("session_id", "notebook"),
        description="The notebook; unset: collaboration.session.",
    )
    entry_id: list[str] | str | None = Field(
        None, validation_alias=AliasChoices("entry_id", "entries"), description="Only these entries; unset: all."
    )
    format: str = Field("pdf", description="`pdf`, `html`, or `sheet`: one picture of small pictures of all files.")


@registry.method(
    FAMILY,
    "lab_notebook",
    params=NotebookParams,
    returns=(
        Port("entry_id", "text", description="Its id: 16 hexadecimal digits"),
        Port("pdf_path", "file", description="Its page"),
        Port("notebook", "text", description="The notebook that it stands in"),
        Port("revision", "number", description="1 for a new entry"),
        Port("author", "text", description="Who wrote it"),
        Port("state", "text", description="`signed`, `open`, or whose signature it awaits"),
        Port("sources", "list", description="The computations that the ledger links: run, node, tool, record"),
    ),
    asks_lab=True,
    lasting=False,
    time_limit_s=None,
    kind="user",
)
def lab_notebook(params: NotebookParams, context: Context) -> dict[str, Any]:
    """Write an entry into the lab notebook, linked to the runs it speaks of, and sign it."""
    files = params.attach_artifacts or (params.entry.artifacts if params.entry else None)
    told = params.entry.model_copy(update={"artifacts": None}) if params.entry else None
    given = params.model_copy(update={"attach_artifacts": named_files(files, context), "entry": told})
    body = context.ask_lab("lab_notebook", given)
    meta = body.pop("meta", {})
    for warning in meta.pop("warnings", ()):
        context.warn(warning)
    context.meta.update(meta)
    return {**body, "pdf_path": _page(Path(body["pdf_path"]), context) if body["pdf_path"] else None}


@registry.method(
    FAMILY,
    "notebook_export",
    params=NotebookExportParams,
    returns=(
        Port("path", "file", description="The document"),
        Port("format", "text", description="Its format"),
        Port("notebook", "text", description="The notebook"),
        Port("entries", "number", description="How many entries"),
    ),
    asks_lab=True,
    lasting=False,
    time_limit_s=None,
    kind="user",
)
def notebook_export(params: NotebookExportParams, context: Context) -> dict[str, Any]:
    """Write a notebook, or some of its entries, as a document."""
    body = context.ask_lab("notebook_export", params)
    context.meta.update(body.pop("meta", {}))
    return {**body, "path": _page(Path(body["path"]), context, field="path")}


def _page(path: Path, context: Context, field: str = "pdf_path") -> File:
    copy = context.workdir / path.name
    copy.write_bytes(path.read_bytes())
    return context.save(copy, path.name, role="document", caption="A page of the lab notebook.", field=field)
