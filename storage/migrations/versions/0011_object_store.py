"""Which object store is the one of this database, and which objects of it cannot be read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "object_store",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("store_id", sa.String(), nullable=False),
        sa.Column("marked_at", _TIME, nullable=True),
        sa.CheckConstraint("number = 1", name=op.f("ck_object_store_one")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_object_store")),
    )
    op.create_table(
        "damaged_object",
        sa.Column("object_name", sa.String(), nullable=False),
        sa.Column("series_key", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("found_at", _TIME, nullable=False),
        sa.Column("last_found_at", _TIME, nullable=False),
        sa.Column("found_count", sa.Integer(), nullable=False),
        sa.Column("lost_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("object_name", name=op.f("pk_damaged_object")),
    )
    op.create_index("ix_damaged_object_series_key", "damaged_object", ["series_key"])


def downgrade() -> None:
    op.drop_table("damaged_object")
    op.drop_table("object_store")
