"""What the command line reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage import queries
from storage.database import Database
from storage.decided import OWN_RESULT, Reason, Verdict
from storage.endings import unique_endings
from storage.models import SeriesRow
from storage.queries import (
    Wanted,
    analyses_ahead,
    count_series,
    details_of,
    find_series,
    list_series,
    series_detail,
)
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
        assert list_series(session, Wanted([SeriesState.ANALYSED])) == found[3:]
        assert list_series(session, Wanted([])) == ()


def test_own_results_are_left_out_and_the_list_is_as_long_all_the_same(filled: Database) -> None:
    """One that an earlier release skipped for more reasons too."""
    own = (Reason("modality", "OT", "CT", Verdict.FAIL), Reason(OWN_RESULT, 1, 0, Verdict.FAIL))
    with filled.write() as session:
        series = session.get_one(SeriesRow, "1.9.5")
        series.reasons, series.state, series.modality = own, SeriesState.SKIPPED, "OT"
    with filled.read() as session:
        every = list_series(session)
        assert list_series(session, Wanted(own_results=False), limit=2) == every[1:3]
        assert list_series(session, Wanted(own_results=False), limit=9) == every[1:]


def test_a_list_is_narrowed_and_all_that_fits_is_counted(filled: Database) -> None:
    def keys(wanted: Wanted) -> list[str]:
        with filled.read() as session:
            found = [each.series_key for each in list_series(session, wanted)]
            assert sum(count_series(session, wanted).values()) == len(found)
        return found

    assert keys(Wanted(since=NOW + seconds(2))) == ["1.9.5", "1.2.88.1"]
    assert keys(Wanted(since=NOW + seconds(1), before=NOW + seconds(2))) == ["1.2.77.21"]
    assert keys(Wanted(accession_number="A%1")) == ["1.9.5"]
    assert keys(Wanted(source="SCANNER", states=[SeriesState.ANALYSED])) == ["1.2.77.1"]
    assert keys(Wanted(source="CT2")) == []
    assert keys(Wanted(undelivered=True)) == ["1.2.77.1"]
    with filled.read() as session:
        counts = count_series(session)
    assert counts == {SeriesState.RECEIVING: 3, SeriesState.ANALYSED: 1}


def test_what_a_list_tells_of_a_series_is_what_is_known_of_it(filled: Database) -> None:
    with filled.read() as session:
        records = list_series(session)
        for found in details_of(session, records):
            whole = series_detail(session, found.series.series_key)
            assert whole is not None
            assert found == replace(whole, associations=())


def test_how_many_analyses_are_before_ones_own(filled: Database) -> None:
    for number in range(3):
        queue(filled, now=NOW + seconds(20 + number))
    with filled.write() as session:
        session.get_one(SeriesRow, "1.2.77.21").on_hold_since = NOW
    with filled.read() as session:
        assert analyses_ahead(session) == {"1.2.88.1": 0, "1.9.5": 1}


def test_of_a_million_series_the_newest_are_counted_and_the_first_analyses_numbered(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled.read() as session:
        assert count_series(session, most=3) == {SeriesState.RECEIVING: 3}
        assert count_series(session, Wanted([SeriesState.ANALYSED]), most=3) == {
            SeriesState.ANALYSED: 1
        }
    for number in range(3):
        queue(filled, now=NOW + seconds(20 + number))
    monkeypatch.setattr(queries, "AHEAD", 2)
    with filled.read() as session:
        assert analyses_ahead(session) == {"1.2.77.21": 0, "1.2.88.1": 1}


def test_an_ending_is_as_short_as_finds_one_series_alone(database: Database) -> None:
    uids = ["1.2.111.123456", "1.2.222.123456", "1.2.333.654321", "1.2.3"]
    for uid in uids:
        receive(database, instance(1, uid))
    with database.read() as session:
        endings = unique_endings(session, uids)
        for uid, ending in endings.items():
            assert find_series(session, ending) == find_series(session, f"…{ending}") == (uid,)
    assert len(endings["1.2.333.654321"]) == 6
    assert len(endings["1.2.111.123456"]) > 6


def test_an_ending_that_is_an_accession_number_is_none(database: Database) -> None:
    named = replace(instance(1, "1.2.999"), accession_number="654321")
    receive(database, instance(1, "1.2.333.654321"), named)
    with database.read() as session:
        ending = unique_endings(session, ["1.2.333.654321"])["1.2.333.654321"]
        assert find_series(session, ending) == ("1.2.333.654321",)
    assert len(ending) == 8


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
