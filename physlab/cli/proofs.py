"""`people password, recovery, factor …, token …`: every proof of who somebody is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from physlab.cli.options import Json
from physlab.cli.output import escape, local_time, quoted, table, voice

if TYPE_CHECKING:
    from physlab.collab.people.tokens import Token

factor = typer.Typer(name="factor", help="Second factors of people.", no_args_is_help=True)
token = typer.Typer(name="token", help="Tokens for programs of people.", no_args_is_help=True)
Login = Annotated[str, typer.Argument(metavar="LOGIN", help="Login, mail address or id.")]
Label = Annotated[str, typer.Option("--label", metavar="NAME", help="What its owner calls it.")]


def hand_over(code: str) -> None:
    """Print a code to set a password."""
    voice.fact("code", code)
    voice.note("The code sets a password where the lab is served, once, within a week; it is not shown again.")


def password(login: Login, json: Json = False) -> int:
    """Make a code with which a person sets a new password, once, within a week; the old password works until then."""
    from physlab.collab.people import open_people
    from physlab.settings import load_settings

    with open_people(load_settings()) as people:
        person = people.accounts.find(login)
        code = people.passwords.make_code(person.id)
    if voice.as_json:
        voice.reply({"person": person.id, "login": person.login, "code": code})
    else:
        voice.fact("login", person.login)
        hand_over(code)
        voice.next(f"physlab people show {person.login}")
    return 0


def recovery(login: Login, json: Json = False) -> int:
    """Make ten recovery codes for who may lose the second factor; those from before work no more."""
    from physlab.collab.people import open_people
    from physlab.settings import load_settings

    with open_people(load_settings()) as people:
        person = people.accounts.find(login)
        codes = people.recovery.make(person.id, by="lab")
    if voice.as_json:
        voice.reply({"person": person.id, "login": person.login, "codes": codes})
        return 0
    for code in codes:
        voice.say(code)
    voice.note("Each works once, instead of a second factor; they are not shown again.")
    voice.next(f"physlab people show {person.login}")
    return 0


@factor.command("add-totp")
def add_totp(
    login: Login,
    label: Label = "authenticator app",
    picture: Annotated[
        Path | None,
        typer.Option("--qr", metavar="FILE.svg", help="Write the QR code there, for you alone.", show_default=False),
    ] = None,
    json: Json = False,
) -> int:
    """Make the secret of an authenticator app; it counts once it was confirmed with a code."""
    from physlab.collab.people import open_people
    from physlab.sealing.keyfiles import write_secret
    from physlab.settings import load_settings

    with open_people(load_settings()) as people:
        person = people.accounts.find(login)
        made = people.totp.enrol(person.id, person.login, label, by="lab")
    if picture is not None:
        write_secret(picture, made.svg().encode())
    if voice.as_json:
        voice.reply({"factor": made.factor, "secret": made.secret, "uri": made.uri, "person": person.id})
        return 0
    voice.fact("secret", made.secret)
    voice.fact("uri", made.uri)
    if picture is not None:
        voice.fact("picture", picture)
    voice.note("Type the secret into the app, or show it the picture; then type what the app shows.")
    voice.next(f"physlab people factor confirm {person.login} CODE")
    return 0


@factor.command()
def confirm(
    login: Login,
    code: Annotated[str, typer.Argument(metavar="CODE", help="Six digits that the app shows.")],
    json: Json = False,
) -> int:
    """Let an authenticator app count from now on, by a code that it shows."""
    from physlab.collab.people import open_people
    from physlab.errors import ValidationError
    from physlab.settings import load_settings

    with open_people(load_settings()) as people:
        person = people.accounts.find(login)
        waiting = [one for one in people.factors.list(person.id) if not one.confirmed]
        if not waiting:
            raise ValidationError(
                f"No authenticator app of {person.login} waits for a code.",
                hint=f"Make one: physlab people factor add-totp {person.login}",
            )
        with people.database.writing() as connection:
            right = people.totp.confirm(connection, person.id, waiting[0].id, code)
    if not right:
        raise ValidationError(
            f"The app does not show {code} now.",
            hint=f"Look at both clocks, then type the next code: physlab people factor confirm {person.login} CODE",
        )
    if voice.as_json:
        voice.reply({"factor": waiting[0].id, "person": person.id, "confirmed": True})
    else:
        voice.say(f"[green]✓[/green] {escape(waiting[0].label)} counts from now on.")
        voice.next(f"physlab people recovery {person.login}")
    return 0


@factor.command("list")
def list_factors(login: Login, json: Json = False) -> int:
    """List the second factors of a person."""
    from physlab.collab.people import open_people
    from physlab.settings import load_settings

    with open_people(load_settings()) as people:
        person = people.accounts.find(login)
        found = [one.as_json() for one in people.factors.list(person.id)]
    if voice.as_json:
        voice.reply({"person": person.id, "factors": found})
    elif not found:
        voice.say(f"{escape(person.name)} has no second factor.")
        voice.next(f"physlab people factor add-totp {person.login}")
    else:
        rows = [[one["id"], one["kind"], one["label"], "" if one["confirmed"] else "waits for a code",
                 local_time(one["used_at"]) if one["used_at"] else "never"] for one in found]  # fmt: skip
        voice.say(table(("id", "kind", "label", "state", "used"), rows), "")
        voice.next(f"physlab people factor remove {person.login} {found[0]['id']}")
    return 0


@factor.command("remove")
def remove_factor(
    login: Login,
    factor: Annotated[str, typer.Argument(metavar="FACTOR", help="Its id.")],
    json: Json = False,
) -> int:
    """Take a second factor away, as when a phone was lost; with the last one the recovery codes go too."""
    from physlab.collab.people import open_people
    from physlab.settings import load_settings

    with open_people(load_settings()) as people:
        person = people.accounts.find(login)
        people.factors.remove(person.id, factor, by="lab")
    if voice.as_json:
        voice.reply({"person": person.id, "factor": factor, "removed": True})
    else:
        voice.say("[green]✓[/green] It counts no more.")
        voice.next(f"physlab people factor list {person.login}")
    return 0


@token.command("add")
def add_token(
    login: Login,
    label: Label,
    days: Annotated[float, typer.Option("--days", metavar="DAYS", help="It works so many days, at most 365.")] = 90,
    reads_only: Annotated[bool, typer.Option("--reads-only", help="It may change nothing.")] = False,
    json: Json = False,
) -> int:
    """Make a token for a program of a person; it is shown this once."""
    from physlab.collab.people import open_people
    from physlab.settings import load_settings

    with open_people(load_settings()) as people:
        person = people.accounts.find(login)
        made, kept = people.tokens.add(person.id, label, days, reads_only=reads_only, by="lab")
    if voice.as_json:
        voice.reply(kept.as_json() | {"token": made, "person": person.id})
        return 0
    voice.fact("token", made)
    voice.fact("ends", local_time(str(kept.as_json()["expires_at"])))
    voice.note("It is not shown again. Whoever has it is taken for its owner.")
    voice.next(f"physlab people token list {person.login}")
    return 0


@token.command("list")
def list_tokens(login: Login, json: Json = False) -> int:
    """List the tokens of a person, those that ended too."""
    from physlab.collab.people import open_people
    from physlab.settings import load_settings

    with open_people(load_settings()) as people:
        person = people.accounts.find(login)
        found, now = people.tokens.list(person.id), people.database.clock.now()
    if voice.as_json:
        voice.reply({"person": person.id, "tokens": [one.as_json() for one in found]})
    elif not found:
        voice.say(f"{escape(person.name)} has no token.")
        voice.next(f"physlab people token add {person.login} --label NAME")
    else:
        voice.say(
            table(("id", "label", "may", "ends", "uses", "used"), [_row(one, now) for one in found], right=("uses",))
        )
        voice.next(f"physlab people token revoke {person.login} {quoted(found[0].id)}")
    return 0


def _row(kept: Token, now: int) -> list[str]:
    told = kept.as_json()
    ends = "revoked" if kept.revoked_at else "ended" if kept.expires_at <= now else local_time(told["expires_at"])
    used = local_time(told["used_at"]) if told["used_at"] else "never"
    return [kept.id, kept.label, "read" if kept.reads_only else "read, write", ends, f"{kept.uses:,}", used]


@token.command()
def revoke(
    login: Login,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id, not the token.")],
    json: Json = False,
) -> int:
    """Revoke a token: it is refused from now on."""
    from physlab.collab.people import open_people
    from physlab.settings import load_settings

    with open_people(load_settings()) as people:
        person = people.accounts.find(login)
        people.tokens.revoke(person.id, token, by="lab")
    if voice.as_json:
        voice.reply({"person": person.id, "token": token, "revoked": True})
    else:
        voice.say("[green]✓[/green] It is refused from now on.")
        voice.next(f"physlab people token list {person.login}")
    return 0
