"""Sessions and their members: who is in, with which role, until when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.access import Who, authorize, role_of
from physlab.collab.audit import Event, Trail
from physlab.collab.database import Database
from physlab.collab.roles import ROLES, may
from physlab.errors import AccessError, UnseenError, ValidationError


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a session.

    Attributes:
        person: Their id.
        role: What they were given; at this moment it may be less, or nothing (`now`).
        now: Their role at this moment; None: none any more.
        since: Since when.
        by: Who let them in.
        expires_at: Until when; None: without end.
        used_at: When they last did something in it.
        link: The link that let them in.
    """

    person: str
    role: str
    now: str | None
    since: int
    by: str
    expires_at: int | None
    used_at: int | None
    link: str | None


class Sessions:
    """The sessions of a lab, and who is in them.

    Args:
        database: Where they are kept.
        trail: The audit log.
    """

    def __init__(self, database: Database, trail: Trail) -> None:
        self.database = database
        self.trail = trail

    @contextmanager
    def changing(self, who: Who, action: str, session: str) -> Iterator[tuple[sa.Connection, str]]:
        """Open a transaction for something that somebody may do in a session; give it with their role.

        Nobody else changes the session meanwhile.
        """
        with self.database.writing() as connection:
            connection.execute(
                sa.select(schema.sessions.c.name).where(schema.sessions.c.name == session).with_for_update()
            )
            yield connection, authorize(connection, who, action, session, self.database.clock.now())

    def begin(self, who: Who, name: str, title: str = "") -> bool:
        """Make a session, owned by whoever asks; False when it is there already.

        Raises:
            AccessError: A guest or a token that only reads asks.
        """
        if who.person is None or who.reads_only:
            raise AccessError("A session is made by somebody with an account.", hint="Sign in first.")
        with self.database.writing() as connection:
            now = self.database.clock.now()
            table = schema.sessions
            if connection.execute(sa.select(table.c.name).where(table.c.name == name)).one_or_none() is not None:
                return False
            connection.execute(
                table.insert().values(name=name, title=title or name, created_at=now, created_by=who.person)
            )
            connection.execute(
                schema.members.insert().values(session=name, person=who.person, role="owner", by=who.person, since=now)
            )
            self.trail.add(connection, Event(who.name, "session.begin", name))
        return True

    def of(self, who: Who) -> dict[str, str]:
        """Return the sessions that somebody sees, each with their role."""
        table, now = schema.sessions, self.database.clock.now()
        with self.database.reading() as connection:
            query = sa.select(table.c.name).order_by(table.c.name)
            if who.person is not None and not who.local:
                mine = sa.select(schema.members.c.session).where(schema.members.c.person == who.person)
                query = query.where(table.c.name.in_(mine))
            names = connection.execute(query).scalars().all()
            found = {name: role_of(connection, who, name, now) for name in names}
        return {name: role for name, role in found.items() if role is not None}

    def role(self, who: Who, session: str) -> str | None:
        """Return the role that somebody has in a session now."""
        with self.database.reading() as connection:
            return role_of(connection, who, session, self.database.clock.now())

    def members(self, who: Who, session: str) -> list[Member]:
        """Return who is in a session, the highest role first."""
        now, table = self.database.clock.now(), schema.members
        with self.database.reading() as connection:
            authorize(connection, who, "member.see", session, now)
            rows = connection.execute(sa.select(table).where(table.c.session == session)).all()
            found = [
                Member(row.person, row.role, role_of(connection, Who(row.person), session, now), row.since, row.by,
                       row.expires_at, row.used_at, row.link) for row in rows
            ]  # fmt: skip
        return sorted(found, key=lambda member: (-ROLES.index(member.role), member.since, member.person))

    def admit(self, who: Who, session: str, person: str, role: str, expires_at: int | None = None) -> None:
        """Let a person in, or give them another role.

        Raises:
            AccessError: Who asks has not more than that role, or the person has as much as they.
            ValidationError: It is themselves, the last owner, or the end is over already.
        """
        now = self.database.clock.now()
        if expires_at is not None and expires_at <= now:
            raise ValidationError("The end of the membership is in the past.", hint="Give a later one.")
        with self.changing(who, "member.change", session) as (connection, mine):
            if person == who.person and not who.local:
                raise ValidationError("Nobody changes their own role.", hint="Ask another owner, or leave the session.")
            _refuse_above(mine, role)
            there = _member(connection, session, person)
            if there is not None:
                _refuse_above(mine, there.role)
                if there.role == "owner" and role != "owner":
                    _keep_an_owner(connection, session, person)
            given = {"role": role, "by": who.name, "since": now, "expires_at": expires_at, "link": None}
            self.put(connection, session, person, **given)
            told = {"role": role, "before": None if there is None else there.role}
            self.trail.add(connection, Event(who.name, "member.change", session, person, told))

    def remove(self, who: Who, session: str, person: str) -> None:
        """Take a person out of a session.

        Raises:
            ValidationError: They are not in it, or its last owner.
        """
        with self.changing(who, "member.change", session) as (connection, mine):
            there = _member(connection, session, person)
            if there is None:
                raise ValidationError(f"{person} is not in the session {session}.", hint="See: physlab session members")
            _refuse_above(mine, there.role)
            self._take_out(connection, who, session, person, "member.remove")

    def leave(self, who: Who, session: str) -> None:
        """Leave a session.

        Raises:
            ValidationError: Who asks is its last owner.
        """
        with self.changing(who, "session.leave", session) as (connection, _):
            if who.person is None or _member(connection, session, who.person) is None:
                raise ValidationError("Only a member leaves a session.", hint="A link simply is not opened again.")
            self._take_out(connection, who, session, who.person, "session.leave")

    def _take_out(self, connection: sa.Connection, who: Who, session: str, person: str, action: str) -> None:
        _keep_an_owner(connection, session, person)
        table = schema.members
        connection.execute(table.delete().where(table.c.session == session, table.c.person == person))
        self.trail.add(connection, Event(who.name, action, session, person))

    def transfer(self, who: Who, session: str, person: str, *, dry_run: bool = False) -> None:
        """Make another member the owner; who asks becomes an admin. With `dry_run`, only say whether it can be.

        Raises:
            ValidationError: The person is no member, or not any more.
        """
        with self.changing(who, "session.transfer", session) as (connection, _):
            now = self.database.clock.now()
            if person == who.person:
                raise ValidationError("You own it already.", hint="Name another member.")
            if role_of(connection, Who(person), session, now) is None:
                raise ValidationError(
                    f"{person} is not in the session {session}.", hint="Share it with them first: physlab session share"
                )
            if dry_run:
                return
            self.put(connection, session, person, role="owner", by=who.name, since=now, expires_at=None, link=None)
            if who.person is not None and _member(connection, session, who.person) is not None:
                self.put(connection, session, who.person, role="admin", by=who.name, since=now, expires_at=None,
                          link=None)  # fmt: skip
            self.trail.add(connection, Event(who.name, "session.transfer", session, person))

    def close(self, who: Who, session: str) -> None:
        """Close a session: its links and memberships give nothing any more; runs, files and notebook stay."""
        with self.changing(who, "session.close", session) as (connection, _):
            table = schema.sessions
            connection.execute(
                table.update().where(table.c.name == session).values(closed_at=self.database.clock.now())
            )
            self.trail.add(connection, Event(who.name, "session.close", session))

    def put(self, connection: sa.Connection, session: str, person: str, **values: object) -> None:
        """Write a membership, in a transaction of the caller."""
        table = schema.members
        known = connection.execute(sa.select(schema.persons.c.state).where(schema.persons.c.id == person)).scalar()
        if known != "active":
            raise UnseenError(f"There is no person '{person}'.", hint="See: physlab people list")
        here = (table.c.session == session, table.c.person == person)
        if connection.execute(table.update().where(*here).values(**values)).rowcount == 0:
            connection.execute(table.insert().values(session=session, person=person, **values))

    def touch(self, connection: sa.Connection, session: str, person: str) -> None:
        """Note that a member did something, in a transaction of the caller."""
        table, now = schema.members, self.database.clock.now()
        here = (table.c.session == session, table.c.person == person)
        connection.execute(table.update().where(*here).values(used_at=now))


def _member(connection: sa.Connection, session: str, person: str) -> sa.Row[tuple[object, ...]] | None:
    table = schema.members
    return connection.execute(
        sa.select(table).where(table.c.session == session, table.c.person == person)
    ).one_or_none()


def _refuse_above(mine: str, role: str) -> None:
    """Refuse to give or take a role that is not below one's own; owners deal with owners."""
    if mine != "owner" and ROLES.index(role) >= ROLES.index(mine):
        raise AccessError(f"A member with the role {mine} cannot give or take the role {role}.", hint="Ask an owner.")


def _keep_an_owner(connection: sa.Connection, session: str, person: str) -> None:
    table, persons = schema.members, schema.persons
    others = connection.execute(
        sa.select(table.c.person).join(persons, persons.c.id == table.c.person).where(
            table.c.session == session, table.c.role == "owner", table.c.person != person,
            table.c.expires_at.is_(None), persons.c.state == "active",
        )
    ).first()  # fmt: skip
    there = _member(connection, session, person)
    if there is not None and may(str(there.role), "session.transfer") and others is None:
        raise ValidationError(
            f"{person} is the last owner of {session}.", hint="Hand it over first: physlab session transfer"
        )
