"""`portal`: the lab served to people elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from physlab.cli.options import Json
from physlab.cli.output import voice


def portal(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port.", show_default=False)] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="TLS certificate (PEM).", show_default=False)
    ] = None,
    private_key: Annotated[
        Path | None, typer.Option("--private-key", help="Its key (PEM).", show_default=False)
    ] = None,
    insecure_lan: Annotated[
        bool, typer.Option("--insecure-lan", help="Listen beyond this machine without TLS.")
    ] = False,
    openapi: Annotated[bool, typer.Option("--openapi", help="Print the API's description; serve nothing.")] = False,
    json: Json = False,
) -> int:
    """Serve sessions, runs, files and notebook over HTTP, to whom they are shared with; Ctrl-C stops it."""
    from physlab.settings import load_settings

    given: dict[str, Any] = {
        "host": host, "port": port, "certificate": certificate, "private_key": private_key,
        "insecure_lan": insecure_lan or None,
    }  # fmt: skip
    settings = load_settings()
    changes = {name: value for name, value in given.items() if value is not None}
    portal = type(settings.portal).model_validate(settings.portal.model_dump() | changes)
    settings = settings.model_copy(update={"portal": portal})
    if openapi:
        from physlab.lab import Lab
        from physlab.portal.describe import describe

        with Lab(settings) as lab:
            voice.reply(describe(lab))
        return 0
    from physlab.portal.serve import serve

    def ready(address: str) -> None:
        if voice.as_json:
            voice.reply({"address": address})
            return
        voice.say(f"[green]✓[/green] The lab is served at [bold]{address}[/bold]")
        voice.note("Ctrl-C stops it.")
        voice.next("physlab people add LOGIN --name NAME", "people")
        voice.next("physlab session share", "links")

    serve(settings, ready)
    return 0
