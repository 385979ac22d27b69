"""The one gate: every request for anything of a session passes `authorize`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.database import MICRO
from physlab.collab.roles import FOR_GUESTS, PROVEN, READS, ROLES, least, lesser, may
from physlab.errors import AccessError, StepUpError, UnseenError

FRESH_S = 15 * 60
"""How long a second factor counts that was shown [s]."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks.

    Attributes:
        person: Their id; None for a guest or a stranger.
        link: The link that they opened; None without one.
        administrator: Of the lab: manages people, which opens no session.
        reads_only: They show a token that only reads.
        proved_at: When they showed a second factor; None: never.
        local: They have the files of the lab anyway: the owner at the command line.
    """

    person: str | None = None
    link: str | None = None
    administrator: bool = False
    reads_only: bool = False
    proved_at: int | None = None
    local: bool = False

    @property
    def name(self) -> str:
        """What the audit log calls them."""
        if self.person is not None:
            return self.person
        return f"link:{self.link}" if self.link else "-"


STRANGER = Who()
_SESSION = sa.select(schema.sessions.c.name).where(schema.sessions.c.name == sa.bindparam("session"))
_MEMBER = (
    sa.select(schema.members.c.role, schema.members.c.expires_at, schema.members.c.link)
    .join(schema.persons, schema.persons.c.id == schema.members.c.person)
    .join(schema.sessions, schema.sessions.c.name == schema.members.c.session)
    .where(
        schema.members.c.session == sa.bindparam("session"), schema.members.c.person == sa.bindparam("person"),
        schema.persons.c.state == "active", schema.sessions.c.closed_at.is_(None),
    )
)  # fmt: skip
_LINK = sa.select(schema.links).where(schema.links.c.id == sa.bindparam("link"))


def role_of(connection: sa.Connection, who: Who, session: str, now: int) -> str | None:
    """Return the role that somebody has in a session at this moment; None: the session does not exist for them."""
    if who.local:
        return None if connection.execute(_SESSION, {"session": session}).one_or_none() is None else "owner"
    if who.person is not None:
        return member_role(connection, who.person, session, now)
    if who.link is not None:
        link = find_link(connection, who.link)
        return None if link is None or link.session != session else link_role(connection, link, now)
    return None


def member_role(
    connection: sa.Connection, person: str, session: str, now: int, through: tuple[str, ...] = ()
) -> str | None:
    """Return the role of a person in a session; None without one, when it ended, or with the link that gave it.

    Args:
        connection: To the database.
        person: Id of the person.
        session: Name of the session.
        now: The moment.
        through: Links that this role would rest on; one that rests on itself gives nothing.
    """
    row = connection.execute(_MEMBER, {"session": session, "person": person}).one_or_none()
    if row is None or (row.expires_at is not None and row.expires_at <= now):
        return None
    if row.link is None:
        return str(row.role)
    link = find_link(connection, row.link)
    given = None if link is None else link_role(connection, link, now, through)
    return None if given is None else lesser(row.role, given)


def find_link(connection: sa.Connection, link: str) -> sa.Row[tuple[object, ...]] | None:
    """Return the row of a link."""
    return connection.execute(_LINK, {"link": link}).one_or_none()


def link_role(
    connection: sa.Connection, link: sa.Row[tuple[object, ...]], now: int, through: tuple[str, ...] = ()
) -> str | None:
    """Return what a link gives at this moment: never more than its maker has, who must still be allowed to share."""
    if link.revoked_at is not None or link.expires_at <= now or link.id in through:
        return None
    theirs = member_role(connection, link.maker, link.session, now, (*through, link.id))
    if theirs is None or not may(theirs, "link.make"):
        return None
    return lesser(link.role, theirs)


def scope_of(connection: sa.Connection, who: Who, session: str) -> dict[str, Any] | None:
    """Return what of a session somebody sees: the bundle of their link, None for everything."""
    link = who.link if who.person is None else None
    if who.person is not None and not who.local:
        row = connection.execute(_MEMBER, {"session": session, "person": who.person}).one_or_none()
        link = None if row is None else row.link
    found = None if link is None else find_link(connection, str(link))
    return None if found is None or found.bundle is None else dict(json.loads(str(found.bundle)))


def allowed(who: Who, role: str | None, action: str, now: int) -> AccessError | None:
    """Return why somebody with a role may not do something, None when they may."""
    if role is None:
        return UnseenError("There is no such session, or you may not see it.", hint="Ask its owner for a link.")
    guest = who.person is None and not who.local
    if not may(role, action):
        return AccessError(f"The role {role} does not allow {action}.", hint=f"It takes: {least(action)}.")
    if guest and action not in FOR_GUESTS:
        return AccessError(f"{action} needs an account.", hint="Sign in, then open the link again.")
    if who.reads_only and action not in READS:
        return AccessError(f"This token only reads; {action} changes something.", hint="Make a token that writes.")
    sharp = action in PROVEN or (action == "link.make" and ROLES.index(role) >= ROLES.index("admin"))
    if sharp and not who.local and (who.proved_at is None or not now - FRESH_S * MICRO < who.proved_at <= now):
        return StepUpError(
            f"{action} needs your second factor, shown in the last 15 minutes.", hint="Show it and retry."
        )
    return None


def authorize(connection: sa.Connection, who: Who, action: str, session: str, now: int) -> str:
    """Return the role by which somebody may do something in a session.

    Raises:
        UnseenError: The session is not there for them.
        StepUpError: They have to show a second factor first.
        AccessError: They may not.
    """
    role = role_of(connection, who, session, now)
    refusal = allowed(who, role, action, now)
    if refusal is not None:
        raise refusal
    return str(role)
