"""`site install`: the environment of here on a cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.options import Json
from physlab.cli.output import counted, size, voice

if TYPE_CHECKING:
    from physlab.settings import Settings
    from physlab.sites.environment import Installed, Progress

Names = list[str]
NAMED = 6
LINES_EVERY_S = 5.0


def install(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the cluster in physlab.toml.")],
    python: Annotated[
        str | None, typer.Option("--python", metavar="PATH", help="Python there of the version here; unset: its PATH.")
    ] = None,
    add: Annotated[
        Names | None, typer.Option("--with", metavar="PACKAGE", help="Take along a package that only developers need.")
    ] = None,
    leave_out: Annotated[
        Names | None, typer.Option("--without", metavar="PACKAGE", help="A package that stays here, such as torch.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would travel.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Instead: remove environments that no pilot uses, but for the newest.")
    ] = False,
    json: Json = False,
) -> int:
    """Bring the environment of here to a Slurm cluster, by content; for a Kubernetes one, make its work pool."""
    from physlab.lab import Lab
    from physlab.service.environments import install_environment, prune_environments
    from physlab.settings import load_settings
    from physlab.sites.environment import Choice

    settings = load_settings()
    if name in settings.sites.kubernetes:
        return _pool(settings, name, alone=not (python or add or leave_out or dry_run or prune))
    voice.parting = "What arrived is kept: give the same command again to go on."
    with Lab(settings) as lab:
        if prune:
            return _pruned(name, prune_environments(lab, name))
        choice = Choice(add=tuple(add or ()), leave_out=tuple(leave_out or ()))
        with _shown() as progress:
            done = install_environment(lab, name, choice, python=python, dry_run=dry_run, progress=progress)
    if voice.as_json:
        voice.reply({"site": name, "dry_run": dry_run, **asdict(done)})
        return 0
    _say(name, done, dry_run)
    return 0


def _pool(settings: Settings, name: str, *, alone: bool) -> int:
    """Make the work pool of a Kubernetes site, and the deployment of `run-node` in it."""
    from physlab.errors import ValidationError
    from physlab.settings import decline_tracking

    if not alone:
        raise ValidationError(
            f"'{name}' is a Kubernetes cluster: its image holds the environment, so there are no options.",
            hint=f"physlab site install {name}",
        )
    decline_tracking()
    from physlab.engine.kubernetes.check import install_pool

    pool, url = install_pool(settings, name)
    if voice.as_json:
        voice.reply({"site": name, "pool": pool, "api_url": url})
        return 0
    voice.say(f"✓ The work pool {pool} takes pods, by the deployment run-node/{pool}.")
    voice.fact("server", url)
    voice.fact("worker", f"prefect worker start --pool {pool} --type kubernetes")
    voice.next(f"physlab site check {name}")
    return 0


def _say(name: str, done: Installed, dry_run: bool) -> None:
    if done.was_there:
        voice.say(f"✓ The environment of here is at {name} already; nothing travelled.")
    elif dry_run:
        voice.say(f"{_travelling(done)} would travel to {name}.")
    else:
        wire = f", {size(done.wire)} on the way" if done.wire else ""
        voice.say(f"✓ {_travelling(done)} travelled to {name}{wire}.")
    voice.fact("holds", f"{counted(done.packages, 'package')}, {counted(done.files, 'file')}, {size(done.size)}")
    voice.fact("folder", done.folder)
    voice.fact("python", done.python)
    voice.next(f"physlab site install {name}" if dry_run and not done.was_there else f"physlab site check {name}")


def _travelling(done: Installed) -> str:
    if not done.sent_files:
        return "Nothing"
    more = len(done.sent_packages) - NAMED
    named = ", ".join(done.sent_packages[:NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{counted(done.sent_files, 'file')} of {named}, {size(done.sent_size)},"


def _pruned(name: str, found: dict[str, Any]) -> int:
    if voice.as_json:
        voice.reply({"site": name, **found})
        return 0
    removed = counted(len(found["removed"]), "environment")
    voice.say(f"✓ {removed} removed from {name}, {size(found['freed'])} freed; {len(found['kept'])} kept.")
    return 0


@contextmanager
def _shown() -> Iterator[Progress]:
    """Show how far it is: a bar on a terminal, a line now and then elsewhere."""
    if voice.quiet or voice.as_json or not voice.err.is_terminal:
        last = time.monotonic()

        def note(what: str, done: float, total: float) -> None:
            nonlocal last
            if time.monotonic() - last > LINES_EVERY_S and not voice.as_json:
                last = time.monotonic()
                voice.note(f"{what} {100 * done / max(total, 1):.0f} %")

        yield note
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<9}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=voice.err, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(what: str, done: float, total: float) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield show
