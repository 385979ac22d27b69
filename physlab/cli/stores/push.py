"""`store push`: files and records into another store."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from physlab.cli.options import Json
from physlab.cli.output import counted, escape, quoted, voice
from physlab.cli.stores.shared import DryRun, Limit, StoreArgument, What, progress, rate, tell_travelled

All = Annotated[bool, typer.Option("--all", help="Everything; the same as naming nothing.")]
WithoutHeld = Annotated[
    bool, typer.Option("--without-held", help="Leave out what may not leave the lab, and the records that name it.")
]

Verify = Annotated[bool, typer.Option("--verify", help="Read back what was written.")]


def push(
    store: StoreArgument,
    run: What = None,
    everything: All = False,
    limit: Limit = None,
    without_held: WithoutHeld = False,
    verify: Verify = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Bring a run, a version, or everything into another store; only what is not there travels.

    Exit code 1 when the lab itself lacks files that its records name; all others are there then.
    """
    from physlab import service
    from physlab.errors import ValidationError
    from physlab.lab import Lab
    from physlab.settings import load_settings
    from physlab.transfer import open_remote

    if everything and run is not None:
        raise ValidationError(f"Give either '{run}' or --all.", hint=f"See: physlab store push {store} --help")
    with Lab(load_settings()) as lab, open_remote(lab.settings, store, rate(limit)) as remote, progress(remote):
        done = service.push_store(lab, remote, run, dry_run=dry_run, without_held=without_held, verify=verify)
    if voice.as_json:
        voice.reply({**asdict(done), "dry_run": dry_run})
        return 1 if done.missing else 0
    tell_travelled(done, f"{counted(done.there, 'file')} there before", dry_run)
    for digest, reason in sorted(done.held.items()):
        voice.fact("held", f"sha256:{digest}: {reason}")
    for digest in done.missing:
        voice.say(f"[bold red]✗[/bold red] {escape(f'sha256:{digest} is not in this lab, though its records name it')}")
    if dry_run:
        voice.next(f"physlab store push {store} {quoted(run) if run else '--all'}")
    else:
        voice.next(f"physlab store pull {store}{f' {quoted(run)}' if run else ''}", "elsewhere")
    return 1 if done.missing else 0
