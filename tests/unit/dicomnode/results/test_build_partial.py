"""One method failed: the other's answer stands, and every object says what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicomnode.decisions.result_options import SrClass
from dicomnode.results.build import ResultContext, ResultObject, build_results, encode
from dicomnode.results.common.context import ResultSettings
from dicomnode.results.documents.text import report_as_text
from support.region_samples import COVID, NOTHING, region, regions
from support.result_kinds import FAILED
from support.result_samples import SETTINGS, context, dciodvfy, options

FOUND = regions(region(COVID, 0.87), region(NOTHING, 0.9))
LUNGS_FAILED = replace(FAILED["lungs"], model="COVNet 0.1.0", rule="memory", value="out of memory")
REGIONS_FAILED = replace(
    FAILED["regions"],
    model="Location attention 0.2.0",
    rule="volume",
    value="lungs of 9000 mm need 4512 cells",
)


def without_classification(settings: ResultSettings = SETTINGS, **changes: Any) -> ResultContext:
    known: dict[str, Any] = {
        "findings": None,
        "regions": FOUND,
        "failures": (LUNGS_FAILED,),
        "settings": settings,
    }
    return context(**(known | changes))


def without_regions() -> ResultContext:
    return context(failures=(REGIONS_FAILED,))


def contents(result: ResultObject) -> list[Dataset]:
    """The items of the last container: what became of the analysis."""
    return list(result.data_set.ContentSequence[-1].ContentSequence)


def evaluations(result: ResultObject) -> dict[str, str]:
    return {
        item.ConceptNameCodeSequence[0].CodeValue: item.ConceptCodeSequence[0].CodeValue
        for item in contents(result)
        if item.ValueType == "CODE"
    }


@pytest.mark.parametrize(
    ("whole", "kinds"),
    [
        (without_classification(), ["sr", "montage", "key_slice", "seg", "region_seg"]),
        (without_regions(), ["sr", "montage", *["key_slice"] * 10, "seg"]),
    ],
    ids=["regions alone", "classification alone"],
)
def test_every_object_of_the_other_method_is_there_and_valid(
    whole: ResultContext, kinds: list[str], tmp_path: Path
) -> None:
    built = build_results(whole)
    assert [each.kind for each in built] == kinds
    for each in (*built[:3], *built[-2:]):
        assert dciodvfy(each, tmp_path)[0] == []


@pytest.mark.parametrize("sr_class", SrClass)
def test_a_report_of_regions_alone_is_valid_in_every_class(
    sr_class: SrClass, tmp_path: Path
) -> None:
    settings = options(sr_class=sr_class)
    report = build_results(without_classification(settings))[0]
    errors, warnings = dciodvfy(report, tmp_path)
    assert errors == []
    assert [w for w in warnings if "99COVNET" not in w] == []


@pytest.mark.parametrize(
    ("whole", "lungs", "by_regions"),
    [(without_classification(), "111224", "111222"), (without_regions(), "111222", "111224")],
)
def test_which_analysis_failed_is_coded(whole: ResultContext, lungs: str, by_regions: str) -> None:
    report = build_results(whole)[0]
    assert evaluations(report) == {
        "111065": "111223",  # partially succeeded
        "ANALYSIS_LUNGS": lungs,
        "ANALYSIS_REGIONS": by_regions,
    }
    (why,) = [item.TextValue for item in contents(report) if item.ValueType == "TEXT"]
    assert why == whole.failures[0].sentence


def test_where_nothing_failed_it_says_so_and_no_more() -> None:
    assert evaluations(build_results(context(regions=FOUND))[0]) == {"111065": "111222"}


def test_the_summary_says_in_plain_words_what_is_missing() -> None:
    text = report_as_text(build_results(without_classification())[0].data_set)
    lines = [line.strip() for line in text.splitlines()]
    assert "By regions: COVID-19; 1 of 2 candidate regions are infections." in lines
    assert (
        "The classification of the whole lungs (COVNet 0.1.0) failed: out of memory. "
        "Nothing is known from it: this is no negative result."
    ) in lines
    for part in ("Most probable:", "Probabilities", "Agreement", "Both methods"):
        assert part not in text
    assert "Analysed: 11 slices with lung of 12 slices." in lines


def test_of_regions_that_were_not_searched_nothing_negative_is_said() -> None:
    text = report_as_text(build_results(without_regions())[0].data_set)
    assert "The search for candidate regions (Location attention 0.2.0) failed: lungs of" in text
    assert "Most probable: community-acquired pneumonia" in text
    assert "no infection found" not in text


def test_the_pictures_say_it_too() -> None:
    """A line more under the picture; the CT of a region that was found, without heat."""
    _, montage, panel, *_ = build_results(without_classification())
    shown = [item.ReferencedSOPInstanceUID for item in panel.data_set.SourceImageSequence]
    assert shown == [context().slices[5].sop_instance_uid]
    assert "DerivationCodeSequence" not in panel.data_set
    assert "Grad-CAM" not in montage.data_set.DerivationDescription
    plain = build_results(context())[1].data_set.Rows
    assert build_results(without_regions())[1].data_set.Rows == plain + 22


def test_without_an_infection_the_widest_slice_is_shown() -> None:
    whole = without_classification(regions=regions(region(NOTHING, 0.9)))
    assert [key.slice_index for key in whole.slices_shown(None)] == [whole.widest_slice]
    assert [each.kind for each in build_results(whole)] == ["sr", "montage", "key_slice", "seg"]


def test_a_later_analysis_that_is_whole_is_another_result() -> None:
    """Memory may be there the next time: what says that a method failed is another object."""
    other = context(failures=(replace(REGIONS_FAILED, model="x", rule="memory", value="none"),))
    partial, whole, failed_otherwise = (
        {str(each.sop_instance_uid): each.kind for each in build_results(made)}
        for made in (without_regions(), context(), other)
    )
    assert {partial[uid] for uid in partial.keys() & whole.keys()} == {"seg"}
    sets = (partial, whole, failed_otherwise)
    reports = [uid for each in sets for uid in each if each[uid] == "sr"]
    assert len(set(reports)) == 3


def test_the_same_failure_gives_the_same_bytes() -> None:
    one, two = (build_results(without_classification()) for _ in range(2))
    assert [encode(each) for each in one] == [encode(each) for each in two]


def test_without_any_findings_there_is_no_result() -> None:
    with pytest.raises(ValueError, match="no findings at all"):
        without_classification(regions=None)
