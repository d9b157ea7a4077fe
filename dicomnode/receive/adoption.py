"""Takes what lies in the data directory into a database that does not know it; all of it is held.

What the files say is read from them: instances as after a crash (`reconciliation`), results by
what is in them, and beside them what was withdrawn and what was sent (`storage.result_history`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from socket import gethostname
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    KeyObjectSelectionDocumentStorage,
    SegmentationStorage,
)

from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import id_of_node
from dicomnode.decisions.result_options import SegmentationKind, SrClass
from dicomnode.deliver.routing import routing
from dicomnode.dicom_files.headers import read_source
from dicomnode.dicom_files.identity import Identity, identify_file
from dicomnode.errors import ConfigurationError, DataError
from dicomnode.receive.reconciliation import reconcile
from dicomnode.results.common.uids import LabelMapSegmentationStorage
from storage import adopt, result_sets
from storage.database import Database
from storage.errors import DamagedHistoryError
from storage.instances import InstanceFiles, series_folder
from storage.nodes import all_nodes, join
from storage.outbox import SR_STORAGE, DestinationsOf
from storage.records import NOTE_KIND, RETRACTION_KIND, ResultRecord
from storage.result_history import SentFiles, Withdrawals
from storage.results import ResultFiles
from storage.statements import moment

log = logging.getLogger(__name__)

_WITHDRAWN = "WITHDRAWN"
_NOTE_TITLE = "AI_NOTE"

_SEGMENTATIONS = {
    str(SegmentationStorage): SegmentationKind.BINARY.value,
    str(LabelMapSegmentationStorage): SegmentationKind.LABELMAP.value,
}
_WRITTEN_AS = _SEGMENTATIONS | {
    str(EnhancedSRStorage): SrClass.ENHANCED.value,
    str(ComprehensiveSRStorage): SrClass.COMPREHENSIVE.value,
    str(Comprehensive3DSRStorage): SrClass.COMPREHENSIVE_3D.value,
}
"""By SOP class, which of its classes a report or a segmentation is written in."""


@dataclass(frozen=True)
class Adopted:
    """What was found. `left_alone`: folders of results that no series can be told for."""

    instances: int
    results: int
    withdrawn: int
    series_held: int
    deliveries_held: int
    left_alone: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"left_alone": list(self.left_alone)}


def adopt_files(database: Database, settings: Settings, node_id: str, now: datetime) -> Adopted:
    """Enter all that lies here and hold it; again, after a kill, it goes on where it was.

    No node of this data directory may run; one that is started before the end refuses to.

    Raises:
        ConfigurationError: others work on the database.
        DatabaseUnavailableError
        OSError: a file cannot be read now.
    """
    with database.write() as session:
        if any(each.node_id != node_id and not each.forgotten for each in all_nodes(session)):
            raise ConfigurationError(f"{database.url} is that of other nodes too: it is not lost")
        adopt.disown(session)
    instances = reconcile(database, InstanceFiles(settings.instances, node_id), node_id)
    results, left_alone = _Results(database, settings).enter(now)
    withdrawals = Withdrawals(settings.result_files, node_id)
    withdrawn = result_sets.enter_withdrawals(database, withdrawals.every())
    with database.write() as session:
        held = adopt.hold(session, now)
        join(session, node_id, gethostname(), settings.node.shares_database, moment(session))
    return Adopted(instances, results, withdrawn, *held, left_alone)


class _Results:
    """The result files, a folder of a series at a time."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._files = ResultFiles(settings.result_files, id_of_node(settings.node.data_directory))
        self._sent = SentFiles(settings.result_files)
        self._settings = settings
        self._kept = list(Withdrawals(settings.result_files).every())
        with database.read() as session:
            self._digests = adopt.known_series(session)
        keys = [each.series_key for each in self._kept]
        self._keys = {series_folder(key): key for key in (*keys, *self._digests)}

    def enter(self, now: datetime) -> tuple[int, tuple[str, ...]]:
        """How many results no row knew, and the folders that are left alone."""
        entered, left_alone = 0, []
        for folder in self._files.iter_folders():
            found = self._found(folder)
            if found is None:
                left_alone.append(folder)
                continue
            with self._database.write() as session:
                entered += adopt.enter_found(session, found, self._routes, now)
        return entered, tuple(left_alone)

    def _routes(self, sender: str) -> DestinationsOf:
        return routing(self._settings, [sender]).destinations_of

    def _found(self, folder: str) -> adopt.ResultsFound | None:
        """None where it cannot be told which series they are about: another patient's may be."""
        read = dict(self._read(folder))
        key = self._key(folder, read) if read else None
        if key is None or not self._is_of(key, read):
            log.error("results in %s: their CT series cannot be told; left alone", folder)
            return None
        first = next(iter(read.values()))[0]
        records = tuple(self._record(key, path, *of) for path, of in read.items())
        if any(each.kind == NOTE_KIND for each in records):
            records = tuple(map(_with_note, records))
        study, accession = first.study_instance_uid, first.accession_number
        return adopt.ResultsFound(key, study, accession, records, self._of_sent(key))

    def _read(self, folder: str) -> Iterator[tuple[str, tuple[Identity, Dataset]]]:
        for path in self._files.iter_paths(folder):
            file = self._files.open_path(path)
            try:
                yield path, (identify_file(file)[0], read_source(file))
            except DataError as error:
                log.error("result %s cannot be read, and is left alone: %s", path, error)

    def _key(self, folder: str, read: Mapping[str, tuple[Identity, Dataset]]) -> str | None:
        """As the rows, what was noted beside the files, or the results themselves name it."""
        if (known := self._keys.get(folder)) is not None:
            return known
        try:
            noted = self._sent.key_of(folder)
        except DamagedHistoryError as error:
            log.error("%s", error)
            noted = None
        named = (uid for _, data_set in read.values() for uid in _series_uids(data_set))
        for each in (noted, *named):
            if each is not None and series_folder(each) == folder:
                return each
        return None

    def _is_of(self, key: str, read: Mapping[str, tuple[Identity, Dataset]]) -> bool:
        """Where several patients' slices bear one UID, their parts are numbered as they came: now
        perhaps in another order."""
        uid = key.partition("~")[0]
        parts = [each for each in self._digests if each.partition("~")[0] == uid]
        if len(parts) < 2:
            return True
        return {identity.digest for identity, _ in read.values()} == {self._digests.get(key)}

    def _of_sent(self, key: str) -> tuple[Any, ...]:
        try:
            return self._sent.of_series(key)
        except DamagedHistoryError as error:
            log.error("%s: whether its results were sent is not known", error)
            return ()

    def _record(self, key: str, path: str, identity: Identity, data_set: Dataset) -> ResultRecord:
        file = self._files.open_path(path)
        return ResultRecord(
            sop_instance_uid=identity.sop_instance_uid,
            sop_class_uid=identity.sop_class_uid,
            result_series_instance_uid=identity.series_instance_uid,
            series_key=key,
            kind=_kind(identity.sop_class_uid, data_set),
            path=path,
            size_bytes=file.stat().st_size,
            created_at=_created(data_set, file),
            choices=" ".join(sorted(set(_choices(identity.sop_class_uid, data_set)))),
            node_id=self._files.node_id,
        )


def _kind(sop_class_uid: str, data_set: Dataset) -> str:
    """As near as the object tells: a report, a note, a withdrawal, or a picture of any kind."""
    withdraws = _WITHDRAWN in str(data_set.get("SeriesDescription", ""))
    if withdraws or sop_class_uid == KeyObjectSelectionDocumentStorage:
        return RETRACTION_KIND
    if not sop_class_uid.startswith(SR_STORAGE):
        return str(data_set.get("Modality", "")).lower() or "result"
    titles = data_set.get("ConceptNameCodeSequence") or [Dataset()]
    return NOTE_KIND if titles[0].get("CodeValue") == _NOTE_TITLE else "sr"


def _choices(sop_class_uid: str, data_set: Dataset) -> Iterator[str]:
    """Of several ways to write an object, which it is in: of a report also those of the
    segmentations that it names."""
    if sop_class_uid in _WRITTEN_AS:
        yield _WRITTEN_AS[sop_class_uid]
        for element in data_set.iterall():
            if element.keyword == "ReferencedSOPClassUID" and element.value in _SEGMENTATIONS:
                yield _SEGMENTATIONS[element.value]


def _with_note(record: ResultRecord) -> ResultRecord:
    """The page of a note is one too: it bears no title."""
    return record if record.kind != "ot" else ResultRecord(**asdict(record) | {"kind": NOTE_KIND})


def _created(data_set: Dataset, file: Path) -> datetime:
    """The moment that all objects of a set bear alike, to the second; without an offset it is in
    the zone of this machine, as it was written."""
    moment = f"{data_set.get('InstanceCreationDate', '')}{data_set.get('InstanceCreationTime', '')}"
    offset = str(data_set.get("TimezoneOffsetFromUTC", ""))
    try:
        form = "%Y%m%d%H%M%S%z" if offset else "%Y%m%d%H%M%S"
        return datetime.strptime(moment[:14] + offset, form).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.fromtimestamp(int(file.stat().st_mtime), UTC)


def _series_uids(data_set: Dataset) -> Iterator[str]:
    """Every Series Instance UID that an object names, its sources' among them."""
    for element in data_set.iterall():
        if element.keyword == "SeriesInstanceUID":
            yield str(element.value)
