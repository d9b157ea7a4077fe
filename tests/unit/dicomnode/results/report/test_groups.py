"""Both methods in one report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicomnode.decisions.result_options import SegmentationKind, SrClass
from dicomnode.results.build import ResultObject, build_results, encode
from dicomnode.results.common.context import ResultContext
from dicomnode.results.documents.text import report_as_text
from dicomnode.results.report.report import structured_report
from inference.findings import Findings, FoundLungs, Training
from inference.regions import Side, VoxelBox
from support.region_samples import BOX, COVID, FLU, MODEL, NOTHING, region, regions
from support.result_samples import MODEL as COVNET
from support.result_samples import SERIES_UID, context, dciodvfy, findings, lungs, options

UNTRAINED = "UNTRAINED WEIGHTS – no clinical meaning"
LOWER = VoxelBox(slices=(1, 3), rows=(30, 40), columns=(10, 20))
CASE = (region(COVID, 0.75), region(NOTHING, 0.9), region(COVID, 0.5, LOWER), region(FLU, 0.6))


def both(found: Findings, **changes: Any) -> ResultContext:
    return context(regions=found, **changes)


def trained(found: Findings) -> ResultContext:
    """Neither model bears a warning."""
    of_lungs = findings(replace(COVNET, training=Training.PATIENTS))
    model = replace(MODEL, training=Training.PATIENTS)
    return both(replace(found, model=model), findings=of_lungs)


@pytest.fixture(scope="module")
def report() -> ResultObject:
    return structured_report(both(regions(*CASE)))


def items(node: Dataset) -> Iterator[Dataset]:
    for child in node.get("ContentSequence") or ():
        yield child
        yield from items(child)


def meaning(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def groups(result: ResultObject) -> list[Dataset]:
    return [item for item in items(result.data_set) if meaning(item) == "Measurement Group"]


def numbers(group: Dataset) -> dict[str, tuple[float, str]]:
    measured = {
        meaning(item): item.MeasuredValueSequence[0]
        for item in group.ContentSequence
        if item.ValueType == "NUM"
    }
    return {
        name: (float(value.NumericValue), value.MeasurementUnitsCodeSequence[0].CodeValue)
        for name, value in measured.items()
    }


def coded(group: Dataset, name: str) -> str:
    (item,) = [item for item in group.ContentSequence if meaning(item) == name]
    return str(item.ConceptCodeSequence[0].CodeMeaning)


def box_and_image(group: Dataset) -> tuple[list[float], str]:
    (place,) = [item for item in group.ContentSequence if item.ValueType == "SCOORD"]
    image = place.ContentSequence[0].ReferencedSOPSequence[0]
    return list(place.GraphicData), str(image.ReferencedSOPInstanceUID)


def summary_of(result: ResultObject) -> list[str]:
    (text,) = [item for item in items(result.data_set) if meaning(item) == "Summary"]
    return str(text.TextValue).splitlines()


@pytest.mark.parametrize("sr_class", SrClass)
def test_every_class_is_valid_with_both_methods(sr_class: SrClass, tmp_path: Path) -> None:
    settings = options(sr_class=sr_class)
    errors, warnings = dciodvfy(
        structured_report(both(regions(*CASE), settings=settings)), tmp_path
    )
    assert errors == []
    assert [w for w in warnings if "99COVNET" not in w] == []  # private codes are declared


def test_no_infection_is_valid_and_says_so(tmp_path: Path) -> None:
    result = structured_report(trained(regions(region(NOTHING, 0.9))))
    assert dciodvfy(result, tmp_path)[0] == []
    classification, case = groups(result)
    assert coded(case, "Outcome by regions") == "No infection found"
    assert numbers(case) == {}  # a viewer prints the name of a 0 without the number
    assert box_and_image(case)[1] != box_and_image(classification)[1]  # nor one on the other
    lines = summary_of(result)
    assert "By regions: no infection found; 0 of 1 candidate regions are infections." in lines


def test_the_case_and_each_infection_are_groups(report: ResultObject) -> None:
    titles = [coded(group, "Finding") for group in groups(report)]
    assert titles == [
        "AI classification of the lungs",
        "AI outcome of all candidate regions",
        *["AI candidate region of infection"] * 3,
    ]
    voted = [coded(group, "Most probable class") for group in groups(report)[2:]]
    assert voted == ["COVID-19", "Influenza-A viral pneumonia", "COVID-19"]


def test_scores_of_the_case_are_named_for_what_they_are(report: ResultObject) -> None:
    """P of COVID-19 is 1 - 0.25 * 0.5; the softmax of 0.875 and 0.6 is 0.5683 and 0.4317."""
    case = groups(report)[1]
    assert numbers(case) == {
        "UNTRAINED noisy-or score of COVID-19": (0.875, "{0:1}"),
        "UNTRAINED noisy-or score of influenza-A viral pneumonia": (0.6, "{0:1}"),
        "UNTRAINED softmax score of COVID-19": (0.5683, "{0:1}"),
        "UNTRAINED softmax score of influenza-A viral pneumonia": (0.4317, "{0:1}"),
    }
    assert coded(case, "Outcome by regions") == "COVID-19"
    assert coded(case, "Agreement of the two methods") == "The methods differ"


def test_one_infection_alone_has_no_softmax() -> None:
    case = groups(structured_report(trained(regions(region(FLU, 0.6)))))[1]
    assert numbers(case) == {"Noisy-or score of influenza-A viral pneumonia": (0.6, "{0:1}")}


def test_a_region_has_its_place_confidence_and_volume(report: ResultObject) -> None:
    surest = groups(report)[2]
    assert numbers(surest) == {
        "UNTRAINED region confidence, COVID-19": (75.0, "%"),
        "UNTRAINED lesion volume in the region": (0.67, "ml"),
        "Centre x, towards the left (LPS)": (13.1, "mm"),
        "Centre y, towards the back (LPS)": (-4.6, "mm"),
        "Centre z, towards the head (LPS)": (-87.5, "mm"),
    }


def test_a_region_is_drawn_on_its_middle_slice(report: ResultObject) -> None:
    corners, image = box_and_image(groups(report)[2])
    assert corners == [50, 12, 66, 12, 66, 30, 50, 30, 50, 12]
    assert image == f"{SERIES_UID}.6"  # slice 5 of 4 to 6, counted from 1
    assert box_and_image(groups(report)[4])[1] == f"{SERIES_UID}.2"


def test_the_case_is_drawn_about_the_lungs_where_the_surest_region_is(
    report: ResultObject,
) -> None:
    corners, image = box_and_image(groups(report)[1])
    assert corners == [8, 10, 72, 10, 72, 50, 8, 50, 8, 10]
    assert image == f"{SERIES_UID}.6"


def test_every_group_names_its_own_model(report: ResultObject) -> None:
    told = []
    for group in groups(report):
        text = {meaning(i): i.TextValue for i in group.ContentSequence if i.ValueType == "TEXT"}
        told.append((text["Algorithm Name"], text["Algorithm Version"]))
    assert told == [("COVNet", "0.1.0"), *[("Location attention", "0.2.0")] * 4]
    parameters = {
        item.TextValue for item in groups(report)[3].ContentSequence if item.ValueType == "TEXT"
    }
    assert {f"weights SHA-256 {'cd' * 32}", "training untrained"} <= parameters


def _told(result: ResultObject) -> str:
    return "\n".join(str(each.get("TextValue", "")) for each in items(result.data_set))


def test_another_precision_than_the_references_is_named_and_the_references_is_not() -> None:
    plain = structured_report(both(regions(*CASE)))
    assert "precision" not in _told(plain)
    in_bf16 = replace(regions(*CASE), model=MODEL.computed_in("bf16"))
    told = structured_report(both(in_bf16))
    parameters = [
        {item.TextValue for item in group.ContentSequence if item.ValueType == "TEXT"}
        for group in groups(told)
    ]
    assert ["precision bf16" in each for each in parameters] == [False, True, True, True, True]
    lines = [line for line in summary_of(told) if line.startswith("Model")]
    assert ["precision bf16" in line for line in lines] == [False, True]
    assert told.sop_instance_uid != plain.sop_instance_uid


def test_another_precision_of_the_network_for_lungs_is_named_in_the_summary() -> None:
    def lines(precision: str) -> set[str]:
        found = FoundLungs(lungs(), replace(COVNET, name="U-net").computed_in(precision))
        return set(summary_of(structured_report(context(lungs=found))))

    told = f"Lungs: U-net 0.1.0, weights {'ab' * 8}, precision bf16."
    assert lines("bf16") - lines("f32") == {told}


def test_what_another_precision_found_is_tracked_by_other_uids() -> None:
    context = both(regions(*CASE))
    same, other = MODEL.computed_in("f32"), MODEL.computed_in("bf16")
    assert context.tracking_uid("region 1", same) == context.tracking_uid("region 1", MODEL)
    assert context.tracking_uid("region 1", other) != context.tracking_uid("region 1", MODEL)


def test_tracking_is_by_a_uid_of_its_own(report: ResultObject) -> None:
    uids = [
        item.UID
        for group in groups(report)
        for item in group.ContentSequence
        if item.ValueType == "UIDREF"
    ]
    assert len(uids) == len(set(uids)) == 5


def test_the_summary_has_both_answers_and_whether_they_agree(report: ResultObject) -> None:
    lines = summary_of(report)
    assert lines[:7] == [
        UNTRAINED,
        f"Regions: {UNTRAINED}",
        "Most probable: community-acquired pneumonia",
        "Probabilities: COVID-19 12.5 %, community-acquired pneumonia 62.5 %, non-pneumonia 25.0 %",
        "By regions: COVID-19; 3 of 4 candidate regions are infections.",
        "The two methods differ: community-acquired pneumonia by the whole lungs, COVID-19 by "
        f"regions ({UNTRAINED}).",
        "Region 1: COVID-19, confidence 0.75, left lung, CT slice 6/12, "
        "centre 13, -5, -88 mm (LPS).",
    ]
    text = "\n".join(lines)
    for part in (
        "noisy-or COVID-19 0.88, influenza-A viral pneumonia 0.60; softmax of these: "
        "COVID-19 0.57, influenza-A viral pneumonia 0.43",
        "is no probability of a disease",
        "Class set by regions: COVID-19, influenza-A viral pneumonia; nothing else",
        "Model by regions: Location attention 0.2.0, weights cdcdcdcdcdcdcdcd.",
    ):
        assert part in text


def test_of_many_regions_the_summary_tells_of_three_the_groups_of_all() -> None:
    many = [region(COVID, 0.5 + number / 100) for number in range(20)]
    result = structured_report(both(regions(*many)))
    assert len(groups(result)) == 22
    assert sum(line.startswith("Region ") for line in summary_of(result)) == 3


@pytest.mark.parametrize(
    ("lungs", "by_regions", "mark"),
    [
        (Training.PATIENTS, Training.UNTRAINED, "UNTRAINED AI"),
        (Training.DEMONSTRATION, Training.UNTRAINED, "UNTRAINED AI"),
        (Training.PATIENTS, Training.DEMONSTRATION, "DEMONSTRATION AI"),
        (Training.PATIENTS, Training.PATIENTS, "AI"),
    ],
)
def test_the_least_trained_of_both_marks_the_series(
    lungs: Training, by_regions: Training, mark: str
) -> None:
    model = replace(MODEL, training=by_regions)
    found = regions(region(COVID, 0.75), model=model)
    result = structured_report(both(found, findings=findings(replace(COVNET, training=lungs))))
    assert result.data_set.SeriesDescription.startswith(f"{mark} chest CT report")
    untrained = [name for name in numbers(groups(result)[2]) if name.startswith("UNTRAINED")]
    assert bool(untrained) == (by_regions is Training.UNTRAINED)


def test_without_the_second_method_nothing_of_it_is_said() -> None:
    result = structured_report(context())
    assert len(groups(result)) == 1
    assert "region" not in "\n".join(summary_of(result)).lower()


def site(group: Dataset) -> list[str]:
    """Code values of the finding site and of its laterality."""
    (item,) = [item for item in group.ContentSequence if meaning(item) == "Finding Site"]
    sides = [each.ConceptCodeSequence[0].CodeValue for each in item.get("ContentSequence") or ()]
    return [item.ConceptCodeSequence[0].CodeValue, *sides]


def test_a_region_lies_in_the_right_or_the_left_lung() -> None:
    found = [region(COVID, 0.9, side=side) for side in (Side.RIGHT, Side.LEFT, None)]
    result = structured_report(both(regions(*found)))
    assert [site(group) for group in groups(result)[2:]] == [
        ["39607008", "24028007"],
        ["39607008", "7771000"],
        ["39607008"],
    ]
    told = [line.split(", ")[2] for line in summary_of(result) if line.startswith("Region ")]
    assert told == ["right lung", "left lung", "no lung about it"]


def test_the_volume_of_a_lesion_names_the_segment_it_was_measured_from() -> None:
    """Region 2 has no lesion: it has a box alone, and region 3 is the second segment."""
    nothing = np.zeros(BOX.shape, np.bool_)
    found = (region(COVID, 0.9), region(COVID, 0.8, lesion=nothing), region(FLU, 0.7, LOWER))
    built = {each.kind: each for each in build_results(both(regions(*found)))}
    drawn = built["region_seg"].data_set
    named = []
    for group in groups(built["sr"])[2:]:
        (volume,) = [item for item in group.ContentSequence if "volume" in meaning(item)]
        sources = volume.get("ContentSequence") or ()
        assert all(item.RelationshipType == "INFERRED FROM" for item in sources)
        named.append([item.ReferencedSOPSequence[0] for item in sources])
    assert [[int(each.ReferencedSegmentNumber) for each in of] for of in named] == [[1], [], [2]]
    for (reference,) in (named[0], named[2]):
        assert reference.ReferencedSOPInstanceUID == drawn.SOPInstanceUID
        assert reference.ReferencedSOPClassUID == drawn.SOPClassUID
    (study,) = built["sr"].data_set.CurrentRequestedProcedureEvidenceSequence
    assert drawn.SeriesInstanceUID in {s.SeriesInstanceUID for s in study.ReferencedSeriesSequence}


def test_report_and_segment_track_a_region_by_the_same_uid(report: ResultObject) -> None:
    built = {each.kind: each for each in build_results(both(regions(*CASE)))}
    tracked = [(s.TrackingID, s.TrackingUID) for s in built["region_seg"].data_set.SegmentSequence]
    in_report = []
    for group in groups(report)[2:]:
        (uid,) = [item.UID for item in group.ContentSequence if item.ValueType == "UIDREF"]
        (name,) = [
            i.TextValue for i in group.ContentSequence if meaning(i) == "Tracking Identifier"
        ]
        in_report.append((name, uid))
    assert tracked == in_report


def test_without_masks_nothing_refers_to_a_segment() -> None:
    settings = options(segmentation=SegmentationKind.OFF)
    result = structured_report(both(regions(*CASE), settings=settings))
    volumes = [
        item
        for group in groups(result)
        for item in group.ContentSequence
        if "lesion volume" in meaning(item)
    ]
    assert len(volumes) == 3
    assert not any("ContentSequence" in item for item in volumes)


def test_noisy_or_near_one_is_not_called_certain() -> None:
    many = [region(COVID, 0.9, LOWER) for _ in range(8)] + [region(FLU, 0.001)]
    text = "\n".join(summary_of(structured_report(both(regions(*many)))))
    assert "noisy-or COVID-19 > 0.99, influenza-A viral pneumonia < 0.01;" in text


def test_the_same_findings_give_the_same_bytes(report: ResultObject) -> None:
    assert encode(structured_report(both(regions(*CASE)))) == encode(report)


def test_as_text_a_reader_finds_regions_and_scores(report: ResultObject) -> None:
    lines = [line.strip() for line in report_as_text(report.data_set).splitlines()]
    assert "Tracking Identifier = Region 3" in lines
    assert "Outcome by regions = COVID-19" in lines
    assert "UNTRAINED noisy-or score of COVID-19 = 0.875 {0:1}" in lines
