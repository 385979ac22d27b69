"""`audit`: who did what, and the proof that nothing of it was changed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from physlab.cli.options import Json
from physlab.cli.output import counted, escape, local_time, quoted, table, voice

app = typer.Typer(name="audit", help="Who did what, and the proof that nothing was changed.", no_args_is_help=True)
Key = Annotated[
    str | None,
    typer.Option("--key", metavar="KEY", help="The other lab's key: RWQ… or a file.", show_default=False),
]
Session = Annotated[str | None, typer.Option("--session", "-s", metavar="NAME", help="Only of this session.")]


@app.command()
def log(
    session: Session = None,
    person: Annotated[
        str | None, typer.Option("--person", "-p", help="Only by them: mail address, login, or link:ID.")
    ] = None,
    action: Annotated[
        str | None, typer.Option("--action", "-a", help="Only this: artifact.read; 'link.' for all that begin so.")
    ] = None,
    what: Annotated[str | None, typer.Option("--object", help="Only with this: sha256:…, a run, a link's id.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Not before: 2h, 7d, or 2027-01-31T12:00Z.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the newest.")] = 50,
    json: Json = False,
) -> int:
    """Show who did what and when; of a file: who read it."""
    from physlab.collab.people.naming import named, people_in
    from physlab.lab import Lab
    from physlab.service.sharing.audit import search_log
    from physlab.service.sharing.commons import commons_of
    from physlab.settings import load_settings

    settings = load_settings()
    with Lab(settings) as lab, commons_of(lab) as commons:
        found = search_log(commons, session=session, person=person, action=action, what=what, since=since, limit=limit)
    if voice.as_json:
        voice.reply({"entries": found})
        return 0
    if not found:
        voice.say("The log has no such entry.")
        return 0
    found = named(found, people_in(settings, found))
    rows = [
        [str(one["seq"]), local_time(one["at"]), one["name"], one["action"], one["session_id"] or "",
         _short(one["object"]), " ".join(f"{name}={_plain(name, value)}" for name, value in one["told"].items())]
        for one in found
    ]  # fmt: skip
    voice.say(table(["entry", "when", "who", "did", "session", "object", "more"], rows, right=["entry"]))
    if len(found) == limit:
        voice.note(f"The newest {limit}; more: --limit {limit * 10}")
    voice.next("physlab audit verify")
    return 0


def _plain(name: str, value: Any) -> str:
    """Return a value as people read it: moments are kept in microseconds."""
    from physlab.collab.database import written

    moment = written(value) if name.endswith("_at") and isinstance(value, int) else None
    return local_time(moment) if moment else str(value)


def _short(what: str | None) -> str:
    return "" if what is None else f"{what[:16]}…" if len(what) >= 32 else what


@app.command()
def verify(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="An exported log; left out: this lab's.")
    ] = None,
    key: Key = None,
    json: Json = False,
) -> int:
    """Verify the log: every entry, the chain, the tree, every checkpoint; of an export without any lab.

    The first entry that is wrong is named. Exit code 1 when something is.
    """
    from physlab.lab import Lab
    from physlab.service.sharing.audit import verify_folder, verify_lab
    from physlab.service.sharing.commons import commons_of
    from physlab.service.sharing.opened import read_key
    from physlab.settings import load_settings

    uncovered = 0
    if folder is not None:
        checked = verify_folder(folder, None if key is None else read_key(key))
    else:
        with Lab(load_settings()) as lab, commons_of(lab) as commons:
            checked, uncovered = verify_lab(commons)
    if voice.as_json:
        voice.reply({
            "ok": True, "entries": checked.size, "head": checked.head, "root": checked.root, "uncovered": uncovered,
            "checkpoints": checked.checkpoints, "seconds": checked.seconds,
            "known_key": folder is None or key is not None,
        })  # fmt: skip
        return 0
    what = f"{checked.size:,} entries, {counted(checked.checkpoints, 'checkpoint')}"
    voice.say(f"[green]✓[/green] The log holds: {what}.")
    voice.fact("head", checked.head)
    voice.fact("root", checked.root)
    if folder is not None and key is None:
        voice.remark(
            "The key was taken from the folder itself: take it from the lab (physlab bundle key), and --key KEY."
        )
    if uncovered:
        voice.next("physlab audit checkpoint", "covers the end")
    elif folder is None:
        voice.next("physlab audit export FOLDER")
    return 0


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")],
    session: Annotated[
        str | None, typer.Option("--session", "-s", metavar="NAME", help="Only when this session is in it.")
    ] = None,
    json: Json = False,
) -> int:
    """Write the whole log into a folder that anybody verifies without the lab; ids stand for people."""
    from physlab.lab import Lab
    from physlab.service.sharing.audit import export_to
    from physlab.service.sharing.commons import commons_of
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab, commons_of(lab) as commons:
        checked = export_to(commons, folder.absolute(), session)
    if voice.as_json:
        voice.reply({"path": str(folder), "entries": checked.size, "head": checked.head, "root": checked.root})
        return 0
    voice.say(f"[green]✓[/green] {checked.size} entries in {escape(str(folder))}, verified on the way.")
    voice.next(f"physlab audit verify {quoted(str(folder))} --key {quoted(str(folder / 'lab.pub'))}")
    return 0


@app.command()
def checkpoint(json: Json = False) -> int:
    """Sign how long the log is and what its root is; print it: a copy elsewhere finds whatever is cut off later."""
    from physlab.lab import Lab
    from physlab.service.sharing.audit import sign_checkpoint
    from physlab.service.sharing.commons import commons_of
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab, commons_of(lab) as commons:
        made = sign_checkpoint(commons)
    if voice.as_json:
        voice.reply({"entries": made.size, "head": made.head, "root": made.root.hex(), "checkpoint": made.text})
    else:
        sys.stdout.write(made.text)
        voice.note("Keep it where this lab's disk is not: physlab audit checkpoint > somewhere/else.txt")
    return 0


@app.command()
def prove(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="An earlier checkpoint.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="A later one.")],
    json: Json = False,
) -> int:
    """Prove that between two checkpoints the log only grew; prints the proof as JSON, for a witness."""
    from physlab.lab import Lab
    from physlab.service.sharing.audit import prove_growth
    from physlab.service.sharing.commons import commons_of
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab, commons_of(lab) as commons:
        voice.reply(prove_growth(commons, old, new))
    return 0


@app.command()
def witness(
    file: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A checkpoint of another lab.")],
    key: Annotated[str, typer.Option("--key", metavar="KEY", help="That lab's key: RWQ… or a file.")],
    proof: Annotated[
        Path | None,
        typer.Option("--proof", metavar="FILE", help="That it extends the last one, from: physlab audit prove.",
                     show_default=False),
    ] = None,
    json: Json = False,
) -> int:  # fmt: skip
    """Countersign another lab's checkpoint with this lab's key, once it is proven that its log only grew.

    This lab remembers what it countersigned last: a log that was written anew gets no second signature.
    """
    from physlab.lab import Lab
    from physlab.service.sharing.audit import countersign_checkpoint
    from physlab.service.sharing.commons import commons_of
    from physlab.service.sharing.opened import read_key
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab, commons_of(lab) as commons:
        size, signature = countersign_checkpoint(commons, file, read_key(key), proof)
    if voice.as_json:
        voice.reply({"entries": size, "signature": signature})
    else:
        sys.stdout.write(signature)
        voice.note(f"This lab has seen {size} entries of that log, and that it only grew. Send them the signature.")
    return 0
