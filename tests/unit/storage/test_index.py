"""What the index makes of arrivals: new, again, in conflict, late."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from storage.database import Database
from storage.errors import UnknownAssociationError
from storage.index import (
    end_association,
    end_lost_associations,
    instances_of_series,
    known_paths,
    open_association,
    record_instances,
    series_arrival,
)
from storage.jobs import claim, put_back
from storage.models import InstanceConflictRow, JobRow
from storage.outbox import claim_deliveries
from storage.queries import series_detail
from storage.records import (
    Arrival,
    AssociationEnd,
    ConflictState,
    JobKind,
    JobState,
    SeriesArrival,
    SeriesDetail,
    SeriesState,
    StoredInstance,
)
from support.storage_samples import (
    LEASE,
    NOW,
    RELEASED,
    SERIES,
    STUDY,
    analyse,
    association,
    instance,
    queue,
    receive,
    seconds,
    take,
)


def record(database: Database, *instances: StoredInstance) -> list[Arrival]:
    with database.write() as session:
        return record_instances(session, instances)


def arrival(database: Database, series: str = SERIES) -> SeriesArrival | None:
    with database.read() as session:
        return series_arrival(session, series)


def detail(database: Database, series: str = SERIES) -> SeriesDetail:
    with database.read() as session:
        found = series_detail(session, series)
    assert found is not None
    return found


def test_new_instances_add_up_to_a_series_with_one_assess_job(database: Database) -> None:
    with database.write() as session:
        open_association(session, association())
    late = instance(2, received_at=NOW + seconds(9), priority=0)
    assert record(database, instance(1)) == [Arrival.NEW]
    assert record(database, late, instance(3)) == [Arrival.NEW, Arrival.NEW]
    assert arrival(database) == SeriesArrival(
        SERIES, SERIES, STUDY, 3, NOW, NOW + seconds(9), 1, None, None, revision=2
    )
    (job,) = detail(database).jobs
    assert (job.kind, job.state, job.priority) == (JobKind.ASSESS, JobState.QUEUED, 0)


def test_instances_come_back_as_they_were_recorded(database: Database) -> None:
    instances = [instance(number) for number in (2, 10, 1)]
    record(database, *instances)
    with database.read() as session:
        found = instances_of_series(session, SERIES)
    kept = [replace(each, series_key=SERIES) for each in instances]
    assert found == tuple(sorted(kept, key=lambda each: each.sop_instance_uid))


def test_an_unknown_series_has_no_arrival(database: Database) -> None:
    assert arrival(database) is None


def test_the_same_content_again_changes_nothing(database: Database) -> None:
    record(database, instance(1))
    queue(database)
    before = detail(database)
    again = replace(instance(1), path="elsewhere", association_id="a2", priority=0)
    assert record(database, again) == [Arrival.DUPLICATE]
    assert detail(database) == before


def test_other_content_under_the_same_uid_is_kept_apart_once(database: Database) -> None:
    record(database, instance(1))
    other = instance(1, content="other pixels", received_at=NOW + seconds(5))
    assert [record(database, other), record(database, other)] == [[Arrival.CONFLICT]] * 2
    found = detail(database)
    assert [(each.sha256, each.path) for each in found.conflicts] == [(other.sha256, other.path)]
    assert found.series.instance_count == 1
    assert found.series.last_received_at == other.received_at  # the rest may still come


@pytest.mark.parametrize("at_once", [True, False])
def test_what_stands_and_comes_again_after_other_content_is_the_newest(
    database: Database, at_once: bool
) -> None:
    record(database, instance(1), instance(2))
    other = instance(1, content="other pixels", received_at=NOW + seconds(5))
    again = replace(instance(1), received_at=NOW + seconds(9), association_id="a2")
    if at_once:
        assert record(database, other, again) == [Arrival.CONFLICT, Arrival.DUPLICATE]
    else:
        record(database, other)
        record(database, again)
    with database.read() as session:
        first, second = instances_of_series(session, SERIES)
    assert (first.received_at, first.association_id) == (again.received_at, "a2")
    assert (second.received_at, second.association_id) == (NOW, "a1")
    found = detail(database)
    assert [each.state for each in found.conflicts] == [ConflictState.OPEN]
    assert found.series.last_received_at == again.received_at


def test_what_stands_and_came_before_the_other_content_is_not(database: Database) -> None:
    record(database, instance(1, received_at=NOW + seconds(1)))
    record(database, instance(1, content="other pixels", received_at=NOW + seconds(5)))
    before = detail(database)
    assert record(database, instance(1)) == [Arrival.DUPLICATE]
    assert detail(database) == before


def test_a_uid_that_comes_again_in_another_series_is_told_of_both(database: Database) -> None:
    record(database, instance(1))
    moved = replace(instance(1, content="moved"), series_instance_uid="1.2.3", path="moved")
    assert record(database, moved) == [Arrival.CONFLICT]
    (claim,) = detail(database, "1.2.3").claims
    assert (claim.owner_key, claim.state) == (SERIES, ConflictState.ELSEWHERE)
    assert detail(database).conflicts == (claim,)
    (job,) = detail(database, "1.2.3").jobs
    assert (job.kind, detail(database, "1.2.3").series.instance_count) == (JobKind.ASSESS, 0)


def test_other_content_has_a_decided_series_looked_at_and_leaves_its_decision(
    database: Database,
) -> None:
    record(database, instance(1))
    queue(database)
    analyse(database)
    before = detail(database).series
    record(database, instance(1, content="other", received_at=NOW + seconds(5)))
    after = detail(database)
    assert (after.series.state, after.series.analysis) == (before.state, before.analysis)
    assert [each.kind for each in after.jobs if each.state is JobState.QUEUED] == [JobKind.ASSESS]
    with database.write() as session:
        assert claim_deliveries(session, "PACS", "o/", NOW + seconds(9), LEASE, limit=9) == ()


def test_one_batch_may_hold_all_three(database: Database) -> None:
    batch = [instance(1), instance(1), instance(1, content="other"), instance(2)]
    assert record(database, *batch) == [
        Arrival.NEW,
        Arrival.DUPLICATE,
        Arrival.CONFLICT,
        Arrival.NEW,
    ]
    found = arrival(database)
    assert found is not None
    assert found.instance_count == 2


def test_an_instance_of_a_lost_association_is_recorded(database: Database) -> None:
    record(database, instance(1, association_id="gone"), instance(2, association_id=""))
    found = arrival(database)
    assert found is not None
    assert (found.instance_count, found.open_associations) == (2, 0)
    assert (found.last_association_end, found.last_association_ended_at) == (
        AssociationEnd.LOST,
        NOW,
    )


def test_an_association_ends_once_and_wakes_the_assessment(database: Database) -> None:
    with database.write() as session:
        open_association(session, association())
    record(database, instance(1))
    job = take(database, JobKind.ASSESS)
    with database.write() as session:
        put_back(session, job, NOW + seconds(600), count_attempt=False)
    ended = NOW + seconds(3)
    with database.write() as session:
        end_association(session, "a1", ended, AssociationEnd.RELEASED)
        end_association(session, "a1", ended + seconds(1), AssociationEnd.ABORTED)
    found = arrival(database)
    assert found is not None
    assert (found.open_associations, found.last_association_end) == (0, AssociationEnd.RELEASED)
    assert found.last_association_ended_at == ended
    assert take(database, JobKind.ASSESS, ended).job_id == job.job_id


def test_the_last_end_counts_while_another_association_is_open(database: Database) -> None:
    with database.write() as session:
        for name in ("a1", "a2", "a3"):
            open_association(session, association(name))
    record(database, *(instance(number, association_id=f"a{number}") for number in (1, 2, 3)))
    with database.write() as session:
        end_association(session, "a2", NOW + seconds(2), AssociationEnd.ABORTED)
        end_association(session, "a1", NOW + seconds(1), AssociationEnd.RELEASED)
    found = arrival(database)
    assert found is not None
    assert (found.open_associations, found.last_association_end) == (1, AssociationEnd.ABORTED)


def test_an_association_that_was_never_opened_cannot_end(database: Database) -> None:
    with pytest.raises(UnknownAssociationError, match="a9"), database.write() as session:
        end_association(session, "a9", NOW, AssociationEnd.RELEASED)


def test_a_dead_receiver_loses_only_its_own_associations(database: Database) -> None:
    with database.write() as session:
        for name, node in (("a1", "node"), ("a2", "node"), ("a3", "other"), ("a4", "node")):
            open_association(session, association(name, node))
        end_association(session, "a4", NOW, AssociationEnd.RELEASED)
    record(database, instance(1, association_id="a3"), instance(2, association_id="a1"))
    with database.write() as session:
        assert end_lost_associations(session, "node", NOW + seconds(1)) == 2
    found = detail(database).associations
    assert [(each.association_id, each.end) for each in found] == [
        ("a1", AssociationEnd.LOST),
        ("a3", None),
    ]


def test_a_late_instance_opens_a_queued_series_again(database: Database) -> None:
    record(database, instance(1))
    queue(database)
    late = NOW + seconds(30)
    assert record(database, instance(2, received_at=late)) == [Arrival.NEW]
    found = detail(database)
    assert (found.series.state, found.series.reasons) == (SeriesState.RECEIVING, ())
    assert [(each.state, each.input_digest) for each in found.series.former_decisions] == [
        ("queued", "d1")
    ]
    assert found.series.former_decisions[0].completeness == RELEASED
    assert [(job.kind, job.state, job.error) for job in found.jobs] == [
        (JobKind.ASSESS, JobState.DONE, None),
        (JobKind.ANALYSE, JobState.DONE, "superseded"),
        (JobKind.ASSESS, JobState.QUEUED, None),
    ]
    with database.write() as session:
        assert claim(session, [JobKind.ANALYSE], "w", late, seconds(60)) is None


def test_an_analysed_series_keeps_its_results_when_opened_again(database: Database) -> None:
    record(database, instance(1))
    queue(database)
    analyse(database)
    record(database, instance(2, received_at=NOW + seconds(30)))
    found = detail(database)
    assert (found.series.state, found.series.analysis) == (SeriesState.RECEIVING, None)
    assert found.series.former_decisions[0].analysis == {"probabilities": {"covid": 0.25}}
    assert len(found.results) == 2


def test_files_of_instances_and_of_conflicts_are_known(database: Database) -> None:
    first, other = instance(1), instance(1, content="other")
    record(database, first, other)
    with database.read() as session:
        assert known_paths(session, [first.path, other.path, "new"]) == {first.path, other.path}
        assert known_paths(session, []) == set()


def test_receivers_that_share_series_count_each_instance_once(database: Database) -> None:
    """Four receivers bring the same two series, each in another order and twice."""
    batches = [[instance(n, f"1.2.{s}") for n in range(12)] for s in (1, 2)]
    found: list[Arrival] = []

    def bring(turn: int) -> None:
        order = [*batches[turn % 2], *batches[(turn + 1) % 2]]
        for start in range(0, len(order), 4):
            found.extend(record(database, *(order[::-1] if turn > 1 else order)[start : start + 8]))

    threads = [threading.Thread(target=bring, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(Arrival.NEW) == 24
    assert Arrival.CONFLICT not in found
    for series in ("1.2.1", "1.2.2"):
        of_series = arrival(database, series)
        assert of_series is not None
        assert of_series.instance_count == 12
    with database.read() as session:
        assert session.scalars(select(func.count()).select_from(JobRow)).one() == 2
        assert session.scalars(select(func.count()).select_from(InstanceConflictRow)).one() == 0


def test_a_batch_may_have_more_values_than_a_statement_can_bear(database: Database) -> None:
    receive(database, *(instance(number) for number in range(1, 2501)))
    found = arrival(database)
    assert found is not None
    assert (found.instance_count, len(detail(database).jobs)) == (2500, 1)
    with database.read() as session:
        assert known_paths(session, [str(number) for number in range(70_000)]) == set()
