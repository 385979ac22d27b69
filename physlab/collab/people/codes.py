"""Codes that people type, and what works once: each is kept as a hash, ends at a moment, and is taken once."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.database import MICRO, Database
from physlab.collab.people.sealed import fingerprint

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
"""Of base32 (RFC 4648): none looks like another."""


def make_code(groups: int) -> str:
    """Return a code of groups of five letters, 25 random bits each: `K7QXA-…`."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(groups))


def plain_code(typed: str) -> str:
    """Return a code as it is hashed: capital letters, no hyphens and no blanks."""
    return re.sub(r"[\s\-]", "", typed[:200]).upper()


@dataclass(frozen=True, slots=True)
class Taken:
    """What was kept with something that works once."""

    person: str | None
    content: bytes | None


class Challenges:
    """What works once: codes to set a password, challenges of passkeys, the state of an institute's sign-in.

    Args:
        database: Of people.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def keep(
        self, connection: sa.Connection, purpose: str, value: str, *, for_s: float, person: str | None = None,
        bound_to: str | None = None, content: bytes | None = None,
    ) -> None:  # fmt: skip
        """Keep a value until it is taken, or so many seconds [s] have passed; forget those whose time is over."""
        table, now = schema.challenges, self.database.clock.now()
        connection.execute(table.delete().where(table.c.expires_at <= now))
        connection.execute(
            table.insert().values(
                hash=fingerprint(self.database, purpose, value), purpose=purpose, person=person, bound_to=bound_to,
                content=content, expires_at=now + int(for_s * MICRO),
            )
        )  # fmt: skip

    def take(self, connection: sa.Connection, purpose: str, value: str, *, bound_to: str | None = None) -> Taken | None:
        """Take a value: once, in time, for its purpose, and by the one it was given to; None in every other case."""
        table = schema.challenges
        gone = table.delete().where(self._is(purpose, value, bound_to)).returning(table.c.person, table.c.content)
        row = connection.execute(gone).one_or_none()
        return None if row is None else Taken(row.person, row.content)

    def look(self, connection: sa.Connection, purpose: str, value: str) -> Taken | None:
        """Return what would be taken, and leave it."""
        table = schema.challenges
        row = connection.execute(sa.select(table).where(self._is(purpose, value, None))).one_or_none()
        return None if row is None else Taken(row.person, row.content)

    def _is(self, purpose: str, value: str, bound_to: str | None) -> sa.ColumnElement[bool]:
        table = schema.challenges.c
        return sa.and_(
            table.hash == fingerprint(self.database, purpose, value), table.purpose == purpose,
            table.expires_at > self.database.clock.now(), table.bound_to.is_not_distinct_from(bound_to),
        )  # fmt: skip

    def drop(self, connection: sa.Connection, purpose: str, person: str) -> None:
        """Forget what a person has not taken yet."""
        table = schema.challenges
        connection.execute(table.delete().where(table.c.purpose == purpose, table.c.person == person))
