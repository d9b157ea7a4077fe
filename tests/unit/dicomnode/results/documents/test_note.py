"""The note of what was not analysed, as objects."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import BasicTextSRStorage, SecondaryCaptureImageStorage

from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.results.build import encode
from dicomnode.results.common.context import Predecessor, ResultObject
from dicomnode.results.common.patient import normalised_header
from dicomnode.results.documents.note import SeriesNotAnalysed, note_objects
from dicomnode.results.documents.page import PAGE_SIZE, draw_page
from dicomnode.results.documents.text import report_as_text
from dicomnode.results.documents.text_document import TextOrigin
from support.result_samples import SETTINGS, STUDY_UID, dciodvfy, source
from support.tools import needed

THICK = Reason("slice_thickness", 5.0, "at most 3 mm", Verdict.FAIL)
FEW = Reason("slice_count", 1, "at least 10", Verdict.FAIL)
FINE = Reason("modality", "CT", "CT", Verdict.PASS)
SERIES = SeriesNotAnalysed("1.2.3", "3", "Thorax 5.0", 60, False, "d", (FINE, THICK))
SCOUT = SeriesNotAnalysed("1.2.4", "", "", 1, False, "e", (FEW,))


def origin() -> TextOrigin:
    moment = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    return TextOrigin(normalised_header([source(0)]), moment, SETTINGS)


def note(*series: SeriesNotAnalysed, predecessor: Predecessor | None = None) -> list[ResultObject]:
    return list(
        note_objects(
            origin(),
            series or (SERIES, SCOUT),
            whole_study=True,
            series_number=9004,
            predecessor=predecessor,
        )
    )


def test_text_and_page_are_valid_and_in_the_study(tmp_path: Path) -> None:
    text, page = note()
    assert text.sop_class_uid == BasicTextSRStorage
    assert page.sop_class_uid == SecondaryCaptureImageStorage
    for number, each in enumerate((text, page)):
        assert dciodvfy(each, tmp_path)[0] == []
        assert each.kind == "note"
        assert each.data_set.StudyInstanceUID == STUDY_UID
        assert each.data_set.PatientID == "P-1"
        assert each.data_set.IssuerOfPatientID == "HOSPITAL"
        assert each.data_set.SeriesNumber == 9004 + number


def test_the_first_line_says_it_and_each_rule_stands_with_value_and_limit() -> None:
    told = report_as_text(note()[0].data_set)
    assert told.splitlines()[1].strip() == "Summary:"  # before who made it
    assert "No CT series of this study was analysed." in told
    assert "this is no negative result" in told
    assert "Series 3 “Thorax 5.0”, 60 instances: skipped" in told
    assert "- Slice thickness: 5 mm (asked for: at most 3 mm)" in told
    assert "Series without number, 1 instance: skipped" in told
    assert "- Number of slices: 1 (asked for: at least 10)" in told
    assert "Modality" not in told  # what was passed is no reason


def test_dcmtk_shows_it_as_a_page(tmp_path: Path) -> None:
    path = tmp_path / "note.dcm"
    path.write_bytes(encode(note()[0]))
    shown = subprocess.run(
        [needed("dsr2html", "dcmtk"), str(path)], capture_output=True, check=True
    ).stdout.decode()
    assert "AI processing note" in shown
    assert "Slice thickness: 5 mm (asked for: at most 3 mm)" in shown


def test_a_failed_series_is_told_from_a_skipped_one() -> None:
    failed = replace(SERIES, failed=True)
    told = report_as_text(note(failed, SCOUT)[0].data_set)
    assert "analysis failed" in told
    assert "Summary of Analyses = Failed" in told
    assert "Summary of Analyses = Not Attempted" in told
    assert "Failed" not in report_as_text(note(SERIES, SCOUT)[0].data_set)


def test_the_same_input_gives_the_same_bytes_and_another_other_uids() -> None:
    first = note()
    assert [encode(each) for each in note()] == [encode(each) for each in first]
    assert [encode(each) for each in note(SCOUT, SERIES)] == [encode(each) for each in first]
    for other in (replace(SERIES, input_digest="x"), replace(SERIES, reasons=(FEW,))):
        uids = {each.sop_instance_uid for each in note(other, SCOUT)}
        assert not uids & {each.sop_instance_uid for each in first}


def test_the_time_of_a_note_changes_no_uid_though_its_text_and_page_tell_it() -> None:
    later = replace(origin(), analysed_at=datetime(2027, 1, 1, tzinfo=UTC))
    told = note_objects(later, [SERIES, SCOUT], whole_study=True, series_number=9004)
    for each, first in zip(told, note(), strict=True):
        assert each.sop_instance_uid == first.sop_instance_uid
        assert encode(each) != encode(first)


def test_a_later_note_has_other_uids_even_where_its_page_says_the_same() -> None:
    """The page before it may have been withdrawn, and an archive hides what was."""
    later = note(predecessor=Predecessor(STUDY_UID, "2.25.5", BasicTextSRStorage, "2.25.6"))
    assert later[1].data_set.PixelData == note()[1].data_set.PixelData
    uids = [{str(each.sop_instance_uid) for each in made} for made in (later, note())]
    assert not uids[0] & uids[1]


def test_a_later_note_names_the_one_before() -> None:
    former = Predecessor(STUDY_UID, "2.25.5", BasicTextSRStorage, "2.25.6")
    (study,) = note(predecessor=former)[0].data_set.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == "2.25.5"
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "2.25.6"


def test_a_page_names_no_patient_and_holds_what_has_room() -> None:
    page = note()[1].data_set
    assert page.BurnedInAnnotation == "NO"
    assert len(page.PixelData) == 3 * PAGE_SIZE**2
    short, long = draw_page("x", ["one line"]), draw_page("x", ["word " * 2000])
    assert short.shape == long.shape == (PAGE_SIZE, PAGE_SIZE, 3)
    assert not short[-60:].any()  # empty below
    assert long[-60:].any()
    assert not long[-8:].any()  # and nothing beyond the margin
    unbroken = draw_page("x", ["1." * 300])
    assert not unbroken[70:, -12:].any()  # a UID is cut at the margin
    assert np.count_nonzero(unbroken) > np.count_nonzero(short)


def test_a_note_about_nothing_is_a_fault() -> None:
    with pytest.raises(ValueError, match="at least one series"):
        note_objects(origin(), [], whole_study=True, series_number=1)
