"""One rate for all who work on a campaign; what it had is counted by an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_TABLE = "campaign_series"
_HAD = "pulled_at IS NOT NULL"
_COUNTED = {"ix_campaign_series_pulled": "pulled_at", "ix_campaign_series_ended": "ended_at"}
_STORED = (
    "fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500,"
    " autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0"
)


def upgrade() -> None:
    op.add_column("campaign", sa.Column("paced_until", sa.DateTime(timezone=True), nullable=True))
    had = sa.text(_HAD)
    for name, column in _COUNTED.items():
        columns = ["campaign_id", column]
        op.create_index(name, _TABLE, columns, sqlite_where=had, postgresql_where=had)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE {_TABLE} SET ({_STORED})")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        names = ", ".join(each.split(" = ")[0].strip() for each in _STORED.split(","))
        op.execute(f"ALTER TABLE {_TABLE} RESET ({names})")
    for name in _COUNTED:
        op.drop_index(name, _TABLE)
    op.drop_column("campaign", "paced_until")
