"""What is done with an instance, whoever brings it: its file made durable, then indexed."""

from __future__ import annotations

from dicomnode.clock import Clock
from dicomnode.dicom_files.identity import (
    FILE_HEAD_ROOM,
    Identity,
    Provenance,
    file_head,
    head_length,
    stored_instance,
)
from dicomnode.fast_scp.data_set_buffer import Content
from dicomnode.receive.arrivals import ArrivalIndexer
from storage.durable import GrowingFile
from storage.instances import InstanceFiles, StoredFile


class Storing:
    """Into the files of one node, and its index."""

    def __init__(self, files: InstanceFiles, indexer: ArrivalIndexer, clock: Clock) -> None:
        self._files, self._indexer, self._clock = files, indexer, clock

    def keep(
        self, identity: Identity, provenance: Provenance, transfer_syntax: str, content: Content
    ) -> StoredFile:
        """When this returns, the instance is on the disk, whatever happens.

        Raises:
            OSError: it is not; nothing is left then, but a growing file is its owner's to discard.
        """
        head = file_head(
            identity.sop_class_uid,
            identity.sop_instance_uid,
            transfer_syntax,
            provenance,
            FILE_HEAD_ROOM if isinstance(content, GrowingFile) else head_length(len(content)),
        )
        uids = identity.series_instance_uid, identity.sop_instance_uid
        stored = self._files.store(*uids, head, content)
        now = self._clock.now()
        self._indexer.put(stored_instance(identity, provenance, transfer_syntax, stored, now))
        return stored
