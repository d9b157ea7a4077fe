"""An outbox with results of one series that wait for one DICOMweb server."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import mkdtemp
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from sqlalchemy import select, update

from dicomnode.config.destinations import WebDestination
from dicomnode.config.sections import DeliverySettings, NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.deliver.deliverer import Deliverer
from storage.database import Database
from storage.models import DeliveryRow
from storage.results import ResultFiles
from support.storage_samples import SERIES, analyse, queue, receive, result
from support.stow_server import StowServer


class Outbox:
    """The objects, by SOP Instance UID, wait in their order."""

    def __init__(
        self, folder: Path, destination: WebDestination, objects: Mapping[str, bytes]
    ) -> None:
        self.settings = Settings(
            node=NodeSettings(data_directory=folder),
            destinations=(destination,),
            delivery=DeliverySettings(timeout_seconds=20.0),
        )
        self.contents = dict(objects)
        copytree(_filled(tuple(self.contents.items()), destination.name), folder)
        self.database = Database.open(self.settings.database_url)

    def deliver(self) -> int:
        """What is due, once; how many there were."""
        (destination,) = self.settings.destinations
        deliverer = Deliverer(self.settings, destination, "node/deliverer/1/")
        return deliverer.deliver_some(threading.Event())

    def rows(self) -> list[DeliveryRow]:
        with self.database.read() as session:
            found = list(session.scalars(select(DeliveryRow).order_by(DeliveryRow.delivery_id)))
            session.expunge_all()
        return found

    def make_due(self) -> None:
        with self.database.write() as session:
            session.execute(update(DeliveryRow).values(not_before=datetime.now(UTC)))


@cache
def _filled(objects: tuple[tuple[str, bytes], ...], destination: str) -> Path:
    """A data directory, made once: to make a database takes longer than any test with it."""
    folder = Path(mkdtemp(prefix="dicomnode-outbox-"))
    atexit.register(rmtree, folder)
    settings = Settings(node=NodeSettings(data_directory=folder))
    database, files = Database.open(settings.database_url), ResultFiles(settings.result_files)
    receive(database)
    queue(database)
    given = [
        replace(result("0"), sop_instance_uid=uid, path=files.store(SERIES, uid, content))
        for uid, content in objects
    ]
    analyse(database, given, [destination])
    database.close()
    return folder


ONE = "2.25.1"
"""The first of the objects that `filled` puts into an outbox."""


def filled(folder: Path, destination: WebDestination, number: int = 1) -> Outbox:
    """So many results wait for the destination."""
    return Outbox(folder, destination, _objects(number))


@cache
def _objects(number: int) -> dict[str, bytes]:
    uids = [f"2.25.{each}" for each in range(1, number + 1)]
    return {uid: secondary_capture(uid) for uid in uids}


def secondary_capture(uid: str, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """A Part 10 file of a tiny picture."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, uid
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows = made.Columns = 16
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.PixelData = bytes(range(256))
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(syntax)
    file = BytesIO()
    pydicom.dcmwrite(file, made, enforce_file_format=True)
    return file.getvalue()


def destination(server: StowServer, **more: Any) -> WebDestination:
    return WebDestination(name="archive", url=server.url, **more)
