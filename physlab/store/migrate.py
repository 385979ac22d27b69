"""Bringing the index to the current tables, with Alembic."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from physlab.errors import ConfigurationError

CURRENT = "0002"


def version(engine: sa.Engine) -> str | None:
    """Return the version of the tables, None for an empty database."""
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(engine: sa.Engine) -> None:
    """Create or migrate the tables; a database of a newer physlab is refused, not touched.

    Raises:
        ConfigurationError: The tables are newer than this program.
    """
    found = version(engine)
    if found == CURRENT:
        return
    if found is not None and found > CURRENT:
        raise ConfigurationError(
            f"The index {engine.url} was written by a newer physlab (tables {found}, this one knows {CURRENT}).",
            hint="Upgrade physlab, or choose another PHYSLAB_HOME.",
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
