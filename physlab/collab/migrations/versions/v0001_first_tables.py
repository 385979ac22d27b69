"""The first tables."""

from alembic import op

from physlab.collab.schema import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create all tables."""
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    """Drop all tables; nothing else has what they hold."""
    metadata.drop_all(op.get_bind())
