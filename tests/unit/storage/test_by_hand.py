"""What a person does with a series: work on it stops or goes on, whoever is at it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storage.by_hand import CANCELLED, Cancelled, Held, Moved, cancel, hold, let_go, put_first
from storage.database import Database
from storage.decided import Reason, Verdict
from storage.errors import LeaseLostError
from storage.jobs import claim, finish, still_awaited
from storage.outbox import claim_deliveries, mark_stored
from storage.queries import series_detail
from storage.records import (
    Delivery,
    Job,
    JobKind,
    JobState,
    SeriesDetail,
    SeriesState,
    StoredInstance,
)
from storage.reopening import retry_failed
from storage.retention import ended_series
from storage.series import record_skipped
from support.storage_samples import (
    LEASE,
    NOW,
    RELEASED,
    SERIES,
    analyse,
    instance,
    queue,
    receive,
    seconds,
    take,
)

LATER = NOW + seconds(5)
OTHER = "1.2.826.1.20"
STUDY_RULE = "study_choice"


def detail(database: Database, series: str = SERIES) -> SeriesDetail:
    with database.read() as session:
        found = series_detail(session, series)
    assert found is not None
    return found


def claimed(database: Database, kind: JobKind) -> Job | None:
    with database.write() as session:
        return claim(session, [kind], "node/w/2/", LATER, LEASE)


def sent(database: Database) -> tuple[Delivery, ...]:
    with database.write() as session:
        return claim_deliveries(session, "PACS", "node/d/1/", LATER, LEASE, limit=9)


def held(database: Database) -> Held | None:
    with database.write() as session:
        return hold(session, SERIES, LATER)


def released(database: Database) -> bool:
    with database.write() as session:
        return let_go(session, SERIES, LATER)


def cancelled(database: Database, series: str = SERIES) -> Cancelled | None:
    with database.write() as session:
        return cancel(session, series, LATER, STUDY_RULE)


def other(priority: int = 1) -> StoredInstance:
    return instance(1, OTHER, priority=priority)


def test_nothing_of_a_series_on_hold_is_assessed_or_analysed(database: Database) -> None:
    receive(database)
    assert held(database) == Held(analysis_stopped=False, being_sent=0)
    assert held(database) is None
    assert claimed(database, JobKind.ASSESS) is None
    assert released(database)
    assert not released(database)
    queue(database)
    held(database)
    assert claimed(database, JobKind.ANALYSE) is None
    released(database)
    assert claimed(database, JobKind.ANALYSE) is not None


def test_an_analysis_that_runs_is_fenced_and_begins_anew_without_a_lost_attempt(
    database: Database,
) -> None:
    receive(database)
    queue(database)
    job = take(database, JobKind.ANALYSE)
    with database.read() as session:
        assert still_awaited(session, job)
    assert held(database) == Held(analysis_stopped=True, being_sent=0)
    with database.read() as session:
        assert not still_awaited(session, job)
    with database.write() as session, pytest.raises(LeaseLostError):
        finish(session, job, LATER)
    released(database)
    again = claimed(database, JobKind.ANALYSE)
    assert again is not None
    assert again.attempt == 1


def test_results_of_a_series_on_hold_stay_but_what_is_being_sent_arrives(
    database: Database,
) -> None:
    receive(database)
    queue(database)
    analyse(database)
    with database.write() as session:
        (first,) = claim_deliveries(session, "PACS", "node/d/1/", NOW, LEASE, limit=1)
    assert held(database) == Held(analysis_stopped=False, being_sent=1)
    assert sent(database) == ()
    with database.write() as session:
        mark_stored(session, first, LATER, "0x0000")
    released(database)
    assert len(sent(database)) == 1


def test_retention_leaves_a_series_on_hold_alone(database: Database) -> None:
    receive(database)
    queue(database)
    analyse(database)
    day = timedelta(days=1)
    with database.read() as session:
        assert ended_series(session, NOW + day, None, 9) != ()
    held(database)
    with database.read() as session:
        assert ended_series(session, NOW + day, None, 9) == ()


def test_late_slices_of_a_series_on_hold_wait_with_it(database: Database) -> None:
    receive(database)
    queue(database)
    held(database)
    receive(database, instance(3, received_at=LATER))
    assert detail(database).series.state is SeriesState.RECEIVING
    assert claimed(database, JobKind.ASSESS) is None


@pytest.mark.parametrize("running", [False, True])
def test_a_cancelled_series_is_skipped_for_that_reason_and_its_analysis_ends(
    database: Database, running: bool
) -> None:
    receive(database)
    queue(database)
    job = take(database, JobKind.ANALYSE) if running else None
    if not running:
        held(database)
    assert cancelled(database) == Cancelled(analysis_stopped=running, reconsidered=())
    found = detail(database)
    assert (found.series.state, found.series.ended_at) == (SeriesState.SKIPPED, LATER)
    assert (found.series.cancelled_at, found.series.on_hold_since) == (LATER, None)
    (reason,) = [each for each in found.series.reasons if each.verdict is Verdict.FAIL]
    assert reason == Reason(CANCELLED, "by a person, 2025-03-01 12:00 UTC", None, Verdict.FAIL)
    assert [each.state for each in found.jobs] == [JobState.DONE] * 2
    assert found.jobs[-1].error == CANCELLED
    if job is not None:
        with database.write() as session, pytest.raises(LeaseLostError):
            finish(session, job, LATER)
    assert cancelled(database) is None


def test_a_series_that_still_receives_can_be_cancelled(database: Database) -> None:
    receive(database)
    job = take(database, JobKind.ASSESS)
    assert cancelled(database) is not None
    assert detail(database).series.state is SeriesState.SKIPPED
    with database.write() as session, pytest.raises(LeaseLostError):
        finish(session, job, LATER)


def test_what_comes_late_of_a_cancelled_series_does_not_undo_it_and_retry_does(
    database: Database,
) -> None:
    receive(database)
    cancelled(database)
    receive(database, instance(3, received_at=LATER))
    assert detail(database).series.cancelled_at == LATER, "for the next decision to know"
    queue(database, now=LATER)
    cancelled(database)
    with database.write() as session:
        assert retry_failed(session, SERIES, LATER)
    assert detail(database).series.cancelled_at is None
    assert claimed(database, JobKind.ASSESS) is not None


def test_a_series_that_has_ended_cannot_be_cancelled(database: Database) -> None:
    receive(database)
    queue(database)
    analyse(database)
    assert cancelled(database) is None
    assert detail(database).series.state is SeriesState.ANALYSED
    assert len(sent(database)) == 2


def test_who_gave_way_to_a_cancelled_series_gets_its_turn(database: Database) -> None:
    receive(database)
    queue(database)
    receive(database, other())
    job = take(database, JobKind.ASSESS)
    gave_way = Reason(STUDY_RULE, f"chosen: {SERIES}", None, Verdict.FAIL)
    with database.write() as session:
        record_skipped(
            session,
            job,
            decided_at=NOW,
            input_digest="d",
            completeness=RELEASED,
            reasons=[gave_way],
        )
    assert cancelled(database) == Cancelled(False, reconsidered=(OTHER,))
    assert detail(database, OTHER).series.state is SeriesState.RECEIVING


def test_first_is_before_stat_and_stays_so_to_the_deliveries(database: Database) -> None:
    receive(database)
    receive(database, other(priority=0))
    with database.write() as session:
        assert put_first(session, SERIES) == Moved(jobs=1, deliveries=0)
    queue(database, priority=1)  # as its job was claimed before it was put first
    job = claimed(database, JobKind.ASSESS)
    assert job is not None
    assert job.series_key == OTHER
    assert detail(database).series.priority < 0
    analyse(database)
    assert detail(database).jobs[-1].priority < 0
    with database.write() as session:
        assert put_first(session, OTHER) == Moved(jobs=1, deliveries=0)
        assert put_first(session, SERIES) == Moved(jobs=0, deliveries=2)
    assert detail(database).series.priority < detail(database, OTHER).series.priority


def test_of_what_waits_for_nothing_nothing_is_put_first(database: Database) -> None:
    receive(database)
    queue(database)
    analyse(database, destinations=[])
    with database.write() as session:
        assert put_first(session, SERIES) is None
    assert detail(database).series.priority == 1
