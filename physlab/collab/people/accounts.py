"""Accounts: who there is, what they are called, and whether they may come in.

Name and mail address are sealed with a key of the person alone, which is itself sealed with the lab's key: a copy of
the database tells nobody's name, and when the person's key is destroyed, their name is gone everywhere.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit import Event, Trail
from physlab.collab.database import Database, new_id, written
from physlab.collab.people import rules
from physlab.collab.people.factors import has_factor
from physlab.collab.people.sealed import fingerprint, seal, unseal
from physlab.errors import ValidationError, nearest

ACTIVE, DISABLED, ERASED = "active", "disabled", "erased"
LAB = "lab"
"""Who does what is done at the machine itself."""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody who gets an account.

    Attributes:
        login: What they type to sign in; small letters, digits, `.`, `_` and `-`.
        name: As others see it.
        mail: Their mail address, if it is known.
        administrator: Whether they may do everything.
    """

    login: str
    name: str
    mail: str | None = None
    administrator: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """An account. Of an erased person login, name and mail are gone.

    Attributes:
        id: Stands for the person everywhere else.
        login: What they type to sign in.
        name: As others see it.
        mail: Their mail address.
        state: `active`, `disabled` or `erased`.
        administrator: Whether they may do everything.
        has_password: Whether a password was set.
        has_factor: Whether they have a second factor.
        created_at: Moment [µs since 1970].
        changed_at: When password or state changed last [µs since 1970].
        seen_at: When they signed in last [µs since 1970].
    """

    id: str
    login: str
    name: str
    mail: str | None
    state: str
    administrator: bool
    has_password: bool
    has_factor: bool
    created_at: int
    changed_at: int
    seen_at: int | None

    def as_json(self) -> dict[str, Any]:
        """Return all of it, moments as ISO 8601."""
        return asdict(self) | {name: written(getattr(self, name)) for name in ("created_at", "changed_at", "seen_at")}


class Accounts:
    """The accounts of a lab.

    Args:
        database: Of people.
        trail: Its audit log: each change is in it.
    """

    def __init__(self, database: Database, trail: Trail) -> None:
        self.database, self.trail = database, trail

    def create(
        self, login: str, name: str, mail: str | None = None, *, administrator: bool = False, by: str = LAB
    ) -> Person:
        """Make an account; without a password, nobody can sign in with it yet.

        Raises:
            ValidationError: Login, name or mail cannot be one, or another account has it.
        """
        newcomer = Newcomer(login, name, mail, administrator)
        with self.database.writing() as connection:
            return self.get(self.add(connection, newcomer, by=by), connection)

    def add(self, connection: sa.Connection, newcomer: Newcomer, *, by: str) -> str:
        """Make an account in a transaction; return its id.

        Raises:
            ValidationError: As for `create`.
        """
        rules.check(newcomer.login, newcomer.name, newcomer.mail)
        made, now = new_id(), self.database.clock.now()
        login, mail = rules.login_of(newcomer.login), rules.mail_of(newcomer.mail)
        self._refuse_taken(connection, login, mail)
        key = secrets.token_bytes(32)
        row = {
            "id": made, "login": login, "mail_hash": self._mail_hash(mail), "key": seal(self.database.key, key, made),
            "sealed": _sealed(key, made, newcomer.name, mail), "password": None, "state": ACTIVE,
            "administrator": newcomer.administrator, "created_at": now, "changed_at": now, "seen_at": None,
        }  # fmt: skip
        try:
            connection.execute(schema.persons.insert().values(row))
        except sa.exc.IntegrityError as error:  # somebody else took it since we looked
            raise ValidationError(
                f"The login {login!r} or the mail address was taken meanwhile.", hint="See: physlab people list"
            ) from error
        told = {"administrator": newcomer.administrator}
        self.trail.add(connection, Event(by, "person.create", object=made, told=told))
        return made

    def _refuse_taken(self, connection: sa.Connection, login: str, mail: str | None) -> None:
        table = schema.persons
        if connection.execute(sa.select(table.c.id).where(table.c.login == login)).first() is not None:
            raise ValidationError(
                f"The login {login!r} is taken.", hint="Choose another one; see who there is: physlab people list"
            )
        self._refuse_taken_mail(connection, mail)

    def _refuse_taken_mail(self, connection: sa.Connection, mail: str | None) -> None:
        found = sa.select(schema.persons.c.id).where(schema.persons.c.mail_hash == self._mail_hash(mail))
        if mail is not None and connection.execute(found).first() is not None:
            raise ValidationError(
                f"The mail address {mail!r} belongs to another account.",
                hint=f"One person, one account: physlab people show {mail}",
            )

    def _mail_hash(self, mail: str | None) -> str | None:
        return None if mail is None else mail_hash(self.database, mail)

    def get(self, person: str, connection: sa.Connection | None = None) -> Person:
        """Return an account by its id.

        Raises:
            ValidationError: There is none.
        """
        [*found] = self._select(schema.persons.c.id == person, connection)
        if not found:
            raise ValidationError(f"There is no person {person!r}.", hint="See who there is: physlab people list")
        return found[0]

    def search(self, word: str, connection: sa.Connection | None = None) -> Person | None:
        """Return the account with a login, a mail address or an id; None where there is none."""
        table, login = schema.persons.c, word.strip().lower()
        if "@" in login:
            condition = table.mail_hash == self._mail_hash(rules.mail_of(word))
        else:
            condition = sa.or_(table.login == login, table.id == login)
        found = self._select(sa.and_(condition, table.state != ERASED), connection)
        found = found or self._select(table.id == login, connection)
        return found[0] if found else None

    def at_the_machine(self, login: str) -> Person | None:
        """Return the account of who works at the machine under a login; None where there is none."""
        return self.search(login) or self.search(rules.machine_login(login))

    def those(self, persons: Iterable[str]) -> Sequence[Person]:
        """Return the accounts with some ids, as far as there are such accounts."""
        return self._select(schema.persons.c.id.in_(sorted(set(persons))))

    def find(self, word: str) -> Person:
        """Return the account with a login, a mail address or an id.

        Raises:
            ValidationError: There is none; the hint names who there is, so this is for who administers the lab.
        """
        found = self.search(word)
        if found is None:
            known = [person.login for person in self.list() if person.state != ERASED]
            hint = nearest(word, known) if known else "There is nobody yet: physlab people add LOGIN --name 'A Name'"
            raise ValidationError(f"There is no person {word!r}.", hint=hint)
        return found

    def list(self) -> list[Person]:
        """Return all accounts, by login, those that were erased last."""
        return sorted(self._select(sa.true()), key=lambda person: (person.state == ERASED, person.login))

    def name_of(self, person: str) -> str:
        """Return the name of a person; `erased person 1a2b…` of one who was erased or never was."""
        return self.names_of([person])[person]

    def names_of(self, persons: Iterable[str]) -> dict[str, str]:
        """Return the names of several people by their ids."""
        wanted = sorted(set(persons))
        found = {each.id: each.name for each in self._select(schema.persons.c.id.in_(wanted))}
        return {person: found.get(person) or _erased(person) for person in wanted}

    def rename(self, person: str, *, name: str | None = None, mail: str | None = None, by: str = LAB) -> Person:
        """Change name or mail address; an empty mail address takes it away.

        Raises:
            ValidationError: There is no such person, or what was given cannot be a name or an address.
        """
        with self.database.writing() as connection:
            row = self._row(connection, person)
            key = unseal(self.database.key, row.key, person)
            before = json.loads(unseal(key, row.sealed, person))
            now_name = before["name"] if name is None else name
            now_mail = before["mail"] if mail is None else rules.mail_of(mail)
            rules.check(row.login, now_name, now_mail)
            if now_mail != before["mail"]:
                self._refuse_taken_mail(connection, now_mail)
            self._set(
                connection, person, sealed=_sealed(key, person, now_name, now_mail), mail_hash=self._mail_hash(now_mail)
            )
            changed = [word for word, given in (("name", name), ("mail", mail)) if given is not None]
            self.trail.add(connection, Event(by, "person.rename", object=person, told={"changed": changed}))
            return self.get(person, connection)

    def disable(self, person: str, *, by: str = LAB) -> Person:
        """Let a person in no more: what they opened is closed, their tokens and codes are refused.

        Raises:
            ValidationError: There is no such person, or no other active administrator.
        """
        from physlab.collab.people.visits import close_all

        with self.database.writing() as connection:
            self.keep_an_administrator(connection, person)
            self._row(connection, person)
            self._set(connection, person, state=DISABLED, changed_at=self.database.clock.now())
            close_all(connection, person)
            self.trail.add(connection, Event(by, "person.disable", object=person))
            return self.get(person, connection)

    def enable(self, person: str, *, by: str = LAB) -> Person:
        """Let a person in again; their tokens count again, what they had opened stays closed.

        Raises:
            ValidationError: There is no such person.
        """
        with self.database.writing() as connection:
            self._row(connection, person)
            self._set(connection, person, state=ACTIVE, changed_at=self.database.clock.now())
            self.trail.add(connection, Event(by, "person.enable", object=person))
            return self.get(person, connection)

    def set_administrator(self, person: str, administrator: bool, *, by: str = LAB) -> Person:
        """Make a person an administrator, or one no more.

        Raises:
            ValidationError: There is no such person, or no other active administrator.
        """
        with self.database.writing() as connection:
            if not administrator:
                self.keep_an_administrator(connection, person)
            self._row(connection, person)
            self._set(connection, person, administrator=administrator)
            told = {"administrator": administrator}
            self.trail.add(connection, Event(by, "person.administrator", object=person, told=told))
            return self.get(person, connection)

    def keep_an_administrator(self, connection: sa.Connection, person: str) -> None:
        """Refuse to lose the last administrator who can come in.

        It locks all of them, in one order, so it comes before any lock on one person: else two of these wait for each
        other.
        """
        table = schema.persons
        left = sa.select(table.c.id).where(table.c.administrator, table.c.state == ACTIVE).order_by(table.c.id)
        ids = set(connection.execute(left.with_for_update(key_share=True)).scalars())
        if ids == {person}:
            raise ValidationError(
                "This is the last administrator of the lab.",
                hint="Make another one first: physlab people rename LOGIN --administrator",
            )

    def _row(self, connection: sa.Connection, person: str) -> sa.Row[Any]:
        table = schema.persons
        found = sa.select(table).where(table.c.id == person, table.c.state != ERASED).with_for_update(key_share=True)
        row = connection.execute(found).one_or_none()
        if row is None:
            raise ValidationError(
                f"There is no person {person!r}, or they were erased.", hint="See who there is: physlab people list"
            )
        return row

    def _set(self, connection: sa.Connection, person: str, **values: Any) -> None:
        connection.execute(schema.persons.update().where(schema.persons.c.id == person).values(values))

    def _select(self, condition: sa.ColumnElement[bool], connection: sa.Connection | None = None) -> Sequence[Person]:
        table = schema.persons
        wanted = sa.select(table, has_factor(table.c.id).label("has_factor")).where(condition)
        if connection is not None:
            return [self._person(row) for row in connection.execute(wanted)]
        with self.database.reading() as connection:
            return [self._person(row) for row in connection.execute(wanted)]

    def _person(self, row: sa.Row[Any]) -> Person:
        said = {"name": _erased(row.id), "mail": None}
        if row.key is not None:
            said = json.loads(unseal(unseal(self.database.key, row.key, row.id), row.sealed, row.id))
        return Person(
            id=row.id, login=row.login if row.key is not None else "", name=str(said["name"]), mail=said["mail"],
            state=row.state, administrator=row.administrator, has_password=row.password is not None,
            has_factor=row.has_factor, created_at=row.created_at, changed_at=row.changed_at, seen_at=row.seen_at,
        )  # fmt: skip


def mail_hash(database: Database, mail: str) -> str:
    """Return the hash under which a mail address is kept: of a person, and of whom a link is for."""
    return fingerprint(database, "mail", rules.mail_of(mail) or "")


def _sealed(key: bytes, person: str, name: str, mail: str | None) -> bytes:
    return seal(key, json.dumps({"name": rules.name_of(name), "mail": mail}).encode(), person)


def _erased(person: str) -> str:
    return f"erased person {person[:4]}…"
