"""A receiver in the process of the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pydicom
from pynetdicom import AE, _config, build_context

from dicomnode.commitment.answering import Answers
from dicomnode.commitment.reports import Reports
from dicomnode.config.destinations import Destination
from dicomnode.config.sections import NodeSettings, ReceiveSettings
from dicomnode.config.settings import Settings
from dicomnode.decisions.arrival.admission import AdmissionPolicy
from dicomnode.decisions.arrival.disk import DiskPolicy
from dicomnode.disk_gate import DiskGate
from dicomnode.network.associations import accept_any_storage, associated, listen, requestor
from dicomnode.network.listeners import bind_listener
from dicomnode.receive.access import AssociationGate
from dicomnode.receive.arrivals import ArrivalIndexer
from dicomnode.receive.receiver import StorageReceiver, commitment_handlers
from dicomnode.receive.serving import most_threads, storage_ae, waiting_room
from storage import index
from storage.database import Database
from storage.instances import InstanceFiles


@dataclass
class Receiver:
    """A receiver in this process."""

    ae: AE
    peer: Destination
    database: Database
    files: InstanceFiles
    folder: Path

    def send(self, *paths: Path) -> list[int | None]:
        """The status of each, over one association."""
        data_sets = [pydicom.dcmread(path) for path in paths]
        wanted = {(d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in data_sets}
        contexts = [build_context(sop_class, syntax) for sop_class, syntax in wanted]
        with associated(requestor("TESTER", contexts, 20), self.peer) as association:
            return [association.send_c_store(path).get("Status") for path in paths]

    def is_idle(self) -> bool:
        """Whether no association is served any more."""
        return not self.ae.active_associations

    def indexed(self, uid: str) -> int:
        with self.database.read() as session:
            return len(index.instances_of_series(session, uid))


@cache
def _empty_database() -> bytes:
    """With the newest schema; to make it takes longer than many a test."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "node.sqlite3"
        Database.open(f"sqlite:///{file}").close()
        return file.read_bytes()


@contextmanager
def running_receiver(
    folder: Path, settings: ReceiveSettings, destinations: Sequence[Destination] = ()
) -> Iterator[Receiver]:
    """Listen on a free port of the loopback interface, with an index in SQLite.

    `destinations`: whose reports on storage commitment are taken.
    """
    unrestricted = _config.UNRESTRICTED_STORAGE_SERVICE  # ours sets it for the whole process
    folder.mkdir(exist_ok=True)
    (folder / "node.sqlite3").write_bytes(_empty_database())
    database = Database.open(f"sqlite:///{folder / 'node.sqlite3'}")
    files = InstanceFiles(folder / "instances")
    indexer = ArrivalIndexer(database)
    indexer.start()
    policy = AdmissionPolicy(called_ae_titles=("*",), allow_any=True)
    gate = AssociationGate(policy, database=database)
    receiver = StorageReceiver(
        files,
        indexer,
        "node/receiver-1",
        gate=gate,
        room=waiting_room(settings),
        disk=DiskGate(folder, DiskPolicy()),
    )
    node = Settings(node=NodeSettings(data_directory=folder), destinations=tuple(destinations))
    stop, answers = threading.Event(), Answers(database, files, ready=lambda: True)
    answers.start(stop)
    ae = storage_ae("DICOMNODE", settings)
    listener = bind_listener(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    accept_any_storage()
    listen(
        ae,
        listener,
        receiver.handlers() | commitment_handlers(answers, Reports(node, database)),
        acceptor=receiver.acceptor(ae),
        most_threads=most_threads(settings),
        proxies=settings.proxies,
    )
    peer = Destination(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=port)
    try:
        yield Receiver(ae, peer, database, files, folder)
    finally:
        ae.shutdown()
        _config.UNRESTRICTED_STORAGE_SERVICE = unrestricted
        stop.set()
        taken = indexer.close(timeout=10)  # its thread would outlive a test that failed
    if not taken:
        raise AssertionError("the index did not take what was stored")
    database.close()
