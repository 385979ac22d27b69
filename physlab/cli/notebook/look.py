"""`notebook list|show|diff|heads|print`: looking."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from physlab.cli.notebook.options import Entry, Notebook
from physlab.cli.notebook.write import where
from physlab.cli.options import Json
from physlab.cli.output import counted, escape, local_time, size, table, voice


def list_all(
    notebook: Notebook = None,
    tag: Annotated[str | None, typer.Option("--tag", help="Only those with it.", show_default=False)] = None,
    author: Annotated[str | None, typer.Option("--author", help="Only theirs.", show_default=False)] = None,
    state: Annotated[
        str | None,
        typer.Option("--state", help="open, signed, awaits, approved or changes.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the latest.")] = 30,
    json: Json = False,
) -> int:
    """List the entries of a notebook in their last revision, latest first."""
    from physlab import service
    from physlab.collab.people.naming import named, people_in
    from physlab.lab import Lab
    from physlab.settings import load_settings

    settings = load_settings()
    name = notebook or settings.collaboration.session
    with Lab(settings) as lab:
        found = service.list_entries(lab, name, tag=tag, author=author, state=state, limit=limit)
        others = {one: count for one, count in service.list_notebooks(lab).items() if one != name}
    people = people_in(settings, found)
    if voice.as_json:
        names = {person.id: person.name for person in people.values()}
        voice.reply({"notebook": name, "entries": found, "names": names, "other_notebooks": others})
        return 0
    found = named(found, people)
    if found:
        rows = [
            [f"{item['entry_id']}@{item['revision']}", item["title"], item["author"], local_time(item["at"]),
             item["state"], ", ".join(item["tags"]), str(item["attachments"] or "")] for item in found
        ]  # fmt: skip
        heads = ("entry", "title", "author", "written", "state", "tags", "files")
        spare = ("files", "tags", "written")
        voice.say(table(heads, rows, right=("files",), free="title", spare=spare, width=voice.out.width), "")
        voice.next(f"physlab notebook show {found[0]['entry_id']}{where(name)}")
    else:
        chosen = any((tag, author, state))
        voice.say(
            f"The notebook {escape(name)} has no such entry." if chosen else f"The notebook {escape(name)} is empty."
        )
        voice.next(f"physlab notebook add TITLE --edit{where(name)}")
    for one, count in others.items():
        voice.note(f"There is also the notebook {one} with {count} entries: physlab notebook list --notebook {one}")
    return 0


def show(entry: Entry, notebook: Notebook = None, json: Json = False) -> int:
    """Show an entry: text, files, runs, remarks and signatures, each verified; exit code 1 when one does not hold."""
    from physlab import service
    from physlab.collab.people.naming import named, people_in
    from physlab.lab import Lab
    from physlab.settings import load_settings

    settings = load_settings()
    with Lab(settings) as lab:
        told = service.show_entry(lab, entry, notebook)
    wrong = any(item["problem"] for item in told["signatures"])
    people = people_in(settings, told)
    if voice.as_json:
        voice.reply({**told, "names": {person.id: person.name for person in people.values()}})
    else:
        _tell(named(told, people), [item["signer"] for item in told["signatures"]])
    return 1 if wrong else 0


def _tell(told: dict[str, Any], signers: list[str]) -> None:
    of = f"revision {told['revision']} of {told['revisions']}"
    voice.say(f"[bold]{escape(told['title'])}[/bold]")
    voice.fact("entry", f"{told['entry_id']}, {of}, in the notebook {told['notebook']}")
    voice.fact("written", f"{local_time(told['at'])}, by {told['author']}")
    voice.fact("hash", told["hash"])
    if told["reason"]:
        voice.fact("reason", told["reason"])
    if told["tags"]:
        voice.fact("tags", ", ".join(told["tags"]))
    for title, text in (("", told["content"]), ("Conclusions", told["conclusions"])):
        if text:
            voice.say("", *([f"[bold]{title}[/bold]"] if title else ()), escape(text))
    voice.say("")
    for item in told["attachments"]:
        voice.fact("file", f"{item['name']} {size(item['size'])} {item['hash']}")
    for item in told["sources"]:
        voice.fact("from", " ".join(filter(None, (f"run {item['run_id']}", item["node_id"], item["tool"]))))
    if told["tools_used"]:
        voice.fact("tools", ", ".join(told["tools_used"]))
    if told["unlinked_tools"]:
        voice.remark(f"{', '.join(told['unlinked_tools'])}: said by the author, not in the linked runs")
    _tell_voices(told, signers)


def _tell_voices(told: dict[str, Any], signers: list[str]) -> None:
    words = {"comment": "says", "request_changes": "asks for changes", "approve": "approves"}
    for item in told["remarks"]:
        voice.say(f"[bold]{escape(item['author'])}[/bold] {words[item['word']]}, {local_time(item['at'])}: "
                  f"{escape(item['text'])}")  # fmt: skip
    for item, signer in zip(told["signatures"], signers, strict=True):
        mark = "[bold red]✗[/bold red]" if item["problem"] else "[green]✓[/green]"
        who = f"{escape(item['signer'])} as {item['meaning']}, {local_time(item['at'])}, key {item['key']}"
        voice.say(f"{mark} signed by {who}" + (f": {escape(item['problem'])}" if item["problem"] else ""))
        if not item["known"] and not item["problem"]:
            voice.remark(f"nobody vouches for key {item['key']}: physlab sign trust {signer} KEY")
    voice.fact("state", told["state"])
    for rival in told["rivals"]:
        voice.remark(f"written at the same time elsewhere: {rival}")
    name = f"{told['entry_id']}{where(told['notebook'])}"
    if "awaits" in told["state"]:
        voice.next(f"physlab notebook sign {name}")
    elif told["revision"] > 1:
        voice.next(f"physlab notebook diff {name}")
    else:
        voice.next(f"physlab notebook comment {name} TEXT")


def diff(
    entry: Entry,
    other: Annotated[
        str | None, typer.Argument(metavar="[OTHER]", help="The later one; unset: ENTRY, and the one before it.")
    ] = None,
    notebook: Notebook = None,
    json: Json = False,
) -> int:
    """Say how two revisions differ; exit code 1 when they do."""
    from physlab import service
    from physlab.collab.people.naming import named, people_in
    from physlab.lab import Lab
    from physlab.settings import load_settings

    settings = load_settings()
    with Lab(settings) as lab:
        found = service.diff_entry(lab, entry, other, notebook)
    if voice.as_json:
        voice.reply(found)
        return 0 if found["equal"] else 1
    found = named(found, people_in(settings, found))
    voice.say(f"[bold]{escape(found['before'])}[/bold] → [bold]{escape(found['after'])}[/bold]")
    if found["reason"]:
        voice.fact("reason", found["reason"])
    for field, (before, after) in found["fields"].items():
        voice.say(f"  {field}: {escape(_spelled(before))} → {escape(_spelled(after))}")
    for field, lines in found["texts"].items():
        voice.say(f"  [dim]{field}[/dim]")
        for line in lines:
            colour = {"+": "green", "-": "red"}.get(line[:1], "")
            voice.say(f"    [{colour}]{escape(line)}[/]" if colour else f"    {escape(line)}")
    for item in found["files"]:
        voice.say(f"  [bold]{escape(item['name'])}[/bold] was {item['what']}")
    if found["equal"]:
        voice.say("[green]✓[/green] They say the same.")
    return 0 if found["equal"] else 1


def _spelled(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def heads(notebook: Notebook = None, json: Json = False) -> int:
    """Print the last records of a notebook: kept elsewhere, they tell later that nothing was cut off."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = service.heads_of(lab, notebook)
    if voice.as_json:
        voice.reply(found)
        return 0
    for head in found["heads"]:
        voice.say(head)
    voice.note(f"{counted(found['records'], 'record')} in the notebook {found['notebook']}.")
    if found["heads"]:
        voice.next(f"physlab notebook verify --head {found['heads'][0]}", "later")
    return 0


def print_entries(
    entries: Annotated[list[str] | None, typer.Argument(metavar="[ENTRY...]", help="Unset: all.")] = None,
    form: Annotated[str, typer.Option("--format", help="pdf, html, or sheet: a picture of all files.")] = "pdf",
    notebook: Notebook = None,
    json: Json = False,
) -> int:
    """Write entries as a document into the results folder."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        made = service.export_pages(lab, notebook, entries or (), form)
    if voice.as_json:
        voice.reply(made)
    else:
        voice.say(f"[green]✓[/green] {escape(made['path'])}")
    return 0
