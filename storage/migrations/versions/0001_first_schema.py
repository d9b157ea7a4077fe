"""The first schema: associations, instances, series, jobs, results and deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_association()
    _create_series()
    _create_instance()
    _create_instance_conflict()
    _create_job()
    _create_result()
    _create_delivery()
    _create_owner()
    _create_removal()


def downgrade() -> None:
    for table in (
        "removal",
        "owner",
        "delivery",
        "result",
        "job",
        "instance_conflict",
        "instance",
        "series",
        "association",
    ):
        op.drop_table(table)


def _create_owner() -> None:
    op.create_table(
        "owner",
        sa.Column("slot", sa.Integer(), nullable=False, autoincrement=False),
        _text("node_id"),
        _check("owner", "one", "slot = 1"),
        _primary_key("owner", "slot"),
    )


def _create_removal() -> None:
    op.create_table(
        "removal",
        sa.Column("kind", sa.String(16), nullable=False),
        _text("path"),
        _time("untouched_since"),
        _one_of("removal", "kind", "instance", "result"),
        _primary_key("removal", "kind", "path"),
    )


def _create_association() -> None:
    op.create_table(
        "association",
        _text("association_id"),
        _text("node_id"),
        _text("calling_ae_title"),
        _text("called_ae_title"),
        _text("peer_address"),
        _time("opened_at"),
        _time("ended_at", nullable=True),
        sa.Column("ending", sa.String(16), nullable=True),
        _one_of("association", "ending", "released", "aborted", "lost"),
        _check("association", "ended", "(ended_at IS NULL) = (ending IS NULL)"),
        _primary_key("association", "association_id"),
    )
    _partial_index("ix_association_open", "association", ["node_id"], "ended_at IS NULL")


def _create_series() -> None:
    op.create_table(
        "series",
        _text("series_instance_uid"),
        _text("study_instance_uid"),
        _text("accession_number"),
        _text("modality"),
        _text("calling_ae_title"),
        sa.Column("state", sa.String(16), nullable=False),
        _integer("instance_count"),
        _integer("revision"),
        _integer("priority"),
        _time("first_received_at"),
        _time("last_received_at"),
        _time("decided_at", nullable=True),
        _time("ended_at", nullable=True),
        _text("input_digest", nullable=True),
        _json("completeness", nullable=True),
        _json("reasons"),
        _json("analysis", nullable=True),
        _json("history"),
        _time("removed_at", nullable=True),
        _one_of("series", "state", "receiving", "queued", "analysed", "skipped", "failed"),
        _primary_key("series", "series_instance_uid"),
    )
    for column in ("study_instance_uid", "accession_number", "last_received_at"):
        op.create_index(f"ix_series_{column}", "series", [column])
    op.create_index("ix_series_state", "series", ["state", "last_received_at"])
    order = ["ended_at", "series_instance_uid"]
    removable = "ended_at IS NOT NULL AND removed_at IS NULL"
    _partial_index("ix_series_removable", "series", order, removable)


def _create_instance() -> None:
    op.create_table(
        "instance",
        _text("sop_instance_uid"),
        _text("sop_class_uid"),
        _text("series_instance_uid"),
        _text("study_instance_uid"),
        _text("transfer_syntax_uid"),
        _text("accession_number"),
        _text("modality"),
        _text("path"),
        _size("size_bytes"),
        _text("sha256"),
        _text("association_id", nullable=True),
        _text("calling_ae_title"),
        _time("received_at"),
        _integer("priority"),
        _foreign_key("instance", "association_id", "association"),
        _foreign_key("instance", "series_instance_uid", "series"),
        _primary_key("instance", "sop_instance_uid"),
        sa.UniqueConstraint("path", name=op.f("uq_instance_path")),
    )
    op.create_index("ix_instance_association_id", "instance", ["association_id"])
    columns = ["series_instance_uid", "association_id"]
    op.create_index("ix_instance_series_instance_uid_association_id", "instance", columns)


def _create_instance_conflict() -> None:
    op.create_table(
        "instance_conflict",
        _text("sop_instance_uid"),
        _text("sha256"),
        _text("series_instance_uid"),
        _text("path"),
        _size("size_bytes"),
        _time("received_at"),
        _text("calling_ae_title"),
        _foreign_key("instance_conflict", "sop_instance_uid", "instance"),
        _primary_key("instance_conflict", "sop_instance_uid", "sha256"),
    )
    op.create_index("ix_instance_conflict_path", "instance_conflict", ["path"])


def _create_job() -> None:
    op.create_table(
        "job",
        _integer("job_id"),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        _text("series_instance_uid"),
        _text("input_digest"),
        _text("model_digest"),
        _integer("series_revision", nullable=True),
        _time("started_at", nullable=True),
        _time("ended_at", nullable=True),
        *_lease_columns(),
        _one_of("job", "kind", "assess", "analyse"),
        _one_of("job", "state", "queued", "running", "done", "failed", "parked"),
        *_lease_checks("job", "running"),
        _foreign_key("job", "series_instance_uid", "series"),
        _primary_key("job", "job_id"),
    )
    op.create_index("ix_job_series_instance_uid", "job", ["series_instance_uid"])
    order = ["priority", "created_at", "job_id"]
    _partial_index("ix_job_claim", "job", order, "state IN ('queued', 'running')")
    key = ["series_instance_uid", "input_digest", "model_digest"]
    _partial_index("uq_job_analyse", "job", key, "kind = 'analyse'", unique=True)
    open_assess = "kind = 'assess' AND state IN ('queued', 'running')"
    _partial_index("uq_job_open_assess", "job", key[:1], open_assess, unique=True)


def _create_result() -> None:
    op.create_table(
        "result",
        _text("sop_instance_uid"),
        _text("sop_class_uid"),
        _text("result_series_instance_uid"),
        _text("series_instance_uid"),
        _text("kind"),
        _text("path"),
        _size("size_bytes"),
        _time("created_at"),
        _integer("ordinal"),
        _foreign_key("result", "series_instance_uid", "series"),
        _primary_key("result", "sop_instance_uid"),
    )
    op.create_index("ix_result_series_instance_uid", "result", ["series_instance_uid"])


def _create_delivery() -> None:
    op.create_table(
        "delivery",
        _integer("delivery_id"),
        _text("sop_instance_uid"),
        _text("series_instance_uid"),
        _text("destination"),
        sa.Column("state", sa.String(16), nullable=False),
        _time("first_tried_at", nullable=True),
        _time("delivered_at", nullable=True),
        *_lease_columns(),
        _one_of("delivery", "state", "waiting", "sending", "delivered", "failed"),
        *_lease_checks("delivery", "sending"),
        _foreign_key("delivery", "sop_instance_uid", "result"),
        _foreign_key("delivery", "series_instance_uid", "series"),
        _primary_key("delivery", "delivery_id"),
        sa.UniqueConstraint(
            "sop_instance_uid",
            "destination",
            name=op.f("uq_delivery_sop_instance_uid_destination"),
        ),
    )
    op.create_index("ix_delivery_series_instance_uid", "delivery", ["series_instance_uid"])
    order = ["destination", "priority", "created_at", "delivery_id"]
    _partial_index("ix_delivery_claim", "delivery", order, "state IN ('waiting', 'sending')")


def _text(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable)


def _integer(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def _size(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _time(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _json(name: str, nullable: bool = False) -> sa.Column[object]:
    kind = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    return sa.Column(name, kind, nullable=nullable)


def _lease_columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("lease_token", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
    )


def _lease_checks(table: str, held: str) -> tuple[sa.CheckConstraint, ...]:
    return (
        _check(table, "token", f"(state = '{held}') = (lease_token IS NOT NULL)"),
        _check(table, "lease", f"(state = '{held}') = (lease_until IS NOT NULL)"),
    )


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _one_of(table: str, column: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return _check(table, column, f"{column} IN ({listed})")


def _primary_key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}"))


def _foreign_key(table: str, column: str, parent: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}")
    return sa.ForeignKeyConstraint([column], [f"{parent}.{column}"], name=name)


def _partial_index(
    name: str, table: str, columns: list[str], where: str, unique: bool = False
) -> None:
    condition = sa.text(where)
    op.create_index(
        name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition
    )
