"""A data directory with series in every state, their files real, for the cleaner to work on."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from sqlalchemy import select
from sqlalchemy.orm import Session

from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.cleaner import Cleaner
from dicomnode.decisions.retention import RetentionPolicy
from dicomnode.dicom_files.identity import Provenance, file_head
from dicomnode.receive.reconciliation import reconcile
from storage import index, jobs, outbox, queries, series
from storage.database import Database
from storage.instances import InstanceFiles, series_folder
from storage.models import InstanceRow, RemovalRow, ResultRow
from storage.records import JobKind, ResultRecord, SeriesState, StoredInstance
from storage.results import ResultFiles
from support.storage_samples import LEASE, RELEASED, instance

NODE = "node/receiver-1"
POLICY = RetentionPolicy(analysed_days=30, skipped_days=7, failed_days=60)


class House:
    """A data directory with series in every state, their files real."""

    def __init__(self, folder: Path, database_url: str = "") -> None:
        node = NodeSettings(data_directory=folder, database_url=database_url)
        self.settings = Settings(node=node)
        self.files = InstanceFiles(self.settings.instances)
        self.results = ResultFiles(self.settings.result_files)
        self.database = Database.open(self.settings.database_url)
        self.now = datetime.now(UTC)

    def cleaner(self, policy: RetentionPolicy = POLICY) -> Cleaner:
        return Cleaner(self.settings, policy, self.database)

    def store_files(self, uid: str, count: int) -> list[StoredInstance]:
        return [self.store_file(uid, number) for number in range(count)]

    def store_file(self, uid: str, number: int) -> StoredInstance:
        data_set = encoded(uid, number)
        sample = instance(number, uid, association_id="a" * 32)
        head = file_head(
            sample.sop_class_uid,
            sample.sop_instance_uid,
            sample.transfer_syntax_uid,
            Provenance("a" * 32, "SCANNER", "NODE"),
        )
        stored = self.files.store(uid, sample.sop_instance_uid, head, data_set)
        values = {"path": stored.path, "sha256": stored.sha256, "received_at": self.now}
        values |= {"size_bytes": stored.size_bytes, "node_id": stored.node_id}
        return StoredInstance(**(vars(sample) | values))

    def add(self, uid: str, state: SeriesState, age: timedelta, delivered: bool = True) -> None:
        """A series that came to this state so long ago."""
        then = self.now - age
        instances = self.store_files(uid, 3)
        with self.database.write() as session:
            index.record_instances(session, instances)
            if state is not SeriesState.RECEIVING:
                self._decide(session, state, then, uid, delivered)
        for each in instances:
            os.utime(self.files.open_path(each.path), (then.timestamp(), then.timestamp()))

    def _decide(
        self, session: Session, state: SeriesState, then: datetime, uid: str, delivered: bool
    ) -> None:
        decision: dict[str, Any] = {
            "decided_at": then,
            "input_digest": "d",
            "completeness": RELEASED,
            "reasons": [],
        }
        job = jobs.claim(session, [JobKind.ASSESS], "o/", self.now, LEASE)
        assert job is not None
        if state is SeriesState.SKIPPED:
            assert series.record_skipped(session, job, **decision) is None
            return
        if state is SeriesState.FAILED:
            failure: dict[str, Any] = {"ended_at": then, "reasons": [], "error": "no"}
            assert series.record_failed(session, job, **failure) is None
            return
        series.record_queued(session, job, model_digest="m", priority=1, **decision)
        if state is SeriesState.ANALYSED:
            self._analyse(session, then, uid, delivered)

    def _analyse(self, session: Session, then: datetime, uid: str, delivered: bool) -> None:
        job = jobs.claim(session, [JobKind.ANALYSE], "o/", self.now, LEASE)
        assert job is not None
        path = self.results.store(uid, f"{uid}.9", b"result")
        os.utime(self.results.open_path(path), (then.timestamp(), then.timestamp()))
        result = ResultRecord(f"{uid}.9", "1.2", f"{uid}.8", uid, "kind", path, 6, then)
        outcome: dict[str, Any] = {
            "ended_at": then,
            "analysis": {},
            "results": [result],
            "destinations": outbox.to_each("P"),
        }
        assert series.record_analysed(session, job, **outcome) is None
        if delivered:
            (delivery,) = outbox.claim_deliveries(session, "P", "o/", self.now, LEASE, limit=9)
            outbox.mark_stored(session, delivery, then, "0x0000")

    def state_of(self, uid: str) -> tuple[int, int, bool]:
        """How many files, how many rows that name one, and whether a removal is recorded."""
        with self.database.read() as session:
            detail = queries.series_detail(session, uid)
            instances = index.instances_of_series(session, uid)
        assert detail is not None
        folder = series_folder(uid)
        roots = (self.settings.instances, self.settings.result_files)
        files = sum(len(list((root / folder).glob("*"))) for root in roots)
        return files, len(instances) + len(detail.results), detail.series.removed_at is not None

    def knows(self, paths: set[str]) -> bool:
        """Whether the index has all of these."""
        with self.database.read() as session:
            return paths <= set(session.scalars(select(InstanceRow.path)))

    def check(self) -> None:
        """No row without its file, no file that nothing knows, nothing begun left."""
        with self.database.read() as session:
            named = set(session.scalars(select(InstanceRow.path)))
            results = set(session.scalars(select(ResultRow.path)))
            noted = set(session.scalars(select(RemovalRow.path)))
        there = set(self.files.iter_paths())
        assert named <= there
        assert all(self.results.open_path(path).exists() for path in results)
        assert there <= named | noted
        assert reconcile(self.database, self.files, NODE) == 0


def encoded(uid: str, number: int) -> bytes:
    """The data set of one CT instance, as far as the index asks for it."""
    data_set = Dataset()
    data_set.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    data_set.SOPInstanceUID = f"{uid}.{number}"
    data_set.Modality = "CT"
    data_set.StudyInstanceUID = "1.2.826.1.1"
    data_set.SeriesInstanceUID = uid
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, data_set)
    return buffer.getvalue()
