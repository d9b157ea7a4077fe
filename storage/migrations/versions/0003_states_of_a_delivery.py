"""A delivery ends as stored, committed, refused, failed or abandoned, with the status of its last
answer and the request for storage commitment that names it. A result tells in which of several
ways it was made.

Requests for storage commitment, those that we make and those that we are asked for, have a table
each. That of deliveries is made anew, on PostgreSQL as on SQLite, which can change no CHECK
constraint.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

_NEW = "waiting sending stored committed refused failed abandoned"
_OLD = "waiting sending delivered failed"
_SHARED = (
    "delivery_id, sop_instance_uid, series_key, destination, first_tried_at, priority, attempt,"
    " created_at, not_before, owner, lease_token, lease_until, error"
)
_STATE_NOW = """CASE WHEN state = 'delivered' THEN 'stored'
    WHEN state = 'failed' AND error IN ('superseded', 'retracted') THEN 'abandoned'
    ELSE state END"""
_STATE_THEN = """CASE WHEN state IN ('stored', 'committed') THEN 'delivered'
    WHEN state IN ('refused', 'abandoned') THEN 'failed' ELSE state END"""


def upgrade() -> None:
    op.execute("CREATE TEMPORARY TABLE former_delivery AS SELECT * FROM delivery")
    op.drop_table("delivery")
    _create(
        _NEW,
        _time("stored_at"),
        _time("committed_at"),
        sa.Column("status", sa.String(), nullable=True),
        _time("confirm_at"),
        sa.Column("transaction_uid", sa.String(), nullable=True),
        _check("confirm", "confirm_at IS NULL OR state = 'stored'"),
    )
    op.create_index("ix_delivery_transaction_uid", "delivery", ["transaction_uid"])
    where = sa.text("confirm_at IS NOT NULL")
    columns = ["destination", "confirm_at"]
    op.create_index(
        "ix_delivery_confirm", "delivery", columns, sqlite_where=where, postgresql_where=where
    )
    _take_over("state, stored_at", f"{_STATE_NOW}, delivered_at")
    _create_commitment()
    choices = sa.Column("choices", sa.String(), nullable=False, server_default="")
    op.add_column("result", choices)


def downgrade() -> None:
    op.drop_column("result", "choices")
    op.drop_table("commitment_request")
    op.drop_table("commitment_answer")
    op.execute("CREATE TEMPORARY TABLE former_delivery AS SELECT * FROM delivery")
    op.drop_table("delivery")
    _create(_OLD, _time("delivered_at"))
    _take_over("state, delivered_at", f"{_STATE_THEN}, stored_at")


def _create(states: str, *further: sa.schema.SchemaItem) -> None:
    listed = ", ".join(f"'{state}'" for state in states.split())
    op.create_table(
        "delivery",
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        _text("sop_instance_uid"),
        _text("series_key"),
        _text("destination"),
        sa.Column("state", sa.String(16), nullable=False),
        _time("first_tried_at"),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        _time("created_at", nullable=False),
        _time("not_before", nullable=False),
        *(sa.Column(name, sa.String(), nullable=True) for name in ("owner", "lease_token")),
        _time("lease_until"),
        sa.Column("error", sa.String(), nullable=True),
        *further,
        _check("state", f"state IN ({listed})"),
        _check("token", "(state = 'sending') = (lease_token IS NOT NULL)"),
        _check("lease", "(state = 'sending') = (lease_until IS NOT NULL)"),
        sa.ForeignKeyConstraint(
            ["sop_instance_uid"],
            ["result.sop_instance_uid"],
            name=op.f("fk_delivery_sop_instance_uid"),
        ),
        sa.ForeignKeyConstraint(
            ["series_key"], ["series.series_key"], name=op.f("fk_delivery_series_instance_uid")
        ),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_delivery")),
        sa.UniqueConstraint(
            "sop_instance_uid",
            "destination",
            name=op.f("uq_delivery_sop_instance_uid_destination"),
        ),
    )
    op.create_index("ix_delivery_series_key", "delivery", ["series_key"])
    where = sa.text("state IN ('waiting', 'sending')")
    order = ["destination", "priority", "created_at", "delivery_id"]
    op.create_index(
        "ix_delivery_claim", "delivery", order, sqlite_where=where, postgresql_where=where
    )


def _create_commitment() -> None:
    op.create_table(
        "commitment_request",
        _text("transaction_uid"),
        _text("destination"),
        sa.Column("attempt", sa.Integer(), nullable=False),
        _time("asked_at", nullable=False),
        _time("reported_at"),
        sa.PrimaryKeyConstraint("transaction_uid", name=op.f("pk_commitment_request")),
    )
    op.create_index("ix_commitment_request_asked_at", "commitment_request", ["asked_at"])
    of_objects = sa.JSON().with_variant(JSONB(), "postgresql")
    op.create_table(
        "commitment_answer",
        _text("ae_title"),
        _text("transaction_uid"),
        sa.Column("objects", of_objects, nullable=False),
        _time("requested_at", nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        _time("not_before"),
        _time("reported_at"),
        sa.Column("failed", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("ae_title", "transaction_uid", name=op.f("pk_commitment_answer")),
    )
    op.create_index("ix_commitment_answer_requested_at", "commitment_answer", ["requested_at"])
    where = sa.text("not_before IS NOT NULL")
    name, columns = "ix_commitment_answer_due", ["not_before"]
    op.create_index(name, "commitment_answer", columns, sqlite_where=where, postgresql_where=where)


def _take_over(columns: str, values: str) -> None:
    op.execute(
        f"INSERT INTO delivery ({_SHARED}, {columns})"  # noqa: S608
        f" SELECT {_SHARED}, {values} FROM former_delivery"
    )
    op.execute("DROP TABLE former_delivery")
    if op.get_bind().dialect.name == "postgresql":  # numbers go on after those taken over
        largest = "(SELECT COALESCE(MAX(delivery_id), 0) + 1 FROM delivery)"
        sequence = "pg_get_serial_sequence('delivery', 'delivery_id')"
        op.execute(f"SELECT setval({sequence}, {largest}, false)")


def _check(name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_delivery_{name}"))


def _text(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.String(), nullable=False)


def _time(name: str, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
