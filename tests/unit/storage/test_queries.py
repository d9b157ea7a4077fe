"""What the command line reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.database import Database
from storage.decided import OWN_RESULT, Reason, Verdict
from storage.models import SeriesRow
from storage.queries import find_series, list_series, running_jobs, series_detail
from storage.records import JobKind, SeriesState
from support.storage_samples import (
    NOW,
    SERIES,
    STUDY,
    analyse,
    instance,
    queue,
    receive,
    result,
    seconds,
)


@pytest.fixture
def filled(database: Database) -> Database:
    """Four series: two of one study, an analysed one, one of another accession number."""
    for number, uid in enumerate(("1.2.77.1", "1.2.77.21", "1.2.88.1")):
        receive(database, instance(1, uid, received_at=NOW + seconds(number)))
    other = replace(instance(1, "1.9.5"), study_instance_uid="1.9.400", accession_number="A%1")
    receive(database, replace(other, received_at=NOW + seconds(9)))
    queue(database)
    analyse(database, [result("r", "1.2.77.1")])
    return database


def test_the_list_begins_with_the_newest(filled: Database) -> None:
    with filled.read() as session:
        found = list_series(session)
        assert [each.series_instance_uid for each in found] == [
            "1.9.5",
            "1.2.88.1",
            "1.2.77.21",
            "1.2.77.1",
        ]
        assert list_series(session, limit=2) == found[:2]
        assert list_series(session, [SeriesState.ANALYSED]) == found[3:]
        assert list_series(session, []) == ()


def test_own_results_are_left_out_and_the_list_is_as_long_all_the_same(filled: Database) -> None:
    """One that an earlier release skipped for more reasons too."""
    own = (Reason("modality", "OT", "CT", Verdict.FAIL), Reason(OWN_RESULT, 1, 0, Verdict.FAIL))
    with filled.write() as session:
        session.get_one(SeriesRow, "1.9.5").reasons = own
    with filled.read() as session:
        every = list_series(session)
        assert list_series(session, limit=2, own_results=False) == every[1:3]
        assert list_series(session, limit=9, own_results=False) == every[1:]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1.2.77.1", ("1.2.77.1",)),
        (" 1.2.77.21 ", ("1.2.77.21",)),
        ("77.1", ("1.2.77.1",)),
        (".1", ("1.2.88.1", "1.2.77.1")),
        (STUDY, ("1.2.88.1", "1.2.77.21", "1.2.77.1")),
        ("400", ("1.9.5",)),
        ("ACC-7", ("1.2.88.1", "1.2.77.21", "1.2.77.1")),
        ("A%1", ("1.9.5",)),
        ("%", ()),
        ("_", ()),
        ("ACC", ()),
        ("", ()),
        ("  ", ()),
    ],
)
def test_a_series_is_found_by_what_a_person_types(
    filled: Database, text: str, found: tuple[str, ...]
) -> None:
    with filled.read() as session:
        assert find_series(session, text) == found


def test_the_detail_tells_the_whole_way(filled: Database) -> None:
    with filled.read() as session:
        found = series_detail(session, "1.2.77.1")
    assert found is not None
    assert found.series.analysis == {"probabilities": {"covid": 0.25}}
    assert [job.kind for job in found.jobs] == [JobKind.ASSESS, JobKind.ANALYSE]
    assert [each.association_id for each in found.associations] == ["a1"]
    assert [each.result for each in found.deliveries] == list(found.results)
    assert found.conflicts == ()


def test_an_unknown_series_has_no_detail(database: Database) -> None:
    with database.read() as session:
        assert series_detail(session, SERIES) is None
        assert running_jobs(session) == ()
