"""`notebook add|revise`: writing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.notebook.options import (
    Attach,
    Conclusions,
    DryRun,
    Edit,
    Entry,
    Into,
    Notebook,
    PassphraseFile,
    Run,
    Sign,
    Tag,
    Text,
    TextFile,
    Tool,
)
from physlab.cli.options import Json
from physlab.cli.output import escape, size, voice
from physlab.cli.passphrase import asking

if TYPE_CHECKING:
    from physlab.service.notebook.write import Written
    from physlab.settings import Settings

SAFE = "Nothing was written."


def add(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="Its title.")],
    text: Text = None,
    file: TextFile = None,
    edit: Edit = False,
    conclusions: Conclusions = None,
    attach: Attach = None,
    run: Run = None,
    tool: Tool = None,
    tag: Tag = None,
    template: Annotated[
        str | None,
        typer.Option("--template", help="Begin from: experiment, observation, …: templates.", show_default=False),
    ] = None,
    sign: Sign = False,
    passphrase_file: PassphraseFile = None,
    notebook: Into = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Write an entry; files that runs made are linked to them."""
    from physlab.lab import Lab
    from physlab.notebook.templates import template as text_of
    from physlab.service.notebook.people import speaker_of
    from physlab.service.notebook.write import Wish, add_entry, preview_entry
    from physlab.settings import load_settings

    voice.parting = SAFE
    settings = load_settings()
    begun = text_of(template) if template else ""
    wish = Wish(
        title=title, notebook=notebook, content=_content(text, file, edit, begun) or "", conclusions=conclusions or "",
        template=template,
        tools_used=tool or (), tags=tag or (), files=attach or (), runs=run or (),
        sign_as=speaker_of(settings).id if sign else None,
    )  # fmt: skip
    with Lab(settings) as lab:
        if dry_run:
            return _tell_draft(settings, preview_entry(lab, wish, Path.cwd()))
        return _tell_written(settings, add_entry(lab, wish, Path.cwd(), asking(settings, passphrase_file)))


def revise(
    entry: Entry,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands beside the revision.")],
    title: Annotated[str | None, typer.Option("--title", help="Another title.", show_default=False)] = None,
    text: Text = None,
    file: TextFile = None,
    edit: Edit = False,
    conclusions: Conclusions = None,
    attach: Attach = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", metavar="NAME", help="A file that it has no more.", show_default=False)
    ] = None,
    run: Run = None,
    tool: Tool = None,
    tag: Tag = None,
    sign: Sign = False,
    passphrase_file: PassphraseFile = None,
    notebook: Notebook = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Write a new revision of an entry; the one before stays, with its remarks and signatures."""
    from physlab.lab import Lab
    from physlab.service.notebook.write import find_page, revise_entry, revision, told_draft
    from physlab.settings import load_settings

    voice.parting = SAFE
    settings = load_settings()
    with Lab(settings) as lab:
        page = find_page(lab, entry, notebook)
        told: dict[str, Any] = {
            "title": title, "content": _content(text, file, edit, page.entry.content), "conclusions": conclusions,
            "files": attach, "runs": run, "tools_used": tuple(tool) if tool else None,
            "tags": tuple(tag) if tag else None,
        }  # fmt: skip
        changes = {name: value for name, value in told.items() if value is not None}
        if dry_run:
            draft = revision(lab, page, changes, Path.cwd(), drop=drop or (), sign=sign)
            return _tell_draft(settings, told_draft(lab, draft, page.entry.notebook))
        return _tell_written(
            settings,
            revise_entry(
                lab,
                page,
                changes,
                reason,
                Path.cwd(),
                drop=drop or (),
                sign=sign,
                ask=asking(settings, passphrase_file),
            ),
        )


def _content(text: str | None, file: Path | None, edit: bool, before: str) -> str | None:
    """Return what an entry says, None where nothing was said.

    Raises:
        ValidationError: It is said twice, the file cannot be read, or the editor saved nothing.
    """
    from physlab.errors import ValidationError

    if text is not None and file is not None:
        raise ValidationError("--text and --file say the same thing twice.", hint="Give one of them.")
    said = text if file is None else sys.stdin.read() if str(file) == "-" else _read(file)
    if not edit:
        return said
    from click import edit as open_editor

    written = open_editor(before if said is None else said, extension=".md")
    if written is None:
        raise ValidationError("The editor saved nothing.", hint="Nothing was written; save before you leave it.")
    return written.rstrip("\n")


def _read(file: Path) -> str:
    from physlab.errors import ValidationError

    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError(f"'{file}' cannot be read: {error}.", hint="Give a text file in UTF-8.") from error


def _tell_written(settings: Settings, written: Written) -> int:
    from physlab.collab.people.naming import people_in, with_logins, with_names
    from physlab.service.notebook.told import told_brief, told_source

    page = written.page
    entry = page.entry
    if voice.as_json:
        sources = [told_source(item) for item in entry.sources]
        voice.reply({**told_brief(page), "sources": sources, "signed": written.signed,
                     "warnings": list(written.warnings), "note": written.note})  # fmt: skip
        return 0
    which = f"Revision {entry.revision} of entry" if entry.revision > 1 else "Entry"
    voice.say(f"[green]✓[/green] {which} [bold]{entry.entry_id}[/bold] is in the notebook {escape(entry.notebook)}.")
    voice.fact("hash", f"sha256:{page.record}")
    for item in entry.attachments:
        voice.fact("file", f"{item.name} {size(item.size)} sha256:{item.sha256[:12]}…")
    for source in entry.sources:
        voice.fact("from", " ".join(filter(None, (f"run {source.run_id}", source.node_id, source.tool))))
    people = people_in(settings, [page.state, *written.warnings])
    voice.fact("state", with_names(page.state, people))
    for warning in written.warnings:
        voice.remark(with_logins(warning, people))
    if written.note:
        voice.note(written.note)
    voice.next(f"physlab notebook show {entry.entry_id}{where(entry.notebook)}")
    return 0


def where(notebook: str) -> str:
    """Return the option that names a notebook, where it is not that of the settings."""
    from physlab.settings import load_settings

    return "" if notebook == load_settings().collaboration.session else f" --notebook {notebook}"


def _tell_draft(settings: Settings, told: dict[str, Any]) -> int:
    from physlab.collab.people.naming import people_in, with_names

    if voice.as_json:
        voice.reply(told)
        return 0
    author = with_names(told["author"], people_in(settings, told["author"]))
    voice.say(f"Would write [bold]{escape(told['title'])}[/bold] into the notebook {escape(told['notebook'])}.")
    voice.fact("author", author + (", signs it" if told["sign_as"] else ""))
    for item in told["attachments"]:
        voice.fact("file", f"{item['name']} {size(item['size'])} {item['hash'][:19]}…")
    for item in told["sources"]:
        voice.fact("from", " ".join(filter(None, (f"run {item['run_id']}", item["node_id"], item["tool"]))))
    voice.say("Nothing was written.")
    if told.get("note"):
        voice.note(told["note"])
    return 0
