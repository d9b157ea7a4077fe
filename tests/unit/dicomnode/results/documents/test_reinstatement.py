"""A withdrawn set once more: the same to whoever looks, under UIDs that nobody has rejected."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dicomnode.results.build import build_results
from dicomnode.results.common.context import ResultObject
from dicomnode.results.common.patient import normalised_header
from dicomnode.results.documents.reinstatement import reinstated
from dicomnode.results.documents.text import report_as_text
from dicomnode.results.documents.text_document import TextOrigin
from support.region_samples import COVID, region, regions
from support.result_samples import SETTINGS, context, dciodvfy

RESULTS = build_results(context(regions=regions(region(COVID, 0.75))))
WITHDRAWAL = "which was withdrawn 2026-03-01 12:00 UTC (Rejected for Patient Safety Reasons)"
UNDONE_AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MOMENTS = {
    f"{what}{part}"
    for what in ("InstanceCreation", "Series", "Content")
    for part in ("Date", "Time")
}


def undone(results: Sequence[ResultObject] = RESULTS) -> tuple[ResultObject, ...]:
    copies = [ResultObject(each.kind, deepcopy(each.data_set)) for each in results]
    origin = TextOrigin(normalised_header([copies[0].data_set]), UNDONE_AT, SETTINGS)
    return reinstated(copies, origin, WITHDRAWAL)


def uids_in(data_set: Dataset) -> set[str]:
    return {str(each.value) for each in data_set.iterall() if each.VR == "UI"}


def test_no_object_and_no_reference_bears_a_withdrawn_uid() -> None:
    """But the predecessor, which is meant."""
    withdrawn = {str(each.sop_instance_uid) for each in RESULTS}
    withdrawn |= {str(each.data_set.SeriesInstanceUID) for each in RESULTS}
    for each in undone():
        each.data_set.pop("PredecessorDocumentsSequence", None)
        assert not uids_in(each.data_set) & withdrawn, each.kind
        assert each.data_set.file_meta.MediaStorageSOPInstanceUID == each.sop_instance_uid


def test_they_refer_to_each_other_as_before() -> None:
    old, new = uids_in(RESULTS[0].data_set), uids_in(undone()[0].data_set)
    named = {str(each.sop_instance_uid) for each in RESULTS[1:]} & old
    assert named, "the report names a segmentation"
    assert len({str(each.sop_instance_uid) for each in undone()[1:]} & new) == len(named)


def test_the_report_says_whom_it_reinstates_and_names_it_as_predecessor() -> None:
    report, former = undone()[0].data_set, RESULTS[0].data_set
    (study,) = report.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (item,) = series.ReferencedSOPSequence
    assert item.ReferencedSOPInstanceUID == former.SOPInstanceUID
    assert series.SeriesInstanceUID == former.SeriesInstanceUID
    told = report_as_text(report)
    assert f"Reinstates report {former.SOPInstanceUID}, {WITHDRAWAL}." in told
    assert told.splitlines()[0] == report_as_text(former).splitlines()[0]


def test_nothing_else_changes() -> None:
    """Neither pixels nor values: only UIDs, moments, and in the report what it says of itself."""
    for old, new in zip(RESULTS, undone(), strict=True):
        assert new.kind == old.kind
        for element in old.data_set:
            told = element.keyword == "ContentSequence" and new.kind == "sr"
            if element.VR in ("UI", "SQ") or element.keyword in MOMENTS or told:
                continue
            assert new.data_set[element.tag] == element, element.keyword
        assert (new.data_set.ContentDate, new.data_set.ContentTime) == (
            "20260302",
            "090000",
        )  # in the zone of the source


def test_the_same_set_is_reinstated_under_the_same_uids_and_again_under_others() -> None:
    first, second, further = undone(), undone(), undone(undone())
    uids = [[each.sop_instance_uid for each in objects] for objects in (first, second, further)]
    assert uids[0] == uids[1]
    assert not set(uids[0]) & set(uids[2])


@pytest.mark.parametrize("number", range(len(RESULTS)))
def test_each_is_valid(number: int, tmp_path: Path) -> None:
    assert dciodvfy(undone()[number], tmp_path) == dciodvfy(RESULTS[number], tmp_path)
