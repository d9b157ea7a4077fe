"""Decisions and outcomes: one transaction with the job, fenced, and never about an older input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from storage.database import Database
from storage.decided import Reason, Verdict
from storage.errors import LeaseLostError
from storage.jobs import claim, finish
from storage.outbox import to_each
from storage.queries import series_detail
from storage.records import (
    DeliveryState,
    Job,
    JobKind,
    JobState,
    SeriesDetail,
    SeriesState,
    Superseded,
)
from storage.series import record_analysed, record_failed, record_queued, record_skipped
from support.storage_samples import (
    LEASE,
    NOW,
    PASSED,
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

BROKEN = Reason("pixel_data", "truncated", None, Verdict.FAIL)


def detail(database: Database) -> SeriesDetail:
    with database.read() as session:
        found = series_detail(session, SERIES)
    assert found is not None
    return found


def skip(session: Session, job: Job) -> Superseded | None:
    given: dict[str, Any] = {"completeness": RELEASED, "reasons": [PASSED, THICK]}
    return record_skipped(session, job, decided_at=NOW, input_digest="d1", **given)


def end_analysis(session: Session, job: Job) -> Superseded | None:
    return record_analysed(
        session,
        job,
        ended_at=NOW,
        analysis={"seconds": {"network": 1.5}},
        results=[result("sr"), result("sc")],
        destinations=to_each("PACS", "ARCHIVE"),
    )


def give_up(session: Session, job: Job) -> Superseded | None:
    return record_failed(session, job, ended_at=NOW, reasons=[BROKEN], error="DataError")


def test_a_skipped_series_keeps_every_reason(database: Database) -> None:
    receive(database)
    job = take(database, JobKind.ASSESS)
    with database.write() as session:
        assert skip(session, job) is None
    found = detail(database)
    assert (found.series.state, found.series.ended_at) == (SeriesState.SKIPPED, NOW)
    assert found.series.reasons == (PASSED, THICK)
    assert (found.series.input_digest, found.series.completeness) == ("d1", RELEASED)
    assert [job.state for job in found.jobs] == [JobState.DONE]


def test_a_queued_series_has_its_analysis_waiting(database: Database) -> None:
    receive(database)
    queue(database, priority=0)
    found = detail(database)
    assert (found.series.state, found.series.ended_at) == (SeriesState.QUEUED, None)
    job = take(database, JobKind.ANALYSE)
    assert (job.input_digest, job.model_digest, job.priority) == ("d1", "m1", 0)


def test_the_end_of_an_analysis_fills_the_outbox(database: Database) -> None:
    receive(database)
    queue(database)
    job = take(database, JobKind.ANALYSE)
    with database.write() as session:
        assert end_analysis(session, job) is None
    found = detail(database)
    assert found.series.state is SeriesState.ANALYSED
    assert found.series.analysis == {"seconds": {"network": 1.5}}
    assert found.series.reasons == (PASSED,)
    assert found.results == (result("sr"), result("sc"))
    assert {(each.result.path, each.destination, each.state) for each in found.deliveries} == {
        (path, destination, DeliveryState.WAITING)
        for path in ("sr.dcm", "sc.dcm")
        for destination in ("PACS", "ARCHIVE")
    }


def test_a_failed_analysis_adds_its_reasons_to_the_decision(database: Database) -> None:
    receive(database)
    queue(database)
    job = take(database, JobKind.ANALYSE)
    with database.write() as session:
        assert give_up(session, job) is None
    found = detail(database)
    assert (found.series.state, found.series.reasons) == (SeriesState.FAILED, (PASSED, BROKEN))
    assert (found.jobs[-1].state, found.jobs[-1].error) == (JobState.FAILED, "DataError")


def test_a_series_that_cannot_be_assessed_fails(database: Database) -> None:
    receive(database)
    job = take(database, JobKind.ASSESS)
    with database.write() as session:
        assert give_up(session, job) is None
    assert detail(database).series.state is SeriesState.FAILED


@pytest.mark.parametrize("write", [skip, give_up])
def test_a_late_assessor_decides_nothing(database: Database, write: Any) -> None:
    receive(database)
    late = take(database, JobKind.ASSESS)
    take(database, JobKind.ASSESS, NOW + LEASE)
    with pytest.raises(LeaseLostError), database.write() as session:
        write(session, late)
    assert detail(database).series.state is SeriesState.RECEIVING


@pytest.mark.parametrize("write", [end_analysis, give_up])
def test_a_late_analyst_leaves_nothing_behind(database: Database, write: Any) -> None:
    receive(database)
    queue(database)
    late = take(database, JobKind.ANALYSE)
    holder = take(database, JobKind.ANALYSE, NOW + LEASE)
    with pytest.raises(LeaseLostError), database.write() as session:
        write(session, late)
    assert detail(database).results == ()
    with database.write() as session:
        assert end_analysis(session, holder) is None
    assert len(detail(database).results) == 2


@pytest.mark.parametrize("write", [skip, give_up])
def test_a_decision_on_fewer_instances_than_there_are_is_not_kept(
    database: Database, write: Any
) -> None:
    receive(database)
    job = take(database, JobKind.ASSESS)
    receive(database, instance(3))
    with database.write() as session:
        assert write(session, job) == Superseded(SERIES, SeriesState.RECEIVING)
    found = detail(database)
    assert (found.series.state, found.series.reasons) == (SeriesState.RECEIVING, ())
    again = take(database, JobKind.ASSESS)
    assert (again.job_id, again.attempt) == (job.job_id, 1)
    with database.write() as session:
        assert skip(session, again) is None


@pytest.mark.parametrize("write", [end_analysis, give_up])
def test_a_late_instance_keeps_a_running_analysis_from_giving_results(
    database: Database, write: Any
) -> None:
    receive(database)
    queue(database)
    job = take(database, JobKind.ANALYSE)
    receive(database, instance(3))
    with database.write() as session:
        assert write(session, job) == Superseded(SERIES, SeriesState.RECEIVING)
    found = detail(database)
    assert (found.results, found.deliveries) == ((), ())
    assert (found.jobs[1].state, found.jobs[1].error) == (JobState.DONE, "superseded")


def test_an_analysis_of_the_older_input_is_refused_after_the_new_decision(
    database: Database,
) -> None:
    receive(database)
    queue(database, "d1")
    old = take(database, JobKind.ANALYSE)
    receive(database, instance(3))
    queue(database, "d2")
    with database.write() as session:
        assert end_analysis(session, old) == Superseded(SERIES, SeriesState.QUEUED)
    assert take(database, JobKind.ANALYSE).input_digest == "d2"


def test_what_waits_to_be_sent_is_withheld_when_a_late_instance_changes_the_input(
    database: Database,
) -> None:
    receive(database)
    queue(database, "d1")
    analyse(database, [result("old")])
    receive(database, instance(3))
    queue(database, "d2")
    analyse(database, [result("new")])
    sent = {(each.result.path, each.state, each.error) for each in detail(database).deliveries}
    assert sent == {
        ("old.dcm", DeliveryState.ABANDONED, "superseded"),
        ("new.dcm", DeliveryState.WAITING, None),
    }


def test_the_same_analysis_again_makes_no_second_result(database: Database) -> None:
    receive(database)
    for digest in ("d1", "d2", "d1"):
        queue(database, digest)
        analyse(database, [result("sr")])
        receive(database, instance(len(detail(database).jobs) + 10))
    found = detail(database)
    assert len(found.results) == len(found.deliveries) == 1


def test_job_and_decision_are_kept_or_lost_together(database: Database) -> None:
    receive(database)
    job = take(database, JobKind.ASSESS)

    def break_off() -> None:
        with database.write() as session:
            skip(session, job)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert detail(database).series.state is SeriesState.RECEIVING
    with database.write() as session:
        finish(session, job, NOW)


def test_not_a_number_is_no_value_of_a_reason(database: Database) -> None:
    receive(database)
    job = take(database, JobKind.ASSESS)
    reason = replace(THICK, value=float("nan"))
    with pytest.raises((StatementError, ValueError), match="JSON"), database.write() as session:
        record_failed(session, job, ended_at=NOW, reasons=[reason], error="")


def test_a_model_that_changed_replaces_the_queued_analysis(database: Database) -> None:
    receive(database)
    queue(database)
    receive(database, instance(3, received_at=NOW + seconds(1)))
    job = take(database, JobKind.ASSESS, NOW + seconds(1))
    with database.write() as session:
        given: dict[str, Any] = {"completeness": RELEASED, "reasons": [], "input_digest": "d1"}
        record_queued(session, job, decided_at=NOW, model_digest="m2", priority=1, **given)
    assert take(database, JobKind.ANALYSE).model_digest == "m2"
    with database.write() as session:
        assert claim(session, [JobKind.ANALYSE], "w", NOW, LEASE) is None
