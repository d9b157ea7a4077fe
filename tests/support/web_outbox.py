"""An outbox with results of one series that wait for one DICOMweb server."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import mkdtemp

from sqlalchemy import select, update

from dicomnode.config import DeliverySettings, NodeSettings, Settings, WebDestination
from dicomnode.deliver.deliverer import Deliverer
from storage.database import Database
from storage.models import DeliveryRow
from storage.results import ResultFiles
from support.storage_samples import SERIES, analyse, queue, receive, result


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
