"""What lists and claims look for is found by an index each: endings of UIDs, sets of results, what
a worker can do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_CHARACTERS = 24
_BACKWARDS = " || ".join(f"substr(series_key, -{n}, 1)" for n in range(1, _CHARACTERS + 1))
_ENDING = {
    "sqlite": f"({_BACKWARDS})",
    "postgresql": f'reverse("right"(series_key, {_CHARACTERS})) COLLATE "C"',
}
_FIRST = "ordinal = 0"
_OPEN = "state IN ('queued', 'running')"


def upgrade() -> None:
    ending = _ENDING[op.get_bind().dialect.name]
    op.execute(f"CREATE INDEX ix_series_ending ON series ({ending})")
    _create("ix_result_set", "result", ["created_at", "series_key"], _FIRST)
    able = ["kind", "capability", "priority", "created_at", "job_id", "memory_bytes"]
    _create("ix_job_able", "job", able, _OPEN)


def downgrade() -> None:
    op.drop_index("ix_job_able", "job")
    op.drop_index("ix_result_set", "result")
    op.drop_index("ix_series_ending", "series")


def _create(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
