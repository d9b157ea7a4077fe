"""Workers on hosts of their own: what a job asks of memory, and what the workers of a node have."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    memory = sa.Column("memory_bytes", sa.BigInteger(), server_default="0", nullable=False)
    op.add_column("job", memory)
    for column in (
        sa.Column("receives", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("workers", sa.Integer(), server_default="1", nullable=False),
        sa.Column("capabilities", sa.String(), server_default="", nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=True),
    ):
        op.add_column("node", column)


def downgrade() -> None:
    """Hosts of workers alone keep nothing: no row of theirs is wanted."""
    op.execute(sa.text("DELETE FROM node WHERE NOT receives"))
    op.execute("UPDATE job SET capability = '' WHERE state IN ('queued', 'running')")
    for column in ("memory_bytes", "capabilities", "workers", "receives"):
        op.drop_column("node", column)
    op.drop_column("job", "memory_bytes")
