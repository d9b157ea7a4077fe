"""Endings by which one series alone is named, against what looking through all of them says."""

from __future__ import annotations

import random
from dataclasses import replace

from sqlalchemy import event, select

from storage.database import Database
from storage.endings import unique_endings
from storage.models import SeriesRow
from storage.queries import find_series
from support.storage_samples import instance, receive

LENGTHS = (6, 8, 10, 12, 16, 24)


def shortest(database: Database, key: str) -> str:
    """By trying each length."""
    with database.read() as session:
        for length in LENGTHS:
            if length < len(key) and find_series(session, key[-length:]) == (key,):
                return key[-length:]
    return key


def drawn(numbers: random.Random) -> str:
    """UIDs as makers give them: some end all alike, some begin so, some are short."""
    middle = ".".join(str(numbers.choice((0, 1, 12, 123))) for _ in range(numbers.randint(1, 9)))
    end = numbers.choice(("", ".0.0.0", ".1", f".2026{numbers.randint(0, 99):012}.0.0.0"))
    return f"1.{middle}{end}"


def test_they_are_the_shortest_by_which_a_series_is_found_alone(database: Database) -> None:
    numbers = random.Random(18)
    uids = sorted({drawn(numbers) for _ in range(150)})
    receive(database, *(replace(instance(1, uid), identity_digest="one") for uid in uids))
    for uid in uids[::20]:  # of a second patient
        receive(database, replace(instance(2, uid), identity_digest="another"))
    with database.read() as session:
        keys = list(session.scalars(select(SeriesRow.series_key)))
        found = unique_endings(session, keys)
    assert len(keys) > len(uids)
    assert found == {key: shortest(database, key) for key in keys}
    assert any(len(ending) == 6 for ending in found.values())
    assert any(len(ending) > 12 for ending in found.values())


def test_a_study_or_an_accession_number_that_is_called_so_comes_first(database: Database) -> None:
    receive(database, replace(instance(1, "1.2.333.654321"), accession_number="654321"))
    receive(database, replace(instance(1, "1.2.9"), study_instance_uid="33.654321"))
    with database.read() as session:
        assert unique_endings(session, ["1.2.333.654321"]) == {"1.2.333.654321": "3.654321"}


def test_the_database_is_asked_no_more_often_for_a_hundred_series(database: Database) -> None:
    uids = [f"1.2.3.{number:09}" for number in range(0, 10**8, 10**6)]
    receive(database, *(instance(1, uid) for uid in uids))
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    event.listen(database._engine, "before_cursor_execute", note)
    with database.read() as session:
        found = unique_endings(session, uids)
    event.remove(database._engine, "before_cursor_execute", note)
    assert len(set(found.values())) == 100
    assert len([each for each in asked if "series" in each]) == 3


def test_what_is_not_there_is_named_whole(database: Database) -> None:
    with database.read() as session:
        assert unique_endings(session, []) == {}
        assert unique_endings(session, ["1.2.3.4.5.6.7.8"]) == {
            "1.2.3.4.5.6.7.8": "1.2.3.4.5.6.7.8"
        }
