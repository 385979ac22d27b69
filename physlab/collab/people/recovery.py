"""Recovery codes: ten of them, for who has lost the second factor; each works once."""

from __future__ import annotations

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit import Event, Trail
from physlab.collab.database import Database
from physlab.collab.people.codes import make_code, plain_code
from physlab.collab.people.factors import has_factor
from physlab.collab.people.sealed import fingerprint
from physlab.errors import ValidationError

COUNT = 10


class Recovery:
    """The recovery codes of people.

    Args:
        database: Of people.
        trail: Its audit log.
    """

    def __init__(self, database: Database, trail: Trail) -> None:
        self.database, self.trail = database, trail

    def make(self, person: str, *, by: str) -> list[str]:
        """Make new codes, shown this once; those from before work no more.

        Raises:
            ValidationError: The person has no second factor that they could stand in for.
        """
        table = schema.recovery_codes
        codes = [make_code(4) for _ in range(COUNT)]
        with self.database.writing() as connection:
            if not connection.execute(sa.select(has_factor(sa.literal(person)))).scalar():
                raise ValidationError(
                    "Recovery codes stand in for a second factor, and there is none yet.",
                    hint="Make one first: physlab people factor add-totp LOGIN",
                )
            connection.execute(table.delete().where(table.c.person == person))
            rows = [{"hash": self._hash(person, code), "person": person, "used_at": None} for code in codes]
            connection.execute(table.insert(), rows)
            self.trail.add(connection, Event(by, "recovery.make", object=person, told={"count": COUNT}))
        return codes

    def take(self, connection: sa.Connection, person: str, code: str) -> bool:
        """Take a code in a transaction: once."""
        table = schema.recovery_codes
        mine = sa.and_(table.c.hash == self._hash(person, code), table.c.person == person, table.c.used_at.is_(None))
        used = table.update().where(mine).values(used_at=self.database.clock.now())
        if connection.execute(used).rowcount == 0:
            return False
        self.trail.add(connection, Event(person, "recovery.use", object=person))
        return True

    def left(self, person: str) -> int:
        """Return how many codes a person has left."""
        table = schema.recovery_codes
        wanted = sa.select(sa.func.count()).where(table.c.person == person, table.c.used_at.is_(None))
        with self.database.reading() as connection:
            return connection.execute(wanted).scalar() or 0

    def _hash(self, person: str, code: str) -> str:
        return fingerprint(self.database, "recovery", f"{person}\0{plain_code(code)}")
