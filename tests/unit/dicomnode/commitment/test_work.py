"""What of storage commitment goes on beside the deliveries."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dicomnode.commitment.reporting import peer_of
from dicomnode.commitment.work import NOT_ASKED, commitment_work, leave_unasked
from dicomnode.config.destinations import Destination, Peer
from dicomnode.config.sections import NodeSettings, QuerySettings, ReceiveSettings
from dicomnode.config.settings import Settings
from dicomnode.decisions.arrival import admission
from storage.database import Database
from storage.outbox import claim_deliveries, mark_stored
from storage.queries import series_detail
from support.storage_samples import LEASE, NOW, SERIES, analyse, queue, receive

ASKED = Destination(
    name="PACS", ae_title="PACS", address="127.0.0.1", port=104, storage_commitment=True
)
OTHER = Destination(name="OTHER", ae_title="OTHER", address="127.0.0.1", port=104)


def test_each_destination_that_is_asked_has_its_thread(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(node=NodeSettings(data_directory=tmp_path), destinations=(ASKED, OTHER))
    assert list(commitment_work(settings)) == [
        "commitment-PACS",
        "commitment-reports",
        "commitment-unasked",
    ]
    assert "PACS (PACS) may not open associations here" in caplog.text
    caplog.clear()
    peer = admission.Peer(ae_title="PACS", networks=("*",))
    receive_from = ReceiveSettings(admission=admission.AdmissionPolicy(peers=(peer,)))
    commitment_work(settings.model_copy(update={"receive": receive_from}))
    assert caplog.text == ""


def test_what_awaits_a_promise_that_is_not_asked_for_any_more_stays_stored(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'node.sqlite3'}"
    database = Database.open(url)
    receive(database)
    queue(database)
    analyse(database)
    with database.write() as session:
        for each in claim_deliveries(session, "PACS", "o/", NOW, LEASE, limit=9):
            mark_stored(session, each, NOW, "0x0000", None, NOW)
    leave_unasked(database, ["PACS"], threading.Event())
    assert awaited(database) == {(False, None)}
    leave_unasked(database, [], threading.Event())
    assert awaited(database) == {(True, NOT_ASKED)}
    database.close()


def awaited(database: Database) -> set[tuple[bool, str | None]]:
    with database.read() as session:
        detail = series_detail(session, SERIES)
    assert detail is not None
    return {(each.arrived, each.error) for each in detail.deliveries}


def test_a_peer_that_asks_is_known_by_its_ae_title() -> None:
    scanner = Peer(name="ct", ae_title="CT1", address="192.0.2.1", port=104)
    archive = Peer(name="archive", ae_title="ARCHIVE", address="192.0.2.2", port=104)
    settings = Settings(destinations=(ASKED,), query=QuerySettings(peer=archive), peers=(scanner,))
    for each in (ASKED, archive, scanner):
        assert peer_of(settings, each.ae_title) == each
    assert peer_of(settings, "CT2") is None
