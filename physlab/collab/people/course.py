"""Many accounts at once, from a table: a course of forty. All of them are made, or none."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from physlab.collab.people import rules
from physlab.collab.people.accounts import LAB, Newcomer, Person
from physlab.collab.people.desk import People
from physlab.errors import ValidationError

COLUMNS = ("login", "name", "mail", "role")
ROLES = {"": False, "person": False, "administrator": True}
MOST = 5000
"""A table has so many lines at most."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody who got an account, and the code with which they set their password, once, within a week."""

    person: Person
    code: str


def admit(people: People, newcomers: list[Newcomer], *, by: str = LAB) -> list[Admitted]:
    """Make accounts, all or none, each with a code to set a password.

    Raises:
        ValidationError: One of them cannot be made; none is then.
    """
    made = []
    with people.database.writing() as connection:
        for newcomer in newcomers:
            person = people.accounts.add(connection, newcomer, by=by)
            code = people.passwords.add_code(connection, person, by=by)
            made.append(Admitted(people.accounts.get(person, connection), code))
    return made


def read_course(people: People, text: str) -> list[Newcomer]:
    """Return the newcomers of a table, as all of them could be made; nothing is changed.

    Args:
        people: Who there is already.
        text: CSV with commas or semicolons; its first line names the columns `name`, `mail`, and where wanted `login`
            (made from the mail address else) and `role` (`person` or `administrator`).

    Raises:
        ValidationError: With everything that is wrong, by line.
    """
    rows, problems = _rows(text)
    taken = {person.login for person in people.accounts.list() if person.login}
    chosen = {rules.login_of(row["login"]) for _, row in rows if row["login"]}
    newcomers: list[Newcomer] = []
    mails: dict[str, int] = {}
    for line, row in rows:
        login = rules.login_of(row["login"]) or rules.free_login(
            row["mail"].partition("@")[0] or row["name"], taken | chosen
        )
        found = rules.problems(login, row["name"], row["mail"])
        if login in taken:
            found.append(f"the login {login!r} is taken")
        mail = rules.mail_of(row["mail"])
        if mail is not None:
            found += [f"the mail address {mail!r} stands in line {mails[mail]} too"] if mail in mails else []
            found += [f"{mail!r} has an account already"] if people.accounts.search(mail) else []
            mails.setdefault(mail, line)
        if row["role"].lower() not in ROLES:
            found.append(f"{row['role']!r} cannot be a role: {', '.join(filter(None, ROLES))}")
        problems += [f"line {line}: {problem}" for problem in found]
        taken.add(login)
        newcomers.append(Newcomer(login, row["name"], mail, ROLES.get(row["role"].lower(), False)))
    if problems:
        raise ValidationError(
            f"No account was made; {len(problems)} problems:\n" + "\n".join(problems),
            hint="Mend the table, then look first: physlab people import TABLE.csv --dry-run",
            details={"problems": problems},
        )
    return newcomers


def _rows(text: str) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    """Return the lines of a table with their numbers, and what is wrong with it as a table."""
    text = text.removeprefix("\ufeff")
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter=";" if head.count(";") > head.count(",") else ",", strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ValidationError(
            f"The table cannot be read: line {reader.line_num}: {error}.", hint="Write it as CSV, in UTF-8."
        ) from error
    if unknown := [name for name in names if name not in COLUMNS or names.count(name) > 1]:
        raise _no_table(f"The columns {', '.join(map(repr, unknown))} are unknown or twice there.")
    if not {"name", "mail"} <= set(names) and not {"name", "login"} <= set(names):
        raise _no_table("The table has no column 'name' with a column 'mail' or 'login'.")
    if not 0 < len(rows) <= MOST:
        raise _no_table(f"The table has {len(rows)} lines; 1 to {MOST} can be read at once.")
    problems = [f"line {line}: {len(row)} cells, not {len(names)}" for line, row in rows if len(row) != len(names)]
    empty = dict.fromkeys(COLUMNS, "")
    whole = [(line, row) for line, row in rows if len(row) == len(names)]
    return [(line, empty | dict(zip(names, map(str.strip, row), strict=True))) for line, row in whole], problems


def _no_table(why: str) -> ValidationError:
    return ValidationError(why, hint="Its first line is: login,name,mail,role  (login and role may be left out).")
