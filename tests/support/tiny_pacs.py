"""tiny-pacs, a PACS in pure Python, with its DICOMweb service, on free loopback ports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dicomnode.offline.demo import listens
from support.node import free_port
from support.wait import PATIENCE_SECONDS, wait_for


@dataclass(frozen=True)
class TinyPacs:
    """`service`: the address of its DICOMweb service; `files`: where it keeps what it gets."""

    port: int
    service: str
    files: Path


@contextmanager
def running_tiny_pacs(folder: Path, token: str = "") -> Iterator[TinyPacs]:
    """With a token its DICOMweb service lets in only who bears it."""
    dicom_port, http_port, files = free_port(), free_port(), folder / "files"
    files.mkdir(parents=True)
    access = {"auth": "token", "tokens": [token]} if token else {"auth": "none"}
    configuration = {
        "ae": {"ae_title": ["TINY_PACS"], "port": dicom_port, "dump_ds": False},
        "components": {
            "Database": {"on": True, "db_name": str(folder / "db.sqlite"), "mode": "rwc"},
            "Devices": {"on": True},
            "PACS": {"on": True},
            "InMemoryStorage": {"on": False},
            "FileStorage": {"on": True, "storage_dir": str(files)},
            "HttpServer": {"on": True, "port": http_port, "threads": 4},
            "DICOMWeb": {"on": True, **access},
        },
    }
    file = folder / "configuration.yaml"
    file.write_text(json.dumps(configuration))  # JSON is YAML
    command = [sys.executable, "-W", "ignore", "-m", "tiny_pacs", "run", "-c", str(file)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(lambda: listens(http_port) and listens(dicom_port), "tiny-pacs listens")
        yield TinyPacs(dicom_port, f"http://127.0.0.1:{http_port}/dicomweb", files)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
