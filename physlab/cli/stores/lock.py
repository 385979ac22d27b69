"""`store lock|unlock`: a lab at rest, sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.options import Json
from physlab.cli.output import counted, escape, size, voice

if TYPE_CHECKING:
    from physlab.settings import Settings
    from physlab.vault import Count


def lock(json: Json = False) -> int:
    """Seal everything in the lab's home but its keys, until `store unlock`; results folders elsewhere stay as they are.

    Each file is read back before what is not sealed goes. Needs room for the lab once more. What was deleted may still
    be found on the disk below the file system, as after any deletion.
    """
    from physlab.engine.server import server_status
    from physlab.errors import ResourceError
    from physlab.settings import load_settings
    from physlab.vault import lock as lock_home

    settings = load_settings()
    if settings.server.mode == "lab" and server_status(settings).running:
        raise ResourceError("The lab's Prefect server runs.", hint="Stop it first: physlab server down")
    keys, key = _key(settings, make=True)
    done, folder = lock_home(settings.home, key), settings.home / "keys"
    bare = [name for name in keys.in_clear() if keys.is_elsewhere or name != "server.key"]
    _tell("locked", done, settings, json, in_clear=keys.in_clear())
    if not keys.is_elsewhere:
        voice.note(
            f"The server key lies beside what it opens ({folder}): who has the disk has both. "
            "Keep it elsewhere: keys.server_file, keys.server_variable or keys.server_command."
        )
    if bare:
        verb = "stays" if len(bare) == 1 else "stay"
        voice.note(
            f"In the clear beside the locked lab {verb} in {folder}: {', '.join(bare)}. Move them if that matters."
        )
    if not json:
        voice.next("physlab store unlock", "later")
    return 0


def unlock(
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Open the rest where something is damaged; that is kept aside.")
    ] = False,
    json: Json = False,
) -> int:
    """Open a lab that was locked, each file verified; a lock that was interrupted is undone.

    Exit code 1 when something was lost.
    """
    from physlab.settings import load_settings
    from physlab.vault import unlock as unlock_home

    settings = load_settings()
    _, key = _key(settings, make=False)
    done = unlock_home(settings.home, key, salvage=salvage)
    _tell("open", done, settings, json)
    if done.lost and not json:
        voice.say(*(f"[bold red]✗[/bold red] {escape(f'{path}: {why}')}" for path, why in done.lost.items()))
        voice.fact("aside", done.aside)
        if any(path.startswith("store/journal/0") for path in done.lost):
            voice.next("physlab backup list", "the ledger has a hole: before anything else take it from a backup")
        else:
            voice.next("physlab store verify")
    return 1 if done.lost else 0


def _key(settings: Settings, *, make: bool) -> tuple[Any, Any]:
    from physlab.transfer import keyring

    keys = keyring(settings)
    if make and not keys.known():
        keys.init()
    return keys, keys.project()


def _tell(word: str, done: Count, settings: Settings, json: bool, **more: Any) -> None:
    if json:
        found = {"state": word, "files": done.files, "bytes": done.size, "home": str(settings.home)}
        voice.reply({**found, "lost": done.lost, "aside": done.aside, **more})
    else:
        what = f"{counted(done.files, 'file')}, {size(done.size)}"
        voice.say(f"[green]✓[/green] The lab at {escape(str(settings.home))} is {word}: {what}.")
