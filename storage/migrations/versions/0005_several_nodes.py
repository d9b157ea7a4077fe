"""Several nodes may share one database: a row for each, and of each file whose disk holds it.

What is sealed in an object store can be read by every node: instances and results tell where. A job
and a delivery may be bound to one node, and a job to what a worker must have. The table of jobs is
made anew, on PostgreSQL as on SQLite, which can change no CHECK constraint; so is that of removals,
as its key is another.

On PostgreSQL the tables that change all the time leave room in their pages for it, and are vacuumed
after some hundred changes: a claim looks at dead rows too.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_OF_ONE = ("instance", "instance_conflict", "result", "trouble", "canary_run")
_SEALED = ("instance", "result")
_JOB = (
    "job_id, kind, state, series_key, input_digest, model_digest, series_revision, started_at,"
    " ended_at, priority, attempt, created_at, not_before, owner, lease_token, lease_until, error"
)
_CHANGING = {"job": 70, "delivery": 70, "series": 85}
_STORED = (
    "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500,"
    " autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0"
)
_OPEN_JOB = "state IN ('queued', 'running')"


def upgrade() -> None:
    op.create_table(
        "node",
        _text("node_id"),
        _text("name"),
        _time("joined_at"),
        _time("heard_at"),
        _time("left_at", nullable=True),
        sa.Column("shares", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", name=op.f("pk_node")),
    )
    owner = op.get_bind().scalar(sa.text("SELECT node_id FROM owner")) or ""
    if owner:
        _enter_node(owner)
    op.drop_table("owner")
    for table in _OF_ONE:
        op.add_column(table, _text("node_id", server_default=""))
        op.execute(sa.text(f"UPDATE {table} SET node_id = :node").bindparams(node=owner))  # noqa: S608
    for table in _SEALED:
        op.add_column(table, sa.Column("object_name", sa.String(), nullable=True))
        op.add_column(table, sa.Column("object_offset", sa.BigInteger(), nullable=True))
    copy = sa.text("object_name IS NOT NULL AND node_id <> ''")
    columns = ["node_id", "received_at"]
    op.create_index(
        "ix_instance_copy", "instance", columns, sqlite_where=copy, postgresql_where=copy
    )
    op.add_column("delivery", sa.Column("node_id", sa.String(), nullable=True))
    _removals_anew(owner)
    _jobs_anew("assess analyse fetch", of_today=True)
    _leave_room(_STORED, _CHANGING)


def downgrade() -> None:
    """Of several nodes the first that joined, and is not lost, has the database: the files of the
    others are lost to it. Jobs that fetch instances again are given up."""
    _leave_room("", {})
    op.execute("DELETE FROM job WHERE kind = 'fetch'")
    _jobs_anew("assess analyse", of_today=False)
    _removals_anew(None)
    op.drop_column("delivery", "node_id")
    op.drop_index("ix_instance_copy", "instance")
    for table in _SEALED:
        op.drop_column(table, "object_offset")
        op.drop_column(table, "object_name")
    for table in _OF_ONE:
        op.drop_column(table, "node_id")
    op.create_table(
        "owner",
        sa.Column("slot", sa.Integer(), nullable=False, autoincrement=False),
        _text("node_id"),
        sa.CheckConstraint("slot = 1", name=op.f("ck_owner_one")),
        sa.PrimaryKeyConstraint("slot", name=op.f("pk_owner")),
    )
    order = "left_at IS NOT NULL, joined_at, node_id"
    first = f"SELECT 1, node_id FROM node ORDER BY {order} LIMIT 1"  # noqa: S608
    op.execute(f"INSERT INTO owner (slot, node_id) {first}")
    op.drop_table("node")


def _enter_node(node_id: str) -> None:
    """Its name, and whether it shares the database, it enters when it starts."""
    times = {
        each: sa.column(each, sa.DateTime(timezone=True)) for each in ("joined_at", "heard_at")
    }
    columns = (*map(sa.column, ("node_id", "name")), *times.values())
    table = sa.table("node", *columns, sa.column("shares", sa.Boolean()))
    now = datetime.now(UTC)
    row = {"node_id": node_id, "name": "", "joined_at": now, "heard_at": now, "shares": False}
    op.execute(sa.insert(table).values(row))


def _removals_anew(node_id: str | None) -> None:
    """With whose disk each file lies on; None: without it."""
    op.execute(
        "CREATE TEMPORARY TABLE former_removal AS SELECT * FROM removal WHERE kind <> 'object'"
    )
    op.drop_table("removal")
    whose = [] if node_id is None else [_text("node_id")]
    kinds = "'instance', 'result'" if node_id is None else "'instance', 'result', 'object'"
    op.create_table(
        "removal",
        *whose,
        sa.Column("kind", sa.String(16), nullable=False),
        _text("path"),
        _time("untouched_since"),
        sa.CheckConstraint(f"kind IN ({kinds})", name=op.f("ck_removal_kind")),
        sa.PrimaryKeyConstraint(
            *(each.name for each in whose), "kind", "path", name=op.f("pk_removal")
        ),
    )
    same = "kind, path, untouched_since"
    if node_id is None:  # files of the same name on several disks were one row each
        taken = "SELECT kind, path, MIN(untouched_since) FROM former_removal GROUP BY kind, path"
        op.execute(f"INSERT INTO removal ({same}) {taken}")
    else:
        taken = f"SELECT :node, {same} FROM former_removal"  # noqa: S608
        statement = sa.text(f"INSERT INTO removal (node_id, {same}) {taken}")
        op.execute(statement.bindparams(sa.bindparam("node", node_id, sa.String())))
    op.execute("DROP TABLE former_removal")


def _jobs_anew(kinds: str, of_today: bool) -> None:
    op.execute("CREATE TEMPORARY TABLE former_job AS SELECT * FROM job")
    op.drop_table("job")
    bound = (
        sa.Column("node_id", sa.String(), nullable=True),
        _text("capability", server_default=""),
    )
    op.create_table(
        "job",
        *_job_columns(),
        *(bound if of_today else ()),
        _one_of("kind", kinds),
        _one_of("state", "queued running done failed parked"),
        _check("token", "(state = 'running') = (lease_token IS NOT NULL)"),
        _check("lease", "(state = 'running') = (lease_until IS NOT NULL)"),
        sa.ForeignKeyConstraint(
            ["series_key"], ["series.series_key"], name=op.f("fk_job_series_instance_uid")
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job")),
    )
    op.create_index("ix_job_series_key", "job", ["series_key"])
    key = ["series_key", "input_digest", "model_digest"]
    _partial_index("uq_job_analyse", key, "kind = 'analyse'", unique=True)
    _partial_index("uq_job_open_assess", key[:1], f"kind = 'assess' AND {_OPEN_JOB}", unique=True)
    order = ["priority", "created_at", "job_id"]
    if of_today:
        _partial_index("ix_job_claim", ["kind", *order], _OPEN_JOB)
        _partial_index("ix_job_attempt", ["kind", "attempt"], _OPEN_JOB)
        fetch = f"kind = 'fetch' AND {_OPEN_JOB}"
        _partial_index("uq_job_open_fetch", key[:1], fetch, unique=True)
    else:
        _partial_index("ix_job_claim", order, _OPEN_JOB)
    op.execute(f"INSERT INTO job ({_JOB}) SELECT {_JOB} FROM former_job")  # noqa: S608
    op.execute("DROP TABLE former_job")
    if op.get_bind().dialect.name == "postgresql":  # numbers go on after those taken over
        largest = "(SELECT COALESCE(MAX(job_id), 0) + 1 FROM job)"
        op.execute(f"SELECT setval(pg_get_serial_sequence('job', 'job_id'), {largest}, false)")


def _job_columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        *map(_text, ("series_key", "input_digest", "model_digest")),
        sa.Column("series_revision", sa.Integer(), nullable=True),
        *(_time(name, nullable=True) for name in ("started_at", "ended_at")),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        *map(_time, ("created_at", "not_before")),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("lease_token", sa.String(), nullable=True),
        _time("lease_until", nullable=True),
        sa.Column("error", sa.String(), nullable=True),
    )


def _leave_room(settings: str, fill: dict[str, int]) -> None:
    """Of the tables of PostgreSQL; without settings as they were before."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in _CHANGING:
        if settings:
            op.execute(f"ALTER TABLE {table} SET (fillfactor = {fill[table]}, {settings})")
        else:
            names = ", ".join(each.split(" = ")[0].strip() for each in _STORED.split(","))
            op.execute(f"ALTER TABLE {table} RESET (fillfactor, {names})")


def _partial_index(name: str, columns: list[str], where: str, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(
        name, "job", columns, unique=unique, sqlite_where=condition, postgresql_where=condition
    )


def _one_of(column: str, values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values.split())
    return _check(column, f"{column} IN ({listed})")


def _check(name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_job_{name}"))


def _text(name: str, server_default: str | None = None) -> sa.Column[object]:
    return sa.Column(name, sa.String(), nullable=False, server_default=server_default)


def _time(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
