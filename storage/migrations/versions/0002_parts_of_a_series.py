"""A series is known by a key: its UID alone may stand for the slices of more than one patient.

`series_key` takes the place of the Series Instance UID wherever rows refer to a series, and holds
that UID for all that is there. The foreign keys to it keep their names, as SQLite can change no
constraint of a table that others refer to.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_REFERRING = ("job", "result", "delivery")
_STATES = "open same first replaced held take_first take_newest elsewhere"
_FORMER = """
    SELECT c.sop_instance_uid, c.sha256, c.path, c.size_bytes, c.received_at, c.calling_ae_title,
        c.series_instance_uid, COALESCE(named.series_key, i.series_key) AS series_key
    FROM instance_conflict c
    JOIN instance i ON i.sop_instance_uid = c.sop_instance_uid
    LEFT JOIN series named ON named.series_key = c.series_instance_uid
"""


def upgrade() -> None:
    for table in ("series", "instance", *_REFERRING):
        op.execute(f"ALTER TABLE {table} RENAME COLUMN series_instance_uid TO series_key")
    for table in ("series", "instance"):
        op.add_column(table, _text("series_instance_uid", server_default=""))
        op.execute(f"UPDATE {table} SET series_instance_uid = series_key")  # noqa: S608
    op.add_column("series", _text("identity_digest", server_default=""))
    op.create_index("ix_series_series_instance_uid", "series", ["series_instance_uid"])
    _rename_indexes("series_instance_uid", "series_key")
    _conflicts_with_states()


def downgrade() -> None:
    """Parts beyond the first have no place in the former schema: it is for an empty database."""
    op.drop_table("instance_conflict")
    op.create_table(
        "instance_conflict",
        *_shared_columns(),
        _text("series_instance_uid"),
        *_shared_constraints(),
    )
    op.create_index("ix_instance_conflict_path", "instance_conflict", ["path"])
    op.drop_index("ix_series_series_instance_uid", "series")
    op.drop_column("series", "identity_digest")
    for table in ("series", "instance"):
        op.drop_column(table, "series_instance_uid")
    for table in ("series", "instance", *_REFERRING):
        op.execute(f"ALTER TABLE {table} RENAME COLUMN series_key TO series_instance_uid")
    _rename_indexes("series_key", "series_instance_uid")


def _rename_indexes(old: str, new: str) -> None:
    for table in _REFERRING:
        op.drop_index(f"ix_{table}_{old}", table)
        op.create_index(f"ix_{table}_{new}", table, [new])
    op.drop_index(f"ix_instance_{old}_association_id", "instance")
    op.create_index(f"ix_instance_{new}_association_id", "instance", [new, "association_id"])


def _conflicts_with_states() -> None:
    """Of copies that came before, the first was kept: that is what the former release did."""
    op.execute(f"CREATE TEMPORARY TABLE former_conflict AS {_FORMER}")
    op.drop_table("instance_conflict")
    listed = ", ".join(f"'{state}'" for state in _STATES.split())
    op.create_table(
        "instance_conflict",
        *_shared_columns(),
        _text("series_key"),
        _text("series_instance_uid"),
        _text("association_id"),
        sa.Column("state", sa.String(16), nullable=False),
        _text("differs"),
        *_shared_constraints(),
        sa.CheckConstraint(f"state IN ({listed})", name=op.f("ck_instance_conflict_state")),
        sa.ForeignKeyConstraint(
            ["series_key"], ["series.series_key"], name=op.f("fk_instance_conflict_series_key")
        ),
    )
    for column in ("path", "series_key"):
        op.create_index(f"ix_instance_conflict_{column}", "instance_conflict", [column])
    names = "sop_instance_uid, sha256, path, size_bytes, received_at, calling_ae_title"
    names += ", series_instance_uid, series_key"
    op.execute(
        f"INSERT INTO instance_conflict ({names}, association_id, state, differs)"  # noqa: S608
        f" SELECT {names}, '', 'first', '' FROM former_conflict"
    )
    op.execute("DROP TABLE former_conflict")


def _shared_columns() -> tuple[sa.Column[object], ...]:
    return (
        _text("sop_instance_uid"),
        _text("sha256"),
        _text("path"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        _text("calling_ae_title"),
    )


def _shared_constraints() -> tuple[sa.Constraint, ...]:
    return (
        sa.ForeignKeyConstraint(
            ["sop_instance_uid"],
            ["instance.sop_instance_uid"],
            name=op.f("fk_instance_conflict_sop_instance_uid"),
        ),
        sa.PrimaryKeyConstraint("sop_instance_uid", "sha256", name=op.f("pk_instance_conflict")),
    )


def _text(name: str, server_default: str | None = None) -> sa.Column[object]:
    return sa.Column(name, sa.String(), nullable=False, server_default=server_default)
