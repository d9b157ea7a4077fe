"""The node that the documents tell of: a few series, each at another end, and a PACS for results.

Its rows and files are made step by step in the process of the test; `serving` lets it look as if it
ran.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydicom.dataset import Dataset
from sqlalchemy import update

from dicomnode.clock import Clock
from dicomnode.config.destinations import Destination
from dicomnode.config.reading import load_settings
from dicomnode.data_directory.holding import keep_settings, only_one
from dicomnode.data_directory.own_data import Taking, note_first_start
from dicomnode.notes.writer import NoteWriter
from dicomnode.processes.states import States
from storage.models import AssociationRow
from storage.records import AssociationEnd
from support.bad_series import garbage_pixels
from support.pacs import Pacs, running_pacs
from support.phantom import LOW_CHEST, write_series
from support.pipeline import NO_WAIT, Pipeline

ROOT_UID = "1.2.826.0.1.3680043.10.1561.2026"
SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
ROLES = (
    "receiver-1",
    "receiver-2",
    "monitor",
    "assessor",
    "deliverer",
    "cleaner",
    "worker-1",
)

_CONFIG = """\
[node]
ae_title = "DICOMNODE"
data_directory = "data"
[receive]
address = "0.0.0.0"
[receive.admission]
peers = [
    {{ ae_title = "CT1", networks = ["192.0.2.7"] }},
    {{ ae_title = "CT2", networks = ["192.0.2.8"] }},
    {{ ae_title = "PACS", networks = ["127.0.0.1"] }},
]
{chest}[inference]
methods = [{{ bundle = "{models}" }}]
allow_demonstration_model = true
[results]
key_slices = 2
[http]
port = 0
{destinations}
[[routes]]
to = ["pacs"]
[[routes]]
senders = ["CT2"]
to = ["archive"]
"""


@dataclass
class Clinic:
    """A folder with the node's configuration and data; `pacs` takes all, `archive` no masks."""

    folder: Path
    models: Path
    pacs: Pacs
    archive: Pacs

    @property
    def config(self) -> Path:
        return self.folder / "dicomnode.toml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def write_config(self) -> None:
        pairs = (("pacs", "PACS", self.pacs), ("archive", "ARCHIVE", self.archive))
        destinations = "".join(_table(name, title, pacs.destination) for name, title, pacs in pairs)
        text = _CONFIG.format(chest=LOW_CHEST, models=self.models, destinations=destinations)
        self.config.write_text(text)

    def copy(self, folder: Path) -> Clinic:
        """The same node in another folder, to be changed."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Clinic(folder, self.models, self.pacs, self.archive)


def _table(name: str, ae_title: str, at: Destination) -> str:
    lines = (f'name = "{name}"', f'ae_title = "{ae_title}"', f'address = "{at.address}"')
    return "\n".join(["[[destinations]]", *lines, f"port = {at.port}", ""])


ADDRESSES = {"CT1": "192.0.2.7", "CT2": "192.0.2.8"}


def _thick(data_set: Dataset, number: int) -> None:
    data_set.SliceThickness = 5.0
    data_set.ImagePositionPatient[2] = 5.0 * number


def _enhanced(data_set: Dataset, _number: int) -> None:
    data_set.ContrastBolusAgent = "IOHEXOL 300"


def _plain(_data_set: Dataset, _number: int) -> None:
    pass


_Change = Callable[[Dataset, int], None]
SERIES: tuple[tuple[str, str, int, _Change], ...] = (
    ("A-1001", "CT1", 12, _plain),  # delivered
    ("A-1002", "CT2", 12, _plain),  # the archive refuses its segmentation
    ("A-1003", "CT1", 10, _thick),
    ("A-1004", "CT2", 10, _enhanced),
    ("A-1005", "CT1", 10, garbage_pixels),  # fails
)
"""Accession number, sender, slices, and what is odd about it."""


def uid_of(accession: str) -> str:
    """Of the series; that of its study is without the last part."""
    return f"{ROOT_UID}.{accession.removeprefix('A-')}.1"


def _of(accession: str, change: _Change) -> _Change:
    def both(data_set: Dataset, number: int) -> None:
        uid = uid_of(accession)
        data_set.AccessionNumber = accession
        data_set.StudyInstanceUID = uid.rpartition(".")[0]
        data_set.SeriesInstanceUID = uid
        data_set.SOPInstanceUID = f"{uid}.{number + 1}"
        change(data_set, number)

    return both


@contextmanager
def clinic(folder: Path, models: Path) -> Iterator[Clinic]:
    """The node with all series at their end, and both PACSs there."""
    with ExitStack() as stack:
        pacs = stack.enter_context(running_pacs())
        archive = stack.enter_context(running_pacs(refused=SEGMENTATION_STORAGE))
        made = Clinic(folder / "node", models, pacs, archive)
        made.folder.mkdir()
        made.write_config()
        settings = load_settings(made.config)
        with only_one(settings.node.data_directory) as node_id:
            note_first_start(settings)
            keep_settings(settings)
            node = Pipeline(made.data, models, settings.destinations)
            node.settings = settings.model_copy(update={"completeness": NO_WAIT})
            Taking(settings, node_id)
            for number, (accession, sender, slices, change) in enumerate(SERIES):
                files = write_series(folder / accession, slices, number, _of(accession, change))
                _bring(node, files, sender, fit=change in (_plain, garbage_pixels))
            later = datetime.now(UTC) + timedelta(minutes=5)
            assert NoteWriter(settings, node.database).write_due(later) == 3
            for destination in settings.destinations:
                while node.deliver(destination):
                    pass
            node.database.close()
        yield made


def _bring(node: Pipeline, files: list[Path], sender: str, *, fit: bool) -> None:
    node.receive(files, sender)
    with node.database.write() as session:
        released = {"ending": AssociationEnd.RELEASED, "peer_address": ADDRESSES[sender]}
        session.execute(update(AssociationRow).filter_by(calling_ae_title=sender).values(released))
    node.assess()
    if fit:
        node.analyse()


@contextmanager
def serving(data: Path) -> Iterator[States]:
    """As if a node ran there: who looks at its processes finds them."""
    with only_one(data) as node_id:
        states = States(data, node_id, Clock())
        for number, role in enumerate(ROLES):
            states.started(role, os.getpid() + number)
        yield states
