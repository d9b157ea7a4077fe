"""The segmentation of regions, read back by highdicom and judged by dciodvfy."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pytest
from highdicom.color import CIELabColor
from pydicom.dataset import Dataset

from dicomnode.decisions.result_options import SegmentationKind
from dicomnode.results.build import ResultContext, ResultObject, build_results, encode
from dicomnode.results.segmentation.region_segments import COLOURS, drawn_infections
from dicomnode.results.segmentation.segmentation import segmentations
from inference.findings import Training
from inference.regions import Side, VoxelBox
from support.region_samples import BOX, COVID, FLU, MODEL, NOTHING, ellipsoid, region, regions
from support.result_samples import COLUMNS, ROWS, SLICES, context, dciodvfy, options

LOWER = VoxelBox(slices=(1, 3), rows=(30, 40), columns=(10, 20))
CASE = (
    region(FLU, 0.6, LOWER, Side.RIGHT),
    region(NOTHING, 0.99),
    region(COVID, 0.87),
)


def case(kind: SegmentationKind = SegmentationKind.BINARY) -> ResultContext:
    return context(regions=regions(*CASE), settings=options(segmentation=kind))


@pytest.fixture(scope="module")
def made() -> ResultObject:
    _, of_regions = segmentations(case())
    return of_regions


def segments(result: ResultObject) -> list[Dataset]:
    return list(result.data_set.SegmentSequence)


def read_back(result: ResultObject) -> highdicom.seg.Segmentation:
    return highdicom.seg.segread(BytesIO(encode(result)))


def test_an_object_and_a_series_of_its_own_beside_that_of_the_lungs(made: ResultObject) -> None:
    built = build_results(case())
    lungs, of_regions = built[-2:]
    assert [each.kind for each in built[-2:]] == ["seg", "region_seg"]
    assert of_regions.data_set.SeriesNumber == 9007
    assert of_regions.data_set.SeriesDescription.startswith("UNTRAINED AI segmentation of regions")
    assert of_regions.data_set.SeriesInstanceUID != lungs.data_set.SeriesInstanceUID
    assert of_regions.sop_instance_uid != lungs.sop_instance_uid
    assert len({each.sop_instance_uid for each in built}) == len(built)


@pytest.mark.parametrize("training", [Training.UNTRAINED, Training.PATIENTS])
def test_it_is_valid(training: Training, tmp_path: Path) -> None:
    model = replace(MODEL, training=training)
    whole = context(regions=regions(*CASE, model=model))
    errors, warnings = dciodvfy(segmentations(whole)[1], tmp_path)
    assert errors == []
    assert warnings == []


@pytest.mark.parametrize("kind", [SegmentationKind.BINARY, SegmentationKind.LABELMAP])
def test_each_infection_is_a_segment_at_its_voxels(kind: SegmentationKind) -> None:
    """Irrelevant candidates are none; the numbers are those of the report, the surest first."""
    found = read_back(segmentations(case(kind))[1]).get_volume(combine_segments=False)
    up = 1 if found.affine[2, 0] > 0 else -1  # ours goes to the head
    masks = found.array[::up].astype(bool)
    wanted = np.zeros((SLICES, ROWS, COLUMNS, 2), np.bool_)
    for number, box in enumerate((BOX, LOWER)):
        wanted[..., number][box.part] = ellipsoid(box)
    first, last = LOWER.slices[0], BOX.slices[1]
    assert np.array_equal(masks, wanted[first:last])


def test_what_a_segment_is_and_where(made: ResultObject) -> None:
    surest, other = segments(made)
    assert surest.SegmentLabel == "UNTRAINED Region 1: COVID-19 0.87"
    assert other.SegmentLabel == "UNTRAINED Region 2: influenza-A viral pneumonia 0.60"
    assert surest.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert surest.SegmentedPropertyTypeCodeSequence[0].CodeValue == "52988006"
    for each, side in ((surest, "7771000"), (other, "24028007")):
        (site,) = each.AnatomicRegionSequence
        assert site.CodeValue == "39607008"
        assert site.AnatomicRegionModifierSequence[0].CodeValue == side


def test_who_drew_it_and_what_must_be_said_of_that(made: ResultObject) -> None:
    for each in segments(made):
        (algorithm,) = each.SegmentationAlgorithmIdentificationSequence
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (MODEL.name, MODEL.version)
        assert MODEL.weights_sha256 in algorithm.AlgorithmParameters
        assert each.SegmentDescription.startswith("UNTRAINED WEIGHTS")


def test_trained_weights_have_no_mark() -> None:
    model = replace(MODEL, training=Training.PATIENTS)
    (lungs, made) = segmentations(context(regions=regions(*CASE, model=model)))
    assert segments(made)[0].SegmentLabel == "Region 1: COVID-19 0.87"
    assert made.data_set.SeriesDescription.startswith("AI")
    assert lungs.data_set.SeriesDescription.startswith("UNTRAINED")


def test_a_region_without_lesion_is_no_segment_and_keeps_its_number() -> None:
    nothing = np.zeros(BOX.shape, np.bool_)
    whole = context(regions=regions(region(COVID, 0.9, lesion=nothing), region(FLU, 0.8, LOWER)))
    assert [each.number for each in drawn_infections(whole, whole.findings[1])] == [2]
    (segment,) = segments(segmentations(whole)[1])
    assert segment.SegmentLabel.startswith("UNTRAINED Region 2")
    alone = context(regions=regions(region(COVID, 0.9, lesion=nothing)))
    assert [each.kind for each in segmentations(alone)] == ["seg"]


def test_colours_are_those_of_okabe_and_ito_and_follow_one_another(made: ResultObject) -> None:
    shown = [CIELabColor.from_dicom_value(colour).to_rgb() for colour in COLOURS]
    assert shown == [
        (230, 159, 0),
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
        (0, 114, 178),
        (213, 94, 0),
        (204, 121, 167),
    ]
    used = [tuple(each.RecommendedDisplayCIELabValue) for each in segments(made)]
    assert used == list(COLOURS[:2])


def test_the_same_findings_give_the_same_bytes(made: ResultObject) -> None:
    assert encode(segmentations(case())[1]) == encode(made)
