"""Campaigns: each with the windows that an archive is asked for, and the series that it found.

A series tells where alone its results may go, if a campaign had it sent.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

_OF_CAMPAIGN = "only_to IS NOT NULL"
_FOUND = ("found", "fallen", "wanted", "pulled", "analysed", "skipped", "failed")


def upgrade() -> None:
    op.add_column("series", _text("only_to", nullable=True))
    _partial("ix_series_of_campaign", "series", ["series_instance_uid"], _OF_CAMPAIGN)
    op.create_table(
        "campaign",
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        _text("name"),
        _json("plan", nullable=False),
        *map(_text, ("sender", "only_to")),
        *_state("campaign", "ready", "paused", "done"),
        _time("created_at"),
        _time("heard_at", nullable=True),
        sa.Column("waits_for", sa.String(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", name=op.f("pk_campaign")),
        sa.UniqueConstraint("name", name=op.f("uq_campaign_name")),
    )
    op.create_table(
        "campaign_window",
        sa.Column("window_id", sa.Integer(), nullable=False),
        _number("campaign_id"),
        sa.Column("first", sa.Date(), nullable=False),
        sa.Column("last", sa.Date(), nullable=False),
        *map(_number, ("begin", "end")),
        *_state("campaign_window", "open", "asked", "halved", "capped"),
        _number("answers"),
        _text("note"),
        sa.PrimaryKeyConstraint("window_id", name=op.f("pk_campaign_window")),
        sa.UniqueConstraint(
            "campaign_id", "first", "last", "begin", "end", name="uq_campaign_window"
        ),
    )
    order = ["campaign_id", "state", "first", "begin"]
    op.create_index("ix_campaign_window_state", "campaign_window", order)
    op.create_table(
        "campaign_series",
        sa.Column("found_id", sa.Integer(), nullable=False),
        _number("campaign_id"),
        *map(_text, ("series_instance_uid", "study_instance_uid", "modality")),
        sa.Column("instances", sa.Integer(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        *_state("campaign_series", *_FOUND),
        _json("reasons", nullable=False),
        _json("analysis", nullable=True),
        sa.Column("clinical", sa.Boolean(), nullable=False),
        _number("attempt"),
        _time("not_before"),
        _text("lease_token", nullable=True),
        _time("lease_until", nullable=True),
        _time("found_at"),
        *(_time(name, nullable=True) for name in ("asked_at", "pulled_at", "ended_at")),
        _text("error", nullable=True),
        sa.PrimaryKeyConstraint("found_id", name=op.f("pk_campaign_series")),
        sa.UniqueConstraint("campaign_id", "series_instance_uid", name="uq_campaign_series"),
    )
    table = "campaign_series"
    claimed = "state IN ('found', 'wanted')"
    _partial(f"ix_{table}_claim", table, ["campaign_id", "state", "found_id"], claimed)
    _partial(f"ix_{table}_asked", table, ["series_instance_uid"], "asked_at IS NOT NULL")
    _partial(f"ix_{table}_here", table, ["campaign_id", "found_id"], "state = 'pulled'")
    op.create_index(f"ix_{table}_study", table, ["campaign_id", "study_instance_uid"])


def downgrade() -> None:
    for table in ("campaign_series", "campaign_window", "campaign"):
        op.drop_table(table)
    op.drop_index("ix_series_of_campaign", "series")
    op.drop_column("series", "only_to")


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)


def _state(table: str, *values: str) -> tuple[sa.Column[object], sa.CheckConstraint]:
    listed = ", ".join(f"'{value}'" for value in values)
    allowed = sa.CheckConstraint(f"state IN ({listed})", name=op.f(f"ck_{table}_state"))
    return sa.Column("state", sa.String(16), nullable=False), allowed


def _json(name: str, *, nullable: bool) -> sa.Column[object]:
    kind = sa.JSON(none_as_null=True).with_variant(
        postgresql.JSONB(none_as_null=True), "postgresql"
    )
    return sa.Column(name, kind, nullable=nullable)


def _number(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _text(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.String(), nullable=nullable)


def _time(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
