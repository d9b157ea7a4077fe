"""The handler of the receiver, without a network: what it puts into the index, and on the disk."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from dicomnode.config.sections import ReceiveSettings
from dicomnode.decisions.arrival.admission import AdmissionPolicy
from dicomnode.decisions.arrival.disk import DiskPolicy
from dicomnode.dicom_files.identity import identify_file, provenance_of
from dicomnode.disk_gate import DiskGate
from dicomnode.fast_scp.association import StoreRequest
from dicomnode.receive.access import AssociationGate
from dicomnode.receive.events import AssociationEnded, Event
from dicomnode.receive.receiver import StorageReceiver
from dicomnode.receive.serving import waiting_room
from storage.instances import InstanceFiles
from storage.records import Association, AssociationEnd, StoredInstance
from support.house import encoded


class Peer:
    """What the receiver asks of an association of pynetdicom."""

    requestor = SimpleNamespace(ae_title="SCANNER", address="192.0.2.1", primitive=None)


class Events:
    """In place of the indexer: what was put, in order."""

    def __init__(self) -> None:
        self.put_in: list[Event] = []

    def put(self, event: Event) -> None:
        self.put_in.append(event)


class Handler:
    def __init__(self, folder: Path) -> None:
        self.files = InstanceFiles(folder)
        self.events = Events()
        settings = ReceiveSettings()
        indexer: Any = self.events
        self.receiver = StorageReceiver(
            self.files,
            indexer,
            "node/receiver-1",
            gate=AssociationGate(AdmissionPolicy(called_ae_titles=("*",), allow_any=True)),
            room=waiting_room(settings),
            disk=DiskGate(folder, DiskPolicy()),
        )

    def store(self, peer: Any, number: int = 1, priority: int = 0) -> Any:
        content = memoryview(encoded("1.2.3", number))
        uid = f"1.2.3.{number}"
        return self.receiver.store(
            StoreRequest(
                association=peer,
                sop_class_uid=str(CTImageStorage),
                sop_instance_uid=uid,
                abstract_syntax=str(CTImageStorage),
                transfer_syntax=ExplicitVRLittleEndian,
                priority=priority,
                data_set=content,
                content=content,
            )
        )

    def open_associations(self) -> set[str]:
        opened = {e.association_id for e in self.events.put_in if isinstance(e, Association)}
        ended = {e.association_id for e in self.events.put_in if isinstance(e, AssociationEnded)}
        return opened - ended


@pytest.fixture
def handler(tmp_path: Path) -> Handler:
    return Handler(tmp_path)


def test_an_association_that_is_recorded_after_it_ended_is_closed(handler: Handler) -> None:
    """The connection closes in another thread while the first instance is still written."""
    peer: Any = Peer()
    event: Any = SimpleNamespace(assoc=peer)
    handler.receiver.on_aborted(event)
    assert handler.events.put_in == [], "nothing had come of it yet"
    assert handler.store(peer) == 0x0000
    assert handler.store(peer, 2) == 0x0000
    assert handler.open_associations() == set()
    ends = [e.end for e in handler.events.put_in if isinstance(e, AssociationEnded)]
    assert set(ends) == {AssociationEnd.ABORTED}
    instances = [e for e in handler.events.put_in if isinstance(e, StoredInstance)]
    assert len(instances) == 2


def test_one_that_ends_afterwards_is_closed_once(handler: Handler) -> None:
    peer: Any = Peer()
    event: Any = SimpleNamespace(assoc=peer)
    assert handler.store(peer) == 0x0000
    assert len(handler.open_associations()) == 1
    handler.receiver.on_released(event)
    handler.receiver.on_aborted(event)
    ends = [e.end for e in handler.events.put_in if isinstance(e, AssociationEnded)]
    assert ends == [AssociationEnd.RELEASED]


@pytest.mark.parametrize(("priority", "order"), [(1, 0), (0, 1), (2, 2), (9, 1)])
def test_the_priority_of_the_request_lies_in_the_file(
    handler: Handler, priority: int, order: int
) -> None:
    """STAT stays STAT, though the index is made again from the files."""
    peer: Any = Peer()
    assert handler.store(peer, priority=priority) == 0x0000
    (path,) = handler.files.iter_paths()
    _, meta = identify_file(handler.files.open_path(path))
    assert provenance_of(meta).priority == order
    (instance,) = [e for e in handler.events.put_in if isinstance(e, StoredInstance)]
    assert instance.priority == order
