"""`report`: the paper of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from physlab.cli.options import Json, Open, Results
from physlab.cli.output import voice


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, 'latest', or the id or title of its graph.")],
    title: Annotated[str | None, typer.Option("--title", help="Title of the paper.", show_default=False)] = None,
    author: Annotated[list[str] | None, typer.Option("--author", help="A name; repeat it for more.")] = None,
    abstract: Annotated[str, typer.Option("--abstract", help="Its abstract.")] = "",
    bib: Annotated[
        list[str] | None, typer.Option("--bib", metavar="FILE", help="A BibTeX file; repeat it for more.")
    ] = None,
    results: Results = None,
    open_report: Open = False,
    json: Json = False,
) -> int:
    """Write the report of a run as PDF into its results folder."""
    from physlab import service
    from physlab.cli.outcome import shortest
    from physlab.cli.run import open_path
    from physlab.lab import Lab
    from physlab.settings import insist, load_settings

    if results is not None:
        insist(results=str(results))
    with Lab(load_settings()) as lab:
        reply = service.publish_report(lab, run, title=title, authors=author, abstract=abstract, bib=bib)
    path = reply.body["pdf_path"]
    if voice.as_json:
        voice.reply(reply.as_object())
    else:
        voice.fact("report", shortest(path))
        voice.fact("run", reply.body["run_id"])
        if not open_report:
            voice.next(f"physlab report {reply.body['run_id']} --open")
    if open_report:
        open_path(path)
    return 0
