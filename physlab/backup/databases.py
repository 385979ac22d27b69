"""Copying databases that are in use: SQLite by its backup interface, PostgreSQL by pg_dump."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from pathlib import Path

import sqlalchemy as sa

from physlab.backup.place import SAID
from physlab.errors import ConfigurationError, StoreError
from physlab.settings import child_environment
from physlab.tools.process import find_program, run_process

LIMIT_S = 6 * 3600.0


def copy_database(url: str, stem: Path, memo: str = "") -> str:
    """Copy a database as it is at one moment, while others go on writing.

    Args:
        url: SQLAlchemy's.
        stem: Path of the copy without its ending.
        memo: A table to leave empty: what it remembers of files holds for this machine alone.

    Returns:
        What it is, in words.

    Raises:
        StoreError: It cannot be read, or the copy cannot be written.
        ConfigurationError: The program for it is missing.
    """
    parsed = sa.make_url(url)
    stem.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if parsed.get_backend_name() == "sqlite":
        _copy_sqlite(Path(str(parsed.database)), stem.with_suffix(".sqlite"), memo)
        return "SQLite"
    _dump_postgres(parsed, stem.with_suffix(".pgdump"), memo)
    return "PostgreSQL"


def _copy_sqlite(source: Path, target: Path, memo: str) -> None:
    """Copy in one step: readers and writers of a database in WAL mode are not kept waiting by it."""
    try:
        with (
            contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=60)) as reader,
            contextlib.closing(sqlite3.connect(target)) as writer,
        ):
            reader.backup(writer, pages=-1)
            if memo:
                writer.execute(f'DELETE FROM "{memo}"')  # noqa: S608 - a constant of ours
                writer.commit()
            writer.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise StoreError(
            f"The database {source} cannot be copied: {error}.",
            hint="Free disk space, then again: physlab backup run. An index is made again by: physlab store reindex",
        ) from error


def _dump_postgres(url: sa.URL, target: Path, memo: str) -> None:
    """Dump a database in pg_dump's own format; the password goes by the environment."""
    program = find_program(["pg_dump"])
    if program is None:
        raise ConfigurationError(
            f"pg_dump, which saves the database {url.database}, is not installed.",
            hint="Install PostgreSQL's client (apt install postgresql-client), or leave the server's database out: "
            "[backup] server = false",
        )
    host = url.host or url.query.get("host") or ""
    words = {"--dbname": url.database, "--host": host, "--port": url.port, "--username": url.username}
    named = [f"{word}={value}" for word, value in words.items() if value]
    flags = [
        "--format=custom",
        "--no-password",
        f"--file={target}",
        *([f"--exclude-table-data={memo}"] if memo else []),
    ]
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=SAID) as folder:
        log = Path(folder) / "log"
        variables = {"PGPASSWORD": url.password} if url.password else {}
        env = child_environment(variables, drop_prefix=("PGPASSWORD", "PHYSLAB_", "RESTIC_"))
        code = run_process([program, *flags, *named], cwd=target.parent, env=env, log=log, limit_s=LIMIT_S)
        if code:
            said = " ".join(log.read_text(errors="replace").split())[-500:]
            raise StoreError(
                f"pg_dump could not save the database {url.database}: {said}.",
                hint="Mend that, then again: physlab backup run",
            )
