"""The database of people and sessions: a file in the lab's home, or PostgreSQL for a lab of several machines."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from physlab.collab import schema
from physlab.durable import force_folder
from physlab.errors import ConfigurationError, StoreError
from physlab.sealing.keyfiles import read_secret, write_secret

FILE, KEY = "collab.sqlite", "collab.key"
CURRENT = "0001"
MICRO = 1_000_000


class Clock:
    """Tells the time; tests give another one."""

    def now(self) -> int:
        """Return the present moment [microseconds since 1970, UTC]."""
        return int(datetime.now(UTC).timestamp() * MICRO)


def written(moment: int | None) -> str | None:
    """Return a moment as ISO 8601 writes it, to the second."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment // MICRO, UTC).isoformat().replace("+00:00", "Z")


def new_id() -> str:
    """Return a name that nobody has: 128 random bits, hexadecimal."""
    return secrets.token_hex(16)


class Database:
    """People, sessions, links and the audit log of one lab.

    Args:
        folder: Folder in the lab's home: of the file, and of the key that seals what the database must not tell.
        url: SQLAlchemy URL, `postgresql+psycopg://…`; a file in the folder when unset.
        clock: Tells the time.
    """

    def __init__(self, folder: Path, url: str | None = None, clock: Clock | None = None) -> None:
        self.folder = folder
        self.clock = clock or Clock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self.engine = sa.create_engine(url or f"sqlite:///{folder / FILE}", pool_pre_ping=url is not None)
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError) as error:
            raise ConfigurationError(
                f"The database {sa.make_url(url or '')!r} cannot be used: {error}.",
                hint="Use postgresql+psycopg://… after: pip install 'physlab[postgres]'.",
            ) from error
        self.is_file = self.engine.dialect.name == "sqlite"
        if self.is_file:
            sa.event.listen(self.engine, "connect", _tune)
            sa.event.listen(self.engine, "begin", _begin)
        self._create()

    def _create(self) -> None:
        from physlab.store.migrate import upgrade

        with self._told():
            upgrade(self.engine, Path(__file__).parent / "migrations", CURRENT, "collab_version")

    @cached_property
    def key(self) -> bytes:
        """The lab's key for what must be read again but not be found in the database: 32 bytes in a file of its own."""
        path = self.folder / KEY
        if not path.exists():
            self._make_key(path)
        return bytes.fromhex(read_secret(path).strip())

    def _make_key(self, path: Path) -> None:
        """Make the key, unless somebody did meanwhile; never a second one for what another has sealed."""
        with self.reading() as connection:
            if connection.execute(sa.select(schema.persons.c.id).limit(1)).first() is not None:
                raise ConfigurationError(
                    f"The key {path} is gone; without it nobody in {self.engine.url!r} can be named.",
                    hint="Bring it back from a copy, or from the other machine of the lab: physlab backup list",
                )
        made = path.with_name(f"{new_id()}.key")
        write_secret(made, f"{secrets.token_hex(32)}\n".encode())
        with contextlib.suppress(FileExistsError):
            os.link(made, path)
        made.unlink()
        force_folder(self.folder)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a connection that sees one state.

        Raises:
            StoreError: The database cannot be reached.
        """
        with self._told(), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Open a transaction: all of it counts, or nothing. SQLite lets one of them in at a time.

        Raises:
            StoreError: The database cannot be reached or written.
        """
        with self._told(), self.engine.connect() as connection:
            connection.execution_options(physlab_writes=True)
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            raise StoreError(
                f"The database {self.engine.url!r} cannot be used: {getattr(error, 'orig', error)}.",
                hint="Check the disk, the rights, and that the database server runs: physlab doctor",
            ) from error

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _tune(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("physlab_writes")
    connection.connection.cursor().execute("BEGIN IMMEDIATE" if writes else "BEGIN")
