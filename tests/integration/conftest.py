"""A receiver for the integration tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import _config

from dicomnode.arrivals import ArrivalIndexer
from dicomnode.config import Destination, ReceiveSettings
from dicomnode.network import end_broken_association, listen
from dicomnode.receive import StorageReceiver, storage_ae
from storage.database import Database
from storage.instances import InstanceFiles
from support.receiver import Receiver


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    # the receiver sets it for its whole process; here others share the process
    before = _config.UNRESTRICTED_STORAGE_SERVICE
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", before)
    monkeypatch.setattr(threading, "excepthook", end_broken_association)
    folder = tmp_path / "data"
    folder.mkdir()
    database = Database.open(f"sqlite:///{folder / 'node.sqlite3'}")
    files = InstanceFiles(folder / "instances")
    indexer = ArrivalIndexer(database)
    indexer.start()
    handlers = StorageReceiver(files, indexer, "node").handlers()
    ae = storage_ae("DICOMNODE", ReceiveSettings(acse_timeout_seconds=3.0))
    _server, port = listen(ae, ("127.0.0.1", 0), handlers)
    peer = Destination(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=port)
    yield Receiver(ae, peer, database, files, folder)
    ae.shutdown()
    assert indexer.close(timeout=10)
    database.close()
