"""The first lines of the log."""

from __future__ import annotations

from pathlib import Path

from dicomnode.config.credentials import Credentials
from dicomnode.config.destinations import Destination, WebDestination
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.processes.introduction import introduction, introduction_of_workers
from dicomnode.tls import DestinationTls
from dicomnode.version import VERSION


def test_it_names_what_starts_and_with_whom_it_speaks_and_no_secret(tmp_path: Path) -> None:
    url = "postgresql+psycopg://node:secret@db.example/ai?password=secret&sslmode=require"
    archive = WebDestination(
        name="archive",
        url="https://pacs.example:8443/key-secret/dicom-web",
        tls=DestinationTls(peer_ca="ca.pem"),
        credentials=Credentials(variable="SECRET"),
    )
    pacs = Destination(
        name="pacs", ae_title="PACS", address="192.0.2.1", port=104, storage_commitment=True
    )
    settings = Settings(
        node=NodeSettings(data_directory=tmp_path, database_url=url), destinations=(pacs, archive)
    )
    lines = list(introduction(settings, tmp_path / "dicomnode.toml"))
    assert lines == [
        f"dicomnode {VERSION} starts, configured by {tmp_path}/dicomnode.toml",
        f"data directory: {tmp_path}",
        "database: postgresql+psycopg://node:***@db.example/ai",
        f"audit trail: {tmp_path}/audit/audit.log",
        "AE title DICOMNODE, listens on 127.0.0.1:11112 without TLS",
        "destination pacs: PACS at 192.0.2.1:104, without TLS, storage commitment",
        "destination archive: DICOMweb at https://pacs.example:8443, with TLS",
    ]


def test_of_workers_alone_it_names_whence_and_whither(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "node": {
                "data_directory": str(tmp_path),
                "database_url": "postgresql://node:secret@db.example/ai",
                "shares_database": True,
            },
            "object_store": {"url": "file:///store"},
            "inference": {"workers": 2},
        }
    )
    assert list(introduction_of_workers(settings, tmp_path / "dicomnode.toml")) == [
        f"dicomnode {VERSION} starts 2 workers",
        f"configured by {tmp_path}/dicomnode.toml",
        f"data directory, of copies alone: {tmp_path}",
        "database: postgresql+psycopg://node:***@db.example/ai",
        "object store: file:///store",
    ]
