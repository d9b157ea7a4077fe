"""Brings what the receiver stored into the index, in order, many at a time.

Files are the truth: an instance is answered 0x0000 when its file is durable. The index follows
from one thread here; while the database is away it waits and tries again, and what a killed
receiver had not yet indexed is found again from the files by `reconcile`.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from dicomnode.errors import DataError
from dicomnode.identity import data_set_sha256, identify_file, provenance_of
from dicomnode.lifecycle import vital
from storage import index
from storage.database import Database
from storage.errors import StorageError
from storage.instances import InstanceFiles
from storage.records import Arrival, Association, AssociationEnd, StoredInstance

log = logging.getLogger(__name__)

_BATCH = 256
"""Most events of one transaction: a commit costs one disk flush, whatever it holds."""

_RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class AssociationEnded:
    association_id: str
    ended_at: datetime
    end: AssociationEnd


Event = Association | StoredInstance | AssociationEnded


class ArrivalIndexer:
    """A thread that writes events to the index in the order in which they were put."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=vital(self._run), name="arrival-indexer")

    def start(self) -> None:
        self._thread.start()

    def put(self, event: Event) -> None:
        """Never waits: the C-STORE response does not depend on the database."""
        self._events.put(event)

    def close(self, timeout: float) -> bool:
        """Write what was put and end. False when the database did not take it in time.

        Nothing is lost then either: the files are there, and `reconcile` finds them.
        """
        self._closing.set()
        self._events.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            while not self._written(batch):
                if self._closing.wait(_RETRY_SECONDS):
                    log.error("the database is away: %d events stay in the files", len(batch))
                    return

    def _next_batch(self) -> list[Event] | None:
        """The events that wait, at least one; None after `close`."""
        first = self._events.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < _BATCH and not self._events.empty():
            event = self._events.get()
            if event is None:
                self._events.put(None)
                break
            batch.append(event)
        return batch

    def _written(self, batch: list[Event]) -> bool:
        try:
            with self._database.write() as session:
                _record(session, batch)
        except StorageError as error:
            log.warning("the index waits for the database: %s", error)
            return False
        return True


def _record(session: Session, batch: Iterable[Event]) -> None:
    instances: list[StoredInstance] = []
    for event in batch:
        if isinstance(event, StoredInstance):
            instances.append(event)
            continue
        _record_instances(session, instances)
        instances = []
        if isinstance(event, Association):
            index.open_association(session, event)
        else:
            index.end_association(session, event.association_id, event.ended_at, event.end)
    _record_instances(session, instances)


def _record_instances(session: Session, instances: list[StoredInstance]) -> None:
    if not instances:
        return
    for instance, arrival in zip(
        instances, index.record_instances(session, instances), strict=True
    ):
        if arrival is Arrival.CONFLICT:
            log.warning(
                "instance %s came again from %s with other content or encoding; both are kept",
                instance.sop_instance_uid,
                instance.calling_ae_title,
            )


def reconcile(database: Database, files: InstanceFiles, node_id: str) -> int:
    """Index every instance file that the index does not know; how many there were.

    Called before the port opens, when no association of this node can be open any more.
    """
    now = datetime.now(UTC)
    with database.write() as session:
        lost = index.end_lost_associations(session, node_id, now)
    found = 0
    for paths in _chunks(files.iter_paths()):
        with database.read() as session:
            unknown = sorted(set(paths) - index.known_paths(session, paths))
        recovered = [_recovered(files, path) for path in unknown]
        instances = [each for each in recovered if each is not None]
        with database.write() as session:
            _record(session, [_lost_association(each, node_id, now) for each in instances])
            _record(session, instances)
        found += len(unknown)
    if lost or found:
        log.warning("after a crash: %d associations lost, %d instances indexed anew", lost, found)
    return found


def _chunks(paths: Iterator[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    for path in paths:
        chunk.append(path)
        if len(chunk) == _BATCH:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _lost_association(instance: StoredInstance, node_id: str, now: datetime) -> Association:
    """Of a recovered instance, if the index does not know it: it ends now, so that its sender,
    who lost its connection with us, has time to send the rest."""
    return Association(
        association_id=instance.association_id,
        node_id=node_id,
        calling_ae_title=instance.calling_ae_title,
        called_ae_title="",
        peer_address="",
        opened_at=instance.received_at,
        ended_at=now,
        end=AssociationEnd.LOST,
    )


def _recovered(files: InstanceFiles, path: str) -> StoredInstance | None:
    """The record of a file; None when it no longer can be read."""
    file = files.open_path(path)
    try:
        identity, meta = identify_file(file)
    except (DataError, OSError) as error:
        why = error if isinstance(error, DataError) else error.strerror
        log.error("instance file %s cannot be indexed: %s", path, why)
        return None
    received_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    provenance = provenance_of(meta)
    return StoredInstance(
        sop_instance_uid=identity.sop_instance_uid,
        sop_class_uid=identity.sop_class_uid,
        series_instance_uid=identity.series_instance_uid,
        study_instance_uid=identity.study_instance_uid,
        transfer_syntax_uid=str(meta.TransferSyntaxUID),
        accession_number=identity.accession_number,
        modality=identity.modality,
        path=path,
        size_bytes=file.stat().st_size,
        sha256=data_set_sha256(file, meta),
        association_id=provenance.association_id or f"recovered-{path[:35]}",
        calling_ae_title=provenance.calling_ae_title,
        received_at=received_at,
    )
