"""`notebook search|contents|templates|import`: finding entries, and taking others in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from physlab.cli.notebook.options import DryRun, Notebook
from physlab.cli.notebook.write import where
from physlab.cli.options import Json
from physlab.cli.output import counted, escape, local_time, table, voice


def search(
    words: Annotated[
        list[str], typer.Argument(metavar="WORD...", help='Words, "a phrase", tag:, author:, since:, until:.')
    ],
    notebook: Notebook = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the best.")] = 20,
    json: Json = False,
) -> int:
    """Search all notebooks, or one: titles, texts, tags, names of files, remarks."""
    from physlab.collab.people.naming import named, people_in
    from physlab.lab import Lab
    from physlab.service.notebook.find import search_entries
    from physlab.settings import load_settings

    text = " ".join(f'"{word}"' if " " in word and ":" not in word else word for word in words)
    settings = load_settings()
    with Lab(settings) as lab:
        found = search_entries(lab, text, notebook, limit)
    if voice.as_json:
        voice.reply({"entries": found})
        return 0
    found = named(found, people_in(settings, found))
    if not found:
        voice.say("Nothing was found.")
        return 0
    for item in found:
        voice.say(f"[bold]{escape(item['title'])}[/bold] [dim]{item['entry_id']}, {escape(item['notebook'])}, "
                  f"{escape(item['author'])}, {local_time(item['at'])}[/dim]")  # fmt: skip
        if item["snippet"]:
            voice.say(f"  {escape(item['snippet'])}")
    voice.next(f"physlab notebook show {found[0]['entry_id']}{where(found[0]['notebook'])}")
    return 0


def contents(notebook: Notebook = None, json: Json = False) -> int:
    """Print the table of contents of a notebook."""
    from physlab.collab.people.naming import named, people_in
    from physlab.lab import Lab
    from physlab.service.notebook.find import contents_of
    from physlab.settings import load_settings

    settings = load_settings()
    with Lab(settings) as lab:
        found = contents_of(lab, notebook)
    if voice.as_json:
        voice.reply({"contents": found})
        return 0
    found = named(found, people_in(settings, found))
    rows = [
        (str(number), one["title"], one["author"], one["begun"][:10], f"{one['entry_id']}@{one['revision']}",
         one["state"]) for number, one in enumerate(found, 1)
    ]  # fmt: skip
    voice.say(table(("", "title", "author", "begun", "entry", "state"), rows, right=("",), free="title"))
    return 0


def templates(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Which one to print; unset: all names.")] = None,
    json: Json = False,
) -> int:
    """List what an entry can be begun from, or print one."""
    from physlab.notebook import templates as known

    if name is None:
        names = known.templates()
        voice.reply({"templates": names}) if voice.as_json else voice.say("\n".join(names))
        if not voice.as_json:
            voice.next("physlab notebook add TITLE --template experiment --edit")
        return 0
    text = known.template(name)
    voice.reply({"template": name, "text": text}) if voice.as_json else voice.say(escape(text))
    return 0


def import_entries(
    archive: Annotated[Path, typer.Argument(metavar="FILE.eln", help="What another notebook exported.")],
    notebook: Notebook = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Take the entries of an .eln file in: all of them, or none; their authors are told in them.

    What was taken in before is not taken again. Signatures stay in the file: they hold for what it says, not for this.
    """
    from physlab.lab import Lab
    from physlab.service.notebook.find import import_file
    from physlab.settings import load_settings

    voice.parting = "Nothing was written."
    with Lab(load_settings()) as lab:
        found = import_file(lab, archive, notebook, dry_run=dry_run)
    if voice.as_json:
        voice.reply(found)
        return 0
    count = len(found["titles"])
    what = counted(count, "entry") if count == 1 else f"{count} entries"
    if not count:
        voice.say("[green]✓[/green] All of it was taken in before; nothing was written.")
    else:
        voice.say(f"{what} would be taken in." if dry_run else f"[green]✓[/green] {what} taken in.")
    for title in found["titles"] if dry_run else ():
        voice.fact("entry", title)
    for one in found["known"]:
        voice.note(f"{one['title']} was taken in before: {one['entry_id']}")
    for warning in found["warnings"]:
        voice.remark(warning)
    voice.next(f"physlab notebook list{where(found['notebook'])}")
    return 0
