"""`checkout` and `reproduce`: a past state put back, and run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from physlab.cli.options import Json, RunArgument
from physlab.cli.output import counted, escape, table, voice


def checkout(
    run: RunArgument,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="A new folder; unset: one named after the run.")
    ] = None,
    json: Json = False,
) -> int:
    """Put the state of a run into a folder: experiment, inputs, code, packages and results, each hash verified."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        state = service.checkout_run(lab, run, folder)
    if voice.as_json:
        voice.reply(state.as_object())
        return 0
    count = counted(len(state.files), "file")
    voice.say(f"[green]✓[/green] {count} of run {state.run_id} in {escape(str(state.folder))}, all as they were.")
    for item in state.missing:
        voice.say(f"[yellow]![/yellow] not there: {escape(item)}")
    voice.next(f"cd {escape(str(state.folder))} && physlab run experiment.json")
    return 0


def reproduce(
    run: RunArgument,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, help="Relative difference up to which numbers count as equal.")
    ] = 1e-9,
    site: Annotated[str, typer.Option("--site", metavar="NAME", help="Where its nodes are run.")] = "local",
    json: Json = False,
) -> int:
    """Run a past run again in an empty lab, and say of each result: identical, within tolerance, or different."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = service.reproduce_run(lab, run, tolerance=tolerance, site=site)
    told = found.as_object()
    good = found.verdict in ("identical", "within tolerance")
    if voice.as_json:
        voice.reply(told)
        return 0 if good else 1
    rows = [[item.node, item.what, item.verdict, "; ".join(item.where)] for item in found.compared
            if item.verdict != "identical"]  # fmt: skip
    if rows:
        voice.say(table(("node", "what", "verdict", "where"), rows), "")
    counts = ", ".join(f"{count} {name}" for name, count in told["counts"].items() if count)
    sign = "[green]✓[/green]" if good else "[bold red]✗[/bold red]"
    voice.say(f"{sign} Run {found.run_id} again: {counts}.")
    for item in found.missing:
        voice.say(f"[yellow]![/yellow] not there: {escape(item)}")
    return 0 if good else 1
