"""Guessing is slow: after five failures an account and an address are locked, each further failure twice as long.

At an account an attempt is counted before it is judged, so that any number of attempts at once are five too. At an
address, from which a whole course may sign in in the same second, failures are counted, and an answer is given only
while it is not locked. Success forgives the failures of that account, and at the address those of that account only:
who has an account of their own cannot go on guessing at others' by signing in between.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from physlab.collab import schema
from physlab.collab.database import MICRO, Database
from physlab.collab.people.sealed import fingerprint

FREE = 5
"""So many failures are free."""
FIRST_S, LONGEST_S = 60, 3600
"""How long the fifth failure locks, and how long any does at most [s]."""
FORGOTTEN_S = 24 * 3600
"""Failures are forgotten when none came for so long [s]."""

Verdict = Literal["open", "account", "address"]


class Lockout:
    """Counts failures.

    Args:
        database: Of people.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def enter(self, name: str, address: str | None) -> Verdict:
        """Count an attempt at an account as failed until `forgive` says otherwise.

        Args:
            name: Of the account, as it was typed or found; also of one that is not there.
            address: Where the attempt came from.

        Returns:
            `open`, or what is locked; an attempt that is refused is not counted.
        """
        sources, now = self._sources(name, address), self.database.clock.now()
        if "address" in sources and self._is_locked(sources["address"], now):
            return "address"  # who goes on hammering costs one read
        with self.database.writing() as connection:
            self._forget(connection, now)
            [row] = self._lock(connection, {"account": sources["account"]}).values()
            if row.until > now:
                return "account"
            self._put(connection, row.source, row.failed + 1, now)
        return "open"

    def fail(self, name: str, address: str | None) -> None:
        """Count a failure at the address; at the account it is counted already."""
        if address is None:
            return
        sources, now = self._sources(name, address), self.database.clock.now()
        with self.database.writing() as connection:
            for row in self._lock(connection, {kind: sources[kind] for kind in ("address", "pair")}).values():
                self._put(connection, row.source, row.failed + 1, now)

    def forgive(self, connection: sa.Connection, name: str, address: str | None) -> bool:
        """Forgive the failures of an account, and what they count at the address; say whether that is open still.

        Where it was locked since the attempt began, nothing is forgiven, and a right answer must not be given.
        """
        rows = self._lock(connection, self._sources(name, address))
        table = schema.failures
        if "address" in rows and rows["address"].until > self.database.clock.now():
            return False
        kept = rows["address"].failed - rows["pair"].failed if "pair" in rows else 0
        for kind, row in rows.items():
            if kind == "address" and kept > 0:
                connection.execute(table.update().where(table.c.source == row.source).values(failed=kept))
            else:
                connection.execute(table.delete().where(table.c.source == row.source))
        return True

    def _sources(self, name: str, address: str | None) -> dict[str, str]:
        found = {"account": fingerprint(self.database, "account", name)}
        if address is not None:
            address = place_of(address)
            found["address"] = fingerprint(self.database, "address", address)
            found["pair"] = fingerprint(self.database, "pair", f"{name}\0{address}")
        return found

    def _is_locked(self, source: str, now: int) -> bool:
        table = schema.failures
        with self.database.reading() as connection:
            until = connection.execute(sa.select(table.c.until).where(table.c.source == source)).scalar()
        return until is not None and until > now

    def _lock(self, connection: sa.Connection, sources: dict[str, str]) -> dict[str, sa.Row[Any]]:
        """Return the rows of the sources, held until the transaction ends, always in the same order."""
        table = schema.failures
        insert = sqlite.insert if self.database.is_file else postgresql.insert
        found = {}
        for kind, source in sorted(sources.items(), key=lambda item: item[1]):
            new = insert(table).values(source=source, failed=0, last_at=0, until=0)
            connection.execute(new.on_conflict_do_nothing())
            found[kind] = connection.execute(sa.select(table).where(table.c.source == source).with_for_update()).one()
        return found

    def _put(self, connection: sa.Connection, source: str, count: int, now: int) -> None:
        table = schema.failures
        locked_s = 0 if count < FREE else min(FIRST_S * 2 ** min(count - FREE, 30), LONGEST_S)
        values = {"failed": count, "last_at": now, "until": now + locked_s * MICRO}
        connection.execute(table.update().where(table.c.source == source).values(values))

    def _forget(self, connection: sa.Connection, now: int) -> None:
        table = schema.failures
        connection.execute(table.delete().where(table.c.last_at <= now - FORGOTTEN_S * MICRO))


def place_of(address: str) -> str:
    """Return what counts as one address: of IPv6 the first 64 bits, since one customer has all of the rest."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv6Address):
        known = known.ipv4_mapped or ipaddress.IPv6Address(int(known) >> 64 << 64)
    return str(known)
