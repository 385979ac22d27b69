"""Bringing a database to the current tables, with Alembic."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from physlab.errors import ConfigurationError

CURRENT = "0002"
TABLE = "alembic_version"
MIGRATIONS = Path(__file__).parent / "migrations"


def version(engine: sa.Engine, table: str = TABLE) -> str | None:
    """Return the version of the tables, None for an empty database."""
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table(table):
            return None
        return connection.execute(sa.select(sa.column("version_num")).select_from(sa.table(table))).scalar()


def upgrade(engine: sa.Engine, folder: Path = MIGRATIONS, current: str = CURRENT, table: str = TABLE) -> None:
    """Create or migrate the tables; a database of a newer physlab is refused, not touched.

    Args:
        engine: Of the database.
        folder: Folder of its migrations.
        current: The last one of them.
        table: Where it is noted which of them were made; index and people may share a database.

    Raises:
        ConfigurationError: The tables are newer than this program.
    """
    found = version(engine, table)
    if found == current:
        return
    if found is not None and found > current:
        raise ConfigurationError(
            f"The database {engine.url!r} was written by a newer physlab (tables {found}, this one knows {current}).",
            hint="Upgrade physlab, or choose another PHYSLAB_HOME.",
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        config.attributes["table"] = table
        command.upgrade(config, "head")
