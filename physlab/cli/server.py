"""`server`: the lab's own Prefect server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.options import Json
from physlab.cli.output import voice

if TYPE_CHECKING:
    from physlab.engine.server import ServerInfo

app = typer.Typer(name="server", help="The lab's own Prefect server.", no_args_is_help=True)


@app.callback()
def begin() -> None:
    """The lab's own Prefect server."""
    from physlab.settings import decline_tracking

    decline_tracking()


@app.command()
def up(json: Json = False) -> int:
    """Start it, unless it runs; it stops by itself when idle."""
    from physlab.engine.server import ensure_server, server_status
    from physlab.settings import load_settings

    settings = load_settings()
    if not server_status(settings).running:
        voice.note("Starting the lab's Prefect server …")
    _show(ensure_server(settings))
    return 0


@app.command()
def down(json: Json = False) -> int:
    """Stop it; no record is lost."""
    from physlab.engine.server import stop_server
    from physlab.settings import load_settings

    stopped = stop_server(load_settings())
    if voice.as_json:
        voice.reply({"stopped": stopped})
    else:
        voice.say("The lab's server is stopped." if stopped else "The lab's server was not running.")
    return 0


@app.command()
def status(json: Json = False) -> int:
    """Say which server is used and whether it runs; starts nothing."""
    from physlab.engine.server import server_status
    from physlab.settings import load_settings

    _show(server_status(load_settings()))
    return 0


@app.command()
def env(json: Json = False) -> int:
    """Print the variables by which Prefect's own commands use it: eval "$(physlab server env)"."""
    import shlex

    from physlab.engine.server import ensure_server, environment
    from physlab.settings import load_settings

    variables = environment(ensure_server(load_settings()))
    if voice.as_json:
        voice.reply(variables)
    else:
        typer.echo("\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))
    return 0


@app.command()
def replay(run: Annotated[str, typer.Argument(help="Run id, latest, or a graph's title.")], json: Json = False) -> int:
    """Show a run in it that it did not see: one without server, or on a server that forgot it."""
    from physlab.engine.launch import quiet_prefect
    from physlab.engine.replay import replay as show_again
    from physlab.engine.server import connected, ensure_server
    from physlab.lab import Lab
    from physlab.settings import load_settings

    settings = load_settings()
    with Lab(settings) as lab:
        lab.find_run(run)
        with connected(info := ensure_server(settings)):
            quiet_prefect()
            found = show_again(lab, run)
    if voice.as_json:
        voice.reply(found)
    else:
        voice.say(f"The run {found['run_id']} stands in the Prefect UI, with {found['shown']} nodes.")
        if info.ui_url:
            voice.fact("UI", info.ui_url)
    return 0


def _show(info: ServerInfo) -> None:
    found = describe(info)
    if voice.as_json:
        voice.reply(found)
        return
    words = {"given": "a server of your own, by PREFECT_API_URL", "ephemeral": "a temporary one for each run"}
    state = {True: "[green]✓[/green] running", False: "[dim]·[/dim] not running"}[info.running]
    if info.kind == "lab":
        voice.say(f"{state}{' (just started)' if info.started else ''}")
    else:
        voice.say(words.get(info.kind, "none: runs are not shown in Prefect"))
    facts = {"UI": "ui_url", "log in": "auth", "database": "database", "process": "pid", "log": "log"}
    for name, key in facts.items():
        if found[key] is not None:
            voice.fact(name, found[key])
    if info.kind == "lab":
        voice.next("physlab server down" if info.running else "physlab server up")


def describe(info: ServerInfo) -> dict[str, Any]:
    """Return a server as plain values; its UI asks for `auth`, which is a secret of this lab's user."""
    import re

    hidden = re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", info.database_url) if info.database_url else None
    return {
        "kind": info.kind,
        "running": info.running if info.kind == "lab" else None,
        "started": info.started,
        "api_url": info.api_url,
        "ui_url": info.ui_url,
        "auth": info.auth,
        "database": hidden,
        "pid": info.pid,
        "log": str(info.log) if info.log else None,
    }
