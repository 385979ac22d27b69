"""`store`: the lab's memory."""

from __future__ import annotations

from typing import Annotated

import typer

from physlab.cli.options import Json
from physlab.cli.output import counted, escape, size, tell_path, voice
from physlab.cli.stores import collect, lock, pull, push, repair, replicas, scrub, serve

app = typer.Typer(name="store", help="The lab's memory: bytes by SHA-256, and the journal.", no_args_is_help=True)


@app.command()
def verify(json: Json = False) -> int:
    """Check every byte and the chain of the journal; exit code 1 when something is wrong."""
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        problems = list(lab.store.verify())
        blobs = sum(1 for _ in lab.store.blobs.all())
    if voice.as_json:
        voice.reply({"ok": not problems, "blobs": blobs, "problems": problems})
    elif problems:
        voice.say(*(f"[bold red]✗[/bold red] {escape(problem)}" for problem in problems))
    else:
        voice.say(f"[green]✓[/green] The journal is whole, and {counted(blobs, 'file')} are what they were.")
    return 1 if problems else 0


@app.command()
def reindex(json: Json = False) -> int:
    """Build the index again from the journal."""
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        count = lab.store.reindex()
    if voice.as_json:
        voice.reply({"records": count})
    else:
        voice.say(f"[green]✓[/green] {counted(count, 'record')} indexed.")
    return 0


@app.command()
def path(json: Json = False) -> int:
    """Print where it lies."""
    from physlab.settings import load_settings

    return tell_path(str(load_settings().home / "store"))


@app.command()
def gc(
    store: Annotated[
        str | None,
        typer.Argument(metavar="[STORE]", help="Another store, of [stores.NAME]; left out: the lab's own."),
    ] = None,
    older_than: Annotated[
        int | None,
        typer.Option("--older-than", metavar="DAYS", min=0, help="Let go of results of runs older than so many days."),
    ] = None,
    grace: Annotated[int, typer.Option("--grace", metavar="DAYS", min=0, help="Younger files stay.")] = 14,
    delete: Annotated[bool, typer.Option("--delete", help="Do it; without it this only says what would go.")] = False,
    let_go: Annotated[
        bool, typer.Option("--let-go", help="Of another store: also results whose files this lab's own gc removed.")
    ] = False,
    json: Json = False,
) -> int:
    """Say what nothing needs any more, and remove it with --delete: never what a version, hold, job or run needs.

    In another store nothing goes that any record there needs, whoever sent it. What nothing needs is condemned first,
    and removed by a --delete that comes --grace days later.
    """
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    if store is not None:
        return collect.collect_elsewhere(store, older_than, grace, let_go, delete)
    collect.refuse_here(let_go)
    with Lab(load_settings()) as lab:
        found = service.collect_garbage(lab, older_than_days=older_than, grace_days=grace, delete=delete)
    if voice.as_json:
        voice.reply(found)
        return 0
    verb = "removed" if delete else "would go"
    voice.say(
        f"{counted(found['files'], 'file')}, {size(found['bytes'])} {verb}; {counted(found['kept'], 'file')} stay."
    )
    if found["young"]:
        voice.fact("young", f"{counted(found['young'], 'file')} that nothing needs, not {grace} days old")
    if found["runs"]:
        voice.fact("runs", f"the results of {counted(len(found['runs']), 'run')}")
    if found["files"] and not delete:
        option = f" --older-than {older_than}" if older_than is not None else ""
        voice.next(f"physlab store gc --delete{option}{f' --grace {grace}' if grace != 14 else ''}")
    return 0


for name, command in (
    ("push", push.push),
    ("pull", pull.pull),
    ("replicas", replicas.replicas),
    ("scrub", scrub.scrub),
    ("repair", repair.repair),
    ("serve", serve.serve),
    ("link", serve.link),
    ("lock", lock.lock),
    ("unlock", lock.unlock),
):
    app.command(name)(command)
