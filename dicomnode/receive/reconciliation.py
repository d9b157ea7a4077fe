"""Brings the index up to date with the instance files that no row knows.

Some were stored by a receiver that was killed before it had indexed them, some by one whose
database is away. The files name the association that brought them (`identity.file_head`), so that
both can be told apart. A million files are looked at a folder of a series at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from pydicom.dataset import FileMetaDataset

from dicomnode.clock import Clock, clock_of
from dicomnode.dicom_files.identity import (
    Identity,
    Provenance,
    data_set_sha256,
    identify_file,
    provenance_of,
    stored_instance,
)
from dicomnode.errors import DataError
from dicomnode.receive.events import record
from storage import index, retention, sealing
from storage.database import Database
from storage.instances import InstanceFiles, StoredFile
from storage.records import Association, AssociationEnd, StoredInstance

log = logging.getLogger(__name__)

_CHUNK = 256
"""Files of one look: the index is asked once, and written to at most once."""


class Reconciler:
    """Compares one node's files with its index; `node_id` is that of this receiver."""

    def __init__(
        self,
        database: Database,
        files: InstanceFiles,
        node_id: str,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or clock_of(database)
        self._database = database
        self._files = files
        self._node_id = node_id
        self._lost = 0
        self.found = 0

    def is_there(self, path: str) -> bool:
        """Whether the file of a stored path is there."""
        return self._files.is_there(path)

    def end_lost_associations(self) -> None:
        """To be called before any association of this receiver is in the index."""
        with self._database.write() as session:
            now = self._clock.now()
            self._lost = index.end_lost_associations(session, self._node_id, now)

    def chunks(self) -> Iterator[list[str]]:
        """All paths, in order, some at a time."""
        chunk: list[str] = []
        for path in self._files.iter_paths():
            chunk.append(path)
            if len(chunk) == _CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def index(self, paths: list[str], own: Container[str] = frozenset()) -> None:
        """Index those of the files that the index does not know; again, it changes nothing.

        Files that an association in `own` brought are left to it.

        Raises:
            OSError: one could not be read, and nothing was indexed.
        """
        with self._database.read() as session:
            known = index.known_paths(session, paths, self._files.node_id)
            leaving = retention.noted_for_removal(session, paths, self._files.node_id)
        unknown = [path for path in paths if path not in known]
        here = [path for path in unknown if path not in leaving or self._touched(path, leaving)]
        recovered = [_recovered(self._files, path, own) for path in here]
        found = [each for each in recovered if each is not None]
        timed = [
            replace(each, received_at=self._clock.from_files(each.received_at)) for each in found
        ]
        instances = sorted(timed, key=lambda each: each.received_at)  # as they came
        if not instances:
            return
        now = self._clock.now()
        with self._database.write() as session:
            record(session, [_guessed(each, now) for each in instances])
            record(session, instances, self.is_there)
            for name in filter(None, (self._files.object_of(each.path) for each in instances)):
                sealing.intend(session, name, now)  # what it may have been, before it was entered
        self.found += len(instances)

    def tell(self) -> None:
        """Say in the log what was found since it was last said."""
        if self._lost or self.found:
            text = "not in the index yet: %d instances, now indexed; %d associations were lost"
            log.warning(text, self.found, self._lost)
        self._lost = self.found = 0

    def _touched(self, path: str, leaving: dict[str, datetime]) -> bool:
        """Sent again after it was given up (`storage.removable_files`): a new arrival."""
        since = self._clock.of_files(leaving[path])
        return retention.touched_since(self._files.open_path(path), since)


def reconcile(database: Database, files: InstanceFiles, node_id: str) -> int:
    """Index every instance file that the index does not know; how many there were.

    For a node of which no receiver runs; `ArrivalIndexer` does the same beside its events.
    """
    reconciler = Reconciler(database, files, node_id)
    reconciler.end_lost_associations()
    for paths in reconciler.chunks():
        reconciler.index(paths)
    found = reconciler.found
    reconciler.tell()
    return found


def _guessed(instance: StoredInstance, now: datetime) -> Association:
    """Of a recovered instance, if the index does not know it: it ends now, so that its sender,
    who lost its connection with us, has time to send the rest. Without `node_id`: where the
    receiver that holds it is alive after all, what that says of it counts."""
    return Association(
        association_id=instance.association_id,
        node_id="",
        calling_ae_title=instance.calling_ae_title,
        called_ae_title="",
        peer_address="",
        opened_at=instance.received_at,
        ended_at=now,
        end=AssociationEnd.LOST,
    )


def _recovered(files: InstanceFiles, path: str, own: Container[str]) -> StoredInstance | None:
    """The record of a file; None when it is gone or no DICOM, or is another's to record.

    Raises:
        OSError: it could not be read just now.
    """
    file = files.open_path(path)
    try:
        identity, meta = identify_file(file)
        provenance = provenance_of(meta)
        if provenance.association_id in own:
            return None
        return _stored_instance(files, path, identity, meta, provenance)
    except FileNotFoundError:
        return None  # removed meanwhile
    except DataError as error:
        log.error("instance file %s cannot be indexed: %s", path, error)
        return None


def _stored_instance(
    files: InstanceFiles,
    path: str,
    identity: Identity,
    meta: FileMetaDataset,
    provenance: Provenance,
) -> StoredInstance:
    file = files.open_path(path)
    found, sha256 = file.stat(), data_set_sha256(file)
    stored = StoredFile(path, found.st_size, sha256, existed=True, node_id=files.node_id)
    brought = provenance.association_id or f"recovered-{path[:35]}"
    known = replace(provenance, association_id=brought)
    received_at = datetime.fromtimestamp(found.st_mtime, UTC)
    return stored_instance(identity, known, meta.TransferSyntaxUID, stored, received_at)
