"""A data directory with an object store, for the sealer to work on."""

from __future__ import annotations

import os
import time
from pathlib import Path

from dicomnode.config.object_store import ObjectStoreSettings
from dicomnode.data_directory.sealer import Sealer
from storage import index
from storage.copies import MARKED_SECONDS
from storage.instances import InstanceFiles
from storage.records import StoredInstance
from support.house import House

NODE = "node"


class SealedHouse(House):
    """A house with an object store beside; none of its copies is too many, or each is."""

    def __init__(
        self, folder: Path, cache_gib: float = 0.0, store: ObjectStoreSettings | None = None
    ) -> None:
        """`store`: where another than a folder is wanted."""
        super().__init__(folder / "node")
        (folder / "store").mkdir(exist_ok=True)
        store = store or ObjectStoreSettings(url=(folder / "store").as_uri())
        self.store = store.opened()
        settings = store.model_copy(update={"cache_gib": cache_gib})
        self.settings = self.settings.model_copy(update={"object_store": settings})
        self.files = InstanceFiles(
            self.settings.instances, NODE, self.settings.copies_of("instances")
        )

    def sealer(self) -> Sealer:
        return Sealer(self.settings, self.database, NODE)

    def rows(self, uid: str) -> tuple[StoredInstance, ...]:
        with self.database.read() as session:
            return index.instances_of_series(session, uid)

    def contents(self, uid: str) -> list[bytes]:
        return [each.read_bytes() for each in self.files.bring(self.rows(uid))]

    def own(self) -> set[str]:
        return set(self.files.iter_paths())

    def age(self, seconds: float = 2 * MARKED_SECONDS) -> None:
        """As if nobody had read anything for so long."""
        then = time.time() - seconds
        for root in (self.settings.instances, self.settings.node.data_directory / "copies"):
            for folder in root.rglob("*"):
                if folder.is_dir():
                    os.utime(folder, (then, then))
