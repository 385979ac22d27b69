"""`keys`: who can open what leaves this lab sealed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from physlab.cli.options import Json
from physlab.cli.output import local_time, voice

if TYPE_CHECKING:
    from physlab.sealing.keyring import KnownKey

app = typer.Typer(name="keys", help="Keys for what leaves the lab sealed.", no_args_is_help=True)
Project = Annotated[str, typer.Option("--project", metavar="NAME", help="Whose data key.")]


@app.command()
def init(
    project: Project = "lab",
    recovery: Annotated[
        str | None,
        typer.Option("--recovery", metavar="AGE1…", help="Public key that can open it too.", show_default=False),
    ] = None,
    json: Json = False,
) -> int:
    """Make the keys that are missing; name the recovery key (`age-keygen`) that is kept elsewhere."""
    from physlab.settings import load_settings
    from physlab.transfer import keyring

    ring = keyring(load_settings())
    before = [one for one in ring.known() if one.project == project]
    known = ring.init(project, recovery)
    if not json:
        voice.say(_said(before[0] if before else None, known))
    _tell(known, json)
    if known.recovery is None:
        voice.note("Without a recovery key, who loses the server key loses what is sealed: age-keygen -o recovery.txt")
        voice.next("physlab keys init --recovery age1…")
    return 0


def _said(before: KnownKey | None, known: KnownKey) -> str:
    """Return what `init` did: keys that are there stay."""
    if before is None:
        return "[green]✓[/green] The keys were made."
    if before.recovery != known.recovery:
        return "[green]✓[/green] The keys were there; the recovery key opens them now too."
    return f"The keys are there since {local_time(known.created)}; nothing was made."


@app.command("list")
def list_keys(json: Json = False) -> int:
    """List the data keys, and which keys open them."""
    from physlab.settings import load_settings
    from physlab.transfer import keyring

    known = keyring(load_settings()).known()
    if voice.as_json:
        voice.reply({"keys": [asdict(one) for one in known]})
    elif known:
        for one in known:  # a public key is as wide as a line: each fact has one of its own, and stays whole
            _tell(one, json)
            voice.fact("made", local_time(one.created))
            voice.say("")
        voice.next("physlab keys rotate")
    else:
        voice.say("There are no keys.")
        voice.next("physlab keys init")
    return 0


@app.command()
def rotate(
    new: Annotated[
        Path | None,
        typer.Option("--new", metavar="FILE", help="The new key, where keys are kept elsewhere.", show_default=False),
    ] = None,
    json: Json = False,
) -> int:
    """Make a new server key and wrap the data keys with it; what is sealed stays as it is."""
    from physlab.sealing.keyfiles import read_secret
    from physlab.sealing.keyring import fingerprint
    from physlab.settings import load_settings
    from physlab.transfer import keyring

    ring = keyring(load_settings())
    recipient = ring.rotate(read_secret(new) if new is not None else None)
    names = [known.project for known in ring.known()]
    if voice.as_json:
        voice.reply({"server_key": recipient, "fingerprint": fingerprint(recipient), "projects": names})
        return 0
    voice.say(f"[green]✓[/green] The server key is {fingerprint(recipient)} now; wrapped again: {', '.join(names)}.")
    if ring.is_elsewhere:
        voice.note(f"Put {new} in the old key's place now; until then both open everything.")
    voice.next("physlab keys list")
    return 0


@app.command()
def recover(
    identity: Annotated[Path, typer.Option("--identity", metavar="FILE", help="The recovery key.")],
    store: Annotated[
        str | None,
        typer.Option("--from", metavar="STORE", help="Take the wrapped key of this store.", show_default=False),
    ] = None,
    wrapped: Annotated[
        Path | None, typer.Option("--wrapped", metavar="FILE", help="Take this wrapped key.", show_default=False)
    ] = None,
    project: Project = "lab",
    json: Json = False,
) -> int:
    """Open a data key with the recovery key, and keep it for this lab's server key."""
    from physlab.sealing.keyfiles import read_secret
    from physlab.settings import load_settings
    from physlab.transfer import keyring
    from physlab.transfer.stores import wrapped_key

    settings = load_settings()
    data = wrapped.read_bytes() if wrapped is not None else wrapped_key(settings, store) if store else None
    known = keyring(settings).recover(read_secret(identity), project, data)
    _tell(known, json)
    if store and not voice.as_json:
        voice.next(f"physlab store pull {store}")
    return 0


def _tell(known: KnownKey, json: bool) -> None:
    if json:
        voice.reply(asdict(known))
        return
    voice.fact("project", known.project)
    voice.fact("public", known.recipient)
    voice.fact("opened by", ", ".join(known.wrapped_for))
    voice.fact("recovery", known.recovery or "none")
