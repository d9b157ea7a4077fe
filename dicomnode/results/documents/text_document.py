"""A report that is text alone: what was not analysed, what was withdrawn.

Basic Text SR (PS3.3 section A.35.1), the oldest of its kind: whoever takes any report takes it.
Its title is our own. Viewers that show a report titled "Imaging Measurement Report" over its images
show nothing where it has none; under another title they show the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import BasicTextSRStorage

from dicomnode.results.common import codes
from dicomnode.results.common.context import Predecessor, ResultSettings
from dicomnode.results.common.modules import Place, complete
from dicomnode.results.common.patient import StudyHeader
from inference.findings import PRIVATE_SCHEME

NOTE_TITLE = Code("AI_NOTE", PRIVATE_SCHEME, "AI processing note")
NOT_ATTEMPTED = Code("111225", "DCM", "Not Attempted")  # CID 6042
FAILED = codes.FAILED

_OBSERVER_TYPE = Code("121005", "DCM", "Observer Type")
_OBSERVER_UID = Code("121012", "DCM", "Device Observer UID")
_LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
_ENGLISH = Code("en", "RFC5646", "English")
_CONTEXT, _CONTAINS = "HAS OBS CONTEXT", "CONTAINS"


@dataclass(frozen=True, eq=False)
class TextOrigin:
    """Whose study a text goes into, when it was decided, and how this site's objects look."""

    header: StudyHeader
    analysed_at: datetime
    settings: ResultSettings


def text_document(
    place: Place,
    origin: TextOrigin,
    lines: Sequence[str],
    outcomes: Iterable[Code] = (),
    predecessor: Predecessor | None = None,
) -> Dataset:
    """The document; the first of `lines` is what a reader sees first, and they are one text.

    `outcomes`: Summary of Analyses (111065, DCM) by code, for programs.
    """
    data_set = Dataset()
    _set_document(data_set)
    data_set.ValueType = "CONTAINER"
    data_set.ContinuityOfContent = "SEPARATE"
    data_set.ConceptNameCodeSequence = [codes.code_item(NOTE_TITLE)]
    data_set.ContentSequence = [
        _text(codes.SUMMARY, "\r\n".join(lines), _CONTAINS),  # viewers keep the order
        _code(_LANGUAGE, _ENGLISH, "HAS CONCEPT MOD"),
        *_observer(origin.settings),
        *(_code(codes.SUMMARY_OF_ANALYSES, each, _CONTAINS) for each in outcomes),
    ]
    if predecessor is not None:
        data_set.PredecessorDocumentsSequence = [predecessor_item(predecessor)]
    return complete(data_set, place, origin)


def text_sop_class() -> str:
    """SOP Class UID of these documents."""
    return str(BasicTextSRStorage)


def predecessor_item(predecessor: Predecessor) -> Dataset:
    """Hierarchical SOP Instance Reference (PS3.3 table C.17-3)."""
    instance = Dataset()
    instance.ReferencedSOPClassUID = predecessor.sop_class_uid
    instance.ReferencedSOPInstanceUID = predecessor.sop_instance_uid
    study = predecessor.study_instance_uid
    return reference(study, {predecessor.series_instance_uid: [instance]})


def reference(study_instance_uid: str, by_series: dict[str, list[Dataset]]) -> Dataset:
    """The same for several instances, by the UID of their series."""
    study = Dataset()
    study.StudyInstanceUID = study_instance_uid
    study.ReferencedSeriesSequence = [_series(uid, items) for uid, items in by_series.items()]
    return study


def _series(uid: str, items: list[Dataset]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = uid
    series.ReferencedSOPSequence = items
    return series


def _set_document(data_set: Dataset) -> None:
    """SR Document Series (PS3.3 section C.17.1), SR Document General (C.17.2)."""
    scheme = Dataset()
    scheme.CodingSchemeDesignator = PRIVATE_SCHEME
    scheme.CodingSchemeName = codes.PRIVATE_SCHEME_NAME
    data_set.CodingSchemeIdentificationSequence = [scheme]
    data_set.CompletionFlag = "COMPLETE"
    data_set.VerificationFlag = "UNVERIFIED"
    data_set.PreliminaryFlag = "PRELIMINARY"
    data_set.PerformedProcedureCodeSequence = []
    data_set.ReferencedPerformedProcedureStepSequence = []


def _observer(settings: ResultSettings) -> list[Dataset]:
    """TID 1002 and 1004: a device, no person."""
    observer_type = _code(_OBSERVER_TYPE, codes.DEVICE, _CONTEXT)
    uid = _item("UIDREF", _OBSERVER_UID, _CONTEXT)
    uid.UID = settings.device_uid
    named = {
        Code("121013", "DCM", "Device Observer Name"): settings.product_name,
        Code("121014", "DCM", "Device Observer Manufacturer"): settings.manufacturer,
        Code("121015", "DCM", "Device Observer Model Name"): (
            f"{settings.product_name} {settings.software_version}"
        ),
        Code("121016", "DCM", "Device Observer Serial Number"): settings.device_serial_number,
    }
    return [observer_type, uid, *(_text(name, text, _CONTEXT) for name, text in named.items())]


def _text(name: Code, value: str, relationship: str) -> Dataset:
    item = _item("TEXT", name, relationship)
    item.TextValue = value
    return item


def _code(name: Code, value: Code, relationship: str) -> Dataset:
    item = _item("CODE", name, relationship)
    item.ConceptCodeSequence = [codes.code_item(value)]
    return item


def _item(value_type: str, name: Code, relationship: str) -> Dataset:
    item = Dataset()
    item.RelationshipType = relationship
    item.ValueType = value_type
    item.ConceptNameCodeSequence = [codes.code_item(name)]
    return item
