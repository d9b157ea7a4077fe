"""Which series a note is due for, and when it may not go out any more."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from storage.database import Database
from storage.notes import (
    ended_without_analysis,
    enter_note,
    notes_of,
    sent_and_outdated,
    withhold_outdated,
)
from storage.outbox import claim_deliveries, to_each
from storage.queries import series_detail
from storage.records import (
    NOTE_KIND,
    DeliveryState,
    JobKind,
    ResultRecord,
    SeriesRecord,
)
from storage.series import record_skipped
from storage.study import series_of_study
from support.storage_samples import (
    LEASE,
    NOW,
    RELEASED,
    SERIES,
    THICK,
    analyse,
    instance,
    queue,
    receive,
    result,
    seconds,
    take,
)

OTHER = "1.2.826.1.11"
NOTE = replace(result("note"), kind=NOTE_KIND)


def skip(database: Database, second: float = 0.0) -> None:
    """The series whose ASSESS job waits is not eligible."""
    moment = NOW + seconds(second)
    job = take(database, JobKind.ASSESS, moment)
    with database.write() as session:
        given = {"decided_at": moment, "input_digest": "d1", "completeness": RELEASED}
        assert record_skipped(session, job, reasons=[THICK], **given) is None  # type: ignore[arg-type]


def study(database: Database) -> tuple[SeriesRecord, ...]:
    with database.read() as session:
        return series_of_study(session, SERIES)


def enter(database: Database, told: tuple[SeriesRecord, ...], note: ResultRecord = NOTE) -> bool:
    with database.write() as session:
        return enter_note(session, told, [note], to_each("PACS"), NOW, whole_study=True)


def delivery_states(database: Database, series: str = SERIES) -> dict[str, DeliveryState]:
    with database.read() as session:
        found = series_detail(session, series)
    assert found is not None
    return {each.result.path: each.state for each in found.deliveries}


def test_series_that_came_to_nothing_are_found_by_when_they_ended(database: Database) -> None:
    receive(database)
    skip(database, 5)
    with database.read() as session:
        assert ended_without_analysis(session, "CT", NOW, NOW + seconds(5)) == (SERIES,)
        assert ended_without_analysis(session, "CT", NOW, NOW + seconds(4)) == ()
        assert ended_without_analysis(session, "CT", NOW + seconds(5), NOW + seconds(9)) == ()
        assert ended_without_analysis(session, "MR", NOW, NOW + seconds(5)) == ()


def test_an_analysed_series_is_none_of_them(database: Database) -> None:
    receive(database)
    queue(database)
    analyse(database)
    with database.read() as session:
        assert ended_without_analysis(session, "CT", NOW - seconds(1), NOW + seconds(9)) == ()


def test_a_note_waits_for_its_destinations_and_is_found(database: Database) -> None:
    receive(database)
    skip(database)
    assert enter(database, study(database))
    assert delivery_states(database) == {"note.dcm": DeliveryState.WAITING}
    with database.read() as session:
        assert notes_of(session, [SERIES]) == (NOTE,)
        assert notes_of(session, [OTHER]) == ()
    assert enter(database, study(database))  # again: the same row
    assert len(delivery_states(database)) == 1


@pytest.mark.parametrize("late", [instance(3), instance(1, OTHER)], ids=["same", "other series"])
def test_a_note_about_what_has_changed_is_not_entered(database: Database, late: object) -> None:
    receive(database)
    skip(database)
    told = study(database)
    receive(database, late)  # type: ignore[arg-type]
    assert not enter(database, told)
    assert delivery_states(database) == {}


def test_a_note_that_waits_is_given_up_when_another_series_is_analysed(
    database: Database,
) -> None:
    receive(database)
    skip(database)
    assert enter(database, study(database))
    with database.write() as session:
        assert withhold_outdated(session) == 0
    receive(database, instance(1, OTHER, received_at=NOW + seconds(1)))
    queue(database, now=NOW + seconds(1))
    analyse(database, [result("sr", OTHER)], now=NOW + seconds(1))
    with database.write() as session:
        assert withhold_outdated(session) == 1
        assert withhold_outdated(session) == 0
    assert delivery_states(database) == {"note.dcm": DeliveryState.ABANDONED}
    assert delivery_states(database, OTHER) == {"sr.dcm": DeliveryState.WAITING}


@pytest.mark.parametrize("whole_study", [True, False])
def test_a_note_that_was_sent_is_outdated_once_what_it_tells_of_is_analysed(
    database: Database, whole_study: bool
) -> None:
    def outdated(since: datetime | None = None) -> tuple[str, ...]:
        with database.read() as session:
            return sent_and_outdated(session, since, whole_study=whole_study)

    receive(database)
    skip(database)
    assert enter(database, study(database))
    receive(database, instance(1, OTHER, received_at=NOW + seconds(1)))
    queue(database, now=NOW + seconds(1))
    analyse(database, [result("sr", OTHER)], now=NOW + seconds(1))
    assert outdated() == ()  # nobody has it
    with database.write() as session:
        assert claim_deliveries(session, "PACS", "o/", NOW + seconds(2), LEASE, limit=1)
    assert outdated() == ((SERIES,) if whole_study else ())
    assert outdated(NOW) == ((SERIES,) if whole_study else ())
    assert outdated(NOW + seconds(1)) == ()


def test_a_late_slice_of_the_series_itself_withholds_its_note(database: Database) -> None:
    receive(database)
    skip(database)
    assert enter(database, study(database))
    receive(database, instance(3, received_at=NOW + seconds(1)))
    skip(database, 1)
    assert delivery_states(database) == {"note.dcm": DeliveryState.ABANDONED}
