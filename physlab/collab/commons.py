"""Everything of a lab's people and what they share, opened together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.access import Who
from physlab.collab.audit import Event, Trail
from physlab.collab.contents import Contents
from physlab.collab.database import Clock, Database
from physlab.collab.links import Links
from physlab.collab.people.accounts import Accounts
from physlab.collab.people.rules import machine_login
from physlab.collab.sessions import Sessions
from physlab.store import Store

FOLDER = "collab"
SERVED = "portal.address"
"""File that tells where the lab is being served."""


@dataclass
class Commons:
    """People, sessions, links, files and the audit log of one lab.

    Attributes:
        database: Where all of it is.
        store: The lab's bytes and ledger.
    """

    database: Database
    store: Store

    @cached_property
    def trail(self) -> Trail:
        """The audit log."""
        return Trail(self.database)

    @cached_property
    def sessions(self) -> Sessions:
        """Sessions and who is in them."""
        return Sessions(self.database, self.trail)

    @cached_property
    def accounts(self) -> Accounts:
        """Who there is."""
        return Accounts(self.database, self.trail)

    @cached_property
    def links(self) -> Links:
        """Links to sessions."""
        return Links(self.database, self.trail, self.sessions)

    @cached_property
    def contents(self) -> Contents:
        """Which files belong to which session."""
        return Contents(self.database, self.store)

    @property
    def now(self) -> int:
        """The present moment."""
        return self.database.clock.now()

    def local(self, login: str) -> Who:
        """Return who works at the command line of the machine that has the lab's files: they may do everything.

        They get an account without a password when they have none; it signs nobody in.
        """
        known = self.accounts.at_the_machine(login)
        if known is None:
            known = self.accounts.create(machine_login(login), login, administrator=True)
        return Who(known.id, administrator=True, proved_at=self.now, local=True)

    def own(self, who: Who, session: str, title: str = "") -> None:
        """Make sure that a session is there, and that whoever has the lab's files is one of its owners."""
        if self.sessions.begin(who, session, title) or not who.local:
            return
        with self.sessions.changing(who, "session.see", session) as (connection, _):
            table = schema.members
            mine = sa.select(table.c.role).where(table.c.session == session, table.c.person == who.person)
            if connection.execute(mine).scalar() != "owner":
                self.sessions.put(connection, session, str(who.person), role="owner", by=who.name, since=self.now,
                                  expires_at=None, link=None)  # fmt: skip
                self.trail.add(connection, Event(who.name, "session.adopt", session, who.person))

    def close(self) -> None:
        """Close the connections."""
        self.database.close()


def open_commons(home: Path, store: Store, url: str | None = None, clock: Clock | None = None) -> Commons:
    """Open what the people of a lab share.

    Args:
        home: The lab's home.
        store: The lab's.
        url: SQLAlchemy URL of the database; a file in the home when unset.
        clock: Tells the time.

    Raises:
        ConfigurationError: The URL cannot be used.
        StoreError: The database cannot be reached.
    """
    return Commons(Database(home / FOLDER, url, clock), store)
