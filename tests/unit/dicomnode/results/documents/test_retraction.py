"""Rejection notes and the reports that take the place of withdrawn ones."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.uid import KeyObjectSelectionDocumentStorage

from dicomnode.decisions.rejection import RejectionReason
from dicomnode.results.build import build_results, encode
from dicomnode.results.common.patient import normalised_header
from dicomnode.results.documents.retraction import Rejected, rejection_note, superseding_report
from dicomnode.results.documents.text import report_as_text
from dicomnode.results.documents.text_document import TextOrigin
from support.result_samples import SETTINGS, context, dciodvfy
from support.tools import needed

RESULTS = build_results(context())
REJECTED = [
    Rejected(each.data_set.SeriesInstanceUID, each.sop_class_uid, each.sop_instance_uid)
    for each in RESULTS
]
SAFETY = RejectionReason.SAFETY


def origin() -> TextOrigin:
    """As at a retraction: the identity is read from the withdrawn report."""
    moment = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    return TextOrigin(normalised_header([RESULTS[0].data_set]), moment, SETTINGS)


@pytest.mark.parametrize(
    ("reason", "title"),
    [(SAFETY, "113037"), (RejectionReason.WORKLIST, "113038")],
)
def test_the_title_says_why_and_the_note_is_valid(
    reason: RejectionReason, title: str, tmp_path: Path
) -> None:
    note = rejection_note(origin(), REJECTED, reason, 9006)
    assert note.sop_class_uid == KeyObjectSelectionDocumentStorage
    assert note.data_set.Modality == "KO"
    assert note.data_set.ConceptNameCodeSequence[0].CodeValue == title
    assert dciodvfy(note, tmp_path) == ([], [])


def test_a_note_names_every_object_once_in_evidence_and_in_content() -> None:
    data_set = rejection_note(origin(), REJECTED, SAFETY, 9006).data_set
    (study,) = data_set.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == RESULTS[0].data_set.StudyInstanceUID
    evidence = [
        (series.SeriesInstanceUID, item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]
    assert sorted(evidence) == sorted(
        (each.series_instance_uid, each.sop_class_uid, each.sop_instance_uid) for each in REJECTED
    )
    assert evidence[0][1] == RESULTS[0].sop_class_uid
    items = [item for item in data_set.ContentSequence if item.ValueType != "TEXT"]
    assert [item.ValueType for item in items] == ["COMPOSITE", *["IMAGE"] * (len(REJECTED) - 1)]
    named = [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in items]
    assert named[0] == RESULTS[0].sop_instance_uid
    assert sorted(named) == sorted(each.sop_instance_uid for each in REJECTED)


def test_dcmtk_reads_the_note(tmp_path: Path) -> None:
    path = tmp_path / "note.dcm"
    path.write_bytes(encode(rejection_note(origin(), REJECTED, SAFETY, 9006)))
    shown = subprocess.run(
        [needed("dsrdump", "dcmtk"), str(path)], capture_output=True, text=True, check=True
    )
    assert "Rejected for Patient Safety Reasons" in shown.stdout
    assert shown.stdout.count("contains IMAGE") == len(REJECTED) - 1


def test_the_report_in_its_place_is_valid_says_so_first_and_names_it(tmp_path: Path) -> None:
    report = RESULTS[0].data_set
    instead = superseding_report(origin(), report, REJECTED, SAFETY)
    errors, _ = dciodvfy(instead, tmp_path)
    assert errors == []
    (study,) = instead.data_set.PredecessorDocumentsSequence
    (reference,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert reference.ReferencedSOPInstanceUID == report.SOPInstanceUID
    (text,) = [i for i in instead.data_set.ContentSequence if i.RelationshipType == "CONTAINS"]
    assert text.TextValue.startswith("WITHDRAWN. The AI results of this study")
    assert str(report.SOPInstanceUID) in report_as_text(instead.data_set)


def test_it_stands_beside_the_report_under_a_description_of_its_own() -> None:
    """A list shall not call it a result: an archive takes that from a series' first object."""
    report = RESULTS[0].data_set
    instead = superseding_report(origin(), report, REJECTED, SAFETY).data_set
    for keyword in (
        *("SeriesNumber", "Modality", "Manufacturer"),
        *("StudyInstanceUID", "PatientName", "PatientID"),
    ):
        assert instead[keyword] == report[keyword]
    assert instead.SeriesInstanceUID != report.SeriesInstanceUID
    assert instead.SeriesDescription == "WITHDRAWN AI results, do not use, research only"
    assert (instead.ContentDate, instead.ContentTime) > (report.ContentDate, report.ContentTime)


def test_uids_come_from_what_is_withdrawn_and_why() -> None:
    first = rejection_note(origin(), REJECTED, SAFETY, 9006)
    again = rejection_note(origin(), REJECTED[::-1], SAFETY, 9006)
    other = rejection_note(origin(), REJECTED, RejectionReason.WORKLIST, 9006)
    fewer = rejection_note(origin(), REJECTED[1:], SAFETY, 9006)
    assert first.sop_instance_uid == again.sop_instance_uid
    assert len({each.sop_instance_uid for each in (first, other, fewer)}) == 3


def test_nothing_cannot_be_rejected() -> None:
    with pytest.raises(ValueError, match="at least one object"):
        rejection_note(origin(), [], SAFETY, 9006)
