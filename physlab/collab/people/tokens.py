"""Tokens: for programs of a person. Shown once, kept as a hash, and each of them ends.

How often a token was used is written at most once a minute, with all uses since; what a killed process had not written
yet, at most a minute of it, is not counted. One that ends in order writes the rest.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit import Event, Trail
from physlab.collab.database import MICRO, Database, new_id, written
from physlab.collab.people.factors import label_of
from physlab.collab.people.refusal import not_signed_in
from physlab.collab.people.sealed import hashed, secret
from physlab.errors import ValidationError

PREFIX = "plt_"
LONGEST_DAYS = 365
MOST = 100
"""A person has so many tokens that work at most."""
SEEN_S = 60


@dataclass(frozen=True, slots=True)
class Token:
    """A token, without what opens anything. Moments are [µs since 1970].

    Attributes:
        id: Names it.
        label: What its owner calls it.
        reads_only: Whether it may change nothing.
        created_at: Moment.
        expires_at: When it ends.
        used_at: When it was used last, to the minute.
        uses: How often it was used.
        revoked_at: When it was revoked.
    """

    id: str
    label: str
    reads_only: bool
    created_at: int
    expires_at: int
    used_at: int | None
    uses: int
    revoked_at: int | None

    def as_json(self) -> dict[str, Any]:
        """Return all of it, moments as ISO 8601."""
        moments = ("created_at", "expires_at", "used_at", "revoked_at")
        plain = {"id": self.id, "label": self.label, "reads_only": self.reads_only, "uses": self.uses}
        return plain | {name: written(getattr(self, name)) for name in moments}


_READ = (
    sa.select(schema.tokens, schema.persons.c.state, schema.persons.c.administrator)
    .join(schema.persons)
    .where(schema.tokens.c.hash == sa.bindparam("hash"))
)


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who a token stands for.

    Attributes:
        token: Its id.
        person: Id of its owner.
        administrator: Whether the owner may do everything.
        reads_only: Whether it may change nothing.
    """

    token: str
    person: str
    administrator: bool
    reads_only: bool


class Tokens:
    """The tokens of people.

    Args:
        database: Of people.
        trail: Its audit log.
    """

    def __init__(self, database: Database, trail: Trail) -> None:
        self.database, self.trail = database, trail
        self._counted: Counter[str] = Counter()
        self._counting = threading.Lock()

    def add(
        self, person: str, label: str, days: float, *, reads_only: bool = False, by: str | None = None
    ) -> tuple[str, Token]:
        """Make a token; return it, this once, and what is kept of it.

        Args:
            person: Id of its owner.
            label: What the owner calls it.
            days: It works so long, at most a year [d].
            reads_only: Whether it may change nothing.
            by: Who makes it; the owner when unset.

        Raises:
            ValidationError: No label, no end within a year, or enough tokens.
        """
        label = label_of(label)
        if not 0 < days <= LONGEST_DAYS:
            raise ValidationError(
                f"A token cannot work for {days:g} days.", hint=f"Give up to {LONGEST_DAYS}: --days 30"
            )
        table, now, made = schema.tokens, self.database.clock.now(), PREFIX + secret()
        works = sa.and_(table.c.person == person, table.c.revoked_at.is_(None), table.c.expires_at > now)
        row = {
            "id": new_id(), "hash": hashed(made), "person": person, "label": label, "reads_only": reads_only,
            "created_at": now, "expires_at": now + int(days * 86400 * MICRO), "used_at": None, "uses": 0,
            "revoked_at": None,
        }  # fmt: skip
        with self.database.writing() as connection:
            if (connection.execute(sa.select(sa.func.count()).where(works)).scalar() or 0) >= MOST:
                raise ValidationError(
                    f"There are {MOST} tokens already.", hint="Revoke some: physlab people token list LOGIN"
                )
            connection.execute(table.insert().values(row))
            told = {"token": row["id"], "reads_only": reads_only, "days": days}
            self.trail.add(connection, Event(by or person, "token.add", object=person, told=told))
        return made, _token(row)

    def person_of_token(self, token: str) -> Bearer:
        """Return who a token stands for, and count the use.

        Raises:
            SignInError: It is none, or has ended, or its owner may not come in; the same for every reason.
        """
        now = self.database.clock.now()
        with self.database.reading() as connection:
            row = connection.execute(_READ, {"hash": hashed(token)}).one_or_none()
        if row is None or row.revoked_at is not None or row.expires_at <= now or row.state != "active":
            raise not_signed_in()
        with self._counting:
            self._counted[row.id] += 1
        if row.used_at is None or now - row.used_at >= SEEN_S * MICRO:
            self._write(row.id)
        return Bearer(row.id, row.person, row.administrator, row.reads_only)

    def revoke(self, person: str, token: str, *, by: str) -> None:
        """Revoke a token; what it opened is refused from now on.

        Raises:
            ValidationError: The person has no such token.
        """
        table, now = schema.tokens, self.database.clock.now()
        mine = sa.and_(table.c.person == person, table.c.id == token)
        with self.database.writing() as connection:
            if connection.execute(sa.select(table.c.id).where(mine)).first() is None:
                raise ValidationError(
                    f"There is no token {token!r} of this person.", hint="See: physlab people token list LOGIN"
                )
            revoked = table.update().where(mine, table.c.revoked_at.is_(None)).values(revoked_at=now)
            if connection.execute(revoked).rowcount:
                self.trail.add(connection, Event(by, "token.revoke", object=person, told={"token": token}))

    def list(self, person: str) -> list[Token]:
        """Return the tokens of a person, the latest first, those that ended too."""
        self.flush()
        table = schema.tokens
        wanted = sa.select(table).where(table.c.person == person).order_by(table.c.created_at.desc(), table.c.id)
        with self.database.reading() as connection:
            return [_token(row._mapping) for row in connection.execute(wanted)]

    def flush(self) -> None:
        """Write all uses that were counted."""
        for token in list(self._counted):
            self._write(token)

    def _write(self, token: str) -> None:
        with self._counting:
            count = self._counted.pop(token, 0)
        if not count:
            return
        table, now = schema.tokens, self.database.clock.now()
        values = {"uses": table.c.uses + count, "used_at": now}
        with self.database.writing() as connection:
            connection.execute(table.update().where(table.c.id == token).values(values))


def _token(row: Any) -> Token:
    return Token(**{name: row[name] for name in Token.__slots__})
