"""Erasing a person: what named them is destroyed, their id stays, and the audit log still holds together."""

from __future__ import annotations

import sqlalchemy as sa

from physlab.collab import schema
from physlab.collab.audit import Event
from physlab.collab.database import Database
from physlab.collab.people.accounts import ERASED, LAB, Accounts, Person, mail_hash
from physlab.collab.people.sealed import fingerprint
from physlab.errors import StoreError

BELONGING = (
    schema.identities,
    schema.factors,
    schema.recovery_codes,
    schema.challenges,
    schema.visits,
    schema.tokens,
)


def erase(accounts: Accounts, person: str, *, by: str = LAB) -> None:
    """Destroy the key, the login, the mail address and every proof of a person; there is no way back.

    Their id stays wherever they did something; links that were for their mail address are revoked. Afterwards the files
    of the database are swept, so that no byte of what was deleted is left in them; that takes as long as copying the
    database. A person who was erased can be erased again, to sweep again. Backups keep what they have until they end;
    on PostgreSQL its own log of changes does too.

    Raises:
        ValidationError: There is no such person, or no other active administrator.
        StoreError: All is deleted, but others use the database, so that its files could not be swept.
    """
    database, found = accounts.database, accounts.get(person)
    if found.state != ERASED:
        with database.writing() as connection:
            accounts.keep_an_administrator(connection, person)
            _close_links(connection, found, database)
            for table in BELONGING:
                connection.execute(table.delete().where(table.c.person == person))
            source = fingerprint(database, "account", found.login)
            connection.execute(schema.failures.delete().where(schema.failures.c.source == source))
            connection.execute(
                schema.persons.update().where(schema.persons.c.id == person).values(
                    login=f"erased-{person}", mail_hash=None, sealed=None, key=None, password=None, state=ERASED,
                    administrator=False, changed_at=database.clock.now(), seen_at=None,
                )
            )  # fmt: skip
            accounts.trail.add(connection, Event(by, "person.erase", object=person))
    sweep(database)


def _close_links(connection: sa.Connection, person: Person, database: Database) -> None:
    """Revoke the links that were for a person's mail address, and forget the address."""
    if person.mail is None:
        return
    table = schema.links
    theirs = table.update().where(table.c.recipient == mail_hash(database, person.mail))
    revoked = sa.func.coalesce(table.c.revoked_at, database.clock.now())
    connection.execute(theirs.values(sealed=None, revoked_at=revoked))


def sweep(database: Database) -> None:
    """Leave no byte of what was deleted in the files of the database.

    Raises:
        StoreError: Others use the database.
    """
    try:
        if database.is_file:
            _sweep_file(database)
        else:
            _sweep_server(database)
    except sa.exc.DBAPIError as error:
        raise _unswept(str(error.orig)) from error


def _sweep_file(database: Database) -> None:
    import sqlite3

    pooled = database.engine.raw_connection()
    try:
        cursor = pooled.cursor()
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [busy, *_] = cursor.fetchone() or [1]
    except sqlite3.Error as error:
        raise _unswept(str(error)) from error
    finally:
        pooled.close()
    if busy:
        raise _unswept("another process reads it")


def _sweep_server(database: Database) -> None:
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in (schema.persons, *BELONGING, schema.failures, schema.links):
            connection.execute(sa.text(f"VACUUM FULL {table.name}"))


def _unswept(why: str) -> StoreError:
    return StoreError(
        f"The person is erased, but the files of the database still hold old bytes: {why}.",
        hint="Stop what uses the lab, then sweep again: physlab people erase ID --yes",
    )
