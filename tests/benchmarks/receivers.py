"""The receivers that are compared, each on a free loopback port, with a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomnode.config.destinations import Destination
from dicomnode.errors import PeerError
from dicomnode.network.associations import echo
from support.dcmjs import started_dcmjs
from support.node import free_port
from support.receiver_process import COMMAND, Receivers
from support.tools import needed
from support.wait import wait_for

_HERE = Path(__file__).parent
PDU_LENGTH = 131072


@dataclass(frozen=True)
class Running:
    """`files` counts what it has stored so far."""

    port: int
    pids: list[int]
    files: Callable[[], int]


Start = Callable[[Path], AbstractContextManager[Running]]


def ours(processes: int, command: Sequence[str] = COMMAND) -> Start:
    @contextmanager
    def start(folder: Path) -> Iterator[Running]:
        receivers = Receivers(folder, {"processes": processes}, command)
        try:
            receivers.start_all()
            count = lambda: sum(1 for _ in receivers.files.iter_paths())  # noqa: E731
            yield Running(receivers.port, receivers.pids, count)
        finally:
            receivers.close()

    return start


def ours_without_sync(processes: int) -> Start:
    return ours(processes, (sys.executable, str(_HERE / "without_sync.py")))


@contextmanager
def plain_pynetdicom(folder: Path) -> Iterator[Running]:
    port = free_port()
    stored = folder / "stored"
    stored.mkdir(parents=True)
    script = str(_HERE / "plain_pynetdicom.py")
    with _running([sys.executable, script, str(port), str(stored)], folder, port) as pid:
        yield Running(port, [pid], lambda: len(os.listdir(stored)))  # noqa: PTH208


@contextmanager
def dcmtk_storescp(folder: Path) -> Iterator[Running]:
    port = free_port()
    stored = folder / "stored"
    stored.mkdir(parents=True)
    command = [needed("storescp", "dcmtk"), "--fork", "+B", "--max-pdu", str(PDU_LENGTH)]
    command += ["--output-directory", str(stored), str(port)]
    with _running(command, folder, port) as pid:
        yield Running(port, [pid], lambda: len(os.listdir(stored)))  # noqa: PTH208


@contextmanager
def orthanc(folder: Path) -> Iterator[Running]:
    """As it comes: it syncs the instance files (SyncStorageArea) before it answers."""
    port, http_port = free_port(), free_port()
    state = folder / "state"
    state.mkdir(parents=True)
    configuration = {
        "StorageDirectory": str(state),
        "IndexDirectory": str(state),
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "MaximumPduLength": PDU_LENGTH,
    }
    file = folder / "orthanc.json"
    file.write_text(json.dumps(configuration))
    command = [needed("Orthanc", "orthanc"), str(file)]
    with _running(command, folder, port) as pid:
        yield Running(port, [pid], lambda: sum(1 for _ in state.glob("??/??/*")))


@contextmanager
def dcmjs_dimse(folder: Path) -> Iterator[Running]:
    """One process of Node.js; each instance is parsed and written anew (`dcmjs_peer.js`)."""
    port, stored = free_port(), folder / "stored"
    stored.mkdir(parents=True)
    with _awaited(started_dcmjs("receive", port, stored), port) as pid:
        yield Running(port, [pid], lambda: len(os.listdir(stored)))  # noqa: PTH208


@contextmanager
def _running(command: Sequence[str], folder: Path, port: int) -> Iterator[int]:
    """A process that listens on `port`; ended by its own id."""
    environment = os.environ | {"TCP_NODELAY": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    with _awaited(process, port) as pid:
        yield pid


@contextmanager
def _awaited(process: subprocess.Popen[Any], port: int) -> Iterator[int]:
    """Once it answers a C-ECHO."""
    peer = Destination(name="peer", ae_title="ANY", address="127.0.0.1", port=port)

    def answers() -> bool:
        try:
            echo(peer, "BENCHMARK")
        except PeerError:
            return False
        return True

    try:
        wait_for(answers, f"port {port} answers", 60)
        yield process.pid
    finally:
        process.terminate()
        process.communicate(timeout=30)
