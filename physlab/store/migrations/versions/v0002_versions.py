"""Versions of artifacts."""

from alembic import op

from physlab.store.schema import versions

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table; records of versions are younger than it."""
    versions.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Drop it; the journal can rebuild it."""
    versions.drop(op.get_bind())
