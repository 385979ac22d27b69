"""Visits: what a cookie stands for, from signing in to signing out.

A visit of a person who has a second factor is half open until that factor was shown: it opens nothing but the second
step. Asking for what a cookie stands for is one indexed read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit import Event, Trail
from physlab.collab.database import MICRO, Database
from physlab.collab.people.factors import has_factor
from physlab.collab.people.refusal import not_signed_in, step_up
from physlab.collab.people.sealed import hashed, secret

IDLE_S, LONGEST_S, HALF_S = 8 * 3600, 7 * 24 * 3600, 600
"""A visit ends after so long without a request, after so long in any case, and after so long half open [s]."""
FRESH_S = 15 * 60
"""A second factor counts so long for what is dangerous [s]."""
SEEN_S = 60
"""When somebody was seen is written at most this often [s]."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a cookie stands for.

    Attributes:
        key: Hash of the cookie; names the visit, and opens nothing.
        person: Id of who signed in; None for who opened a link.
        link: Id of the link that was opened.
        administrator: Whether the person may do everything.
        has_factor: Whether the person has a second factor.
        is_half: Whether that factor has still to be shown.
        proved_at: When something was shown that proves who it is, once more [µs since 1970].
        created_at: Moment [µs since 1970].
        seen_at: When it was used last, to the minute [µs since 1970].
        expires_at: When it ends in any case [µs since 1970].
        agent: What the browser calls itself.
    """

    key: str
    person: str | None
    link: str | None
    administrator: bool
    has_factor: bool
    is_half: bool
    proved_at: int | None
    created_at: int
    seen_at: int
    expires_at: int
    agent: str


class Visits:
    """The visits of a lab.

    Args:
        database: Of people.
        trail: Its audit log.
    """

    def __init__(self, database: Database, trail: Trail) -> None:
        self.database, self.trail = database, trail

    def open_visit(
        self, connection: sa.Connection, *, person: str | None = None, link: str | None = None, proved: bool = False,
        agent: str = "", expires_at: int | None = None, how: str = "password",
    ) -> str:  # fmt: skip
        """Open a visit in a transaction; return its cookie, which nothing else knows afterwards.

        Args:
            connection: The transaction.
            person: Who signed in.
            link: Which link was opened, where nobody signed in.
            proved: Whether a second factor was shown already, as a passkey is.
            agent: What the browser calls itself.
            expires_at: When it ends at the latest [µs since 1970]; after a week in any case.
            how: What was shown, for the audit log.
        """
        table, now, cookie = schema.visits, self.database.clock.now(), secret()
        connection.execute(table.delete().where(table.c.expires_at <= now))
        half = not proved and person is not None
        half = half and bool(connection.execute(sa.select(has_factor(sa.literal(person)))).scalar())
        longest = now + (HALF_S if half else LONGEST_S) * MICRO
        row = {
            "hash": hashed(cookie), "person": person, "link": link, "created_at": now, "seen_at": now,
            "expires_at": min(longest, expires_at or longest), "proved_at": now if proved else None,
            "agent": "".join(letter for letter in agent if letter.isprintable())[:200],
        }  # fmt: skip
        connection.execute(table.insert().values(row))
        if person is not None:
            connection.execute(schema.persons.update().where(schema.persons.c.id == person).values(seen_at=now))
        told = {"how": how, "half": half}
        self.trail.add(connection, Event(person or f"link:{link}", "visit.open", object=person, told=told))
        return cookie

    def visit_of_cookie(self, cookie: str) -> Visit:
        """Return what a cookie stands for, and note that it was used, at most once a minute.

        Raises:
            SignInError: It stands for nothing, or for nothing any more; the same for every reason.
            StepUpError: The second factor has still to be shown.
        """
        visit = self.half_visit(cookie)
        if visit.is_half:
            raise step_up("The password was right; the second factor has still to be shown.")
        if self.database.clock.now() - visit.seen_at >= SEEN_S * MICRO:
            self._see(visit)
        return visit

    def half_visit(self, cookie: str) -> Visit:
        """Return what a cookie stands for, also when its second factor has still to be shown: for that step alone.

        Raises:
            SignInError: It stands for nothing, or for nothing any more.
        """
        now = self.database.clock.now()
        with self.database.reading() as connection:
            row = connection.execute(_READ, {"key": hashed(cookie)}).one_or_none()
        if row is None or row.expires_at <= now or row.seen_at + IDLE_S * MICRO <= now:
            raise not_signed_in()
        if row.person is not None and (row.state != "active" or row.created_at < row.changed_at):
            raise not_signed_in()
        return _visit(row)

    def require_fresh(self, visit: Visit, within_s: float = FRESH_S) -> None:
        """Refuse what is dangerous unless a second factor was shown lately.

        The policy: an administrator must have a second factor. Who is none and has none needs not show any.

        Args:
            visit: Who asks, as it was read for this request.
            within_s: How long showing it counts [s].

        Raises:
            StepUpError: It has to be shown, or a second factor has to be made first.
            SignInError: Nobody signed in: whoever opened a link has nothing to show.
        """
        if visit.person is None:
            raise not_signed_in()
        if not visit.has_factor:
            if visit.administrator:
                raise step_up("An administrator needs a second factor for this, and has none.")
            return
        if visit.proved_at is None or self.database.clock.now() - visit.proved_at > within_s * MICRO:
            raise step_up("This needs a second factor that was shown within the last minutes.")

    def prove(self, connection: sa.Connection, visit: Visit, how: str) -> None:
        """Note in a transaction that a second factor was shown in a visit; a half open one is open from now on.

        Raises:
            SignInError: The visit was closed meanwhile.
        """
        table, now = schema.visits, self.database.clock.now()
        values = {"proved_at": now, "seen_at": now}
        if visit.is_half:
            values["expires_at"] = visit.created_at + LONGEST_S * MICRO
        mine = sa.and_(table.c.hash == visit.key, table.c.expires_at > now)
        if connection.execute(table.update().where(mine).values(values)).rowcount == 0:
            raise not_signed_in()
        self.trail.add(connection, Event(visit.person or "-", "visit.prove", object=visit.person, told={"how": how}))

    def close(self, cookie: str) -> None:
        """Sign out: the cookie stands for nothing afterwards. One that stands for nothing already is fine."""
        table = schema.visits
        with self.database.writing() as connection:
            gone = table.delete().where(table.c.hash == hashed(cookie)).returning(table.c.person, table.c.link)
            row = connection.execute(gone).one_or_none()
            if row is not None:
                who = row.person or f"link:{row.link}"
                self.trail.add(connection, Event(who, "visit.close", object=row.person))

    def close_all(self, person: str, *, by: str, but: Visit | None = None) -> int:
        """Close the visits of a person, all or all but one; return how many were open."""
        with self.database.writing() as connection:
            count = close_all(connection, person, but=but.key if but else None)
            self.trail.add(connection, Event(by, "visit.close", object=person, told={"count": count}))
        return count

    def list(self, person: str) -> list[Visit]:
        """Return the open visits of a person, the latest first."""
        now, table = self.database.clock.now(), schema.visits
        wanted = _ROWS.where(table.c.person == person, table.c.expires_at > now, table.c.seen_at > now - IDLE_S * MICRO)
        with self.database.reading() as connection:
            rows = connection.execute(wanted.order_by(table.c.created_at.desc())).all()
        return [_visit(row) for row in rows]

    def _see(self, visit: Visit) -> None:
        table, now = schema.visits, self.database.clock.now()
        late = sa.and_(table.c.hash == visit.key, table.c.seen_at <= now - SEEN_S * MICRO)
        with self.database.writing() as connection:
            connection.execute(table.update().where(late).values(seen_at=now))


def _visit(row: sa.Row[Any]) -> Visit:
    return Visit(
        key=row.hash, person=row.person, link=row.link, administrator=bool(row.administrator),
        has_factor=row.has_factor, is_half=row.has_factor and row.proved_at is None, proved_at=row.proved_at,
        created_at=row.created_at, seen_at=row.seen_at, expires_at=row.expires_at, agent=row.agent,
    )  # fmt: skip


def close_all(connection: sa.Connection, person: str, *, but: str | None = None) -> int:
    """Close the visits of a person in a transaction; return how many there were."""
    table = schema.visits
    gone = table.delete().where(table.c.person == person)
    return connection.execute(gone if but is None else gone.where(table.c.hash != but)).rowcount


_ROWS = sa.select(
    schema.visits,
    schema.persons.c.state,
    schema.persons.c.administrator,
    schema.persons.c.changed_at,
    has_factor(schema.visits.c.person).label("has_factor"),
).select_from(schema.visits.outerjoin(schema.persons, schema.visits.c.person == schema.persons.c.id))
_READ = _ROWS.where(schema.visits.c.hash == sa.bindparam("key"))
