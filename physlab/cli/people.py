"""`people`: who may come into the lab."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli import proofs
from physlab.cli.options import Json, Yes
from physlab.cli.output import counted, escape, local_time, table, voice
from physlab.cli.proofs import Login

if TYPE_CHECKING:
    from physlab.collab.people import Newcomer, Person
    from physlab.collab.people.course import Admitted

app = typer.Typer(name="people", help="Accounts of people, and every proof of who they are.", no_args_is_help=True)
app.add_typer(proofs.factor)
app.add_typer(proofs.token)
app.command("password")(proofs.password)
app.command("recovery")(proofs.recovery)
Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="As others see it.", show_default=False)]
Mail = Annotated[str | None, typer.Option("--mail", metavar="ADDRESS", help="Mail address.", show_default=False)]


@app.command()
def add(
    login: Annotated[str, typer.Argument(metavar="LOGIN", help="What they type to sign in.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="As others see it.")],
    mail: Mail = None,
    administrator: Annotated[bool, typer.Option("--administrator", help="They may do everything.")] = False,
    json: Json = False,
) -> int:
    """Make an account, and a code with which its owner sets a password."""
    from physlab.collab.people import Newcomer, open_people
    from physlab.collab.people.course import admit
    from physlab.settings import load_settings

    with open_people(load_settings()) as people:
        [made] = admit(people, [Newcomer(login, name, mail, administrator)])
    if voice.as_json:
        voice.reply(made.person.as_json() | {"code": made.code})
        return 0
    voice.say(f"[green]✓[/green] {escape(made.person.name)} has an account.")
    voice.fact("login", made.person.login)
    voice.fact("id", made.person.id)
    proofs.hand_over(made.code)
    voice.next(f"physlab people show {made.person.login}")
    return 0


@app.command("import")
def import_table(
    file: Annotated[Path, typer.Argument(metavar="TABLE.csv", help="Columns: login, name, mail, role.")],
    codes: Annotated[
        Path | None,
        typer.Option("--codes", metavar="FILE", help="Write the codes there, for you alone.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say who would get an account; make none.")] = False,
    json: Json = False,
) -> int:
    """Make the accounts of a course from a table: all of them, or none."""
    from physlab.collab.people import open_people
    from physlab.collab.people.course import admit, read_course
    from physlab.settings import load_settings

    text = _read(file)
    if codes is not None:
        _refuse_codes(codes)
    with open_people(load_settings()) as people:
        newcomers = read_course(people, text)
        if dry_run:
            return _show_newcomers(newcomers, file)
        made = admit(people, newcomers)
    if codes is not None:
        _write_codes(codes, made)
    return _show_admitted(made, codes)


def _read(file: Path) -> str:
    from physlab.errors import ValidationError

    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValidationError(f"{file} is not UTF-8.", hint="Save the table as CSV in UTF-8.") from error
    except OSError as error:
        raise ValidationError(
            f"{file} cannot be read: {error.strerror or error}.", hint="See: physlab people import --help"
        ) from error


def _refuse_codes(file: Path) -> None:
    """Refuse where the codes could not be written, before anybody gets one."""
    from physlab.errors import ValidationError

    if file.exists() or not file.parent.is_dir():
        why = "is there already" if file.exists() else "has no folder"
        raise ValidationError(f"{file} {why}; no account was made.", hint="Name a new file: --codes codes.csv")


def _write_codes(file: Path, made: list[Admitted]) -> None:
    import csv
    import io

    from physlab.errors import StoreError
    from physlab.sealing.keyfiles import write_secret

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("login", "name", "mail", "code"))
    writer.writerows((one.person.login, one.person.name, one.person.mail or "", one.code) for one in made)
    try:
        write_secret(file, out.getvalue().encode())
    except StoreError as error:
        raise StoreError(
            f"The accounts were made, but their codes could not be written to {file}.",
            hint="Free disk space, then make a new code for each: physlab people password LOGIN",
        ) from error


def _show_newcomers(newcomers: list[Newcomer], file: Path) -> int:
    if voice.as_json:
        plain = [{"login": one.login, "name": one.name, "mail": one.mail, "administrator": one.administrator}
                 for one in newcomers]  # fmt: skip
        voice.reply({"people": plain, "made": False})
        return 0
    rows = [[one.login, one.name, one.mail or "", "administrator" if one.administrator else ""] for one in newcomers]
    voice.say(table(("login", "name", "mail", "role"), rows), "")
    voice.say(f"{counted(len(newcomers), 'account')} would be made; none was.")
    voice.next(f"physlab people import {file}")
    return 0


def _show_admitted(made: list[Admitted], codes: Path | None) -> int:
    if voice.as_json:
        voice.reply({"people": [one.person.as_json() | {"code": one.code} for one in made], "made": True})
        return 0
    voice.say(f"[green]✓[/green] {counted(len(made), 'account')} made.")
    if codes is None:
        voice.say(table(("login", "name", "code"), [[one.person.login, one.person.name, one.code] for one in made]), "")
    else:
        voice.fact("codes", codes)
    voice.note("Each code sets one password, once, within a week. A new one: physlab people password LOGIN")
    voice.next("physlab people list")
    return 0


@app.command("list")
def list_people(json: Json = False) -> int:
    """List the accounts."""
    from physlab.collab.people import open_people
    from physlab.settings import load_settings

    with open_people(load_settings()) as people:
        found = people.accounts.list()
    if voice.as_json:
        voice.reply({"people": [person.as_json() for person in found]})
    elif not found:
        voice.say("There is nobody yet.")
        voice.next("physlab people add LOGIN --name 'A Name' --administrator")
    else:
        columns = ("login", "name", "mail", "state", "role", "second factor", "seen")
        voice.say(table(columns, map(_row, found)), "")
        voice.next(f"physlab people show {found[0].login or found[0].id}")
    return 0


def _row(person: Person) -> list[str]:
    seen = person.as_json()["seen_at"]
    state = person.state if person.has_password or person.state != "active" else "no password yet"
    role = "administrator" if person.administrator else ""
    return [person.login, person.name, person.mail or "", state, role, "yes" if person.has_factor else "",
            local_time(seen) if seen else "never"]  # fmt: skip


@app.command()
def show(login: Login, json: Json = False) -> int:
    """Show an account with its second factors, visits and tokens."""
    from physlab.collab.database import written
    from physlab.collab.people import open_people
    from physlab.settings import load_settings

    with open_people(load_settings()) as people:
        person = people.accounts.find(login)
        factors, tokens = people.factors.list(person.id), people.tokens.list(person.id)
        visits, left = people.visits.list(person.id), people.recovery.left(person.id)
    if voice.as_json:
        opened = [{"since": written(visit.created_at), "seen_at": written(visit.seen_at), "agent": visit.agent,
                   "is_half": visit.is_half} for visit in visits]  # fmt: skip
        voice.reply(
            person.as_json()
            | {"factors": [factor.as_json() for factor in factors], "tokens": [token.as_json() for token in tokens],
               "visits": opened, "recovery_codes": left}
        )  # fmt: skip
        return 0
    _describe(person)
    voice.fact("proofs", f"{counted(len([one for one in factors if one.confirmed]), 'second factor')}, "
               f"{counted(left, 'recovery code')}, {counted(len(tokens), 'token')}")  # fmt: skip
    voice.fact("visits", counted(len(visits), "open visit"))
    if person.state == "active":
        voice.next(f"physlab people factor list {person.login}" if factors else f"physlab people disable {login}")
    return 0


def _describe(person: Person) -> None:
    told: dict[str, Any] = person.as_json()
    for name in ("login", "name", "mail", "id"):
        voice.fact(name, told[name] or "none")
    voice.fact("state", f"{person.state}{', administrator' if person.administrator else ''}")
    voice.fact("password", "set" if person.has_password else "none yet")
    voice.fact("seen", local_time(told["seen_at"]) if told["seen_at"] else "never")


@app.command()
def rename(
    login: Login,
    name: Name = None,
    mail: Mail = None,
    administrator: Annotated[
        bool | None,
        typer.Option("--administrator/--no-administrator", help="Whether they may do everything.", show_default=False),
    ] = None,
    json: Json = False,
) -> int:
    """Change the name, the mail address or the role of an account; what is not given stays."""
    from physlab.collab.people import open_people
    from physlab.errors import ValidationError
    from physlab.settings import load_settings

    if name is None and mail is None and administrator is None:
        raise ValidationError("Nothing was given to change.", hint="Give --name, --mail or --administrator.")
    with open_people(load_settings()) as people:
        person = people.accounts.find(login)
        if name is not None or mail is not None:
            person = people.accounts.rename(person.id, name=name, mail=mail)
        if administrator is not None:
            person = people.accounts.set_administrator(person.id, administrator)
    return _changed(person, "was changed")


@app.command()
def disable(login: Login, json: Json = False) -> int:
    """Let a person in no more: visits are closed, tokens refused, until they are enabled again."""
    from physlab.collab.people import open_people
    from physlab.settings import load_settings

    with open_people(load_settings()) as people:
        person = people.accounts.disable(people.accounts.find(login).id)
    return _changed(person, "is disabled", f"physlab people enable {person.login}")


@app.command()
def enable(login: Login, json: Json = False) -> int:
    """Let a person in again; their tokens work again."""
    from physlab.collab.people import open_people
    from physlab.settings import load_settings

    with open_people(load_settings()) as people:
        person = people.accounts.enable(people.accounts.find(login).id)
    return _changed(person, "may come in")


def _changed(person: Person, what: str, then: str | None = None) -> int:
    if voice.as_json:
        voice.reply(person.as_json())
    else:
        voice.say(f"[green]✓[/green] {escape(person.name)} {what}.")
        voice.next(then or f"physlab people show {person.login}")
    return 0


@app.command()
def erase(login: Login, yes: Yes = False, json: Json = False) -> int:
    """Destroy what names a person: login, name, mail address, every proof. There is no way back.

    Their id stays where they did something, as `erased person 1a2b…`, and the audit log still holds together.
    """
    from physlab.collab.people import open_people
    from physlab.collab.people.erasure import erase as destroy
    from physlab.settings import load_settings

    with open_people(load_settings()) as people:
        person = people.accounts.find(login)
        if not yes and not _sure(person):
            return 1
        destroy(people.accounts, person.id)
        name = people.accounts.name_of(person.id)
    if voice.as_json:
        voice.reply({"id": person.id, "name": name, "state": "erased"})
    else:
        voice.say(f"[green]✓[/green] {escape(person.name)} is {name} from now on.")
        voice.fact("id", person.id)
        voice.note("Backups made before still name them until these end: physlab backup list")
    return 0


def _sure(person: Person) -> bool:
    """Ask a person; a program has to say --yes."""
    import sys

    from physlab.errors import ValidationError

    if voice.as_json or not sys.stdin.isatty():
        raise ValidationError(f"This erases {person.name} for ever.", hint="Say --yes.")
    return typer.confirm(f"Erase {person.name} for ever?", err=True)
