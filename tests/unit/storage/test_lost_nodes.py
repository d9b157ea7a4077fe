"""A node that is not heard of: the others go on with what it held, and have sent what it had."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select, update

from storage import jobs, queries
from storage.database import Database
from storage.decided import FormerDecision, NodeLost
from storage.errors import LeaseLostError
from storage.index import instances_of_series, record_instances
from storage.jobs import claim
from storage.lost_nodes import (
    Loss,
    analyse_again,
    lose_silent,
    lost_instances,
    send_for,
    series_to_analyse_again,
    series_to_send_for,
)
from storage.models import InstanceRow, JobRow, RemovalRow
from storage.nodes import all_nodes, join, tell_alive
from storage.outbox import to_each
from storage.records import Arrival, Job, JobKind, SeriesState
from storage.series import record_analysed
from support.several_nodes import A, B, at, seal, share, take
from support.storage_samples import (
    LEASE,
    NOW,
    SERIES,
    analyse,
    instance,
    queue,
    receive,
    result,
    seconds,
)

LATER = NOW + seconds(120)


def lose(database: Database, node: str = A) -> tuple[Loss, ...]:
    """The others were heard of."""
    with database.write() as session:
        for each in all_nodes(session):
            if each.node_id != node:
                tell_alive(session, each.node_id, LATER)
        return lose_silent(session, LATER - seconds(60), LATER)


def look(database: Database) -> None:
    """As a monitor does after a loss."""
    with database.write() as session:
        for key in series_to_analyse_again(session):
            analyse_again(session, key, LATER)
        for key in series_to_send_for(session):
            send_for(session, key, LATER)


def waits(database: Database, kind: JobKind) -> int:
    with database.read() as session:
        which = (JobRow.kind == kind, JobRow.state == "queued")
        return len(session.scalars(select(JobRow.job_id).where(*which)).all())


def taken(database: Database, node: str, kind: JobKind) -> Job:
    job = take(database, node, kind, LATER)
    assert job is not None
    return job


def test_who_is_silent_is_lost_once_until_it_is_heard_again(database: Database) -> None:
    share(database)
    assert lose(database) == (Loss("host-0", 0, 0),)
    assert lose(database) == ()
    with database.write() as session:
        first, second = all_nodes(session)
        assert (first.left_at, second.left_at) == (LATER, None)
        tell_alive(session, A, LATER)
    with database.read() as session:
        assert all_nodes(session)[0].left_at is None


def test_one_that_has_its_database_alone_is_never_lost(database: Database) -> None:
    share(database, A, shares=False)
    assert lose(database, node=A) == ()


def test_what_it_held_is_free_and_when_it_wakes_it_writes_nothing(database: Database) -> None:
    share(database)
    receive(database, *at(A, instance(1)))
    seal(database, A)
    queue(database)
    job = taken(database, A, JobKind.ANALYSE)
    assert lose(database)[0].freed == 1
    again = taken(database, B, JobKind.ANALYSE)
    assert again.attempt == 2
    with database.write() as session:
        assert not jobs.renew(session, job, LATER, LEASE)
        with pytest.raises(LeaseLostError):
            record_analysed(
                session,
                job,
                ended_at=LATER,
                analysis={},
                results=[result("late")],
                destinations=to_each("PACS"),
            )


def test_what_it_alone_had_is_sent_for_once_and_the_history_tells(database: Database) -> None:
    share(database)
    receive(database, *at(A, instance(1), instance(2)), *at(B, instance(3)))
    lose(database)
    for _ in range(2):
        look(database)
    assert waits(database, JobKind.FETCH) == 1
    with database.read() as session:
        detail = queries.series_detail(session, SERIES)
        assert lost_instances(session, SERIES) == (f"{SERIES}.1", f"{SERIES}.2")
    assert detail is not None
    assert detail.series.history == (NodeLost(LATER, A, "host-0", 2),)
    assert taken(database, B, JobKind.FETCH).series_key == SERIES
    assert take(database, B, JobKind.ASSESS, LATER) is None, "a part of it cannot be read"


def test_what_is_sealed_is_not_sent_for(database: Database) -> None:
    share(database)
    receive(database, *at(A, instance(1)))
    seal(database, A)
    lose(database)
    look(database)
    assert waits(database, JobKind.FETCH) == 0
    taken(database, B, JobKind.ASSESS)


@pytest.mark.parametrize("content", ["pixels", "others"])
def test_what_comes_again_is_its_new_holders_whatever_its_content(
    database: Database, content: str
) -> None:
    share(database)
    receive(database, *at(A, instance(1), instance(2)))
    lose(database)
    look(database)
    again = at(B, *(instance(n, content=content, received_at=LATER) for n in (1, 2)))
    with database.write() as session:
        assert record_instances(session, again[:1]) == [Arrival.DUPLICATE]
    assert take(database, B, JobKind.ASSESS, LATER) is None, "one is missing still"
    with database.write() as session:
        assert record_instances(session, again[1:]) == [Arrival.DUPLICATE]
    with database.read() as session:
        found = instances_of_series(session, SERIES)
        assert lost_instances(session, SERIES) == ()
        assert queries.series_detail(session, SERIES).conflicts == ()  # type: ignore[union-attr]
    assert [(each.node_id, each.path) for each in found] == [(B, each.path) for each in again]
    taken(database, B, JobKind.ASSESS)


def test_an_analysis_that_waited_goes_on_with_the_same_content_and_is_decided_anew_with_other(
    database: Database,
) -> None:
    share(database)
    receive(database, *at(A, instance(1)), *at(A, instance(1, "1.2.9")))
    for _ in range(2):
        queue(database, owner=f"{A}/w/1/")
    lose(database)
    look(database)
    again = at(B, instance(1, received_at=LATER))
    other = at(B, instance(1, "1.2.9", content="others", received_at=LATER))
    receive(database, *again, *other)
    job = taken(database, B, JobKind.ANALYSE)
    assert job.series_key == SERIES
    assert take(database, B, JobKind.ANALYSE, LATER) is None
    assert taken(database, B, JobKind.ASSESS).series_key == "1.2.9"


def test_a_copy_on_another_node_is_the_instance_then(database: Database) -> None:
    share(database)
    receive(database, *at(A, instance(1)))
    receive(database, *at(B, instance(1, received_at=NOW + seconds(1))))
    assert lose(database)[0].kept == 1
    look(database)
    assert waits(database, JobKind.FETCH) == 0
    with database.read() as session:
        assert session.scalars(select(InstanceRow.node_id)).all() == [B]
        assert session.scalars(select(RemovalRow)).all() == []
    taken(database, B, JobKind.ASSESS)


def test_results_that_it_alone_had_and_had_not_sent_are_made_anew(database: Database) -> None:
    share(database)
    receive(database, *at(A, instance(1)))
    seal(database, A)
    queue(database)
    analyse(database, [replace(result("one"), node_id=A)])
    lose(database)
    look(database)
    with database.read() as session:
        detail = queries.series_detail(session, SERIES)
    assert detail is not None
    assert detail.series.state is SeriesState.RECEIVING
    former, lost = detail.series.history
    assert isinstance(former, FormerDecision)
    assert lost == NodeLost(LATER, A, "host-0", 0)
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.state == "queued").values(node_id=None))
    queue(database, now=LATER)
    analyse(database, [replace(result("one"), node_id=B)], now=LATER)
    with database.write() as session:
        (row,) = queries.series_detail(session, SERIES).deliveries  # type: ignore[union-attr]
    assert row.result.node_id == B
    with database.read() as session:
        assert series_to_analyse_again(session) == ()


def test_one_that_comes_back_goes_on_with_what_is_its_own(database: Database) -> None:
    share(database)
    receive(database, *at(A, instance(1)))
    lose(database)
    look(database)
    with database.write() as session:
        tell_alive(session, A, LATER)
        assert lost_instances(session, SERIES) == ()
        assert claim(session, [JobKind.ASSESS], f"{A}/w/1/", LATER, LEASE) is not None


def test_workers_alone_that_are_silent_are_struck_off_and_what_they_held_is_free(
    database: Database,
) -> None:
    share(database)
    receive(database, *at(B, instance(1)))
    seal(database, B)
    queue(database)
    with database.write() as session:
        join(session, "workers", "host-9", True, NOW, receives=False)
    assert taken(database, "workers", JobKind.ANALYSE).attempt == 1
    assert lose(database, node="workers") == (Loss("host-9", 1, 0, receives=False),)
    with database.read() as session:
        assert {each.node_id for each in all_nodes(session)} == {A, B}
    assert taken(database, B, JobKind.ANALYSE).attempt == 2
