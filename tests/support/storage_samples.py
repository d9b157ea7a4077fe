"""Records for the tests of storage, and the steps that bring a series to a state."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from storage.database import Database
from storage.decided import Reason, SeriesEvidence, Verdict
from storage.index import record_instances
from storage.jobs import claim
from storage.outbox import to_each
from storage.records import (
    NO_NEEDS,
    Association,
    Job,
    JobKind,
    Needs,
    ResultRecord,
    SeriesRecord,
    SeriesState,
    StoredInstance,
)
from storage.series import record_analysed, record_queued

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=60)
SERIES = "1.2.826.1.10"
STUDY = "1.2.826.1.1"
PASSED = Reason("modality", "CT", "CT", Verdict.PASS)
THICK = Reason("slice_thickness", 5.0, 3.0, Verdict.FAIL)
RELEASED = SeriesEvidence(complete=True, evidence="release")
SR = "1.2.840.10008.5.1.4.1.1.88.34"
SC = "1.2.840.10008.5.1.4.1.1.7"


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def association(name: str = "a1", node_id: str = "node") -> Association:
    return Association(name, node_id, "SCANNER", "NODE", "192.0.2.1", NOW)


def instance(
    number: int,
    series: str = SERIES,
    *,
    content: str = "pixels",
    association_id: str = "a1",
    received_at: datetime = NOW,
    priority: int = 1,
    study: str = STUDY,
) -> StoredInstance:
    sha256 = hashlib.sha256(f"{series}.{number} {content}".encode()).hexdigest()
    return StoredInstance(
        sop_instance_uid=f"{series}.{number}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        series_instance_uid=series,
        study_instance_uid=study,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        accession_number="ACC-7",
        modality="CT",
        path=f"{series}/{number}-{sha256[:16]}",
        size_bytes=5_000_000_000,  # more than 32 bits hold
        sha256=sha256,
        association_id=association_id,
        calling_ae_title="SCANNER",
        received_at=received_at,
        priority=priority,
    )


def noted(series: SeriesRecord) -> SeriesEvidence:
    """What is kept of whether it is all here."""
    assert series.completeness is not None
    return series.completeness


def receive(database: Database, *instances: StoredInstance) -> None:
    with database.write() as session:
        record_instances(session, instances or [instance(1), instance(2)])


def take(database: Database, kind: JobKind, now: datetime = NOW, owner: str = "node/w/1/") -> Job:
    with database.write() as session:
        job = claim(session, [kind], owner, now, LEASE)
    assert job is not None
    return job


def queue(
    database: Database,
    digest: str = "d1",
    priority: int = 1,
    now: datetime = NOW,
    model: str = "m1",
    owner: str = "node/w/1/",
    needs: Needs = NO_NEEDS,
) -> None:
    """Decide the series that waits to be assessed."""
    job = take(database, JobKind.ASSESS, now, owner)
    with database.write() as session:
        outcome = record_queued(
            session,
            job,
            decided_at=now,
            input_digest=digest,
            completeness=RELEASED,
            reasons=[PASSED],
            model_digest=model,
            priority=priority,
            needs=needs,
        )
    assert outcome is None


def result(name: str, series: str = SERIES, sop_class_uid: str = SC) -> ResultRecord:
    uid = f"2.25.{name}"
    return ResultRecord(uid, sop_class_uid, "2.25.99", series, "kind", f"{name}.dcm", 10, NOW)


def analyse(
    database: Database,
    results: Sequence[ResultRecord] = (),
    destinations: Sequence[str] = ("PACS",),
    now: datetime = NOW,
    only_to: str | None = None,
) -> None:
    """Analyse the series that is queued."""
    job = take(database, JobKind.ANALYSE, now)
    given = results or [result("sc"), result("sr", sop_class_uid=SR)]
    with database.write() as session:
        outcome = record_analysed(
            session,
            job,
            ended_at=now,
            analysis={"probabilities": {"covid": 0.25}},
            results=given,
            destinations=to_each(*destinations),
            only_to=only_to,
        )
    assert outcome is None


def a_series() -> SeriesRecord:
    """A series that waits for its analysis."""
    return SeriesRecord(
        series_key="1.2.3",
        series_instance_uid="1.2.3",
        study_instance_uid="1.2.826.0.1.3680043.10.777.1",
        accession_number="",
        modality="CT",
        calling_ae_title="SCANNER",
        state=SeriesState.QUEUED,
        instance_count=60,
        priority=1,
        first_received_at=NOW,
        last_received_at=NOW,
        decided_at=NOW,
        ended_at=None,
        input_digest="d",
        completeness=None,
    )
