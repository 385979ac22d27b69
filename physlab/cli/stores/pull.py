"""`store pull`: files and records of another store into this lab."""

from __future__ import annotations

from dataclasses import asdict

from physlab.cli.options import Json
from physlab.cli.output import counted, escape, quoted, voice
from physlab.cli.stores.shared import DryRun, Limit, StoreArgument, What, progress, rate, tell_travelled


def pull(
    store: StoreArgument, run: What = None, limit: Limit = None, dry_run: DryRun = False, json: Json = False
) -> int:
    """Bring a run, a version, or everything of another store here, all or nothing.

    Every byte is checked before anything is taken. Exit code 1 when files are missing there, too.
    """
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings
    from physlab.transfer import open_remote

    with Lab(load_settings()) as lab, open_remote(lab.settings, store, rate(limit)) as remote, progress(remote):
        done = service.pull_store(lab, remote, run, dry_run=dry_run)
    if voice.as_json:
        voice.reply({**asdict(done), "dry_run": dry_run})
        return 1 if done.missing else 0
    tell_travelled(done, f"{counted(done.here, 'file')} here before", dry_run)
    for digest in done.missing:
        voice.say(f"[bold red]✗[/bold red] {escape(f'sha256:{digest} is neither here nor there')}")
    if dry_run:
        voice.next(f"physlab store pull {store}{f' {quoted(run)}' if run else ''}")
    else:
        voice.next(f"physlab show {quoted(run)}" if run else "physlab runs")
    return 1 if done.missing else 0
