"""The table of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from physlab.cli import (
    again,
    audit,
    backup,
    bundle,
    cache,
    call,
    config,
    define,
    detached,
    doctor,
    dvc,
    export,
    jobs,
    keys,
    origin,
    people,
    plan,
    portal,
    report,
    run,
    runs,
    server,
    session,
    sign,
    sites,
    store,
    tools,
    version,
    why,
)
from physlab.cli.notebook import app as notebook
from physlab.cli.output import voice

EXPERIMENT, BACK, LAB = "Experiment", "Looking back", "The lab"

app = typer.Typer(
    name="physlab",
    help="A digital physics lab: describe an experiment as a graph of tool calls, run it, get a traceable paper.",
    epilog="Begin with: physlab define --text 'hydrogen 2p state with animation'",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from physlab import __version__

        voice.say(f"physlab {__version__}")
        raise typer.Exit


@app.callback()
def choose(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell more, Prefect's own log included.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """A digital physics lab: describe an experiment as a graph of tool calls, run it, get a traceable paper."""
    voice.verbose, voice.quiet = verbose, quiet


for name, command, panel in (
    ("define", define.define, EXPERIMENT),
    ("validate", define.validate, EXPERIMENT),
    ("plan", plan.plan, EXPERIMENT),
    ("run", run.run, EXPERIMENT),
    ("report", report.report, EXPERIMENT),
    ("attach", detached.attach, EXPERIMENT),
    ("stop", detached.stop, EXPERIMENT),
    ("runs", runs.runs, BACK),
    ("show", runs.show, BACK),
    ("efficiency", runs.efficiency, BACK),
    ("why", why.why, BACK),
    ("checkout", again.checkout, BACK),
    ("reproduce", again.reproduce, BACK),
    ("call", call.call, LAB),
    ("doctor", doctor.doctor, LAB),
    ("sites", sites.sites, LAB),
    ("portal", portal.portal, LAB),
):
    app.command(name, rich_help_panel=panel)(command)
version.app.command("why")(origin.why)
version.app.command("lineage")(origin.lineage)
version.app.command("impact")(origin.impact)
for group, panel in (
    (export.app, EXPERIMENT),
    (bundle.app, EXPERIMENT),
    (cache.app, BACK),
    (version.app, BACK),
    (notebook.app, BACK),
    (jobs.app, BACK),
    (tools.app, LAB),
    (sites.app, LAB),
    (config.app, LAB),
    (session.app, LAB),
    (audit.app, LAB),
    (server.app, LAB),
    (store.app, LAB),
    (dvc.app, LAB),
    (backup.app, LAB),
    (keys.app, LAB),
    (people.app, LAB),
    (sign.app, LAB),
):
    app.add_typer(group, rich_help_panel=panel)
