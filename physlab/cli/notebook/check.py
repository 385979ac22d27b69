"""`notebook verify|export`: a notebook that others can believe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.notebook.options import Notebook, PassphraseFile
from physlab.cli.options import Json
from physlab.cli.output import counted, escape, quoted, voice
from physlab.cli.passphrase import asking

if TYPE_CHECKING:
    from physlab.settings import Settings


def verify(
    path: Annotated[
        Path | None, typer.Argument(metavar="[EXPORT]", help="A folder or ZIP file; unset: what is in this lab.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            metavar="PERSON=KEY",
            help="Of an export: their public key (RW… or a file); unset: `sign trust`.",
            show_default=False,
        ),
    ] = None,
    head: Annotated[
        list[str] | None,
        typer.Option("--head", metavar="sha256:…", help="A record that must be there: see heads.", show_default=False),
    ] = None,
    notebook: Notebook = None,
    json: Json = False,
) -> int:
    """Verify notebooks: every record, revision, signature and file; exit code 1 with the first thing that is wrong."""
    from physlab.lab import Lab
    from physlab.service.notebook.check import verify_file, verify_notebook
    from physlab.settings import load_settings

    settings = load_settings()
    if path is not None:
        found = verify_file(settings, path, [_named(word) for word in key or ()])
    else:
        with Lab(settings) as lab:
            found = verify_notebook(lab, notebook, head or ())
    if voice.as_json:
        voice.reply(found)
    else:
        _tell(settings, found)
    return 0 if found["ok"] else 1


def _named(word: str) -> tuple[str, str]:
    from physlab.errors import ValidationError

    name, equals, key = word.partition("=")
    if not (name and equals and key):
        raise ValidationError(f"'{word}' is not PERSON=KEY.", hint="Such as --key ada=RW…, or --key ada=ada.pub")
    return name, key


def _tell(settings: Settings, found: dict[str, Any]) -> None:
    from physlab.collab.people.naming import people_in, with_names

    people = people_in(settings, found)
    if not found["ok"]:
        voice.say(f"[bold red]✗[/bold red] {escape(with_names(found['problem'], people))}")
        return
    what = ", ".join((
        f"{found['entries']:,} {'entry' if found['entries'] == 1 else 'entries'}",
        counted(found["records"], "record"), counted(found["signatures"], "signature"), counted(found["files"], "file"),
    ))  # fmt: skip
    who = found.get("vouches") or (f"key {found['key']}" if found.get("key") else "")
    whole = f"; {with_names(who, people)} signed that this is all of it" if who else ""
    voice.say(f"[green]✓[/green] All is as it was written: {what}{escape(whole)}.")
    for warning in found["warnings"]:
        voice.remark(warning if "physlab sign trust" in warning else with_names(warning, people))


def export(
    target: Annotated[Path, typer.Argument(metavar="FOLDER|FILE.zip|FILE.eln", help="What is not there yet.")],
    passphrase_file: PassphraseFile = None,
    notebook: Notebook = None,
    json: Json = False,
) -> int:
    """Write a notebook as a folder or ZIP file that anybody verifies without this lab; or .eln for other notebooks."""
    from physlab import service
    from physlab.collab.people.naming import people_in, with_logins
    from physlab.lab import Lab
    from physlab.settings import load_settings

    voice.parting = "Nothing was written."
    settings = load_settings()
    with Lab(settings) as lab:
        made = service.export_notebook(lab, target, notebook, asking(settings, passphrase_file))
    if voice.as_json:
        voice.reply(made)
        return 0
    voice.say(f"[green]✓[/green] {escape(made['path'])}: {counted(made['records'], 'record')} of the notebook "
              f"{escape(made['notebook'])}.")  # fmt: skip
    for head in made["heads"]:
        voice.fact("head", head)
    people = people_in(settings, made["warnings"])
    for warning in made["warnings"]:
        voice.remark(with_logins(warning, people))
    then = "import" if target.suffix == ".eln" else "verify"
    voice.next(f"physlab notebook {then} {quoted(made['path'])}")
    return 0
