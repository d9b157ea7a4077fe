"""Rows name objects that are there; objects that no row names go, whoever is killed in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from storage import sealing
from storage.database import Database
from storage.index import instances_of_series
from storage.models import DeliveryRow, JobRow, RemovalRow, ResultRow
from storage.records import JobKind, StoredInstance
from storage.retention import remove_series
from storage.sealed import Sealed
from support.storage_samples import NOW, SERIES, analyse, instance, queue, receive, seconds, take

NODE = "node"
LATER = NOW + sealing.NOTE_AGE
BEGINNING = (datetime.min.replace(tzinfo=UTC), "")


def here(number: int, series: str = SERIES) -> StoredInstance:
    return replace(instance(number, series), node_id=NODE)


def intend(database: Database, name: str, now: datetime = NOW) -> bool:
    with database.write() as session:
        return sealing.intend(session, name, now)


def an_object(name: str, rows: Sequence[StoredInstance]) -> Sealed:
    return Sealed(name, 1000, {each.path: 100 * n for n, each in enumerate(rows)})


def seal(database: Database, name: str, *rows: StoredInstance) -> int:
    assert intend(database, name)
    with database.write() as session:
        return sealing.record_sealed(session, SERIES, an_object(name, rows), rows)


def claimed(database: Database, now: datetime = LATER) -> tuple[str, ...]:
    with database.write() as session:
        return sealing.claim_objects(session, now, 10)


def noted(database: Database) -> list[str]:
    with database.read() as session:
        return sorted(session.scalars(select(RemovalRow.path)))


def unsealed(database: Database, before: datetime = NOW, node: str = NODE) -> list[str]:
    with database.read() as session:
        found = sealing.unsealed_series(session, node, BEGINNING, before, 10)
    return [key for _, key in found]


def test_what_came_to_rest_is_found_until_it_is_sealed(database: Database) -> None:
    rows = [here(1), here(2)]
    receive(database, *rows, replace(here(1, "1.2.9"), node_id="another"))
    assert unsealed(database, NOW - seconds(1)) == []
    assert unsealed(database) == [SERIES]
    assert unsealed(database, node="another") == ["1.2.9"]
    assert seal(database, "series/a", rows[0]) == 1
    assert unsealed(database) == [SERIES]
    assert seal(database, "series/b", rows[1]) == 1
    assert unsealed(database) == []
    with database.read() as session:
        found = instances_of_series(session, SERIES)
    assert [(e.object_name, e.object_offset) for e in found] == [("series/a", 0), ("series/b", 0)]
    assert noted(database) == []


def test_a_walk_through_the_series_goes_on_where_it_was(database: Database) -> None:
    keys = [f"1.2.{n}" for n in range(5)]
    receive(database, *(here(1, key) for key in keys))
    found: list[str] = []
    place = BEGINNING
    while True:
        with database.read() as session:
            some = sealing.unsealed_series(session, NODE, place, NOW, 2)
        if not some:
            break
        found += [key for _, key in some]
        place = some[-1]
    assert found == keys


def test_an_instance_that_is_another_by_now_is_not_said_to_be_sealed(database: Database) -> None:
    row = here(1)
    receive(database, row)
    assert seal(database, "series/a", replace(row, sha256="another")) == 0
    assert unsealed(database) == [SERIES]


def test_what_waits_for_this_node_is_anybodys_once_all_is_sealed(database: Database) -> None:
    rows = [here(1), here(2)]
    receive(database, *rows)
    with database.write() as session:
        session.execute(update(JobRow).values(node_id=NODE))
    seal(database, "series/a", rows[0])
    with database.read() as session:
        assert session.scalars(select(JobRow.node_id)).all() == [NODE]
    seal(database, "series/b", rows[1])
    with database.read() as session:
        assert session.scalars(select(JobRow.node_id)).all() == [None]


def test_results_that_are_sealed_are_sent_by_anybody(database: Database) -> None:
    receive(database, here(1))
    queue(database)
    analyse(database)
    with database.write() as session:
        session.execute(update(ResultRow).values(node_id=NODE))
        session.execute(update(DeliveryRow).values(node_id=NODE))
    with database.read() as session:
        results = sealing.unsealed_results(session, SERIES, NODE)
    assert len(results) == 2
    offsets = {each.path: n for n, each in enumerate(results)}
    assert intend(database, "results/a")
    with database.write() as session:
        sealing.record_sealed_results(session, Sealed("results/a", 20, offsets), results)
    with database.read() as session:
        assert set(session.scalars(select(DeliveryRow.node_id))) == {None}
        assert sealing.unsealed_results(session, SERIES, NODE) == ()


def test_an_object_that_was_intended_and_is_named_by_no_row_goes_after_a_while(
    database: Database,
) -> None:
    intend(database, "series/a")
    assert claimed(database, LATER - seconds(1)) == ()
    assert claimed(database) == ("series/a",)
    assert claimed(database) == ("series/a",), "who claimed it may have been killed"
    with database.write() as session:
        sealing.strike_objects(session, ["series/a"])
    assert noted(database) == []


def test_an_object_that_is_being_removed_is_named_by_no_row(database: Database) -> None:
    """Of the same bytes, sealed again just then; or by one that slept for an hour."""
    row = here(1)
    receive(database, row)
    intend(database, "series/a")
    claimed(database)
    assert not intend(database, "series/a", LATER)
    with database.write() as session:
        assert sealing.record_sealed(session, SERIES, an_object("series/a", [row]), [row]) == 0
    assert unsealed(database) == [SERIES]


def test_what_rows_name_by_now_stays_and_its_note_goes(database: Database) -> None:
    row = here(1)
    receive(database, row)
    seal(database, "series/a", row)
    intend(database, "series/a")  # by a sealer that was killed before it looked at the rows
    assert claimed(database) == ()
    assert noted(database) == []


def test_with_a_series_its_objects_go_but_for_those_that_others_need(database: Database) -> None:
    ours, theirs = here(1), here(2, "1.2.9")
    receive(database, ours, theirs)
    for key, row in ((SERIES, ours), ("1.2.9", theirs)):
        intend(database, "series/shared")
        with database.write() as session:
            sealing.record_sealed(session, key, an_object("series/shared", [row]), [row])
    queue(database)
    analyse(database)
    with database.write() as session:
        session.execute(
            update(ResultRow).values(object_name="results/a", object_offset=0, node_id=NODE)
        )
        session.execute(update(DeliveryRow).values(state="abandoned"))
    with database.write() as session:
        assert remove_series(session, SERIES, lambda _: True, NOW)
    assert set(claimed(database)) == {"results/a"}
    assert "series/shared" not in noted(database)


def test_only_what_is_sealed_may_go_from_the_disk(database: Database) -> None:
    first, second = here(1), here(2)
    receive(database, first, second)
    with database.read() as session:
        assert sealing.evictable(session, NODE) == ()
    seal(database, "series/a", first)
    with database.read() as session:
        assert sealing.evictable(session, NODE) == (
            sealing.Evictable(SERIES, NOW, first.size_bytes),
        )
        assert sealing.sealed_here(session, SERIES, NODE) == (first.path,)
        assert sealing.sealed_here(session, SERIES, "another") == ()
    with database.write() as session:
        sealing.forget_evicted(session, [first.path, second.path], NODE)
    with database.read() as session:
        assert {each.node_id for each in instances_of_series(session, SERIES)} == {"", NODE}
        assert sealing.evictable(session, NODE) == ()


def test_what_a_node_works_on_is_in_use(database: Database) -> None:
    receive(database, here(1))
    with database.read() as session:
        assert sealing.folders_in_use(session, NODE) == set()
    take(database, JobKind.ASSESS)
    with database.read() as session:
        assert len(sealing.folders_in_use(session, NODE)) == 1
        assert sealing.folders_in_use(session, "nod") == set()


@pytest.mark.parametrize("paths", [[], ["nowhere"]])
def test_no_row_speaks_of_another_path(database: Database, paths: list[str]) -> None:
    receive(database, here(1))
    with database.read() as session:
        assert not sealing.is_known(session, paths)
        assert sealing.is_known(session, [*paths, here(1).path])
