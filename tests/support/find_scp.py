"""A Query/Retrieve SCP whose answers a test writes, and DCMTK's, which counts nothing."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
)

from dicomnode.config.destinations import Destination
from dicomnode.network.associations import application_entity, listen
from dicomnode.network.listeners import bind_listener
from dicomnode.network.send import send_files
from dicomnode.offline.demo import listens
from support.node import free_port
from support.tools import needed
from support.wait import PATIENCE_SECONDS, wait_for

PENDING, CANCELLED = 0xFF00, 0xFE00
Answer = tuple[int, Dataset | None]


class FindScp:
    """`series` and `images` are answered at their levels; `status` instead of them, if not 0.

    `go_on` is awaited before each answer; `asked` are the levels that were asked for. After
    `cancel_after` matches it waits for C-CANCEL; after `pause_after` it falls silent.
    """

    def __init__(self) -> None:
        self.destination = Destination(name="none", ae_title="NONE", address="", port=1)
        self.series: list[Dataset] = []
        self.images: list[Dataset] = []
        self.status = 0x0000
        self.asked: list[str] = []
        self.given = 0
        self.cancelled = False
        self.cancel_after: int | None = None
        self.pause_after: int | None = None
        self.end = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def on_find(self, event: evt.Event) -> Iterator[Answer]:
        level = str(event.identifier.QueryRetrieveLevel)
        self.asked.append(level)
        self.go_on.wait(PATIENCE_SECONDS)
        if self.status:
            yield self.status, None
            return
        for match in self.series if level == "SERIES" else self.images:
            if self.given == self.cancel_after:
                wait_for(lambda: event.is_cancelled, "C-CANCEL")
                self.cancelled = True
                yield CANCELLED, None
                return
            if self.given == self.pause_after:
                self.end.wait(PATIENCE_SECONDS)
            self.given += 1
            yield PENDING, match


@contextmanager
def running_find_scp() -> Iterator[FindScp]:
    """Run it on the loopback interface; `destination` says where."""
    ae = application_entity("FINDSCP")
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    scp = FindScp()
    listener = bind_listener(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listen(ae, listener, {evt.EVT_C_FIND: scp.on_find})
    scp.destination = Destination(name="pacs", ae_title="FINDSCP", address="127.0.0.1", port=port)
    try:
        yield scp
    finally:
        scp.go_on.set()
        scp.end.set()
        ae.shutdown()


def match(series_instance_uid: str, **keys: object) -> Dataset:
    """One answer."""
    found = Dataset()
    found.SeriesInstanceUID = series_instance_uid
    for keyword, value in keys.items():
        setattr(found, keyword, value)
    return found


_DCMQRSCP = """\
NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
{host}
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
QRSCP {folder} RW (100, 1024mb) ANY
AETable END
"""


@contextmanager
def running_dcmqrscp(
    folder: Path, files: Sequence[Path] = (), node: Destination | None = None
) -> Iterator[Destination]:
    """DCMTK's archive, filled with these files; it knows no NumberOfSeriesRelatedInstances.

    `node`: where C-MOVE may send, under its AE title.
    """
    program, port = needed("dcmqrscp", "dcmtk"), free_port()
    (folder / "db").mkdir(parents=True)
    configuration = folder / "dcmqrscp.cfg"
    host = "" if node is None else f"node = ({node.ae_title}, {node.address}, {node.port})"
    configuration.write_text(_DCMQRSCP.format(port=port, folder=folder / "db", host=host))
    with (folder / "dcmqrscp.log").open("w") as log:
        process = subprocess.Popen([program, "-c", str(configuration)], stdout=log, stderr=log)
    peer = Destination(name="dcmqrscp", ae_title="QRSCP", address="127.0.0.1", port=port)
    try:
        wait_for(lambda: listens(port), "dcmqrscp listens")
        assert not files or list(send_files(files, peer, "TESTER")) == list(files)
        yield peer
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


@contextmanager
def running_qrscp(folder: Path, files: Sequence[Path]) -> Iterator[Destination]:
    """pynetdicom's archive, filled with these files: it answers one match an image at any level."""
    folder.mkdir(parents=True)
    port, configuration = free_port(), folder / "qrscp.ini"
    lines = ["[DEFAULT]", "ae_title: QRSCP", f"port: {port}", "max_pdu: 16382"]
    lines += ["acse_timeout: 30", "dimse_timeout: 30", "network_timeout: 30"]
    lines += ["bind_address: 127.0.0.1", f"instance_location: {folder / 'instances'}"]
    lines += [f"database_location: {folder / 'instances.sqlite'}", "log_identifier: False"]
    configuration.write_text("\n".join(lines) + "\n")
    (folder / "instances").mkdir()
    command = [sys.executable, "-m", "pynetdicom", "qrscp", "-q", "-c", str(configuration)]
    with (folder / "qrscp.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    peer = Destination(name="qrscp", ae_title="QRSCP", address="127.0.0.1", port=port)
    try:
        wait_for(lambda: listens(port), "qrscp listens")
        assert list(send_files(files, peer, "TESTER")) == list(files)
        yield peer
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
