"""`store`: the lab's memory."""

from __future__ import annotations

import typer

from physlab.cli.options import Json
from physlab.cli.output import counted, escape, voice
from physlab.cli.stores import pull, push, repair, replicas, scrub, serve

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

    folder = str(load_settings().home / "store")
    if voice.as_json:
        voice.reply({"path": folder})
    else:
        voice.say(escape(folder))
    return 0


for name, command in (
    ("push", push.push),
    ("pull", pull.pull),
    ("replicas", replicas.replicas),
    ("scrub", scrub.scrub),
    ("repair", repair.repair),
    ("serve", serve.serve),
    ("link", serve.link),
):
    app.command(name)(command)
