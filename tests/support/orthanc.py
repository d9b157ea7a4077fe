"""A real Orthanc as the PACS, on free loopback ports, with its state in a temporary folder."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dicomnode.config import Destination, Peer
from support.node import free_port
from support.tools import needed
from support.wait import PATIENCE_SECONDS, wait_for


class Orthanc:
    """Speaks to Orthanc's REST interface; DICOM goes over DICOM."""

    def __init__(self, http_port: int, peer: Destination) -> None:
        self._base = f"http://127.0.0.1:{http_port}"
        self.peer = peer

    def get(self, path: str) -> Any:
        return json.loads(self._ask(path, None))

    def file(self, instance: str) -> bytes:
        """The Part 10 file of an instance as Orthanc has it."""
        return self._ask(f"/instances/{instance}/file", None)

    def post(self, path: str, body: Any) -> Any:
        return json.loads(self._ask(path, json.dumps(body).encode()))

    def alive(self) -> bool:
        try:
            self.get("/system")
        except OSError:
            return False
        return True

    def upload(self, file: Path) -> None:
        self._ask("/instances", file.read_bytes())

    def instances_of_class(self, sop_class_uid: str) -> list[str]:
        """Orthanc's identifiers of all instances of a SOP class."""
        found = []
        for instance in self.get("/instances"):
            if self.get(f"/instances/{instance}/metadata/SopClassUid") == sop_class_uid:
                found.append(instance)
        return found

    def _ask(self, path: str, body: bytes | None) -> bytes:
        request = urllib.request.Request(self._base + path, data=body)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            content: bytes = answer.read()
        if path.endswith("/metadata/SopClassUid"):
            return json.dumps(content.decode()).encode()
        return content


@contextmanager
def running_orthanc(folder: Path, node: Peer) -> Iterator[Orthanc]:
    """Start Orthanc, knowing the node as a modality; stopped by its process at the end."""
    program = needed("Orthanc", "orthanc")
    http_port, dicom_port = free_port(), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    configuration = {
        "Name": "TESTPACS",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "DicomAet": "ORTHANC",
        "DicomPort": dicom_port,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "OverwriteInstances": False,
        "DicomModalities": {
            "node": {"AET": node.ae_title, "Host": node.address, "Port": node.port}
        },
    }
    file = folder / "orthanc.json"
    file.write_text(json.dumps(configuration))
    with (folder / "orthanc.log").open("w") as log:
        process = subprocess.Popen([program, str(file)], stdout=log, stderr=log)
    peer = Destination(name="orthanc", ae_title="ORTHANC", address="127.0.0.1", port=dicom_port)
    orthanc = Orthanc(http_port, peer)
    try:
        wait_for(orthanc.alive, "Orthanc answers")
        yield orthanc
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
