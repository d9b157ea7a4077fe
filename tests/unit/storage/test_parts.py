"""One Series Instance UID under which the slices of several patients come."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from storage.database import Database
from storage.index import instances_of_series
from storage.queries import find_series
from storage.records import SeriesState, StoredInstance
from storage.study import series_of_study
from support.storage_samples import NOW, SERIES, instance, receive, seconds


def of(patient: str, number: int, study: str = "1.2.9") -> StoredInstance:
    made = instance(number, received_at=NOW + seconds(number))
    return replace(made, identity_digest=f"{study}/{patient}", study_instance_uid=study)


def found(database: Database) -> dict[str, set[str]]:
    """SOP Instance UIDs by key."""
    with database.read() as session:
        return {
            key: {each.sop_instance_uid for each in instances_of_series(session, key)}
            for key in find_series(session, SERIES)
        }


def test_each_patient_has_a_series_of_their_own(database: Database) -> None:
    receive(database, of("A", 1), of("B", 2), of("A", 3))
    receive(database, of("C", 4), of("B", 5))
    assert found(database) == {
        SERIES: {f"{SERIES}.1", f"{SERIES}.3"},
        f"{SERIES}~2": {f"{SERIES}.2", f"{SERIES}.5"},
        f"{SERIES}~3": {f"{SERIES}.4"},
    }


def test_two_studies_of_one_patient_are_apart_and_in_no_common_study(database: Database) -> None:
    receive(database, of("A", 1), of("A", 2, study="1.2.10"))
    assert len(found(database)) == 2
    with database.read() as session:
        assert [each.series_key for each in series_of_study(session, SERIES)] == [SERIES]


def test_two_patients_with_one_study_uid_are_no_study(database: Database) -> None:
    receive(database, of("A", 1), of("B", 2))
    with database.read() as session:
        assert [each.series_key for each in series_of_study(session, f"{SERIES}~2")] == [
            f"{SERIES}~2"
        ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_order_of_arrival_changes_no_part(database: Database, order: tuple[int, ...]) -> None:
    instances = [of("A", 1), of("B", 2), of("B", 3), of("A", 4)]
    for i in order:
        receive(database, instances[i])
    assert sorted(map(sorted, found(database).values())) == [
        [f"{SERIES}.1", f"{SERIES}.4"],
        [f"{SERIES}.2", f"{SERIES}.3"],
    ]


def test_a_series_of_an_earlier_release_is_the_first_patients(database: Database) -> None:
    receive(database, replace(of("A", 1), identity_digest=""))
    receive(database, of("B", 2), of("C", 3))
    assert found(database) == {
        SERIES: {f"{SERIES}.1", f"{SERIES}.2"},
        f"{SERIES}~2": {f"{SERIES}.3"},
    }


def test_every_part_waits_to_be_looked_at(database: Database) -> None:
    receive(database, of("A", 1), of("B", 2))
    with database.read() as session:
        keys = find_series(session, SERIES)
        states = [series_of_study(session, key)[0].state for key in keys]
    assert states == [SeriesState.RECEIVING] * 2
