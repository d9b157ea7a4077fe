"""A database belongs to the first node that started on it."""

from __future__ import annotations

from sqlalchemy import update

from storage.database import Database
from storage.instances import series_folder
from storage.models import ResultRow
from storage.owner import find_owner, folders_without_series, owner_of
from support.storage_samples import SERIES, analyse, queue, receive


def test_the_first_node_owns_it(database: Database) -> None:
    with database.write() as session:
        assert owner_of(session, "first") == "first"
    with database.write() as session:
        assert owner_of(session, "second") == "first"
    with database.write() as session:
        assert owner_of(session, "first") == "first"


def test_an_empty_database_is_nobodys(database: Database) -> None:
    with database.read() as session:
        assert find_owner(session) is None
    with database.write() as session:
        owner_of(session, "first")
        assert find_owner(session) == "first"


def test_a_folder_of_results_is_known_by_its_series_or_by_a_result_in_it(
    database: Database,
) -> None:
    """A worker that was killed has left files that no row of a result names."""
    own, other, foreign = series_folder(SERIES), "ab/" + "ab" * 16, "cd/" + "cd" * 16
    with database.read() as session:
        assert folders_without_series(session, []) == ()
        assert folders_without_series(session, [own]) == (own,)
    receive(database)
    queue(database)
    analyse(database)
    with database.write() as session:
        session.execute(update(ResultRow).values(path=f"{other}/x.dcm"))
    with database.read() as session:
        assert folders_without_series(session, [foreign, other, own]) == (foreign,)
