"""`store serve` and `store link`: single files over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from physlab.cli.options import Json
from physlab.cli.output import voice

Host = Annotated[str, typer.Option("--host", help="Address to listen on; one of this machine alone by default.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")]
Public = Annotated[bool, typer.Option("--public", help="Whoever knows a digest gets the file, without a link.")]
Certificate = Annotated[
    Path | None, typer.Option("--cert", metavar="FILE", help="TLS certificate (PEM).", show_default=False)
]
Key = Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Its key (PEM).", show_default=False)]
Insecure = Annotated[bool, typer.Option("--insecure-lan", help="Listen beyond this machine without TLS.")]


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8460,
    public: Public = False,
    cert: Certificate = None,
    key: Key = None,
    insecure_lan: Insecure = False,
    json: Json = False,
) -> int:
    """Serve this lab's files by their SHA-256 until Ctrl-C, to links of `store link`, or with --public to all."""
    import os

    from physlab.lab import Lab
    from physlab.service.serving import listen
    from physlab.settings import load_settings

    if voice.verbose:
        voice.note("Only GET and HEAD of /blobs/<64 hexadecimal digits> are answered.")
    with Lab(load_settings()) as lab, listen(lab, host, port, public, cert, key, insecure_lan) as server:
        if voice.as_json:
            voice.reply({"url": server.url, "pid": os.getpid(), "public": public})
        else:
            voice.say(f"[green]✓[/green] Serving at {server.url}/blobs/… until Ctrl-C.")
            voice.next(f"physlab store link sha256:… --base {server.url}")
        voice.parting = "Nothing is served any more."
        server.run()
    return 0


def link(
    file: Annotated[str, typer.Argument(metavar="FILE", help="sha256:…, or a version as for version show.")],
    hours: Annotated[float, typer.Option("--hours", help="How long it opens, at most 168.")] = 1.0,
    base: Annotated[str, typer.Option("--base", metavar="URL", help="Where `store serve` is reached.")] = "",
    json: Json = False,
) -> int:
    """Make a link to one file that ends by itself."""
    from physlab.lab import Lab
    from physlab.service.serving import make_link
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        path = make_link(lab, file, hours * 3600)
    if voice.as_json:
        voice.reply({"url": base.rstrip("/") + path, "hours": hours})
    else:
        voice.say(base.rstrip("/") + path)
    return 0
