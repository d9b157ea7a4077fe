"""Withdrawing results that were sent: a Key Object rejection note, or a report that says so.

IHE Radiology, Imaging Object Change Management (IOCM; transaction RAD-66, Rejection Note Stored):
a Key Object Selection document whose title says why its objects are rejected. Of the titles in
CID 7010, "Rejected for Patient Safety Reasons" (113037) makes a receiver hide the objects from
everyone, which is what a withdrawn answer of a machine needs; "Rejected for Quality Reasons"
(113001) would leave them on view. "Incorrect Modality Worklist Entry" (113038) is for a study of
the wrong patient.

The content is highdicom's. Its whole document is not: that takes patient and evidence from data
sets with all their attributes, and is of the moment in which it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import UID, KeyObjectSelectionDocumentStorage

from dicomnode.decisions.rejection import RejectionReason
from dicomnode.results.common.context import Predecessor, ResultObject
from dicomnode.results.common.modules import Place, complete
from dicomnode.results.common.naming import named
from dicomnode.results.common.summary import RESEARCH_ONLY
from dicomnode.results.documents.text_document import (
    TextOrigin,
    reference,
    text_document,
    text_sop_class,
)

KIND = "retraction"
_SERIES = "WITHDRAWN AI results, do not use, research only"
_STRUCTURED_REPORTS = "1.2.840.10008.5.1.4.1.1.88."


TITLES = {
    RejectionReason.SAFETY: Code("113037", "DCM", "Rejected for Patient Safety Reasons"),
    RejectionReason.WORKLIST: Code("113038", "DCM", "Incorrect Modality Worklist Entry"),
    RejectionReason.OUTDATED: Code("113037", "DCM", "Rejected for Patient Safety Reasons"),
}
"""Title of the rejection note (CID 7010).

None of them says that something is outdated: of the four, 113037 hides the objects without a claim
about the patient (113038) or the archive's own rules (113039).
"""

_SENTENCES = {
    RejectionReason.SAFETY: (
        "The AI results of this study named below are withdrawn."
        " They may mislead and must not be used."
    ),
    RejectionReason.WORKLIST: (
        "The AI results of this study named below are withdrawn."
        " The study bears the wrong patient or order."
    ),
    RejectionReason.OUTDATED: (
        "What the AI node said of this study in the objects named below no longer holds."
        " A CT series was analysed since: see the newer AI report."
    ),
}


@dataclass(frozen=True)
class Rejected:
    """One object that is withdrawn."""

    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


def rejection_note(
    origin: TextOrigin, rejected: Sequence[Rejected], reason: RejectionReason, series_number: int
) -> ResultObject:
    """Key Object Selection (PS3.3 section A.35.4, TID 2010) that rejects the objects.

    Raises:
        ValueError: there is nothing to reject.
    """
    if not rejected:
        raise ValueError("a rejection note names at least one object")
    from highdicom.ko import KeyObjectSelection

    rejected = _in_order(rejected)
    why = f"Withdrawn by the node that made them. {_SENTENCES[reason]}"
    (content,) = KeyObjectSelection(
        TITLES[reason], [_to_be_named(each) for each in rejected], description=why
    )
    data_set = Dataset()
    data_set.update(content)
    data_set.ContinuityOfContent = "SEPARATE"  # else readers join the items to one text
    for item in data_set.ContentSequence:
        if "ReferencedSOPSequence" in item:  # highdicom names them "Source"; TID 2010 names none
            del item.ConceptNameCodeSequence
    data_set.ReferencedPerformedProcedureStepSequence = []
    data_set.CurrentRequestedProcedureEvidenceSequence = [_evidence(origin, rejected)]
    place = Place(
        sop_class_uid=KeyObjectSelectionDocumentStorage,
        series_number=series_number,
        instance_number=1,
        modality="KO",
        series_description=_SERIES,
    )
    return named([ResultObject(KIND, complete(data_set, place, origin))])[0]


def superseding_report(
    origin: TextOrigin, report: Dataset, rejected: Sequence[Rejected], reason: RejectionReason
) -> ResultObject:
    """A report in the place of a withdrawn one, which it names as predecessor.

    It stands in a series of its own beside that one, under its number: an archive keeps the
    description that came with a series' first object (Orthanc 1.10.1 does), and would go on to
    list a withdrawal in the same series as a result. `report`: the data set of the withdrawn one.
    """
    rejected = _in_order(rejected)
    uid = str(report.SOPInstanceUID)
    series_uid, study_uid = str(report.SeriesInstanceUID), str(report.StudyInstanceUID)
    predecessor = Predecessor(study_uid, series_uid, str(report.SOPClassUID), uid)
    place = Place(
        sop_class_uid=UID(text_sop_class()),
        series_number=int(report.SeriesNumber),
        instance_number=1,
        modality="SR",
        series_description=_SERIES,
    )
    lines = [
        f"WITHDRAWN. {_SENTENCES[reason]}",
        f"{RESEARCH_ONLY}.",
        f"Takes the place of report {uid}.",
        *(f"Withdrawn: {each.sop_instance_uid}" for each in rejected),
    ]
    data_set = text_document(place, origin, lines, predecessor=predecessor)
    return named([ResultObject(KIND, data_set)])[0]


def _in_order(rejected: Sequence[Rejected]) -> list[Rejected]:
    """Reports first, which are what is read; in whichever order they were named."""
    return sorted(
        rejected, key=lambda each: (not _is_document(each.sop_class_uid), each.sop_instance_uid)
    )


def _evidence(origin: TextOrigin, rejected: Sequence[Rejected]) -> Dataset:
    by_series: dict[str, list[Dataset]] = {}
    for each in rejected:
        by_series.setdefault(each.series_instance_uid, []).append(_sop_reference(each))
    return reference(origin.header.study_instance_uid, by_series)


def _to_be_named(rejected: Rejected) -> Dataset:
    """As highdicom wants it: what has rows and columns it names as IMAGE, else as COMPOSITE (TID
    2010 rows 5 and 6)."""
    item = Dataset()
    item.SOPClassUID, item.SOPInstanceUID = rejected.sop_class_uid, rejected.sop_instance_uid
    if not _is_document(rejected.sop_class_uid):
        item.Rows = item.Columns = 0
    return item


def _is_document(sop_class_uid: str) -> bool:
    return sop_class_uid.startswith(_STRUCTURED_REPORTS)


def _sop_reference(rejected: Rejected) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = rejected.sop_class_uid
    item.ReferencedSOPInstanceUID = rejected.sop_instance_uid
    return item
