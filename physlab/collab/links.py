"""Links to a session: 256 random bits that are kept as a hash, that end, and that can be taken back."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.access import Who, authorize, link_role, member_role, role_of, scope_of
from physlab.collab.audit import Event, Trail
from physlab.collab.database import MICRO, Database, new_id
from physlab.collab.people.accounts import mail_hash
from physlab.collab.people.sealed import seal, unseal
from physlab.collab.roles import ROLES
from physlab.collab.sessions import Sessions
from physlab.errors import AccessError, UnseenError, ValidationError
from physlab.keys import digest_bytes

LONGEST_S = 8760 * 3600
"""No link lives longer [s]."""
PREFIX = "pll_"
LENGTH = len(PREFIX) + 43
UNKNOWN = UnseenError(
    "This link does not open anything (any more).", hint="Ask whoever sent it for a new one."
)  # one text, whether it never was, is over, or was taken back


@dataclass(frozen=True, slots=True)
class Link:
    """A link, as it is listed.

    Attributes:
        id: Its name in lists; it opens nothing.
        session: What it opens.
        role: The most that it gives.
        now: What it gives at this moment; None: nothing.
        label: What it is for.
        maker: Who made it.
        created_at: When.
        expires_at: When it ends.
        uses: How often it was opened.
        used_at: When last.
        revoked_at: When it was taken back.
        mail: The address that it is for; None: whoever has it.
        bundle: What of the session it shows; None: everything.
    """

    id: str
    session: str
    role: str
    now: str | None
    label: str
    maker: str
    created_at: int
    expires_at: int
    uses: int
    used_at: int | None
    revoked_at: int | None
    mail: str | None
    bundle: dict[str, Any] | None


class Links:
    """Makes, lists, opens and takes back links.

    Args:
        database: Where they are kept.
        trail: The audit log.
        sessions: What they open.
    """

    def __init__(self, database: Database, trail: Trail, sessions: Sessions) -> None:
        self.database = database
        self.trail = trail
        self.sessions = sessions

    def make(
        self, who: Who, session: str, role: str, expires_at: int, label: str = "", mail: str | None = None,
        bundle: Mapping[str, Any] | None = None,
    ) -> tuple[str, str]:  # fmt: skip
        """Make a link; return its id and what it is opened with, which nobody can read again.

        Args:
            who: Who makes it.
            session: What it opens.
            role: What it gives; admin only to one mail address, owner never.
            expires_at: When it ends.
            label: What it is for.
            mail: For whom; unset: for whoever has it.
            bundle: What of the session it shows; unset: everything.

        Raises:
            AccessError: Who asks may not share, or has not so much themselves.
            ValidationError: It would be over already, live too long, or give what no link gives.
        """
        now = self.database.clock.now()
        check_end(expires_at, now)
        if role == "owner" or (role == "admin" and mail is None):
            raise ValidationError(
                f"A link cannot give the role {role}.", hint="Let them in, then: physlab session role"
            )
        with self.sessions.changing(who, "link.make", session) as (connection, mine):
            if ROLES.index(role) > ROLES.index(mine):
                raise AccessError(f"A member with the role {mine} cannot share as {role}.", hint=f"Share as {mine}.")
            maker = who.person
            if maker is None or member_role(connection, maker, session, now) is None:
                raise AccessError("Only members share a session.", hint="Sign in as a member.")
            bundle = scope_of(connection, who, session) or bundle  # who sees but a bundle shares no more
            made, token = new_id(), PREFIX + secrets.token_urlsafe(32)
            connection.execute(schema.links.insert().values(
                id=made, hash=digest_bytes(token.encode()), session=session, role=role, label=label, maker=maker,
                recipient=None if mail is None else mail_hash(self.database, mail), created_at=now, uses=0,
                sealed=None if mail is None else seal(self.database.key, mail.encode(), made),
                expires_at=expires_at, bundle=None if bundle is None else json.dumps(dict(bundle), sort_keys=True),
            ))  # fmt: skip
            told = {"role": role, "expires_at": expires_at, "personal": mail is not None}
            self.trail.add(connection, Event(who.name, "link.make", session, made, told))
        return made, token

    def open(self, token: str) -> Link:
        """Return what a link opens, and count that it was opened.

        Raises:
            UnseenError: It opens nothing.
        """
        with self.database.writing() as connection:
            row = self._alive(connection, token)
            now = self.database.clock.now()
            table = schema.links
            connection.execute(table.update().where(table.c.id == row.id).values(uses=table.c.uses + 1, used_at=now))
            self.trail.add(connection, Event(f"link:{row.id}", "link.open", str(row.session), str(row.id)))
            return self._told(connection, row)

    def _alive(self, connection: sa.Connection, token: str) -> Any:
        table = schema.links
        plausible = len(token) == LENGTH and token.isascii() and token.startswith(PREFIX)
        hashed = digest_bytes(token.encode("utf-8", "replace") if plausible else b"")
        row = connection.execute(sa.select(table).where(table.c.hash == hashed)).one_or_none()
        if row is None or link_role(connection, row, self.database.clock.now()) is None:
            raise UNKNOWN
        return row

    def join(self, who: Who, token: str, mail: str | None = None) -> tuple[str, str]:
        """Make a person a member by a link; return the session and their role.

        The membership rests on the link: it ends with it, and never gives more than it.

        Args:
            who: Who joins: somebody with an account.
            token: What the link is opened with.
            mail: Their mail address, as their account says.

        Raises:
            UnseenError: The link opens nothing, or is for somebody else.
            AccessError: Who asks has no account, or shows a token that only reads.
        """
        if who.reads_only:
            raise AccessError("This token only reads; joining changes something.", hint="Make a token that writes.")
        if who.person is None:
            raise AccessError("Joining needs an account.", hint="Sign in, then open the link again.")
        with self.database.writing() as connection:
            row = self._alive(connection, token)
            if row.recipient is not None and (mail is None or row.recipient != mail_hash(self.database, mail)):
                raise UNKNOWN
            now, session = self.database.clock.now(), str(row.session)
            given = str(link_role(connection, row, now))
            there = member_role(connection, who.person, session, now)
            table = schema.links
            connection.execute(table.update().where(table.c.id == row.id).values(uses=table.c.uses + 1, used_at=now))
            narrow = scope_of(connection, who, session)
            if there is not None and narrow is None and (row.bundle or ROLES.index(there) >= ROLES.index(given)):
                return session, there  # a link takes nothing away: who sees all is not bound to a bundle
            if there is not None and narrow and row.bundle and ROLES.index(there) > ROLES.index(given):
                return session, there
            self.sessions.put(connection, session, who.person, role=row.role, by=f"link:{row.id}", since=now,
                              expires_at=row.expires_at, link=row.id)  # fmt: skip
            self.trail.add(connection, Event(who.name, "session.join", session, str(row.id), {"role": given}))
            return session, given

    def listed(self, who: Who, session: str) -> list[Link]:
        """Return the links of a session, the newest first: all of them for an admin, else one's own."""
        now, table = self.database.clock.now(), schema.links
        with self.database.reading() as connection:
            query = sa.select(table).where(table.c.session == session).order_by(table.c.created_at.desc(), table.c.id)
            try:
                authorize(connection, who, "link.see", session, now)
            except UnseenError:
                raise
            except AccessError:
                authorize(connection, who, "link.make", session, now)
                query = query.where(table.c.maker == who.person)
            return [self._told(connection, row) for row in connection.execute(query).all()]

    def revoke(self, who: Who, link: str) -> None:
        """Take a link back: by an admin, or by who made it. Who joined by it is out with it.

        Raises:
            UnseenError: There is none that one may see.
        """
        now, table = self.database.clock.now(), schema.links
        with self.database.writing() as connection:
            row = connection.execute(sa.select(table).where(table.c.id == link).with_for_update()).one_or_none()
            unseen = UnseenError(f"There is no link '{link}'.", hint="See: physlab session links")
            if row is None or role_of(connection, who, str(row.session), now) is None:
                raise unseen  # one text, whether it is nowhere or in a session that is not theirs
            own = who.person is not None and row.maker == who.person and not who.reads_only
            authorize(connection, who, "session.see" if own else "link.revoke", str(row.session), now)
            if row.revoked_at is None:
                connection.execute(table.update().where(table.c.id == link).values(revoked_at=now))
                self.trail.add(connection, Event(who.name, "link.revoke", str(row.session), link))

    def _told(self, connection: sa.Connection, row: Any) -> Link:
        return Link(
            row.id, row.session, row.role, link_role(connection, row, self.database.clock.now()), row.label, row.maker,
            row.created_at, row.expires_at, row.uses, row.used_at, row.revoked_at,
            None if row.sealed is None else unseal(self.database.key, row.sealed, row.id).decode(),
            None if row.bundle is None else json.loads(row.bundle),
        )  # fmt: skip


def check_end(expires_at: int, now: int) -> None:
    """Refuse an end that is over or too far away.

    Raises:
        ValidationError: It is.
    """
    from physlab.collab.database import written

    if expires_at <= now:
        raise ValidationError(
            f"The share would end on {written(expires_at)}, which is over.",
            hint=f"It is {written(now)} now; give a later end.",
        )
    if expires_at > now + LONGEST_S * MICRO:
        latest = written(now + LONGEST_S * MICRO)
        raise ValidationError(
            f"The share would end on {written(expires_at)}.", hint=f"A share lives a year at most: until {latest}."
        )
