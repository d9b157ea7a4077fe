"""The nodes of a database: those that joined, each once."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import update

from storage.database import Database
from storage.instances import series_folder
from storage.models import ResultRow
from storage.nodes import (
    all_nodes,
    all_workers,
    find,
    folders_without_series,
    join,
    leave,
    tell_alive,
    tell_workers,
)
from storage.overview_records import Node
from support.storage_samples import NOW, SERIES, analyse, queue, receive, seconds


def test_those_that_join_are_known_each_once(database: Database) -> None:
    with database.write() as session:
        assert all_nodes(session) == ()
        join(session, "first", "host-1", False, NOW)
        join(session, "second", "host-2", True, NOW + seconds(1))
    with database.write() as session:
        join(session, "first", "host-3", True, NOW + seconds(9))
    with database.read() as session:
        first, second = all_nodes(session)
    assert first == Node("first", "host-3", NOW, NOW + seconds(9), None, True)
    assert (second.node_id, second.joined_at) == ("second", NOW + seconds(1))


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


def test_workers_alone_come_tell_what_they_have_and_go(database: Database) -> None:
    with database.write() as session:
        assert all_workers(session) is None, "nobody has joined"
        join(session, "node", "host-1", True, NOW, workers=0)
        assert all_workers(session) == ()
        join(session, "gpus", "host-2", True, NOW, workers=2, receives=False)
        assert [each.node_id for each in all_workers(session) or ()] == ["gpus"]
        tell_workers(session, "gpus", ["gpu", "cpu"], 64 << 30)
        found = find(session, "gpus")
    assert found is not None
    assert (found.capabilities, found.memory_bytes, found.receives) == ("cpu gpu", 64 << 30, False)
    with database.write() as session:
        join(session, "gpus", "host-2", True, NOW, workers=3, receives=False)
        assert find(session, "gpus") == replace(found, workers=3), "what they have they told"
        leave(session, "node")
        leave(session, "gpus")
        assert [each.node_id for each in all_nodes(session)] == ["node"], "it has files"
        assert not tell_alive(session, "gpus", NOW)
        assert tell_alive(session, "node", NOW)
