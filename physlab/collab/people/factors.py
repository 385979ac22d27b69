"""Second factors, whatever their kind: who has one, which, and how one is taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit import Event, Trail
from physlab.collab.database import Database, written
from physlab.errors import ValidationError

LABEL = 80
"""A label has so many letters at most."""


@dataclass(frozen=True, slots=True)
class Factor:
    """A second factor.

    Attributes:
        id: Names it.
        kind: `totp` or `passkey`.
        label: What its owner calls it.
        confirmed: Whether it was shown to work; one that was not does not count.
        created_at: Moment [µs since 1970].
        used_at: When it was shown last [µs since 1970].
    """

    id: str
    kind: str
    label: str
    confirmed: bool
    created_at: int
    used_at: int | None

    def as_json(self) -> dict[str, Any]:
        """Return all of it, moments as ISO 8601."""
        return {"id": self.id, "kind": self.kind, "label": self.label, "confirmed": self.confirmed,
                "created_at": written(self.created_at), "used_at": written(self.used_at)}  # fmt: skip


def has_factor(person: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a person has a second factor that counts."""
    table = schema.factors
    return sa.exists().where(table.c.person == person, table.c.confirmed).correlate_except(table)


def label_of(text: str) -> str:
    """Return a label as it is kept.

    Raises:
        ValidationError: It is empty, too long, or cannot be printed.
    """
    label = " ".join(text.split())
    if not label or len(label) > LABEL or not label.isprintable():
        raise ValidationError(
            f"{text!r} cannot be a label: 1 to {LABEL} printable letters.", hint="Such as: --label 'my phone'"
        )
    return label


class Factors:
    """The second factors of people.

    Args:
        database: Of people.
        trail: Its audit log.
    """

    def __init__(self, database: Database, trail: Trail) -> None:
        self.database, self.trail = database, trail

    def list(self, person: str) -> list[Factor]:
        """Return the second factors of a person, the oldest first."""
        table = schema.factors
        wanted = sa.select(table).where(table.c.person == person).order_by(table.c.created_at, table.c.id)
        with self.database.reading() as connection:
            return [
                Factor(row.id, row.kind, row.label, row.confirmed, row.created_at, row.used_at)
                for row in connection.execute(wanted)
            ]

    def remove(self, person: str, factor: str, *, by: str) -> None:
        """Take a second factor away; with the last one the recovery codes go too.

        Raises:
            ValidationError: The person has no such factor.
        """
        table = schema.factors
        with self.database.writing() as connection:
            mine = sa.and_(table.c.person == person, table.c.id == factor)
            if connection.execute(table.delete().where(mine)).rowcount == 0:
                known = ", ".join(each.id for each in self.list(person)) or "none"
                raise ValidationError(
                    f"There is no second factor {factor!r} of this person.",
                    hint=f"Known: {known}. See: physlab people factor list LOGIN",
                )
            if not connection.execute(sa.select(has_factor(sa.literal(person)))).scalar():
                codes = schema.recovery_codes
                connection.execute(codes.delete().where(codes.c.person == person))
            self.trail.add(connection, Event(by, "factor.remove", object=person, told={"factor": factor}))
