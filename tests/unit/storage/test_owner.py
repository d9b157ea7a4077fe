"""A database belongs to the first node that started on it."""

from __future__ import annotations

from storage.database import Database
from storage.owner import owner_of


def test_the_first_node_owns_it(database: Database) -> None:
    with database.write() as session:
        assert owner_of(session, "first") == "first"
    with database.write() as session:
        assert owner_of(session, "second") == "first"
    with database.write() as session:
        assert owner_of(session, "first") == "first"
