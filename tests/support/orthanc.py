"""A real Orthanc as the PACS, on free loopback ports, with its state in a temporary folder.

Its DICOMweb service is Debian's package orthanc-dicomweb.
"""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dicomnode.config.destinations import Destination, Peer
from support.node import free_port
from support.tools import missing, needed
from support.wait import PATIENCE_SECONDS, wait_for

USER = "node"
_DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


class Orthanc:
    """Speaks to Orthanc's REST interface; DICOM goes over DICOM, or by STOW-RS."""

    def __init__(self, http_port: int, peer: Destination, password: str = "") -> None:
        self._base = f"http://127.0.0.1:{http_port}"
        self._password = password
        self.peer = peer

    @property
    def service(self) -> str:
        """The address of its DICOMweb service; as `needed` without it."""
        if not _DICOMWEB.exists():
            missing("the DICOMweb service of Orthanc", "orthanc-dicomweb")
        return f"{self._base}/dicom-web"

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

    def move_to(self, node: Peer) -> None:
        """Know the node as where C-MOVE may send, from now on."""
        place = {"AET": node.ae_title, "Host": node.address, "Port": node.port}
        self._ask("/modalities/node", json.dumps(place).encode(), "PUT")

    def _ask(self, path: str, body: bytes | None, method: str | None = None) -> bytes:
        request = urllib.request.Request(self._base + path, body, method=method)  # noqa: S310
        if self._password:
            word = b64encode(f"{USER}:{self._password}".encode()).decode()
            request.add_header("Authorization", f"Basic {word}")
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            content: bytes = answer.read()
        if path.endswith("/metadata/SopClassUid"):
            return json.dumps(content.decode()).encode()
        return content


@contextmanager
def running_orthanc(folder: Path, node: Peer, password: str = "") -> Iterator[Orthanc]:
    """Start Orthanc, knowing the node as a modality; stopped by its process at the end.

    With a password its REST interface and DICOMweb service let in `USER` alone.
    """
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
        "AuthenticationEnabled": bool(password),
        "RegisteredUsers": {USER: password} if password else {},
        "Plugins": [str(_DICOMWEB)] if _DICOMWEB.exists() else [],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
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
    orthanc = Orthanc(http_port, peer, password)
    try:
        wait_for(orthanc.alive, "Orthanc answers")
        yield orthanc
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
