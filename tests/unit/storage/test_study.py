"""The series of a study; a skipped one gets its chance when the chosen one came to nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from storage.database import Database
from storage.decided import Reason, SeriesQuality, Verdict
from storage.queries import instances_by_association, series_detail
from storage.records import JobKind, JobState, SeriesState
from storage.series import note_waiting, record_queued, record_refused, record_skipped
from storage.study import lock_study_of, reconsider, series_of_study
from support.storage_samples import NOW, PASSED, RELEASED, SERIES, instance, receive, take

OTHER = f"{SERIES}.2"
LEFT = Reason("study_choice", f"better: {SERIES}", "best", Verdict.FAIL)
CONTRAST = Reason("contrast", "yes", "none given", Verdict.FAIL)
DECISION: dict[str, Any] = {"decided_at": NOW, "input_digest": "d", "completeness": RELEASED}


def decide(database: Database, reasons_of_the_other: list[Reason]) -> None:
    """SERIES is queued, OTHER skipped."""
    receive(database, instance(1))
    job = take(database, JobKind.ASSESS)
    with database.write() as session:
        record_queued(session, job, model_digest="m", priority=1, reasons=[PASSED], **DECISION)
    receive(database, instance(1, OTHER))
    job = take(database, JobKind.ASSESS)
    with database.write() as session:
        record_skipped(session, job, reasons=reasons_of_the_other, **DECISION)


def refuse(database: Database) -> tuple[str, ...]:
    job = take(database, JobKind.ANALYSE)
    with database.write() as session:
        lock_study_of(session, SERIES)
        assert record_refused(session, job, ended_at=NOW, reasons=[CONTRAST]) is None
        return reconsider(session, SERIES, "study_choice", NOW)


def state(database: Database, uid: str) -> SeriesState:
    with database.read() as session:
        found = series_detail(session, uid)
    assert found is not None
    return found.series.state


def test_the_one_that_gave_way_is_assessed_again(database: Database) -> None:
    decide(database, [LEFT])
    assert refuse(database) == (OTHER,)
    assert state(database, SERIES) is SeriesState.SKIPPED
    assert state(database, OTHER) is SeriesState.RECEIVING
    assert take(database, JobKind.ASSESS).series_key == OTHER
    with database.read() as session:
        found = series_detail(session, SERIES)
    assert found is not None
    assert [reason.rule for reason in found.series.reasons] == [PASSED.rule, "contrast"]
    assert [job.state for job in found.jobs] == [JobState.DONE, JobState.DONE]


def test_one_that_was_skipped_for_itself_stays_so(database: Database) -> None:
    decide(database, [CONTRAST])
    assert refuse(database) == ()
    assert state(database, OTHER) is SeriesState.SKIPPED


def test_what_is_noted_of_a_series_that_waits_is_there_for_the_others(database: Database) -> None:
    receive(database, instance(1), instance(2))
    job = take(database, JobKind.ASSESS)
    later = NOW + timedelta(seconds=1)
    waiting = replace(RELEASED, quality=SeriesQuality(1.0, 300.0, "B30f", 300))
    with database.write() as session:
        note_waiting(session, job, due=later, now=NOW, completeness=waiting)
    with database.read() as session:
        (record,) = series_of_study(session, SERIES)
        assert instances_by_association(session, SERIES) == {"a1": 2}
    assert record.completeness == waiting
    assert record.state is SeriesState.RECEIVING
    take(database, JobKind.ASSESS, later)
    receive(database, instance(3))  # it was noted of two instances
    with database.read() as session:
        assert series_of_study(session, SERIES)[0].completeness is None
