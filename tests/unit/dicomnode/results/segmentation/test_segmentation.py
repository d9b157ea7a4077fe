"""The segmentation, read back by highdicom and judged by dciodvfy."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SegmentationStorage

from dicomnode.decisions.result_options import SegmentationKind
from dicomnode.results.build import ResultContext, ResultObject, build_results, encode
from dicomnode.results.common.uids import LabelMapSegmentationStorage
from dicomnode.results.segmentation.segmentation import segmentation, segmentations
from dicomnode.results.segmentation.segments import lung_segments
from inference.findings import FoundLungs, Training
from inference.regions import VoxelBox
from inference.volume import CtVolume
from support.result_samples import (
    COLUMNS,
    MODEL,
    ROWS,
    SLICES,
    affine_of,
    context,
    dciodvfy,
    findings,
    lungs,
    source,
    volume,
    with_settings,
)

KINDS = [SegmentationKind.BINARY, SegmentationKind.LABELMAP]
TILTED = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)  # sagittal


def made(whole: ResultContext) -> ResultObject:
    (found,) = segmentations(whole)
    return found


def read_back(result: ResultObject) -> highdicom.seg.Segmentation:
    return highdicom.seg.segread(BytesIO(encode(result)))


def wide_context(columns: int) -> ResultContext:
    """The sample's lungs in slices of another width: bits that do not fill whole bytes."""
    narrow = lungs()[:, : ROWS - 1, :columns].copy()
    hu = np.where(narrow, -850, 40).astype(np.int16)
    return context(lungs=FoundLungs(narrow), volume=CtVolume(hu, affine_of()))


def test_both_lungs_by_default_in_a_series_of_their_own() -> None:
    *others, last = build_results(context())
    data_set = last.data_set
    assert (last.kind, data_set.SOPClassUID, data_set.Modality) == (
        "seg",
        SegmentationStorage,
        "SEG",
    )
    assert data_set.SeriesInstanceUID not in {each.data_set.SeriesInstanceUID for each in others}
    assert build_results(with_settings(segmentation=SegmentationKind.OFF))[-1].kind == "key_slice"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [COLUMNS, COLUMNS - 3])
def test_highdicom_reads_the_same_masks(kind: SegmentationKind, columns: int) -> None:
    whole = replace(wide_context(columns), settings=with_settings(segmentation=kind).settings)
    read = read_back(made(whole))
    masks = read.get_volume(combine_segments=False).array.astype(bool)
    lungs = whole.lung_mask[1:]  # the first slice holds none and is left out
    assert (masks.any(axis=-1) == lungs).all()
    assert not (masks[..., 0] & masks[..., 1]).any()
    assert [read.get_segment_description(n).segment_label for n in (1, 2)] == [
        "Right lung",
        "Left lung",
    ]
    middle = columns // 2
    assert masks[..., 0][:, :, :middle].sum() == masks[..., 0].sum()  # patient's right: low columns


def test_right_and_left_are_the_patients_whatever_the_columns() -> None:
    mirrored = affine_of((-1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    segments = {s.label: s.box for s in lung_segments(context(volume=volume(mirrored)))}
    right, left = segments["Right lung"], segments["Left lung"]
    assert right is not None
    assert left is not None
    assert left.columns[0] < COLUMNS // 2 <= right.columns[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_grid_is_that_of_the_source(kind: SegmentationKind) -> None:
    """highdicom's affine for the read-back volume against ours, for an orientation of its own."""
    affine = affine_of(TILTED, step_mm=1.25, pixel_mm=0.5)
    whole = replace(
        context(volume=volume(affine)), settings=with_settings(segmentation=kind).settings
    )
    found = read_back(made(whole)).get_volume()
    expected = affine.copy()
    expected[:3, 3] += affine[:3, 0]  # the first slice holds no lung
    for index in ((0, 0, 0), (10, 59, 79)):
        there = found.map_indices_to_reference(np.array([index]))[0]
        ours = {tuple((expected @ [i, index[1], index[2], 1])[:3].round(6)) for i in (0, 10)}
        assert tuple(there.round(6)) in ours


def test_each_frame_names_the_image_it_lies_on() -> None:
    read = read_back(made(context()))
    for frame in read.PerFrameFunctionalGroupsSequence:
        (derivation,) = frame.DerivationImageSequence
        (image,) = derivation.SourceImageSequence
        z = frame.PlanePositionSequence[0].ImagePositionPatient[2]
        index = round((float(z) + 100.0) / 2.5)
        assert image.ReferencedSOPInstanceUID == source(index).SOPInstanceUID
        assert image.ReferencedSOPClassUID == CTImageStorage
        assert "ReferencedFrameNumber" not in image
    (series,) = read.ReferencedSeriesSequence
    assert len(series.ReferencedInstanceSequence) == SLICES - 1


def test_of_a_multi_frame_source_it_names_the_frames() -> None:
    frames = list(range(1, SLICES + 1))
    one = source(0)
    whole = context(sources=[one] * SLICES, frame_numbers=frames)
    data_set = made(whole).data_set
    named = {
        frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        for frame in data_set.PerFrameFunctionalGroupsSequence
    }
    assert named == set(frames[1:])
    assert len(data_set.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1


def test_the_classical_method_and_the_bundle_it_served_are_named_with_its_warning() -> None:
    for segment in made(context()).data_set.SegmentSequence:
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert algorithm.AlgorithmName == "Lungs by threshold and morphology"
        assert MODEL.weights_sha256 in algorithm.AlgorithmParameters
        assert "UNTRAINED WEIGHTS" in algorithm.AlgorithmParameters
        assert "UNTRAINED WEIGHTS" in segment.SegmentDescription


def test_a_network_that_found_the_lungs_is_named_with_its_own_warning() -> None:
    network = replace(MODEL, name="LungNet", version="2", training=Training.DEMONSTRATION)
    trained = replace(MODEL, training=Training.PATIENTS)
    found = FoundLungs(lungs(), network, 0.98)
    (segment, _) = made(context(findings=findings(trained), lungs=found)).data_set.SegmentSequence
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("LungNet", "2")
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"
    assert segment.SegmentDescription.startswith("DEMONSTRATION")


@pytest.mark.parametrize("damage", ["", "FrameOfReferenceUID"])
def test_binary_is_valid_even_without_a_frame_of_reference(damage: str, tmp_path: Path) -> None:
    sources = [source(i) for i in range(SLICES)]
    for each in sources:
        each.pop(damage or "PatientAge", None)
    errors, warnings = dciodvfy(made(context(sources=sources)), tmp_path)
    assert errors == []
    assert warnings == []


def test_dciodvfy_finds_only_what_it_does_not_know_in_a_label_map(tmp_path: Path) -> None:
    """The validator is older than the class: it takes segment 0 for a mistake."""
    whole = with_settings(segmentation=SegmentationKind.LABELMAP)
    errors, _ = dciodvfy(made(whole), tmp_path)
    assert made(whole).sop_class_uid == LabelMapSegmentationStorage
    assert [e for e in errors if "Information Object Not found" not in e] == [
        e for e in errors if "have SegmentSequence item number 1 (from one) with SegmentNumber" in e
    ]


def test_the_file_is_explicit_little_endian_and_the_same_each_time() -> None:
    first = encode(made(context()))
    assert encode(made(context())) == first
    meta = pydicom.dcmread(BytesIO(first), stop_before_pixels=True).file_meta
    assert meta.TransferSyntaxUID == ExplicitVRLittleEndian


@pytest.mark.parametrize("kind", KINDS)
def test_a_segment_may_be_given_by_its_box(kind: SegmentationKind) -> None:
    whole = context()
    right, left = lung_segments(whole)
    box = VoxelBox((4, 6), (20, 30), (20, 30))
    boxed = replace(right, label="Box", mask=np.ones(box.shape, np.bool_), box=box)
    assert list(boxed.occupied) == [4, 5]
    assert not boxed.on_slice(3, (ROWS, COLUMNS)).any()
    result = segmentation(whole, (boxed, left), kind)
    found = read_back(result).get_volume(combine_segments=False).array
    assert found[..., 0].sum() == 200
    assert result.sop_instance_uid != made(whole).sop_instance_uid


def test_what_cannot_be_a_segmentation_is_a_fault() -> None:
    whole = context()
    (right, _) = lung_segments(whole)
    binary = SegmentationKind.BINARY
    with pytest.raises(ValueError, match="shape"):
        segmentation(whole, [replace(right, mask=right.mask[1:])], binary)
    beyond = VoxelBox((SLICES - 1, SLICES + 1), (0, 2), (0, 2))
    outside = replace(right, mask=np.ones(beyond.shape, np.bool_), box=beyond)
    with pytest.raises(ValueError, match="shape"):
        segmentation(whole, [outside], binary)
    with pytest.raises(ValueError, match="at least one voxel"):
        segmentation(whole, [replace(right, mask=np.zeros_like(right.mask))], binary)
    with pytest.raises(ValueError, match="binary or a label map"):
        segmentation(whole, [right], SegmentationKind.OFF)


def test_without_lungs_there_is_none() -> None:
    assert segmentations(context(lungs=FoundLungs(np.zeros_like(lungs())))) == ()


def test_a_segment_names_the_precision_of_its_network_where_it_is_another() -> None:
    def parameters(precision: str) -> str:
        found = FoundLungs(lungs(), replace(MODEL, name="U-net").computed_in(precision))
        return lung_segments(context(lungs=found))[0].algorithm.parameters

    assert "precision" not in parameters("f32")
    assert "training untrained; precision bf16; " in parameters("bf16")
