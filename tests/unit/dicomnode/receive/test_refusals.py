"""What a receiver refuses leaves a trace, and who refuses never waits for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from dicomnode.config.sections import ReceiveSettings
from dicomnode.decisions.arrival.admission import AdmissionPolicy
from dicomnode.decisions.arrival.disk import DiskPolicy
from dicomnode.disk_gate import DiskGate
from dicomnode.fast_scp.association import StoreRequest
from dicomnode.receive import refusals
from dicomnode.receive.access import AssociationGate
from dicomnode.receive.receiver import StorageReceiver
from dicomnode.receive.refusals import Refusals
from dicomnode.receive.serving import waiting_room
from storage.database import Database
from storage.errors import DatabaseUnavailableError
from storage.instances import InstanceFiles
from storage.refusals import ASSOCIATION, Refusal, recent
from support.clock import StandingClock
from support.house import encoded
from support.storage_samples import NOW
from support.wait import wait_for

WHY = "no peer is configured, the called AE title is not ours"
SOME = DiskPolicy(0, 0)
ALL_OF_IT = DiskPolicy(refuse_below_bytes=1 << 60, resume_above_bytes=1 << 60)


class Peer:
    """What is asked of an association of pynetdicom, which has not accepted it (yet)."""

    primitive = SimpleNamespace(calling_ae_title="CT1", called_ae_title="DICOMNODE")
    requestor = SimpleNamespace(ae_title="", address="192.0.2.1", primitive=primitive)


class Site:
    """A receiver and what it refuses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database.open(f"sqlite:///{folder}/node.sqlite3")
        self.clock = StandingClock(NOW)
        self.refusals = Refusals(self.database, clock=self.clock)

    def store(self, content: bytes, uid: str = "1.2.3.1", policy: DiskPolicy = SOME) -> int:
        indexer: Any = SimpleNamespace(put=lambda _event: None)
        receiver = StorageReceiver(
            InstanceFiles(self.folder / "instances"),
            indexer,
            "node/receiver-1",
            gate=AssociationGate(AdmissionPolicy()),
            room=waiting_room(ReceiveSettings()),
            disk=DiskGate(self.folder, policy),
            refusals=self.refusals,
        )
        peer: Any = Peer()
        ct, view = str(CTImageStorage), memoryview(content)
        answer: Any = receiver.store(
            StoreRequest(peer, ct, uid, 0, ct, ExplicitVRLittleEndian, view, view)
        )
        return int(getattr(answer, "Status", answer))

    def trace(self) -> tuple[Refusal, ...]:
        with self.database.read() as session:
            return recent(session, None, None, 99)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.database.close()


def test_what_the_disk_has_no_room_for_is_found_by_series_and_study(site: Site) -> None:
    """The figures, which the peer is told, make no row of their own."""
    for number in (1, 2):
        content = encoded("1.2.3", number)
        assert site.store(content, f"1.2.3.{number}", ALL_OF_IT) == 0xA700
        site.clock.move(5)
    site.refusals.write()
    (row,) = site.trace()
    assert (row.count, row.status, row.series_instance_uid) == (2, "0xA700", "1.2.3")
    assert row.study_instance_uid != ""
    assert (row.calling_ae_title, row.peer_address) == ("CT1", "192.0.2.1")
    assert "disk.refuse_below_bytes" in row.reason
    assert (row.last_at - row.first_at).total_seconds() == 5


@pytest.mark.parametrize("uid", ["1.2\0.3", "1.2\x1b[31m", "1.2\ud800"])
def test_no_uid_of_a_hostile_command_keeps_the_trace_from_being_written(
    site: Site, uid: str
) -> None:
    """PostgreSQL takes no text with a NUL, and no half of a character."""
    assert site.store(b"no data set", uid) == 0xC000
    site.refusals.write()
    (row,) = site.trace()
    assert row.sop_instance_uid.isprintable()
    assert row.sop_instance_uid.startswith("1.2?")


def test_an_instance_that_is_not_what_its_command_says_leaves_a_trace(site: Site) -> None:
    assert site.store(encoded("1.2.3", 1), "9.9.9") == 0xA900
    assert site.store(b"no data set", "1.2.3.4") == 0xC000
    assert site.store(encoded("1.2.3", 1)) == 0x0000
    site.refusals.write()
    by_status = {row.status: row for row in site.trace()}
    assert by_status.keys() == {"0xA900", "0xC000"}
    assert by_status["0xA900"].series_instance_uid == "1.2.3"
    assert by_status["0xC000"].sop_instance_uid == "1.2.3.4"


def test_who_is_not_let_in_leaves_a_trace(site: Site) -> None:
    gate = AssociationGate(AdmissionPolicy(), site.refusals.note_association)
    peer: Any = Peer()
    gate._judge(peer)
    site.refusals.write()
    (row,) = site.trace()
    assert (row.kind, row.calling_ae_title, row.called_ae_title) == (
        ASSOCIATION,
        "CT1",
        "DICOMNODE",
    )
    assert (row.status, row.reason) == ("A-ASSOCIATE-RJ 1/1/3", WHY)


def test_who_finds_no_place_leaves_one_row_however_often_he_asks(site: Site) -> None:
    few = ReceiveSettings(
        processes=1, maximum_associations=1, waiting_associations=0, waiting_seconds=0.1
    )
    room = waiting_room(few, site.refusals.note_association)
    acse = SimpleNamespace(send_reject=lambda *_code: None)
    for _ in range(1 + 5):
        peer: Any = Peer()
        peer.is_rejected = peer.is_aborted = False
        peer.acse, peer.kill, peer.is_alive = acse, lambda: None, lambda: True
        event: Any = SimpleNamespace(assoc=peer)
        room.on_requested(event)
    site.refusals.write()
    (row,) = site.trace()
    assert (row.kind, row.status, row.count) == (ASSOCIATION, "A-ASSOCIATE-RJ 2/3/2", 5)
    assert (row.calling_ae_title, row.peer_address) == ("CT1", "192.0.2.1")
    assert "receive.maximum_associations" in row.reason


def test_a_data_set_that_the_disk_did_not_take_as_it_grew_is_named(site: Site) -> None:
    peer: Any = Peer()
    site.refusals.note_unkept(peer, "1.2.3.9", 0xA700)
    site.refusals.write()
    assert [row.sop_instance_uid for row in site.trace()] == ["1.2.3.9"]


def test_while_the_database_is_away_it_counts_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_database: Database) -> None:
        raise DatabaseUnavailableError("url", "away")

    peer: Any = Peer()
    site.refusals.note_association(peer, "A-ASSOCIATE-RJ 1/1/3", "why")
    monkeypatch.setattr(Database, "write", away)
    with pytest.raises(DatabaseUnavailableError):
        site.refusals.write()
    site.refusals.note_association(peer, "A-ASSOCIATE-RJ 1/1/3", "why")
    monkeypatch.undo()
    site.refusals.write()
    assert [row.count for row in site.trace()] == [2]


def test_what_memory_has_no_room_for_is_told_in_the_log(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(refusals, "_MOST_HELD", 2)
    peer: Any = Peer()
    for number in range(5):
        site.refusals.note_association(peer, "A-ASSOCIATE-RJ 1/1/3", f"why {number}")
    with caplog.at_level(logging.WARNING):
        site.refusals.write()
    assert len(site.trace()) == 2
    assert "3 refusals are not in the queue's trace" in caplog.text


def test_a_thread_of_its_own_writes_it_and_nothing_before_the_database_is_ours(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "_LOOK_SECONDS", 0.01)
    stop, ours, peer = threading.Event(), threading.Event(), Peer()
    of_ours: Any = peer
    traced = Refusals(site.database, ours.is_set, site.clock)
    traced.note_association(of_ours, "A-ASSOCIATE-RJ 1/1/3", "why")
    traced.write()
    assert site.trace() == ()
    ours.set()
    traced.start(stop)
    wait_for(lambda: len(site.trace()) == 1, "the trace is written")
    traced.note_association(of_ours, "A-ASSOCIATE-RJ 1/1/7", "why")
    stop.set()
    traced.close()
    assert len(site.trace()) == 2, "also the last of it"
