"""`sign`: keys that people sign with, and whose keys this lab vouches for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from physlab.cli.options import Json
from physlab.cli.output import escape, local_time, quoted, voice
from physlab.cli.passphrase import asking, fresh

app = typer.Typer(name="sign", help="Keys that people sign with.", no_args_is_help=True)
Person = Annotated[str | None, typer.Option("--person", metavar="NAME", help="Unset: you.", show_default=False)]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="File with the passphrase (mode 600).", show_default=False),
]


@app.command()
def init(
    person: Person = None,
    passphrase_file: PassphraseFile = None,
    secret: Annotated[
        Path | None,
        typer.Option("--secret", metavar="FILE", help="Take over this secret key of minisign.", show_default=False),
    ] = None,
    json: Json = False,
) -> int:
    """Make a key to sign with, behind a passphrase."""
    from physlab.collab.signers.passphrase import given_passphrase
    from physlab.sealing.keyfiles import read_secret
    from physlab.service.notebook.people import owned_by, speaker_of
    from physlab.settings import load_settings
    from physlab.signing import unlock

    settings = load_settings()
    who = speaker_of(settings, person)
    passphrase = fresh(who.login, passphrase_file, given_passphrase(settings))
    given = unlock(read_secret(secret), passphrase) if secret is not None else None
    key = owned_by(settings).init(who.id, passphrase, given)
    return _tell_one(
        settings, key.public.id, f"{who.login} has a key to sign with.", "physlab notebook add TITLE --sign"
    )


@app.command()
def show(person: Person = None, json: Json = False) -> int:
    """Show the keys that are known: whose they are, from when to when they hold, and which sign here."""
    from physlab.collab.people.naming import named, people_in
    from physlab.service.notebook.people import owned_by, speaker_of, told_key
    from physlab.settings import load_settings

    settings = load_settings()
    keys = owned_by(settings)
    theirs = None if person is None else speaker_of(settings, person)
    known = [key for key in keys.register.known() if theirs is None or theirs.is_author(key.name)]
    told = [told_key(key, owned=keys.path(key).exists()) for key in known]
    if voice.as_json:
        voice.reply({"keys": told})
        return 0
    for one in named(told, people_in(settings, told)):
        _tell(one)
        voice.say("")
    if not told:
        voice.say(f"No key of {escape(person)} is known." if person else "No key is known.")
        voice.next("physlab sign init" + (f" --person {person}" if person else ""))
    return 0


def _tell(one: dict[str, Any]) -> None:
    signs = " [dim]signs here[/dim]" if one["signs_here"] else ""
    voice.say(f"[bold]{escape(one['person'])}[/bold] {one['id']}{signs}")
    voice.fact("public", one["key"])
    if one["since"]:
        voice.fact("since", local_time(one["since"]))
    if one["until"]:
        voice.fact("until", f"{local_time(one['until'])}: replaced; what it signed before stays valid")
    if one["revoked"]:
        why = f", {one['reason']}" if one["reason"] else ""
        voice.fact("revoked", f"{local_time(one['revoked'])}{why}: what it signed before stays valid")


def _tell_one(settings: Any, key_id: str, said: str, then: str) -> int:
    from physlab.collab.people.naming import named, people_in, with_logins
    from physlab.service.notebook.people import owned_by, told_key

    keys = owned_by(settings)
    key = keys.register.find(key_id)
    told = told_key(key, owned=keys.path(key).exists())
    if voice.as_json:
        voice.reply(told)
        return 0
    people = people_in(settings, [said, key.name])
    voice.say(f"[green]✓[/green] {escape(with_logins(said, people))}")
    _tell(named(told, people))
    then = with_logins(then, people)
    voice.next(then)
    return 0


@app.command()
def export(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="A file that is not there yet.")],
    person: Person = None,
    json: Json = False,
) -> int:
    """Write your public key as a file that minisign reads (`minisign -V -p FILE`)."""
    from physlab.collab.people.naming import people_in, with_logins
    from physlab.durable import replace_file
    from physlab.errors import ValidationError
    from physlab.service.notebook.people import holder_of, register_of
    from physlab.settings import load_settings

    settings = load_settings()
    key = register_of(settings).find(holder_of(settings, person))
    if target.exists():
        raise ValidationError(f"'{target}' is there already.", hint="Name a file that is not there yet.")
    try:
        replace_file(target, key.public.text().encode())
    except OSError as error:
        raise ValidationError(f"'{target}' cannot be written: {error.strerror}.", hint="Choose another.") from error
    if voice.as_json:
        voice.reply({"path": str(target), "person": key.name, "id": key.public.id, "key": key.public.line})
        return 0
    who = with_logins(key.name, people_in(settings, key.name))
    voice.say(f"[green]✓[/green] {escape(str(target))}: the public key {key.public.id} of {escape(who)}.")
    voice.next(f"physlab sign trust {key.name} {quoted(str(target))}", "elsewhere")
    return 0


@app.command()
def trust(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is.")],
    key: Annotated[str, typer.Argument(metavar="KEY", help="RW…, or a file of minisign.")],
    since: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="It holds from then on, in UTC.", show_default=False)
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="It holds until then, in UTC.", show_default=False)
    ] = None,
    json: Json = False,
) -> int:
    """Vouch for somebody's public key: compare its id with them first, not by the way it came."""
    from physlab.service.notebook.people import read_key, register_of
    from physlab.settings import load_settings
    from physlab.versioning.history import read_moment

    settings = load_settings()
    first = read_moment(since, begin=True).isoformat() if since else None
    last = read_moment(until).isoformat() if until else None
    known = register_of(settings).trust(name, read_key(key), first, last)
    return _tell_one(settings, known.public.id, f"This lab vouches for a key of {name}.", "physlab notebook verify")


@app.command()
def revoke(
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="Its id, or whose; unset: yours.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why.", show_default=False)] = "",
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Lost since then, in UTC; unset: now.", show_default=False),
    ] = None,
    json: Json = False,
) -> int:
    """Say that a key was lost or stolen: what it signs from then on does not hold."""
    from physlab.service.notebook.people import holder_of, owned_by
    from physlab.settings import load_settings
    from physlab.versioning.history import read_moment

    settings = load_settings()
    keys = owned_by(settings)
    known = keys.register.find(key if key and keys.register.has_id(key) else holder_of(settings, key))
    done = keys.revoke(known, reason, read_moment(at, begin=True).isoformat() if at else None)
    said = f"Key {done.public.id} of {done.name} is revoked; what it signed before stays valid."
    return _tell_one(settings, done.public.id, said, f"physlab sign init --person {done.name}")


@app.command()
def rotate(
    person: Person = None,
    passphrase_file: PassphraseFile = None,
    new_passphrase_file: Annotated[
        Path | None,
        typer.Option("--new-passphrase-file", metavar="FILE", help="Unset: the same.", show_default=False),
    ] = None,
    json: Json = False,
) -> int:
    """Make a new key; what the old one signed stays valid, and it signs nothing any more."""
    from physlab.errors import ConfigurationError
    from physlab.service.notebook.people import holder_of, owned_by
    from physlab.settings import load_settings

    settings = load_settings()
    who = holder_of(settings, person)
    keys = owned_by(settings)
    keys.current(who)
    old = asking(settings, passphrase_file)(who)
    if old is None:
        raise ConfigurationError(f"The key of {who} is locked.", hint="Give --passphrase-file FILE.")
    new = fresh(who, new_passphrase_file, old)
    before, after = keys.rotate(who, old, new)
    said = f"{who} signs with {after.public.id} now; {before.public.id} stays valid for what it signed."
    return _tell_one(settings, after.public.id, said, "physlab sign export FILE")
