"""Of several nodes on one database each does what it alone can read, and any what all can."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, select, text, update

from storage import jobs, outbox
from storage.database import Database
from storage.durable import INCOMING
from storage.index import known_paths, record_instances
from storage.jobs import claim, put_back
from storage.models import DeliveryRow, InstanceRow, JobRow, RemovalRow, ResultRow
from storage.nodes import tell_equipment
from storage.records import Arrival, Delivery, FileKind, JobKind, Needs
from storage.removable_files import RemovableFiles
from storage.retention import remove_files, remove_series, stored_paths
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


def deliver(database: Database, node: str) -> tuple[Delivery, ...]:
    with database.write() as session:
        return outbox.claim_deliveries(session, "PACS", f"{node}/d/1/", NOW, LEASE, limit=9)


def test_a_node_that_has_its_database_alone_binds_nothing(database: Database) -> None:
    share(database, A, shares=False)
    receive(database, *at(A, instance(1)))
    with database.read() as session:
        assert session.scalars(select(JobRow.node_id)).all() == [None]


def test_what_one_node_received_that_node_assesses_and_analyses(database: Database) -> None:
    share(database)
    receive(database, *at(A, instance(1)))
    assert take(database, B, JobKind.ASSESS) is None
    job = take(database, A, JobKind.ASSESS)
    assert job is not None
    with database.write() as session:
        jobs.put_back(session, job, NOW, count_attempt=False)
    queue(database, owner=f"{A}/w/1/")
    assert take(database, B, JobKind.ANALYSE) is None
    assert take(database, A, JobKind.ANALYSE) is not None


def test_a_series_that_came_to_two_nodes_waits_until_each_part_can_be_read(
    database: Database,
) -> None:
    share(database)
    receive(database, *at(A, instance(1)), *at(B, instance(2)))
    assert take(database, A, JobKind.ASSESS) is take(database, B, JobKind.ASSESS) is None
    with database.write() as session:
        own = update(InstanceRow).where(InstanceRow.node_id == B)
        session.execute(own.values(object_name="series/x", object_offset=0))
    assert take(database, B, JobKind.ASSESS) is None, "what A has is not sealed"
    assert take(database, A, JobKind.ASSESS) is not None


def test_what_is_sealed_any_node_may_do(database: Database) -> None:
    share(database)
    receive(database, *at(A, instance(1)))
    seal(database, A)
    assert take(database, B, JobKind.ASSESS) is not None


def test_a_job_that_asks_for_more_goes_to_whoever_has_it(database: Database) -> None:
    receive(database)
    with database.write() as session:
        session.execute(update(JobRow).values(capability="gpu"))
        assert claim(session, [JobKind.ASSESS], "n/w/1/", NOW, LEASE) is None
        having = ("", "gpu")
        job = claim(session, [JobKind.ASSESS], "n/w/1/", NOW, LEASE, capabilities=having)
    assert job is not None


def test_an_analysis_goes_to_whoever_has_what_it_was_decided_with(database: Database) -> None:
    """Once no node that is heard of decides with that any more, to those that have what one does:
    all nodes have newer models, and the series must not wait for ever."""

    def has(node: str, digest: str) -> None:
        with database.write() as session:
            tell_equipment(session, node, {"model": digest}, digest, receives=True)

    def claimed(digest: str | None) -> bool:
        with database.write() as session:
            owner, kinds = f"{B}/w/1/", [JobKind.ANALYSE]
            job = claim(session, kinds, owner, NOW, LEASE, equipment_digest=digest)
            if job is not None:
                put_back(session, job, NOW, count_attempt=False)
        return job is not None

    share(database)
    receive(database, *at(A, instance(1)))
    queue(database, model="old", owner=f"{A}/w/1/")
    seal(database, A)
    assert not claimed("new"), "no node has told yet"
    has(A, "old")
    has(B, "new")
    assert [claimed(each) for each in ("new", "old", "strange", None)] == [False, True, False, True]
    has(A, "new")
    assert [claimed(each) for each in ("new", "old", "strange")] == [True, True, False]


def test_the_most_urgent_that_a_worker_can_do_comes_first_whatever_it_asks_for(
    database: Database,
) -> None:
    """By turns of each capability; what nobody here has is passed over."""
    asks = ("tpu", "", "gpu", "", "gpu", "cpu", "tpu")
    for number, capability in enumerate(asks):
        uid = f"1.2.{number}"
        priority = 0 if number == 4 else 1
        at = NOW + timedelta(seconds=number)
        receive(database, instance(1, uid, received_at=at, priority=priority))
        with database.write() as session:
            which = update(JobRow).where(JobRow.series_key == uid)
            session.execute(which.values(capability=capability))
    has, came = ("", "gpu", "cpu"), []
    for _ in range(6):
        with database.write() as session:
            late = NOW + timedelta(minutes=5)
            job = claim(session, [JobKind.ASSESS], "n/w/1/", late, LEASE, capabilities=has)
            came.append(job and job.series_key)
    assert came == ["1.2.4", "1.2.1", "1.2.2", "1.2.3", "1.2.5", None]


@pytest.mark.parametrize("system", ["postgresql"], indirect=True)
def test_two_that_claim_at_once_take_one_each(database: Database) -> None:
    receive(database, instance(1, "1.2.1"), instance(1, "1.2.2"))
    has = ("", "cpu", "gpu")
    with database.write() as first, database.write() as second:
        jobs = [
            claim(session, [JobKind.ASSESS], "n/w/1/", NOW, LEASE, capabilities=has)
            for session in (first, second)
        ]
    assert sorted(job.series_key for job in jobs if job) == ["1.2.1", "1.2.2"]


def test_an_object_goes_out_from_where_it_lies_or_from_anywhere(database: Database) -> None:
    share(database)
    receive(database)
    queue(database)
    here = replace(result("here"), node_id=A)
    sealed = replace(result("sealed"), node_id=A, object_name="results/x", object_offset=0)
    analyse(database, [here, sealed])
    assert [each.result.sop_instance_uid for each in deliver(database, B)] == ["2.25.sealed"]
    assert [each.result.sop_instance_uid for each in deliver(database, A)] == ["2.25.here"]
    with database.read() as session:
        where = select(ResultRow.sop_instance_uid, ResultRow.node_id, ResultRow.object_name)
        found = session.execute(where.order_by(ResultRow.sop_instance_uid)).all()
    assert found == [("2.25.here", A, None), ("2.25.sealed", A, "results/x")]


def test_who_begins_to_share_binds_what_is_open(database: Database) -> None:
    share(database, A, shares=False)
    receive(database, *at(A, instance(1)), *at(A, instance(2, "1.2.9")))
    analysed = replace(result("one"), node_id=A)
    queue(database)
    analyse(database, [analysed])
    share(database, A)
    with database.read() as session:
        open_jobs = select(JobRow.node_id).where(JobRow.state == "queued")
        assert session.scalars(open_jobs).all() == [A]
        assert session.scalars(select(DeliveryRow.node_id)).all() == [A]


@pytest.fixture
def copied(database: Database) -> Database:
    """The same instance came to both nodes."""
    share(database)
    receive(database, *at(A, instance(1)))
    with database.write() as session:
        copies = at(B, instance(1, received_at=NOW + seconds(5)))
        assert record_instances(session, copies) == [Arrival.DUPLICATE]
    return database


def noted(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        return [(row.node_id, row.path) for row in session.scalars(select(RemovalRow))]


def test_a_copy_is_no_arrival_and_goes_when_the_other_is_sealed(
    copied: Database, tmp_path: Path
) -> None:
    path = instance(1).path
    assert noted(copied) == [(B, path)]
    with copied.read() as session:
        assert known_paths(session, [path], B) == set()
        assert known_paths(session, [path], A) == {path}
    (tmp_path / INCOMING).mkdir()

    def clean(node: str) -> int:
        with copied.write() as session:
            files = RemovableFiles(tmp_path, node)
            return remove_files(session, FileKind.INSTANCE, files, None, 9)[1]

    assert clean(B) == 0, "it is the only copy beside one on one disk"
    assert noted(copied)
    seal(copied, A)
    assert clean(A) == 0, "each node unlinks its own"
    assert clean(B) == 1
    assert not noted(copied)


def test_each_node_removes_its_own_files(database: Database) -> None:
    share(database)
    receive(database, *at(A, instance(1)), *at(B, instance(2)))
    with database.read() as session:
        assert [path for _, path in stored_paths(session, SERIES, B)] == [instance(2).path]
    with database.write() as session:
        session.execute(text("UPDATE series SET state = 'skipped', ended_at = last_received_at"))
        assert remove_series(session, SERIES, lambda _ended: True, NOW) == 2
    assert sorted(noted(database)) == [(A, instance(1).path), (B, instance(2).path)]


@pytest.mark.parametrize("system", ["postgresql"], indirect=True)
@pytest.mark.parametrize("others_ask", ["", "gpu"])
def test_a_claim_reads_by_the_partial_index(database: Database, others_ask: str) -> None:
    """Among many jobs that are done, of many series; whatever the kinds that wait before it, and
    whatever those before it ask for."""
    share(database)
    with database.write() as session:
        for statement in _MANY:
            session.execute(text(statement))
        others = update(JobRow).where(JobRow.series_key != "s12000")
        session.execute(others.values(capability=others_ask))
    plans: list[str] = []
    engine: Engine = database._engine

    def explain(
        connection: Connection, _cursor: object, statement: str, values: Any, *_rest: object
    ) -> None:
        if statement.startswith(("SELECT job.", "WITH able")):
            plan = connection.connection.cursor()
            plan.execute(f"EXPLAIN {statement}", values)
            plans.append("\n".join(row[0] for row in plan.fetchall()))

    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    event.listen(engine, "before_cursor_execute", explain)
    job = take(database, A, JobKind.ANALYSE, NOW + timedelta(days=1))
    event.remove(engine, "before_cursor_execute", explain)
    assert job is not None
    exhausted, found = plans
    assert "ix_job_attempt" in exhausted
    assert "ix_job_able" in found or ("ix_job_claim" in found and not others_ask)
    assert "Seq Scan on job" not in exhausted + found
    assert "Seq Scan on instance" not in exhausted + found
    assert "Seq Scan on series" not in found


_MANY = (
    """INSERT INTO series (series_key, series_instance_uid, study_instance_uid, identity_digest,
    accession_number, modality, calling_ae_title, state, instance_count, revision, priority,
    first_received_at, last_received_at, reasons, history)
    SELECT 's' || n, 's' || n, 't' || n, '', '', 'CT', 'X', 'queued', 1, 1, 1, now(), now(), '[]',
    '[]' FROM generate_series(1, 12000) n""",
    """INSERT INTO instance (sop_instance_uid, sop_class_uid, series_key, series_instance_uid,
    study_instance_uid, transfer_syntax_uid, accession_number, modality, path, size_bytes, sha256,
    calling_ae_title, received_at, priority, node_id)
    SELECT 'i' || n, '1', 's' || n, 's' || n, 't' || n, '1', '', 'CT', 'p' || n, 1, 'x', 'X', now(),
    1, repeat('a', 32) FROM generate_series(1, 12000) n""",
    """INSERT INTO job (kind, state, series_key, input_digest, model_digest, priority, attempt,
    created_at, not_before, node_id)
    SELECT CASE WHEN n > 11000 THEN 'analyse' ELSE 'assess' END,
    CASE WHEN n > 8000 THEN 'queued' ELSE 'done' END, 's' || n, 'd', 'm', 1, 0,
    timestamptz '2025-03-01' + n * interval '1 second', timestamptz '2025-03-01',
    repeat('a', 32) FROM generate_series(1, 12000) n""",
)


def claimed_with(
    database: Database, capabilities: tuple[str, ...], memory: int | None
) -> JobKind | None:
    with database.write() as session:
        has = {"capabilities": capabilities, "memory_bytes": memory}
        job = claim(session, [JobKind.ANALYSE], f"{B}/w/1/", NOW, LEASE, **has)  # type: ignore[arg-type]
        session.rollback()
    return None if job is None else job.kind


def test_an_analysis_goes_to_a_worker_that_has_what_its_decision_asked_for(
    database: Database,
) -> None:
    receive(database)
    queue(database, needs=Needs("gpu", 6 << 30))
    assert claimed_with(database, ("", "cpu"), None) is None
    assert claimed_with(database, ("", "cpu", "gpu"), 4 << 30) is None
    assert claimed_with(database, ("", "cpu", "gpu"), 6 << 30) is JobKind.ANALYSE
    assert claimed_with(database, ("gpu",), None) is JobKind.ANALYSE


def test_what_is_decided_anew_asks_anew(database: Database) -> None:
    receive(database)
    queue(database, needs=Needs("gpu"))
    receive(database, instance(3))
    queue(database, digest="d2")
    assert claimed_with(database, ("",), 1) is JobKind.ANALYSE
