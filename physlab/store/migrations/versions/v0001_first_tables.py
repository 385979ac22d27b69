"""The first tables."""

from alembic import op

from physlab.store.schema import metadata, progress

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    bind = op.get_bind()
    metadata.create_all(bind)
    bind.execute(progress.insert().values(id=1, segment=1, position=0))


def downgrade() -> None:
    """Drop every table; the journal can rebuild them."""
    metadata.drop_all(op.get_bind())
