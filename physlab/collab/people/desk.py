"""All that there is about people, opened together: what the faces of the lab use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from physlab.collab.audit import Trail
from physlab.collab.database import Clock, Database
from physlab.collab.people.accounts import Accounts
from physlab.collab.people.door import Door
from physlab.collab.people.factors import Factors
from physlab.collab.people.institute import Institute
from physlab.collab.people.oidc import InstituteDoor
from physlab.collab.people.passkeys import Passkeys, RelyingParty
from physlab.collab.people.passwords import Passwords
from physlab.collab.people.recovery import Recovery
from physlab.collab.people.tokens import Tokens
from physlab.collab.people.totp import Totp
from physlab.collab.people.visits import Visits
from physlab.settings import Settings


class People:
    """People of a lab and every proof of who they are.

    Args:
        database: Of people.
        trail: Its audit log.
        lab: Name of the lab, as authenticator apps show it.
        passwords: With other parameters than those of today.
    """

    def __init__(
        self, database: Database, trail: Trail, *, lab: str = "physlab", passwords: Passwords | None = None
    ) -> None:
        self.database, self.trail = database, trail
        self.accounts = Accounts(database, trail)
        self.passwords = passwords or Passwords(self.accounts)
        self.factors = Factors(database, trail)
        self.totp = Totp(database, trail, issuer=lab)
        self.recovery = Recovery(database, trail)
        self.visits = Visits(database, trail)
        self.tokens = Tokens(database, trail)
        self.door = Door(self.accounts, self.passwords, self.visits, self.totp, self.recovery)

    def passkeys(self, party: RelyingParty) -> Passkeys:
        """Return the passkeys for the address that the lab is served at."""
        return Passkeys(self.door, party)

    def institutes(self, settings: Settings) -> dict[str, InstituteDoor]:
        """Return the doors of the institutes that sign people in, by their names in the settings."""
        doors = {}
        for name, each in settings.institutes.items():
            secret = each.client_secret.get_secret_value() if each.client_secret else None
            doors[name] = InstituteDoor(self.door, Institute(each.issuer, each.client_id, secret, each.mail_domains))
        return doors

    def close(self) -> None:
        """Write what was counted. The database stays open: who opened it closes it."""
        self.tokens.flush()


@contextlib.contextmanager
def open_database(settings: Settings, clock: Clock | None = None) -> Iterator[Database]:
    """Open the database of people, sessions and the audit log: the one of `collaboration.database_url`, or a file.

    Raises:
        ConfigurationError: The URL cannot be used, or a newer physlab wrote the tables.
        StoreError: The database cannot be reached.
    """
    database = Database(settings.home / "collab", settings.collaboration.database_url, clock)
    try:
        yield database
    finally:
        database.close()


@contextlib.contextmanager
def open_people(settings: Settings) -> Iterator[People]:
    """Open the people of a lab.

    Raises:
        ConfigurationError: The URL cannot be used, or a newer physlab wrote the tables.
        StoreError: The database cannot be reached.
    """
    with open_database(settings) as database:
        people = People(database, Trail(database), lab=settings.report.lab)
        try:
            yield people
        finally:
            people.close()
