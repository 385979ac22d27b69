"""`export`: an experiment for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from physlab.cli.options import DagArgument, Json
from physlab.cli.output import counted, quoted, voice

app = typer.Typer(name="export", help="An experiment for other programs.", no_args_is_help=True)


@app.command()
def dvc(
    dag: DagArgument,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Where to; unset: its title.", show_default=False)
    ] = None,
    json: Json = False,
) -> int:
    """Write a graph as a pipeline of DVC, one stage for each node."""
    from physlab.lab import Lab, slug
    from physlab.service.stages import export_pipeline
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        named = lab.find_dag(dag)
        body = export_pipeline(lab, named, folder or Path(slug(named.dag.title) or named.dag_id))
    if voice.as_json:
        voice.reply(body)
        return 0
    voice.say(f"[green]✓[/green] {counted(body['stages'], 'stage')} in {body['folder']}.")
    voice.next(f"cd {quoted(body['folder'])} && git init && dvc init && dvc repro")
    return 0
