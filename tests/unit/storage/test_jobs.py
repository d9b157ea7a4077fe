"""Claims and leases: each job once, a late worker fenced, a deadly job parked."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy.orm import Session

from storage.database import Database
from storage.enqueue import enqueue_analyse, enqueue_fetch, ensure_assess
from storage.errors import LeaseLostError
from storage.index import record_instances
from storage.jobs import (
    claim,
    fail,
    finish,
    hand_back_owned,
    over_deadline,
    put_back,
    renew,
    still_awaited,
)
from storage.outbox import claim_deliveries
from storage.queries import series_detail
from storage.records import Job, JobKind, JobState, SeriesDetail, SeriesState
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
from support.wait import PATIENCE_SECONDS

ASSESS = [JobKind.ASSESS]


def next_job(database: Database, now: datetime = NOW, owner: str = "node/w/1/") -> Job | None:
    with database.write() as session:
        return claim(session, list(JobKind), owner, now, LEASE)


def detail(database: Database) -> SeriesDetail:
    with database.read() as session:
        found = series_detail(session, SERIES)
    assert found is not None
    return found


def test_a_claim_takes_the_lease_and_says_so(database: Database) -> None:
    receive(database)
    job = take(database, JobKind.ASSESS)
    assert (job.attempt, job.lease_until, job.input_digest) == (1, NOW + LEASE, "")
    (running,) = detail(database).jobs
    assert (running.owner, running.started_at) == ("node/w/1/", NOW)
    assert next_job(database) is None


def test_the_urgent_come_first_then_the_oldest(database: Database) -> None:
    for series, priority, after in (("1.1", 1, 0), ("1.2", 1, -9), ("1.3", 0, 9), ("1.4", 2, -9)):
        received_at = NOW + seconds(after)
        receive(database, instance(1, series, priority=priority, received_at=received_at))
    later = NOW + seconds(10)
    order = [take(database, JobKind.ASSESS, later).series_key for _ in range(4)]
    assert order == ["1.3", "1.2", "1.1", "1.4"]


def test_only_the_wanted_kind_is_claimed(database: Database) -> None:
    receive(database)
    with database.write() as session:
        assert claim(session, [JobKind.ANALYSE], "w", NOW, LEASE) is None


def test_a_job_put_back_waits_and_the_attempt_counts_only_if_told(database: Database) -> None:
    receive(database)
    for count_attempt, next_attempt in ((False, 1), (True, 2)):
        job = take(database, JobKind.ASSESS)
        with database.write() as session:
            put_back(session, job, NOW + seconds(5), count_attempt)
        assert next_job(database, NOW + seconds(4)) is None
        job = take(database, JobKind.ASSESS, NOW + seconds(5))
        assert job.attempt == next_attempt
        with database.write() as session:
            put_back(session, job, NOW, count_attempt=False)


def test_a_lease_that_ran_out_is_taken_over(database: Database) -> None:
    receive(database)
    first = take(database, JobKind.ASSESS)
    assert next_job(database, NOW + seconds(59)) is None
    second = take(database, JobKind.ASSESS, NOW + LEASE, "node/w/2/")
    assert (second.job_id, second.attempt) == (first.job_id, 2)
    assert second.lease_token != first.lease_token


def test_a_renewed_lease_is_kept(database: Database) -> None:
    receive(database)
    job = take(database, JobKind.ASSESS)
    with database.write() as session:
        assert renew(session, job, NOW + seconds(50), LEASE)
    assert next_job(database, NOW + seconds(100)) is None
    assert next_job(database, NOW + seconds(110)) is not None


@pytest.mark.parametrize(
    "write",
    [
        lambda session, job: finish(session, job, NOW),
        lambda session, job: fail(session, job, NOW, "error"),
        lambda session, job: put_back(session, job, NOW, count_attempt=True),
    ],
    ids=["finish", "fail", "put_back"],
)
def test_a_worker_that_wakes_up_late_can_write_nothing(
    database: Database, write: Callable[[Session, Job], None]
) -> None:
    receive(database)
    late = take(database, JobKind.ASSESS)
    holder = take(database, JobKind.ASSESS, NOW + LEASE)
    with pytest.raises(LeaseLostError, match=f"job {late.job_id}"), database.write() as session:
        write(session, late)
    with database.write() as session:
        assert not renew(session, late, NOW, LEASE)
        assert renew(session, holder, NOW + LEASE, LEASE)


@pytest.mark.parametrize(
    ("end", "state", "error"),
    [
        (lambda session, job: finish(session, job, NOW), JobState.DONE, None),
        (lambda session, job: fail(session, job, NOW, "broken"), JobState.FAILED, "broken"),
    ],
)
def test_an_ended_job_is_not_claimed_again(
    database: Database, end: Callable[[Session, Job], None], state: JobState, error: str | None
) -> None:
    receive(database)
    job = take(database, JobKind.ASSESS)
    with database.write() as session:
        end(session, job)
    assert next_job(database, NOW + seconds(999)) is None
    (found,) = detail(database).jobs
    assert (found.state, found.error, found.ended_at) == (state, error, NOW)
    with pytest.raises(LeaseLostError), database.write() as session:
        finish(session, job, NOW)


@pytest.mark.parametrize("kind", list(JobKind))
def test_a_job_that_loses_three_workers_is_parked_and_its_series_fails(
    database: Database, kind: JobKind
) -> None:
    receive(database)
    if kind is JobKind.ANALYSE:
        queue(database)
    if kind is JobKind.FETCH:
        with database.write() as session:
            enqueue_fetch(session, SERIES, 1, NOW)
    for attempt in range(3):
        assert take(database, kind, NOW + attempt * LEASE).attempt == attempt + 1
    end = NOW + 3 * LEASE
    with database.write() as session:
        assert claim(session, [kind], "node/w/1/", end, LEASE) is None
    found = detail(database)
    assert (found.jobs[-1].state, found.jobs[-1].error) == (JobState.PARKED, "worker_lost")
    assert (found.series.state, found.series.ended_at) == (SeriesState.FAILED, end)
    assert found.series.reasons[-1].as_json() == {
        "rule": "worker_lost",
        "value": 3,
        "limit": 3,
        "verdict": "fail",
    }


def test_a_job_that_took_too_long_each_time_says_so_with_the_key_of_the_limit(
    database: Database,
) -> None:
    receive(database)
    queue(database)
    late = over_deadline("inference.deadline_seconds", 900.0)
    for _ in range(3):
        job = take(database, JobKind.ANALYSE)
        with database.write() as session:
            put_back(session, job, NOW, count_attempt=True, error=late)
    assert next_job(database, NOW) is None
    found = detail(database)
    told = "longer than inference.deadline_seconds = 900"
    assert found.jobs[-1].error == f"deadline: {told}"
    assert found.series.reasons[-1].as_json() == {
        "rule": "deadline",
        "value": f"{told}, 3 times",
        "limit": None,
        "verdict": "fail",
    }


def test_what_a_job_is_parked_with_is_of_its_last_attempt(database: Database) -> None:
    receive(database)
    queue(database)
    job = take(database, JobKind.ANALYSE)
    with database.write() as session:
        put_back(session, job, NOW, count_attempt=True, error=over_deadline("key", 1.0))
    for attempt in range(2):
        take(database, JobKind.ANALYSE, NOW + attempt * LEASE)
    assert next_job(database, NOW + 2 * LEASE) is None
    assert detail(database).series.reasons[-1].rule == "worker_lost"


def test_a_parked_job_does_not_hide_the_next(database: Database) -> None:
    receive(database)
    for attempt in range(3):
        take(database, JobKind.ASSESS, NOW + attempt * LEASE)
    receive(database, instance(1, "1.2.5"))
    assert take(database, JobKind.ASSESS, NOW + 3 * LEASE).series_key == "1.2.5"


def test_a_parked_analysis_of_an_older_input_leaves_the_series_alone(database: Database) -> None:
    receive(database)
    queue(database)
    for attempt in range(3):
        take(database, JobKind.ANALYSE, NOW + attempt * LEASE)
    receive(database, instance(3, received_at=NOW + seconds(1)))
    end = NOW + 3 * LEASE
    with database.write() as session:
        assert claim(session, [JobKind.ANALYSE], "w", end, LEASE) is None
    found = detail(database)
    assert [job.state for job in found.jobs] == [JobState.DONE, JobState.PARKED, JobState.QUEUED]
    assert found.series.state is SeriesState.RECEIVING


def test_a_late_instance_revives_a_series_whose_assessment_was_parked(database: Database) -> None:
    receive(database)
    for attempt in range(3):
        take(database, JobKind.ASSESS, NOW + attempt * LEASE)
    assert next_job(database, NOW + 3 * LEASE) is None
    receive(database, instance(3, received_at=NOW + 4 * LEASE))
    job = take(database, JobKind.ASSESS, NOW + 4 * LEASE)
    assert job.attempt == 1
    assert detail(database).series.history[0].state == "failed"


def test_what_dead_workers_held_is_handed_back_at_once(database: Database) -> None:
    receive(database)
    queue(database)
    analyse(database)
    receive(database, instance(1, "1.5"), instance(1, "1.6"))
    dead = take(database, JobKind.ASSESS, owner="node/w/12/")
    alive = take(database, JobKind.ASSESS, owner="node/w/123/")
    with database.write() as session:
        sending = claim_deliveries(session, "PACS", "node/w/12/x", NOW, LEASE, limit=9)
    with database.write() as session:
        assert hand_back_owned(session, "node/w/12/", NOW + seconds(1)) == 1 + len(sending) == 3
    again = take(database, JobKind.ASSESS, NOW + seconds(1))
    assert (again.job_id, again.attempt) == (dead.job_id, 2)
    with database.write() as session:
        assert renew(session, alive, NOW, LEASE)
        assert not renew(session, dead, NOW, LEASE)
        retaken = claim_deliveries(session, "PACS", "w", NOW + seconds(1), LEASE, limit=9)
    assert [each.attempt for each in retaken] == [2, 2]


@pytest.mark.parametrize("prefix", ["node/%", "NODE/w/1/", "_ode/w/1/"])
def test_a_prefix_is_taken_by_the_letter(database: Database, prefix: str) -> None:
    receive(database)
    take(database, JobKind.ASSESS, owner="node/w/1/")
    with database.write() as session:
        assert hand_back_owned(session, prefix, NOW) == 0


def test_one_open_assessment_however_often_asked(database: Database) -> None:
    receive(database)
    with database.write() as session:
        for priority in (2, 0, 1):
            ensure_assess(session, SERIES, priority, NOW)
    assert [(job.kind, job.priority) for job in detail(database).jobs] == [(JobKind.ASSESS, 0)]


def test_an_analysis_is_queued_once_and_begun_anew_when_it_had_ended(database: Database) -> None:
    receive(database)
    queue(database)

    def enqueue(session: Session) -> None:
        enqueue_analyse(session, SERIES, input_digest="d1", model_digest="m1", priority=0, now=NOW)

    with database.write() as session:
        enqueue(session)
    job = take(database, JobKind.ANALYSE)
    assert (job.priority, detail(database).jobs[-1].job_id) == (1, job.job_id)
    with database.write() as session:
        fail(session, job, NOW, "error")
        enqueue(session)
    again = take(database, JobKind.ANALYSE)
    assert again == replace(job, priority=0, lease_token=again.lease_token)


def test_an_analysis_is_awaited_until_instances_come_after_its_decision(
    database: Database,
) -> None:
    receive(database)
    queue(database)
    job = take(database, JobKind.ANALYSE)
    with database.read() as session:
        assert still_awaited(session, job)
    receive(database, instance(3))
    with database.read() as session:
        assert not still_awaited(session, job)
    queue(database, digest="d2")
    with database.read() as session:
        assert not still_awaited(session, job)
        assert still_awaited(session, replace(job, input_digest="d2"))


def _drain(url: str, owner: str, taken: Any) -> None:
    database = Database.open(url)
    while (job := next_job(database, owner=owner)) is not None:
        with database.write() as session:
            finish(session, job, NOW)
        taken.put((job.job_id, owner))
    taken.put(None)
    database.close()


def _fill(database: Database, count: int) -> None:
    with database.write() as session:
        record_instances(session, [instance(1, f"1.2.{number}") for number in range(count)])


def test_processes_claim_each_job_exactly_once(database: Database, database_url: str) -> None:
    _fill(database, 60)
    context = multiprocessing.get_context("spawn")
    taken = context.Queue()
    children = [
        context.Process(target=_drain, args=(database_url, f"node/w/{each}/", taken))
        for each in range(3)
    ]
    for child in children:
        child.start()
    found: list[tuple[int, str]] = []
    for _ in children:
        found.extend(iter(lambda: taken.get(timeout=PATIENCE_SECONDS), None))
    for child in children:
        child.join(PATIENCE_SECONDS)
    assert len(found) == len({job_id for job_id, _ in found}) == 60


def test_threads_claim_each_job_exactly_once(database: Database) -> None:
    _fill(database, 40)
    start = threading.Barrier(8)
    taken: list[int] = []

    def drain(owner: str) -> None:
        start.wait()
        while (job := next_job(database, owner=owner)) is not None:
            taken.append(job.job_id)

    threads = [threading.Thread(target=drain, args=(f"node/w/{each}/",)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 40
