"""Instances that this process itself fetches, into the files and the index of the node.

As the receiver keeps what comes to its port (`receive.storing`): when an instance is counted as
come, its file is durable. What a kill keeps from the index is asked for once more, and found there.

Where somebody is answered 0x0000 (C-GET), that means what `receive.durability` says it does. Who
answers WADO-RS, or whose folder is read, is told nothing and goes on having it: the disk is enough.
"""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Callable

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import evt

from dicomnode.audit import trail
from dicomnode.audit.events import Peer, Transferred
from dicomnode.clock import Clock, clock_of
from dicomnode.config.settings import Settings
from dicomnode.data_directory.files import instance_files
from dicomnode.data_directory.holding import id_of_node
from dicomnode.data_directory.own_data import check_own
from dicomnode.decisions.arrival.store_answer import CANNOT_UNDERSTAND, OUT_OF_RESOURCES
from dicomnode.dicom_files.identity import Identity, Provenance, identify
from dicomnode.disk_gate import DiskGate
from dicomnode.errors import ConfigurationError, DataError
from dicomnode.fast_scp.association import request_of
from dicomnode.network.associations import SUCCESS
from dicomnode.receive.arrivals import ArrivalIndexer, AssociationEnded
from dicomnode.receive.store_request import check_command, status_of
from dicomnode.receive.storing import Storing
from storage import index
from storage.database import Database
from storage.instances import InstanceFiles
from storage.records import Association, AssociationEnd

log = logging.getLogger(__name__)

_END_SECONDS = 60.0


class Keeper:
    """Of one process; `role` is no other process's of this node at the same time."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        sender: Peer,
        role: str,
        clock: Clock | None = None,
        *,
        answers: bool = False,
    ) -> None:
        """`answers`: whoever sends is told when it is kept.

        Raises:
            ConfigurationError: no node has run on the data directory, or the database is another's.
            DatabaseUnavailableError
        """
        self._clock = clock or clock_of(database)
        self._sender, self._own_title = sender, settings.node.ae_title
        node_id = _node_id(settings)
        check_own(settings, node_id)
        self._own_id = f"{node_id}/{role}"
        with database.write() as session:  # those of one that was killed
            index.end_lost_associations(session, self._own_id, self._clock.now())
        self._indexer = ArrivalIndexer(database)
        plain = InstanceFiles(settings.instances, node_id)
        files = instance_files(settings) if answers else plain
        self._storing = Storing(files, self._indexer, self._clock)
        self._disk = DiskGate(settings.instances, settings.disk)
        self._association: Association | None = None
        self._came: Counter[tuple[str, str]] = Counter()
        self.stored: set[str] = set()
        """SOP Instance UIDs of what is durable, since the last series ended."""
        self.full = ""
        """Why the disk, or the object store, took the last one not."""
        self._indexer.start()

    def on_store(self, event: evt.Event) -> int | Dataset:
        """Answer a C-STORE request on the association of a C-GET."""
        request = request_of(event)
        return self.take(
            request.data_set,
            request.transfer_syntax,
            lambda identity: check_command(identity, request),
        )

    def take(
        self, data_set: memoryview, syntax: UID, check: Callable[[Identity], object]
    ) -> int | Dataset:
        """Keep one instance; the status as for C-STORE. `check`: ends by a DataError where it is
        another one than was asked for."""
        self.full = self._disk.refuses(len(data_set)) or ""
        if self.full:
            return status_of(OUT_OF_RESOURCES, self.full)
        try:
            identity = identify(data_set, syntax)
            check(identity)
            self._storing.keep(identity, self._provenance(), str(syntax), data_set)
        except DataError as error:
            log.warning("an instance is not kept: %s", error)
            return status_of(CANNOT_UNDERSTAND, str(error))
        except OSError as error:
            self.full = error.strerror or str(error) or "it cannot be stored"
            log.error("an instance is not kept: %s", self.full)
            return status_of(OUT_OF_RESOURCES, self.full)
        self._came[identity.study_instance_uid, identity.sop_class_uid] += 1
        self.stored.add(identity.sop_instance_uid)
        return SUCCESS

    def series_ended(self, end: AssociationEnd = AssociationEnd.RELEASED) -> None:
        """Nothing more of it comes: it need not be waited for."""
        if self._association is not None:
            ended = AssociationEnded(self._association.association_id, self._clock.now(), end)
            self._indexer.put(ended)
        self._association = None
        for (study, sop_class), count in self._came.items():
            trail.record(Transferred(True, self._sender, study, ((sop_class, count),)))
        self._came.clear()
        self.stored.clear()

    def close(self) -> None:
        """What is in hand gets into the index, in a minute at most; its files are there anyway."""
        self.series_ended(AssociationEnd.LOST)
        if not self._indexer.close(_END_SECONDS):
            log.error("the index does not know all that came: the node finds it when it starts")

    def _provenance(self) -> Provenance:
        """The archive takes the place of who calls: what comes is its own."""
        if self._association is None:
            self._association = Association(
                association_id=uuid.uuid4().hex,
                node_id=self._own_id,
                calling_ae_title=self._sender.ae_title,
                called_ae_title=self._own_title,
                peer_address=self._sender.address,
                opened_at=self._clock.now(),
            )
            self._indexer.put(self._association)
        known = self._association
        return Provenance(known.association_id, known.calling_ae_title, known.called_ae_title)


def _node_id(settings: Settings) -> str:
    """
    Raises:
        ConfigurationError: no node has run there, or who may not look.
    """
    folder = settings.node.data_directory
    try:
        node_id = id_of_node(folder)
    except OSError as error:
        raise ConfigurationError(f"{folder}: {error.strerror}") from error
    if not node_id:
        raise ConfigurationError(f"no node has run on {folder} yet")
    return node_id
