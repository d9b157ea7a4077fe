"""Which start of a node is heard of, whether two hosts are one, and with what each analyses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    for column in (
        sa.Column("mark", sa.String(), server_default="", nullable=False),
        sa.Column("twice_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("twice_on", sa.String(), server_default="", nullable=False),
        sa.Column("equipment", json, nullable=True),
        sa.Column("equipment_digest", sa.String(), server_default="", nullable=False),
    ):
        op.add_column("node", column)


def downgrade() -> None:
    for column in ("equipment_digest", "equipment", "twice_on", "twice_at", "mark"):
        op.drop_column("node", column)
