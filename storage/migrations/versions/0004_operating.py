"""What operating a node needs: a series can be held or cancelled; what was refused, what troubles
the node, the runs of the canary and the flight records have a table each.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_BY_A_PERSON = ("on_hold_since", "cancelled_at")


def upgrade() -> None:
    for column in _BY_A_PERSON:
        op.add_column("series", _time(column, nullable=True))
    op.add_column("commitment_request", sa.Column("failed", sa.Integer(), nullable=True))
    names = "kind calling_ae_title called_ae_title peer_address status reason"
    uids = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")
    named = (*uids, "accession_number")
    parked = sa.text("state IN ('refused', 'failed')")
    op.create_index(
        "ix_delivery_parked",
        "delivery",
        ["destination", "state"],
        sqlite_where=parked,
        postgresql_where=parked,
    )
    op.create_table(
        "refusal",
        sa.Column("refusal_id", sa.Integer(), nullable=False),
        *map(_text, (*names.split(), *named)),
        sa.Column("count", sa.Integer(), nullable=False),
        _time("first_at"),
        _time("last_at"),
        sa.PrimaryKeyConstraint("refusal_id", name=op.f("pk_refusal")),
        sa.UniqueConstraint(*names.split(), *uids[:2], name="uq_refusal_alike"),
    )
    _index("refusal", *named, "last_at")
    op.create_table(
        "trouble",
        sa.Column("trouble_id", sa.Integer(), nullable=False),
        *map(_text, ("name", "severity", "text", "remedy")),
        *map(_time, ("since", "first_seen_at", "last_seen_at")),
        _time("over_at", nullable=True),
        *map(_text, ("told", "told_over")),
        sa.PrimaryKeyConstraint("trouble_id", name=op.f("pk_trouble")),
    )
    _index("trouble", "name", "over_at")
    op.create_table(
        "canary_run",
        sa.Column("run_id", sa.Integer(), nullable=False),
        *map(_text, ("series_instance_uid", "study_instance_uid", "occasion", "stage")),
        *map(_text, ("version", "configuration", "models", "scores")),
        _time("started_at"),
        _time("ended_at", nullable=True),
        sa.Column("passed", sa.Boolean(), nullable=True),
        _text("text"),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_canary_run")),
        sa.UniqueConstraint("series_instance_uid", name=op.f("uq_canary_run_series_instance_uid")),
    )
    _index("canary_run", "started_at")
    op.create_table(
        "flight_record",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        _time("recorded_at"),
        *map(_text, ("series_key", "study_instance_uid", "record", "previous", "digest")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_flight_record")),
        sa.UniqueConstraint("digest", name=op.f("uq_flight_record_digest")),
    )
    _index("flight_record", "recorded_at", "series_key", "study_instance_uid")


def downgrade() -> None:
    for table in ("flight_record", "canary_run", "trouble", "refusal"):
        op.drop_table(table)
    op.drop_index("ix_delivery_parked", "delivery")
    op.drop_column("commitment_request", "failed")
    for column in _BY_A_PERSON:
        op.drop_column("series", column)


def _index(table: str, *columns: str) -> None:
    for column in columns:
        op.create_index(f"ix_{table}_{column}", table, [column])


def _text(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.String(), nullable=False)


def _time(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
