"""`config`: what the lab set."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from physlab.cli.options import Json
from physlab.cli.output import table, voice

app = typer.Typer(name="config", help="What this lab set, and where.", no_args_is_help=True)


@app.command()
def show(
    changed: Annotated[bool, typer.Option("--changed", help="Only what differs from the defaults.")] = False,
    json: Json = False,
) -> int:
    """Show every setting and where its value came from."""
    from rich.text import Text

    from physlab.settings import load_settings, origins, shown

    settings = load_settings()
    values, sources = shown(settings), origins(settings)
    names = [name for name in values if not changed or sources[name] != "default"]
    if voice.as_json:
        voice.reply({name: {"value": values[name], "origin": sources[name]} for name in names})
        return 0
    rows = [[name, _said(values[name]), Text(sources[name], style=_style(sources[name]))] for name in names]
    voice.say(table(("setting", "value", "from"), rows), "")
    voice.say("[dim]Set them in physlab.toml, or as PHYSLAB_SECTION__NAME in the environment.[/dim]")
    return 0


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "unset"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _style(origin: str) -> str:
    return "dim" if origin == "default" else "cyan"
