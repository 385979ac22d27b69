"""`bundle`: a graph with its runs, files, paper and notebook as one signed file."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.options import Json
from physlab.cli.output import counted, escape, local_time, quoted, size, table, voice

if TYPE_CHECKING:
    from physlab.bundle import Manifest
    from physlab.collab.people import Person

app = typer.Typer(name="bundle", help="A graph with its runs and files as one signed file.", no_args_is_help=True)
Name = Annotated[
    str, typer.Argument(metavar="RUN|GRAPH", help="A run's id or its beginning, 'latest'; or a graph: all its runs.")
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="The bundle.")]
Session = Annotated[
    str | None,
    typer.Option("--session", "-s", metavar="NAME", help="Whose runs; unset: that of the run, or the current."),
]
NoReport = Annotated[bool, typer.Option("--no-report", help="Without the paper of the latest run.")]
NoNotebook = Annotated[bool, typer.Option("--no-notebook", help="Without what the notebook says.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


@app.command()
def make(
    name: Name,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write; a new one.")],
    session: Session = None,
    no_report: NoReport = False,
    no_notebook: NoNotebook = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Write a run, or a graph with all its runs, into one file that a fresh lab opens.

    What may not leave the lab stays here, with the runs that made it; the answer names it.
    """
    from physlab.lab import Lab
    from physlab.service.sharing.bundles import choose_bundle, find_wanted, left_out, make_bundle
    from physlab.service.sharing.commons import commons_of, local_who
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab, commons_of(lab) as commons:
        wanted = find_wanted(lab, name, session=session, notebook=not no_notebook)
        chosen = choose_bundle(lab, wanted)
        stays = left_out(lab, chosen)
        told: dict[str, Any] = {
            "dag_id": wanted.dag_id, "session_id": wanted.session, "files": len(chosen.files), "left_out": stays,
            "runs": [one.record["run_id"] for one in chosen.runs], "runs_left_out": list(chosen.runs_out),
            "records": len(chosen.records), "missing": list(chosen.missing), "dry_run": dry_run,
        }  # fmt: skip
        if not dry_run:
            with progress(output.name) as said:
                made = make_bundle(
                    lab, commons, local_who(lab, commons), chosen, output.absolute(), report=not no_report, told=said
                )
            told |= {"path": str(output), "sha256": made.sha256, "size": made.size}
    if voice.as_json:
        voice.reply(told)
        return 0
    what = f"{counted(len(told['runs']), 'run')}, {counted(told['files'], 'file')}"
    if dry_run:
        voice.say(f"{what} would go into {escape(str(output))}.")
    else:
        voice.say(f"[green]✓[/green] {escape(str(output))}: {what}, {size(told['size'])}.")
        voice.fact("sha256", told["sha256"])
    tell_left_out(told)
    if not dry_run:
        voice.next(f"physlab bundle verify {quoted(str(output))}")
    return 0


def tell_left_out(told: dict[str, Any]) -> None:
    """Say what stayed in the lab, and why."""
    for name, reason in told["left_out"].items():
        voice.fact("stays", f"{name}: {reason}")
    for run in told["runs_left_out"]:
        voice.fact("stays", f"run {run}, which made or used it")
    for digest in told["missing"]:
        voice.say(f"[bold red]✗[/bold red] {escape(f'sha256:{digest} is not in this lab, though its records name it')}")


@contextlib.contextmanager
def progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show on a terminal how much is written or read."""
    if voice.quiet or voice.as_json or not voice.err.is_terminal:
        yield lambda done, whole: None
        return
    last = [0.0]
    with voice.err.status(f"{escape(name)} …") as shown:

        def told(done: int, whole: int) -> None:
            if time.monotonic() - last[0] > 0.2:
                last[0] = time.monotonic()
                shown.update(f"{escape(name)}: {size(done)} of {size(whole)}")

        yield told


@app.command()
def fetch(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Of the link, as it was sent; in quotes.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write; a new one.")],
    json: Json = False,
) -> int:
    """Fetch the bundle that a link shows; it is not opened yet."""
    from physlab.service.sharing.fetch import fetch_link

    voice.parting = "Nothing was kept."
    with progress("fetching") as told:
        found = fetch_link(address, output, told)
    if voice.as_json:
        voice.reply(found)
        return 0
    voice.say(f"[green]✓[/green] {escape(found['path'])}: {escape(found['title'] or 'a graph')}, {size(found['size'])}")
    voice.next(f"physlab bundle verify {quoted(found['path'])}")
    return 0


@app.command()
def verify(
    file: File,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="The key of the lab that should have signed: RWQ… or a file.",
                     show_default=False),
    ] = None,
    json: Json = False,
) -> int:  # fmt: skip
    """Verify every byte, record and signature of a bundle; no lab is needed. The first wrong thing is named."""
    from physlab.service.sharing.opened import read_key, verify_bundle

    wanted = None if key is None else read_key(key)
    with progress(file.name) as told:
        found = verify_bundle(file, wanted, told)
    manifest = found.manifest
    if voice.as_json:
        voice.reply({
            "ok": True, "files": found.files, "records": found.records, "size": found.size, "key": found.signer.line,
            "key_id": found.signer.id, "known_key": wanted is not None, "dag_id": manifest.dag_id,
            "runs": [run.run_id for run in manifest.runs], "made_at": manifest.made_at,
        })  # fmt: skip
        return 0
    what = f"{counted(found.files, 'file')} and {counted(found.records, 'record')}"
    voice.say(f"[green]✓[/green] {escape(str(file))} holds: {what}, all as they were signed.")
    voice.fact("signed by", found.signer.line)
    if wanted is None:
        voice.remark("Whose key this is says the lab itself (there: physlab bundle key), not the bundle.")
    voice.next(f"physlab bundle show {quoted(str(file))}")
    return 0


@app.command()
def show(file: File, json: Json = False) -> int:
    """Show what is inside a bundle: runs, files, notebook. Its signature is verified, its files are not read."""
    from physlab.bundle import read_bundle
    from physlab.collab.people.naming import people_in
    from physlab.settings import load_settings

    found = read_bundle(file)
    if voice.as_json:
        voice.reply({**found.manifest.model_dump(mode="json"), "key": found.signer.line})
        return 0
    _tell(found.manifest, people_in(load_settings(), found.manifest.model_dump(mode="json")))
    voice.fact("signed by", found.signer.line)
    voice.next(f"physlab bundle open {quoted(str(file))}")
    return 0


def _tell(manifest: Manifest, people: Mapping[str, Person]) -> None:
    from physlab.collab.people.naming import with_names

    made_by = with_names(manifest.made_by, people)
    voice.say(f"[bold]{escape(manifest.title or manifest.dag_id)}[/bold]  graph {manifest.dag_id}")
    voice.fact("made", f"{local_time(manifest.made_at)} by {made_by} in {manifest.session}")
    inside = [counted(len(manifest.files), "file"), size(manifest.size), counted(manifest.versions, "version")]
    voice.fact("inside", ", ".join(inside))
    if manifest.left_out:
        voice.fact("stayed", f"{counted(manifest.left_out, 'file')} that may not leave that lab")
    rows = [[run.run_id, run.status, local_time(run.started_at), str(run.nodes), run.report or ""]
            for run in manifest.runs]  # fmt: skip
    voice.say("", table(["run", "status", "started", "nodes", "paper"], rows, right=["nodes"]))
    files = [
        [run.run_id if index == 0 else "", name, size(manifest.files[f"blobs/{digest[:2]}/{digest[2:]}"].size),
         digest[:12]]
        for run in manifest.runs for index, (name, digest) in enumerate(run.results.items())
        if f"blobs/{digest[:2]}/{digest[2:]}" in manifest.files
    ]  # fmt: skip
    if files:
        voice.say("", table(["run", "file", "size", "sha256"], files, right=["size"]))
    notes = [
        [one.entry_id, str(one.revision), one.title, with_names(one.author, people), str(one.signatures)]
        for one in manifest.entries
    ]
    if notes:
        voice.say("", table(["entry", "revision", "title", "author", "signatures"], notes))
    voice.say("")


@app.command("open")
def open_file(
    file: File,
    trust: Annotated[
        str | None,
        typer.Option("--trust", metavar="KEY", help="Trust the lab with this key from now on: RWQ… or a file.",
                     show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verify all of it, and take nothing.")] = False,
    json: Json = False,
) -> int:  # fmt: skip
    """Take a bundle into this lab, all of it or nothing; its runs are then as if they had been run here.

    A bundle of a lab that is not known is refused, until its key is named with --trust. Exit code 1 when the lab that
    made it lacked files itself.
    """
    from physlab.lab import Lab
    from physlab.service.sharing.opened import read_key, take_bundle
    from physlab.settings import load_settings

    key = None if trust is None else read_key(trust)
    with Lab(load_settings()) as lab, progress(file.name) as told:
        done = take_bundle(lab, file, trusting=key, dry_run=dry_run, told=told)
    manifest = done.checked.manifest
    runs = [run.run_id for run in manifest.runs]
    if voice.as_json:
        voice.reply({
            "dag_id": manifest.dag_id, "runs": runs, "files": done.files, "here": done.here, "records": done.records,
            "missing": list(done.missing), "key": done.checked.signer.line, "dry_run": dry_run,
        })  # fmt: skip
        return 1 if done.missing else 0
    word = "would be taken" if dry_run else "taken"
    voice.say(
        f"{'' if dry_run else '[green]✓[/green] '}{counted(done.files, 'file')} and {counted(done.records, 'record')} "
        f"{word}; {counted(done.here, 'file')} here before."
    )
    for digest in done.missing:
        voice.say(f"[bold red]✗[/bold red] {escape(f'sha256:{digest} is neither here nor in the bundle')}")
    if dry_run:
        voice.next(f"physlab bundle open {quoted(str(file))}" + (f" --trust {trust}" if trust else ""))
    elif runs:
        voice.next(f"physlab reproduce {runs[-1]}")
    return 1 if done.missing else 0


@app.command()
def share(
    name: Name,
    people: Annotated[list[str], typer.Argument(metavar="PERSON[=ROLE]...", help="Mail addresses or logins.")],
    access: Annotated[str, typer.Option("--access", "-a", help="read or write, for whom no role is given.")],
    hours: Annotated[
        float | None, typer.Option("--hours", help="It ends so long from now, 1 to 8760 hours.", show_default=False)
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="TIME",
            help="When it ends: YYYY-MM-DD (with that day, in UTC), or YYYY-MM-DDTHH:MM:SSZ.",
            show_default=False,
        ),
    ] = None,
    session: Session = None,
    no_report: NoReport = False,
    no_notebook: NoNotebook = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be shared, and share nothing.")] = False,
    json: Json = False,
) -> int:
    """Make a bundle and share it: each person gets a link that shows the bundle and nothing else."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings
    from physlab.tools.call import check_params

    participants = []
    for word in people:
        person, _, role = word.partition("=")
        participants.append({"email": person, **({"role": role} if role else {})})
    given = {"dag_id": name, "access": access, "participants": participants, "expires_in_hours": hours,
             "expires": until, "session_id": session, "report": not no_report, "notebook": not no_notebook,
             "dry_run": dry_run}  # fmt: skip
    with Lab(load_settings()) as lab:
        method = lab.registry.find("experiment_orchestrator", "collaborate_share")
        checked = check_params(method, {key: value for key, value in given.items() if value is not None})
        body = service.collaborate_share(lab, checked.model_dump(exclude_none=True))
    if voice.as_json:
        voice.reply(body)
        return 0
    inside = body["bundle"]
    what = f"{counted(len(inside['runs']), 'run')}, {counted(inside['files'], 'file')}"
    for one in body["participants"]:
        voice.say(f"[green]✓[/green] [bold]{escape(one['email'])}[/bold] {one['role']}, {one['state']}")
        if "share_url" in one:
            voice.fact("send them", one["share_url"])
    voice.fact("ends", local_time(body["expires_at"]))
    voice.fact("bundle", f"{what}, {size(inside['size'])}: {inside['path']}" if inside["path"] else what)
    tell_left_out(inside)
    if dry_run:
        voice.note("Nothing was shared.")
    else:
        voice.note("The addresses are shown once: the lab keeps only their hashes.")
        voice.next(f"physlab session links -s {quoted(body['session_id'])}")
    return 0


@app.command()
def key(json: Json = False) -> int:
    """Print the key by which others know this lab: it signs bundles and checkpoints of the audit log."""
    from physlab.lab import Lab
    from physlab.service.sharing.opened import public_key
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = public_key(lab)
    if voice.as_json:
        voice.reply({"key": found.line, "key_id": found.id})
    else:
        voice.say(escape(found.line))
    return 0


@app.command()
def labs(
    forget: Annotated[
        str | None, typer.Option("--forget", metavar="KEY", help="Trust this lab no more: RWQ… or a file.",
                                 show_default=False),
    ] = None,
    json: Json = False,
) -> int:  # fmt: skip
    """List the labs whose bundles are taken here; what was taken stays when one is forgotten."""
    from physlab.lab import Lab
    from physlab.service.sharing.commons import commons_of
    from physlab.service.sharing.opened import read_key, trust, trusted_keys
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        if forget is not None:
            with commons_of(lab) as commons:
                trust(lab, commons, read_key(forget), trusted=False)
        found = trusted_keys(lab.store)
    if voice.as_json:
        voice.reply({"labs": [{"key": line, "since": since} for line, since in found.items()]})
    elif found:
        voice.say(table(["key", "since"], [[line, local_time(since)] for line, since in found.items()]))
    else:
        voice.say("No other lab is trusted.")
        voice.next("physlab bundle open FILE --trust KEY")
    return 0
