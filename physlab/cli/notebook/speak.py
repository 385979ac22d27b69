"""`notebook comment|review|sign`: what others say of an entry, and who stands for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from physlab.cli.notebook.options import Entry, Notebook, PassphraseFile
from physlab.cli.notebook.write import where
from physlab.cli.options import Json
from physlab.cli.output import escape, local_time, voice
from physlab.cli.passphrase import asking

if TYPE_CHECKING:
    from physlab.model.notebook import Word

MEANINGS = ("author", "review", "approval", "witness")


def comment(
    entry: Entry,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What you have to say.")],
    notebook: Notebook = None,
    json: Json = False,
) -> int:
    """Say something of an entry."""
    return _say(entry, notebook, text, "comment")


def review(
    entry: Entry,
    approve: Annotated[bool, typer.Option("--approve", help="It is right.")] = False,
    request_changes: Annotated[bool, typer.Option("--request-changes", help="It needs changes: say which.")] = False,
    text: Annotated[str, typer.Option("--text", help="Why.", show_default=False)] = "",
    notebook: Notebook = None,
    json: Json = False,
) -> int:
    """Approve an entry that somebody else wrote, or ask for changes."""
    from physlab.errors import ValidationError

    if approve == request_changes:
        raise ValidationError("A review says one of two things.", hint="--approve, or --request-changes --text WHY.")
    return _say(entry, notebook, text, "approve" if approve else "request_changes")


def _say(entry: str, notebook: str | None, text: str, word: Word) -> int:
    from physlab import service
    from physlab.lab import Lab
    from physlab.service.notebook.people import speaker_of
    from physlab.service.notebook.told import told_remark
    from physlab.settings import load_settings

    settings = load_settings()
    with Lab(settings) as lab:
        page = service.find_page(lab, entry, notebook)
        said = service.remark_on(lab, page, text, word)
    name = f"{page.entry.entry_id}@{page.entry.revision}"
    if voice.as_json:
        voice.reply({"entry": name, "hash": f"sha256:{page.record}", **told_remark(said)})
        return 0
    done = {"comment": "commented on", "approve": "approved", "request_changes": "asked for changes of"}[word]
    voice.say(f"[green]✓[/green] {escape(speaker_of(settings).login)} {done} {name}.")
    follow = f"sign {name} --meaning approval" if word == "approve" else f"show {page.entry.entry_id}"
    voice.next(f"physlab notebook {follow}{where(page.entry.notebook)}")
    return 0


def sign(
    entry: Entry,
    meaning: Annotated[
        Literal["author", "review", "approval", "witness"] | None,
        typer.Option("--meaning", help="As what; unset: author of one's own entry, else witness.", show_default=False),
    ] = None,
    person: Annotated[str | None, typer.Option("--person", help="Who signs; unset: you.", show_default=False)] = None,
    passphrase_file: PassphraseFile = None,
    notebook: Notebook = None,
    json: Json = False,
) -> int:
    """Sign an entry with your key."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.service.notebook.people import speaker_of
    from physlab.settings import load_settings
    from physlab.signing import read_public

    settings = load_settings()
    who = speaker_of(settings, person).login
    with Lab(settings) as lab:
        page = service.find_page(lab, entry, notebook)
        made = service.sign_page(lab, page, person, meaning, asking(settings, passphrase_file))
    name = f"{page.entry.entry_id}@{page.entry.revision}"
    already = made in page.signatures
    if voice.as_json:
        voice.reply({"entry": name, "hash": f"sha256:{page.record}", "already": already, "signer": made.signer,
                     "meaning": made.meaning, "at": made.at, "key": read_public(made.key).id})  # fmt: skip
        return 0
    if already:
        voice.say(
            f"[green]✓[/green] {escape(who)} signed {name} as {made.meaning} already, {local_time(made.at)}; "
            "nothing was changed."
        )
        return 0
    voice.say(f"[green]✓[/green] {escape(who)} signed {name} as {made.meaning}.")
    voice.fact("hash", f"sha256:{page.record}")
    voice.fact("key", read_public(made.key).id)
    voice.next(f"physlab notebook verify{where(page.entry.notebook)}")
    return 0
