"""The roles of a node one after the other in the process of the test, on real files and rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pydicom

from dicomnode.analyse import worker
from dicomnode.analyse.worker import Worker
from dicomnode.assess.assessor import Assessor
from dicomnode.config.destinations import AnyDestination
from dicomnode.config.sections import InferenceSettings, MethodSettings, NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.decisions.arrival.completeness import CompletenessPolicy
from dicomnode.decisions.result_options import ResultOptions
from dicomnode.deliver.deliverer import Deliverer
from dicomnode.dicom_files.identity import Provenance, file_head, identify_file
from dicomnode.methods.bundles import Engines, load_engines
from dicomnode.receive.arrivals import reconcile
from storage import queries
from storage.database import Database
from storage.instances import InstanceFiles
from storage.records import SeriesDetail
from support.phantom import LOW_CHEST_POLICY

NO_WAIT = CompletenessPolicy(
    quiet_seconds=0,
    doubted_quiet_seconds=0,
    incomplete_after_seconds=0,
    aborted_quiet_seconds=0,
    lost_quiet_seconds=0,
    open_quiet_seconds=0,
)
"""Whatever has come is all."""


def receive_files(
    database: Database, files: InstanceFiles, paths: Sequence[Path], sender: str = "SCANNER"
) -> None:
    """As after a crash of the receiver: the files of one association are there, the index learns
    of them."""
    association_id = uuid4().hex
    for path in paths:
        identity, meta = identify_file(path)
        head = file_head(
            identity.sop_class_uid,
            identity.sop_instance_uid,
            str(meta.TransferSyntaxUID),
            Provenance(association_id, sender, "DICOMNODE"),
        )
        content = path.read_bytes()
        data_set = content[144 + int(meta.FileMetaInformationGroupLength) :]
        files.store(identity.series_instance_uid, identity.sop_instance_uid, head, data_set)
    reconcile(database, files, "node")


def inference(*bundles: Path | str, **more: Any) -> InferenceSettings:
    """With these methods, whatever task each is for."""
    methods = tuple(MethodSettings(bundle=str(each)) for each in bundles)
    return InferenceSettings(methods=methods, **more)


@lru_cache(maxsize=2)
def _engines(chosen: InferenceSettings) -> Engines:
    """Once in a process for the same bundles: to read and compile 94 MB takes seconds."""
    return load_engines(Settings(inference=chosen))


def _loaded(settings: Settings) -> Engines:
    return _engines(settings.inference)


@contextmanager
def databases_closed() -> Iterator[None]:
    """Those that the steps of pipelines open, which in a node end with their process."""
    opened: list[Database] = []
    original = Database.open_later

    def open_later(url: str) -> Database:
        opened.append(original(url))
        return opened[-1]

    with patch.object(Database, "open_later", open_later):
        yield
    for database in opened:
        database.close()


class Pipeline:
    """One node's data directory, worked on step by step."""

    def __init__(
        self,
        folder: Path,
        models: Path,
        destinations: Sequence[AnyDestination] = (),
        database_url: str = "",
    ) -> None:
        self.settings = Settings(
            node=NodeSettings(data_directory=folder, database_url=database_url),
            completeness=NO_WAIT,
            chest=LOW_CHEST_POLICY,
            inference=inference(models),
            results=ResultOptions(key_slices=1),
            destinations=tuple(destinations),
        )
        self.database = Database.open(self.settings.database_url)
        self.files = InstanceFiles(self.settings.instances)
        self._worker: Worker | None = None

    def write_config(self, folder: Path) -> Path:
        """The configuration file by which a command finds this node."""
        node, path = self.settings.node, folder / "dicomnode.toml"
        url = self.settings.database_url
        path.write_text(
            f'[node]\ndata_directory = "{node.data_directory}"\ndatabase_url = "{url}"\n'
        )
        return path

    def receive(self, paths: Sequence[Path], sender: str = "SCANNER") -> None:
        receive_files(self.database, self.files, paths, sender)

    def assess(self) -> None:
        assert Assessor(self.settings, "node/assessor/1/").assess_one(datetime.now(UTC))

    def load_worker(self) -> Worker:
        if self._worker is None:
            with patch.object(worker, "load_engines", _loaded):
                self._worker = Worker(self.settings, "node/worker/1/", threading.Event())
        return self._worker

    def analyse(self) -> None:
        assert self.load_worker().analyse_one()

    def bring_to_results(self, paths: Sequence[Path], sender: str = "SCANNER") -> None:
        """Received, decided and analysed: the results wait in the outbox."""
        self.receive(paths, sender)
        self.assess()
        self.analyse()

    def deliver(self, destination: AnyDestination) -> int:
        deliverer = Deliverer(self.settings, destination, "node/deliverer/1/")
        return deliverer.deliver_some(threading.Event())

    def detail(self, uid: str) -> SeriesDetail:
        with self.database.read() as session:
            detail = queries.series_detail(session, uid)
        assert detail is not None
        return detail

    def result_bytes(self) -> dict[str, bytes]:
        """Every result file by SOP Instance UID."""
        return {
            str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): path.read_bytes()
            for path in self.settings.result_files.rglob("*.dcm")
        }
