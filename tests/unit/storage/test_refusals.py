"""What was refused is counted alike, found by whatever names it, and forgotten in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from storage import overview
from storage.database import Database
from storage.refusals import ASSOCIATION, INSTANCE, Refusal, enter, find, forget, of_series, recent
from support.storage_samples import NOW, SERIES, STUDY, seconds

FULL = Refusal(
    kind=INSTANCE,
    calling_ae_title="CT1",
    called_ae_title="DICOMNODE",
    peer_address="192.0.2.1",
    status="0xA700",
    reason="no room",
    first_at=NOW,
    last_at=NOW,
    study_instance_uid=STUDY,
    series_instance_uid=SERIES,
    sop_instance_uid=f"{SERIES}.1",
    accession_number="ACC-7",
)
LATER = replace(
    FULL,
    first_at=NOW + seconds(9),
    last_at=NOW + seconds(9),
    sop_instance_uid=f"{SERIES}.2",
    count=5,
)
STRANGER = Refusal(
    "association", "EVIL", "X", "192.0.2.9", "A-ASSOCIATE-RJ 1/1/3", "not known", NOW, NOW
)


def entered(database: Database, *refusals: Refusal) -> None:
    with database.write() as session:
        enter(session, refusals)


def found(database: Database, text: str) -> tuple[Refusal, ...]:
    with database.read() as session:
        return find(session, text)


def test_alike_ones_are_one_row_that_counts_and_names_the_last(database: Database) -> None:
    entered(database, FULL, STRANGER)
    entered(database, LATER)
    (row,) = found(database, SERIES)
    assert row == replace(LATER, first_at=NOW, count=6)
    assert row == FULL.with_(LATER) == LATER.with_(FULL)


@pytest.mark.parametrize(
    "text", [SERIES, STUDY, f"{SERIES}.1", "ACC-7", "826.1.10", "…826.1.10", f" {SERIES} "]
)
def test_it_is_found_by_what_names_it(database: Database, text: str) -> None:
    entered(database, FULL, STRANGER)
    assert found(database, text) == (FULL,)


@pytest.mark.parametrize("text", ["", "…", "9.9.9", "%", "ACC"])
def test_nothing_else_finds_it(database: Database, text: str) -> None:
    entered(database, FULL, STRANGER)
    assert found(database, text) == ()


def test_of_a_series_are_those_of_its_study_that_named_none(database: Database) -> None:
    of_study = replace(FULL, series_instance_uid="", sop_instance_uid="")
    other = replace(FULL, series_instance_uid="1.2.3")
    entered(database, FULL, of_study, other, STRANGER)
    with database.read() as session:
        assert set(of_series(session, SERIES, STUDY)) == {FULL, of_study}


def test_the_newest_come_first_and_of_one_sender(database: Database) -> None:
    entered(database, FULL, replace(STRANGER, last_at=NOW + seconds(1)))
    with database.read() as session:
        newest = recent(session, None, None, 9)
        assert [each.calling_ae_title for each in newest] == ["EVIL", "CT1"]
        assert recent(session, NOW + seconds(1), None, 9) == newest[:1]
        assert recent(session, None, "CT1", 9) == newest[1:]
        assert recent(session, None, None, 1) == newest[:1]


def test_old_ones_and_too_many_are_forgotten(database: Database) -> None:
    entered(
        database,
        *(replace(FULL, series_instance_uid=f"1.{n}", last_at=NOW + seconds(n)) for n in range(6)),
    )
    with database.write() as session:
        forget(session, NOW + seconds(2), 3)
        assert len(recent(session, None, None, 99)) == 3
        forget(session, NOW + seconds(5), 99)
        assert [each.series_instance_uid for each in recent(session, None, None, 9)] == ["1.5"]
        forget(session, NOW + timedelta(days=1), 99)
        assert recent(session, None, None, 9) == ()


def test_who_knocks_under_many_titles_pushes_out_no_trace_of_an_instance(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "_MOST", 3)
    knocks = (
        replace(FULL, kind=ASSOCIATION, calling_ae_title=f"SCAN{n}", last_at=NOW + seconds(60 + n))
        for n in range(9)
    )
    with database.write() as session:
        enter(session, [FULL, *knocks])
        found = overview.recent_refusals(session, NOW)
        assert [each.kind for each in found] == [ASSOCIATION] * 3 + [INSTANCE]
        forget(session, NOW, 5)
        assert len(recent(session, None, None, 99)) == 6
        assert find(session, SERIES)[-1].kind == INSTANCE
