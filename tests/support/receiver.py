"""A receiver in the process of the test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pydicom
from pynetdicom import AE, build_context

from dicomnode.config import Destination
from dicomnode.network import associated, requestor
from storage import index
from storage.database import Database
from storage.instances import InstanceFiles


@dataclass
class Receiver:
    """A receiver in this process."""

    ae: AE
    peer: Destination
    database: Database
    files: InstanceFiles
    folder: Path

    def send(self, *paths: Path) -> list[int | None]:
        """The status of each, over one association."""
        data_sets = [pydicom.dcmread(path) for path in paths]
        wanted = {(d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in data_sets}
        contexts = [build_context(sop_class, syntax) for sop_class, syntax in wanted]
        with associated(requestor("TESTER", contexts, 20), self.peer) as association:
            return [association.send_c_store(path).get("Status") for path in paths]

    def is_idle(self) -> bool:
        """Whether no association is served any more."""
        return not self.ae.active_associations

    def indexed(self, uid: str) -> int:
        with self.database.read() as session:
            return len(index.instances_of_series(session, uid))
