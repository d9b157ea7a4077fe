"""What is told of a node as a whole; each question by an index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy import Engine, event, select, update
from sqlalchemy.orm import Session

from storage import overview
from storage.by_hand import hold
from storage.canary_runs import CANARY_AE_TITLE
from storage.database import Database
from storage.endings import ends_with, unique_endings
from storage.jobs import claim, hand_back_owned
from storage.models import JobRow, SeriesRow
from storage.operating_tables import CanaryRunRow, RefusalRow
from storage.outbox import (
    claim_deliveries,
    hold_deliveries,
    mark_failed,
    mark_refused,
    mark_retry,
    mark_stored,
)
from storage.overview_records import (
    AwaitedPromises,
    FailedSeries,
    NeedsWaiting,
    OpenDeliveries,
    OpenJobs,
    ParkedDeliveries,
    RunningJob,
    Source,
    Waiting,
)
from storage.queries import analyses_ahead, find_exactly
from storage.records import Delivery, JobKind, Needs, SeriesState
from storage.result_sets import recent_sets
from storage.worker_queue import left_to_analyse
from support.storage_samples import (
    LEASE,
    NOW,
    SERIES,
    analyse,
    instance,
    queue,
    receive,
    seconds,
    take,
)

LATER = NOW + seconds(3600)


def analysed(database: Database, *destinations: str) -> None:
    """A report and a picture on their way to each."""
    receive(database)
    queue(database)
    analyse(database, destinations=destinations)


def claimed(session: Session, destination: str) -> tuple[Delivery, ...]:
    return claim_deliveries(session, destination, "node/d/1/", NOW, LEASE, limit=10)


def on_hold(database: Database) -> None:
    with database.write() as session:
        session.execute(update(SeriesRow).values(on_hold_since=NOW))


def test_what_is_on_its_way_is_counted_by_destination(database: Database) -> None:
    analysed(database, "ARCHIVE", "PACS")
    with database.write() as session:
        hold_deliveries(
            session, claimed(session, "PACS"), "PACS", LATER, "refused connection", "no connection"
        )
        first, second = claimed(session, "ARCHIVE")
        mark_retry(session, first, LATER, "busy", "0xA700")
        mark_stored(session, second, NOW, "0x0000")
    with database.read() as session:
        assert overview.open_deliveries(session) == (
            OpenDeliveries("ARCHIVE", 1, NOW, 0, "busy"),
            OpenDeliveries("PACS", 2, NOW, 2, "refused connection"),
        )
    on_hold(database)
    with database.read() as session:
        assert [each.oldest_at for each in overview.open_deliveries(session)] == [None, None]


def test_what_is_parked_is_told_with_its_last_error(database: Database) -> None:
    analysed(database, "ARCHIVE", "PACS")
    with database.write() as session:
        for number, each in enumerate(claimed(session, "PACS")):
            mark_refused(session, each, NOW, f"no such class, {number}", "class not accepted")
        first, second = claimed(session, "ARCHIVE")
        mark_failed(session, first, NOW, "given up")
        mark_stored(session, second, NOW, "0x0000", confirm_at=LATER)
    with database.read() as session:
        refused, failed = sorted(
            overview.parked_deliveries(session), key=lambda each: each.state, reverse=True
        )
        promises = overview.awaited_promises(session)
    assert refused.error in ("no such class, 0", "no such class, 1")
    assert (refused.destination, refused.state, refused.kind) == ("PACS", "refused", "kind")
    assert (refused.count, refused.series_key) == (2, SERIES)
    assert failed == ParkedDeliveries("ARCHIVE", "failed", "kind", 1, "given up", SERIES)
    assert promises == (AwaitedPromises("ARCHIVE", 1, NOW),)


def test_jobs_are_counted_with_the_one_that_waits_longest(database: Database) -> None:
    receive(database)
    queue(database)
    receive(database, instance(1, "1.2.9", received_at=LATER))
    with database.read() as session:
        assert overview.open_jobs(session, LATER) == (
            OpenJobs(JobKind.ANALYSE, 1, 0, NOW),
            OpenJobs(JobKind.ASSESS, 1, 0, LATER),
        )
        assert overview.open_jobs(session, NOW)[1].oldest_due_at is None
        assert overview.running_jobs(session) == ()
    take(database, JobKind.ANALYSE, LATER)
    on_hold(database)
    with database.read() as session:
        assert overview.open_jobs(session, LATER) == (
            OpenJobs(JobKind.ANALYSE, 0, 1, None),
            OpenJobs(JobKind.ASSESS, 1, 0, None),
        )
        held = RunningJob(SERIES, JobKind.ANALYSE, 1, LATER, LATER + LEASE, "node/w/1/")
        assert overview.running_jobs(session) == (held,)


def test_of_what_any_worker_may_begin_the_first_in_the_order_of_claims_are_counted(
    database: Database,
) -> None:
    def waits(most: int = 9, *capabilities: str) -> Waiting:
        with database.read() as session:
            return overview.waiting_analyses(session, capabilities or ("",), LATER, most)

    assert waits() == Waiting(0, 0.0)
    for number, waited in enumerate((9, 5, 7)):
        receive(database, instance(1, f"1.2.{number}"))
        queue(database, now=LATER - seconds(waited))
    assert waits() == Waiting(3, 9.0)
    assert waits(1) == Waiting(1, 9.0)
    job = take(database, JobKind.ANALYSE, LATER)
    assert waits() == Waiting(2, 7.0), "one is held"
    with database.write() as session:
        other = update(JobRow).where(JobRow.job_id != job.job_id, JobRow.created_at < LATER)
        session.execute(other.where(JobRow.series_key == "1.2.2").values(capability="gpu"))
    assert waits() == Waiting(1, 5.0)
    assert waits(9, "", "gpu") == Waiting(2, 7.0)
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.capability == "").values(node_id="a node"))
    assert waits() == Waiting(0, 0.0), "one node alone must do it"


def test_failed_series_are_told_with_their_rules(database: Database) -> None:
    receive(database)
    queue(database)
    for _ in range(3):
        take(database, JobKind.ANALYSE, LATER)
        with database.write() as session:
            hand_back_owned(session, "node/", LATER)
    with database.write() as session:
        assert claim(session, [JobKind.ANALYSE], "node/w/1/", LATER, LEASE) is None
    with database.read() as session:
        failed = (FailedSeries(SERIES, ("worker_lost",), LATER),)
        assert overview.failed_series(session, LATER) == failed
        assert overview.failed_series(session, LATER + seconds(1)) == ()
        assert overview.series_counts(session, NOW) == {SeriesState.FAILED: 1}
        assert overview.series_counts(session, LATER) == {}


def test_a_source_is_told_by_its_studies_in_each_hour(database: Database) -> None:
    assert told_sources(database) == ()
    times = [NOW, NOW + seconds(60), LATER]
    for number, at in enumerate(times):
        uid = f"1.2.{number + 1}"
        receive(database, instance(1, uid, study=f"1.{number}", received_at=at))
    receive(database, instance(1, "1.2.9", study="1.2", received_at=LATER + seconds(60)))
    assert told_sources(database) == (
        Source("SCANNER", LATER + seconds(60), ((NOW, 2), (LATER, 1))),
    )
    with database.read() as session:
        assert overview.newest_arrival(session) == LATER + seconds(60)
        (recent,) = overview.sources(session, LATER)
    assert recent.hours == ((LATER, 1),)


def test_the_canary_is_no_source_that_could_fall_silent(database: Database) -> None:
    receive(database, replace(instance(1), calling_ae_title=CANARY_AE_TITLE))
    assert told_sources(database) == ()


def told_sources(database: Database) -> tuple[Source, ...]:
    with database.read() as session:
        return overview.sources(session, NOW)


def refusal(ae_title: str, last_at: datetime) -> RefusalRow:
    names = ("study_instance_uid", "series_instance_uid", "sop_instance_uid", "accession_number")
    return RefusalRow(
        kind="association",
        calling_ae_title=ae_title,
        called_ae_title="NODE",
        peer_address="192.0.2.9",
        status="rejected",
        reason="calling AE title not recognised",
        count=3,
        first_at=NOW,
        last_at=last_at,
        **dict.fromkeys(names, ""),
    )


def test_refusals_are_told_from_a_time_on(database: Database) -> None:
    with database.write() as session:
        session.add_all([refusal("OLD", NOW), refusal("NEW", LATER)])
    with database.read() as session:
        (found,) = overview.recent_refusals(session, NOW + seconds(1))
    assert (found.calling_ae_title, found.count, found.last_at) == ("NEW", 3, LATER)


def canary(number: int, passed: bool | None) -> CanaryRunRow:
    at = NOW + seconds(number)
    names = [
        "study_instance_uid",
        "occasion",
        "stage",
        "version",
        "configuration",
        "models",
        "scores",
        "text",
    ]
    return CanaryRunRow(
        **dict.fromkeys(names, ""),
        series_instance_uid=f"1.{number}",
        started_at=at,
        ended_at=None if passed is None else at,
        passed=passed,
    )


def test_of_the_canary_its_last_runs_are_told(database: Database) -> None:
    with database.write() as session:
        session.add_all([canary(1, True), canary(2, True), canary(3, False), canary(4, None)])
    with database.read() as session:
        last, ended, passed = overview.last_canary_runs(session)
    assert (last.passed, last.started_at) == (None, NOW + seconds(4))
    assert (ended.passed, ended.started_at) == (False, NOW + seconds(3))
    assert (passed.passed, passed.started_at) == (True, NOW + seconds(2))


@contextmanager
def statements() -> Iterator[list[tuple[str, object]]]:
    """All that is asked of any database meanwhile."""
    asked: list[tuple[str, object]] = []

    def note(
        _connection: object, _cursor: object, statement: str, values: object, *_: object
    ) -> None:
        asked.append((statement, values))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


FEW = (
    "uq_job_open_assess",
    *(
        "ix_delivery_claim",
        "ix_delivery_parked",
        "ix_delivery_confirm",
        "ix_job_claim",
        "ix_job_attempt",
    ),
    "ix_job_able",
    "ix_result_set",  # in the order of which a few are taken
    "canary_run",  # of which the last is asked for
)


def few(step: str) -> bool:
    """Whether what is looked through is small, however long the node has run."""
    name = step.split()[1]
    return step.endswith(FEW) or name in ("newest", "anon_1", "node") or name.startswith("able_")


@pytest.mark.parametrize(
    "ask",
    [
        overview.open_deliveries,
        overview.parked_deliveries,
        overview.awaited_promises,
        lambda session: overview.open_jobs(session, NOW),
        overview.running_jobs,
        lambda session: overview.waiting_analyses(session, ("",), NOW, 9),
        lambda session: overview.failed_series(session, NOW),
        lambda session: overview.series_counts(session, NOW),
        lambda session: overview.sources(session, NOW),
        overview.newest_arrival,
        lambda session: overview.recent_refusals(session, NOW),
        overview.last_canary_runs,
        lambda session: claim(session, list(JobKind), "node/w/1/", NOW, LEASE),
        lambda session: claim(
            *(session, [JobKind.ANALYSE], "node/w/1/", NOW, LEASE), capabilities=("", "gpu")
        ),
        lambda session: unique_endings(session, ["1.2.3"]),
        lambda session: find_exactly(session, "1.2.3"),
        lambda session: session.scalar(select(SeriesRow.series_key).where(*ends_with("123456"))),
        lambda session: recent_sets(session, 9),
        analyses_ahead,
        lambda session: left_to_analyse(session, "node", NOW, ("",), 1),
        lambda session: claimed(session, "PACS"),
    ],
)
def test_no_question_looks_through_a_whole_table(
    ask: Callable[[Session], object], sqlite_template: object
) -> None:
    database = Database.open(f"sqlite:///{sqlite_template}")
    with database.read() as session, statements() as asked:
        ask(session)
        found = [each for each in asked if each[0].lstrip().upper().startswith(("SELECT", "WITH"))]
        assert found
        for statement, values in found:
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[arg-type]
            steps = [str(row[-1]) for row in plan]
            assert [step for step in steps if step.startswith("SCAN") and not few(step)] == []
    database.close()


def test_a_claim_goes_by_what_the_worker_can_do(sqlite_template: object) -> None:
    """And not by its attempts, of which nearly all jobs have few."""
    database = Database.open(f"sqlite:///{sqlite_template}")
    with database.read() as session, statements() as asked:
        claim(session, [JobKind.ANALYSE], "node/w/1/", NOW, LEASE, capabilities=("", "gpu"))
        ((statement, values),) = [each for each in asked if each[0].startswith("WITH able")]
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[arg-type]
        steps = [str(row[-1]) for row in plan if "job" in str(row[-1])]
    assert steps == ["SEARCH job USING INDEX ix_job_able (kind=? AND capability=?)"] * 2
    database.close()


def test_analyses_that_wait_are_told_by_what_they_ask_for(database: Database) -> None:
    for number, needs in enumerate((Needs(), Needs("gpu", 5), Needs("gpu", 5), Needs("gpu", 9))):
        uid = f"1.2.{number}"
        receive(database, instance(1, uid, received_at=NOW))
        queue(database, now=NOW + seconds(number), needs=needs)
    with database.write() as session:
        hold(session, "1.2.0", NOW)
        found = overview.analyses_by_needs(session, NOW + seconds(9))
    assert found == (
        NeedsWaiting(Needs("gpu", 5), 2, NOW + seconds(1)),
        NeedsWaiting(Needs("gpu", 9), 1, NOW + seconds(3)),
    )
