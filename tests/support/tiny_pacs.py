"""tiny-pacs, a PACS in pure Python, with its DICOMweb service, on free loopback ports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dicomnode.config.destinations import Peer
from dicomnode.offline.demo import listens
from support.node import free_port
from support.wait import PATIENCE_SECONDS, wait_for

_FEW_CLASSES = """
from pynetdicom2 import dimsemessages, sopclass
from tiny_pacs.__main__ import main
kept = tuple("1.2.840.10008.5.1.4.1.1." + each for each in ("2", "7", "11.", "66.", "88."))
known = sopclass.storage_scp.sop_classes
sopclass.storage_scp.sop_classes = [each for each in known if str(each).startswith(kept)]
message = dimsemessages.NEventReportRQMessage
plain = message.__init__
def numbered(self, *arguments):
    plain(self, *arguments)
    self.message_id = 1
message.__init__ = numbered
main()
"""
"""As it comes it can report to nobody (pynetdicom2 0.9.8): it proposes all classes that it knows,
and 128 presentation contexts are the most there can be (PS3.8 section 9.3.2.2); and its report has
an empty Message ID, which PS3.7 section 10.3.1.1 asks for."""


@dataclass(frozen=True)
class TinyPacs:
    """`service`: the address of its DICOMweb service; `files`: where it keeps what it gets."""

    port: int
    service: str
    files: Path


@contextmanager
def running_tiny_pacs(
    folder: Path, token: str = "", node: Peer | None = None
) -> Iterator[TinyPacs]:
    """With a token its DICOMweb service lets in only who bears it.

    `node`: where it reports on storage commitment.
    """
    dicom_port, http_port, files = free_port(), free_port(), folder / "files"
    files.mkdir(parents=True)
    access = {"auth": "token", "tokens": [token]} if token else {"auth": "none"}
    devices = {}
    if node is not None:
        where = {"aet": node.ae_title, "address": node.address, "port": node.port}
        devices[node.ae_title] = where
    configuration = {
        "ae": {"ae_title": ["TINY_PACS"], "port": dicom_port, "dump_ds": False},
        "components": {
            "Database": {"on": True, "db_name": str(folder / "db.sqlite"), "mode": "rwc"},
            "Devices": {"on": True, "devices": devices},
            "PACS": {"on": True},
            "InMemoryStorage": {"on": False},
            "FileStorage": {"on": True, "storage_dir": str(files)},
            "HttpServer": {"on": True, "port": http_port, "threads": 4},
            "DICOMWeb": {"on": True, **access},
        },
    }
    file = folder / "configuration.yaml"
    file.write_text(json.dumps(configuration))  # JSON is YAML
    how = ["-m", "tiny_pacs"] if node is None else ["-c", _FEW_CLASSES]
    command = [sys.executable, "-W", "ignore", *how, "run", "-c", str(file)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(lambda: listens(http_port) and listens(dicom_port), "tiny-pacs listens")
        yield TinyPacs(dicom_port, f"http://127.0.0.1:{http_port}/dicomweb", files)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
