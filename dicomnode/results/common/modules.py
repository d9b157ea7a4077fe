"""Modules that every result object has alike: patient, study, series, equipment, SOP common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Protocol

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicomnode.dicom_files.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomnode.results.common.codes import ACQUISITION_EQUIPMENT, code_item
from dicomnode.results.common.context import ResultContext, ResultSettings
from dicomnode.results.common.patient import StudyHeader
from inference.findings import Training

_LO_LIMIT = 64  # characters, PS3.5 section 6.2
_AFTER = ", research only"
_LEAST_NAME = 4  # characters of a model's name that still tell something


class Origin(Protocol):
    """Whose study an object is put into, when, and how this site's objects look.

    `ResultContext` is one; notes and retractions, which have no findings, have a smaller one.
    """

    @property
    def header(self) -> StudyHeader: ...
    @property
    def analysed_at(self) -> datetime: ...
    @property
    def settings(self) -> ResultSettings: ...


@dataclass(frozen=True)
class Place:
    """Where an object stands in its study: its class, the number of its series and its own.

    Its UIDs it gets when it is whole, from its content (`naming`).
    """

    sop_class_uid: UID
    series_number: int
    instance_number: int
    modality: str
    series_description: str


def complete(data_set: Dataset, place: Place, context: Origin) -> Dataset:
    """Set the shared modules, in place of whatever stood there, and the file meta information."""
    context.header.write_into(data_set)
    _set_series(data_set, place)
    set_times(data_set, context)
    _set_equipment(data_set, context)
    data_set.SOPClassUID = place.sop_class_uid
    data_set.InstanceNumber = place.instance_number
    data_set.file_meta = _file_meta(place, context.settings.ae_title)
    return data_set


def series_description(what: str, context: ResultContext, training: Training | None = None) -> str:
    """What it is and whose, and that it has no clinical meaning where it has none; 64 at most.

    `training`: of what the object shows; None is the least of what the methods' weights have.
    """
    model = context.models[0]
    before = f"{training_mark(training or context.training)}AI {what}"
    room = _LO_LIMIT - len(before) - len(_AFTER) - len(" ()")
    name = _shortened(model.name, model.version, room)
    return f"{before} ({name}){_AFTER}" if name else f"{before}{_AFTER}"


def _shortened(name: str, version: str, room: int) -> str:
    """A model in `room` characters, its version whole where something of the name is left beside
    it; in ASCII without backslash, which every archive and list can show."""
    name, version = _ascii(name), _ascii(version)
    if len(whole := f"{name} {version}".strip()) <= room:
        return whole
    left = room - len(version) - 1
    shown = f"{name[:left].strip()} {version}" if left >= _LEAST_NAME else whole[: max(room, 0)]
    return shown.strip()


def _ascii(text: str) -> str:
    plain = text.encode("ascii", "replace").decode("ascii")
    return " ".join("".join(c if " " <= c <= "~" and c != "\\" else " " for c in plain).split())


def training_mark(training: Training) -> str:
    """What stands before a description of what such weights made."""
    return {
        Training.UNTRAINED: "UNTRAINED ",
        Training.DEMONSTRATION: "DEMONSTRATION ",
        Training.PATIENTS: "",
    }[training]


def local_time(context: Origin) -> datetime:
    """The time of analysis in the zone of the source, in which all of the object's times are.

    Timezone Offset From UTC holds for every DA and TM of the data set (PS3.3 Table C.12-1).
    """
    offset = str(context.header.identity.get("TimezoneOffsetFromUTC", ""))
    if not offset:
        return context.analysed_at
    minutes = int(offset[1:3]) * 60 + int(offset[3:5])
    zone = timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
    return context.analysed_at.astimezone(zone)


def _set_series(data_set: Dataset, place: Place) -> None:
    """General Series (PS3.3 section C.7.3.1), SR Document Series (C.17.1)."""
    data_set.Modality = place.modality
    data_set.SeriesNumber = place.series_number
    data_set.SeriesDescription = place.series_description


def set_times(data_set: Dataset, context: Origin) -> None:
    """Every date and time is that of the analysis: the same input gives the same bytes."""
    moment = local_time(context)
    for name in ("InstanceCreation", "Series", "Content"):
        setattr(data_set, f"{name}Date", moment.strftime("%Y%m%d"))
        setattr(data_set, f"{name}Time", moment.strftime("%H%M%S"))


def _set_equipment(data_set: Dataset, context: Origin) -> None:
    """General Equipment (PS3.3 section C.7.5.1): this product; the scanner as a contributor."""
    settings = context.settings
    data_set.Manufacturer = settings.manufacturer
    data_set.ManufacturerModelName = settings.product_name
    data_set.SoftwareVersions = settings.software_version
    data_set.DeviceSerialNumber = settings.device_serial_number
    data_set.DeviceUID = settings.device_uid
    institution = settings.options.institution_name
    if institution and "InstitutionName" not in data_set:
        data_set.InstitutionName = institution
    # highdicom tells there when it made the object, by its own clock: no two were the same
    data_set.pop("ContributingEquipmentSequence", None)
    scanner = context.header.equipment
    if "Manufacturer" in scanner:  # type 1 in the sequence
        item = Dataset()
        item.update(scanner)
        item.PurposeOfReferenceCodeSequence = [code_item(ACQUISITION_EQUIPMENT)]
        data_set.ContributingEquipmentSequence = [item]


def _file_meta(place: Place, ae_title: str) -> FileMetaDataset:
    """PS3.10 section 7.1."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = place.sop_class_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    meta.SourceApplicationEntityTitle = ae_title
    return meta
