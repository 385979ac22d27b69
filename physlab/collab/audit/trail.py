"""Writing the audit log: in the same transaction as what it tells of, so that neither is there without the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit.merkle import Peaks, leaf
from physlab.collab.database import Database
from physlab.keys import canonical, hasher

BEGIN = "0" * 64
"""What the first entry follows."""
_END = sa.select(schema.audit_state).where(schema.audit_state.c.id == 1).with_for_update()
_APPEND = schema.audit.insert()
_MOVE_END = schema.audit_state.update().values(
    size=sa.bindparam("size"), head=sa.bindparam("head"), peaks=sa.bindparam("peaks")
)


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. No name, no mail address and no secret: a person is told by their id.

    Attributes:
        who: Id of the person, `link:ID` for a guest of a link, `lab` for the machine itself, `-` for a stranger.
        action: What was done, such as `artifact.read`.
        session: In which session.
        object: With what: a digest, a run, a person's id.
        told: What else is worth knowing, as JSON.
    """

    who: str
    action: str
    session: str | None = None
    object: str | None = None
    told: Mapping[str, Any] = field(default_factory=dict)


class Trail:
    """The audit log of a database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add(self, connection: sa.Connection, *events: Event) -> int:
        """Append events; they count when the transaction does. Return how many entries there are then.

        Raises:
            ValidationError: An event holds something that JSON cannot.
        """
        row = connection.execute(_END).one_or_none()
        if row is None:
            connection.execute(schema.audit_state.insert().values(id=1, size=0, head=BEGIN, peaks=b""))
            row = connection.execute(_END).one()
        peaks = Peaks(row.size, [row.peaks[start : start + 32] for start in range(0, len(row.peaks), 32)])
        rows, head = _chained(events, self.database.clock.now(), row.head, peaks)
        if rows:
            connection.execute(_APPEND, rows)
            connection.execute(_MOVE_END, {"size": peaks.size, "head": head, "peaks": b"".join(peaks.peaks)})
        return peaks.size

    def note(self, *events: Event) -> int:
        """Append events by themselves; they are on disk when this returns."""
        with self.database.writing() as connection:
            return self.add(connection, *events)

    def read(
        self,
        *,
        session: str | None = None,
        who: str | None = None,
        action: str | None = None,
        thing: str | None = None,
        since: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Return entries, the latest first.

        Args:
            session: Only of this session.
            who: Only what this person, link or machine did.
            action: Only this; one that ends in a dot means all that begin so.
            thing: Only what was done with this.
            since: Only from this moment on.
            before: Only entries with a smaller number.
            limit: At most so many.
        """
        table = schema.audit
        query = sa.select(table.c.line).order_by(table.c.seq.desc()).limit(limit)
        for column, wanted in ((table.c.session, session), (table.c.who, who), (table.c.object, thing)):
            if wanted is not None:
                query = query.where(column == wanted)
        if action is not None:
            named = table.c.action.startswith(action, autoescape=True) if action.endswith(".") else None
            query = query.where(table.c.action == action if named is None else named)
        if since is not None:
            query = query.where(table.c.at >= since)
        if before is not None:
            query = query.where(table.c.seq < before)
        with self.database.reading() as connection:
            return [orjson.loads(line) for line in connection.execute(query).scalars()]


def chain(head: str, line: bytes) -> str:
    """Return the head of a log after one more entry."""
    state = hasher()
    state.update(head.encode())
    state.update(line)
    return str(state.hexdigest())


def _chained(events: Sequence[Event], at: int, head: str, peaks: Peaks) -> tuple[list[dict[str, Any]], str]:
    rows = []
    for event in events:
        said = {"seq": peaks.size + 1, "at": at, "who": event.who, "action": event.action, "session": event.session,
                "object": event.object, "told": dict(event.told)}  # fmt: skip
        line = canonical(said)
        head = chain(head, line)
        peaks.add(leaf(line))
        rows.append({name: said[name] for name in ("seq", "at", "who", "action", "session", "object")}
                    | {"line": line, "head": head})  # fmt: skip
    return rows, head
