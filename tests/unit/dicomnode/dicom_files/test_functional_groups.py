"""Multi-frame CT as slices: functional groups, frames in every encapsulation, HU of each frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, RLELossless

from dicomnode.assess.assessment import assess_files
from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy
from dicomnode.decisions.reasons import Verdict
from dicomnode.decisions.stack.geometry import StackProblem, sort_slices
from dicomnode.dicom_files.frames import read_slices
from dicomnode.dicom_files.headers import read_headers_and_sources, read_headers_file
from dicomnode.dicom_files.volume import load_volume
from dicomnode.errors import DataError
from inference.volume import CtVolume
from support.multi_frame import encapsulated, group, write_multi_frame
from support.phantom import COLUMNS, PIXEL_MM, ROWS, SPACING_MM, chest_slice

FRAMES = 12


@pytest.fixture(scope="module")
def enhanced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_multi_frame(tmp_path_factory.mktemp("enhanced"), FRAMES)


def volume_of(path: Path) -> CtVolume:
    return load_volume([path], sort_slices(read_headers_file(path)), workers=2)


def saved(data_set: Dataset, folder: Path) -> Path:
    path = folder / "changed.dcm"
    data_set.save_as(path, enforce_file_format=True)
    return path


def expected_hu() -> np.ndarray:
    """What `write_series` drew, from the base up."""
    heights = [-100 + 200 * (n + 0.5) / FRAMES for n in range(FRAMES)]
    return np.stack([chest_slice(z, n) for n, z in enumerate(heights)])


def test_each_frame_has_a_header_from_its_own_and_the_shared_groups(enhanced: Path) -> None:
    headers = read_headers_file(enhanced)
    assert [h.frame_number for h in headers] == list(range(1, FRAMES + 1))
    assert {h.number_of_frames for h in headers} == {FRAMES}
    assert len({h.slice_key for h in headers}) == FRAMES
    first, last = headers[0], headers[-1]
    assert first.image_position_patient is not None
    assert first.image_position_patient[2] == SPACING_MM * (FRAMES - 1)
    assert last.image_position_patient == (-(COLUMNS / 2) * PIXEL_MM,) * 2 + (0.0,)
    assert (first.rescale_intercept, headers[3].rescale_intercept) == (0.0, -100.0)
    assert (first.slice_thickness, first.convolution_kernel) == (SPACING_MM, "Br40")
    assert first.image_type == ("ORIGINAL", "PRIMARY", "VOLUME", "NONE")
    assert (first.acquisition_number, first.stack_id, first.has_pixel_data) == (1, "1", True)
    assert first.problems == ()


def test_unassigned_attributes_of_a_legacy_conversion_are_read_but_no_identity(
    tmp_path: Path,
) -> None:
    path = write_multi_frame(tmp_path, 3, legacy=True)
    assert [h.instance_number for h in read_headers_file(path)] == [3, 2, 1]
    names = {str(source.PatientName) for _, source in read_headers_and_sources(path)}
    assert names == {"Chest^Drawn"}


def test_a_frame_looks_like_an_instance_of_one_slice(enhanced: Path) -> None:
    sources = [source for _, source in read_headers_and_sources(enhanced)]
    assert len(sources) == FRAMES
    assert "NumberOfFrames" not in sources[0]
    assert "PerFrameFunctionalGroupsSequence" not in sources[0]
    assert sources[1].ImagePositionPatient[2] == SPACING_MM * (FRAMES - 2)


def test_the_value_in_the_frame_goes_before_the_shared_one(enhanced: Path, tmp_path: Path) -> None:
    data_set = dcmread(enhanced)
    thick = data_set.PerFrameFunctionalGroupsSequence[4]
    thick.PixelMeasuresSequence = group(SliceThickness=9)
    thicknesses = [h.slice_thickness for h in read_headers_file(saved(data_set, tmp_path))]
    assert thicknesses == [SPACING_MM] * 4 + [9.0] + [SPACING_MM] * (FRAMES - 5)


def test_frames_are_in_stack_order_with_the_hu_of_each(enhanced: Path) -> None:
    volume = volume_of(enhanced)
    assert np.array_equal(volume.hu, expected_hu())
    assert volume.spacing_mm == pytest.approx((SPACING_MM, PIXEL_MM, PIXEL_MM))


@pytest.mark.parametrize("table", ["basic", "extended", ""])
def test_encapsulated_frames_with_any_offset_table(
    enhanced: Path, tmp_path: Path, table: str
) -> None:
    path = saved(encapsulated(dcmread(enhanced), table), tmp_path)
    assert ("ExtendedOffsetTable" in dcmread(path)) == (table == "extended")
    assert np.array_equal(volume_of(path).hu, expected_hu())


def test_frames_of_several_fragments_are_joined(tmp_path: Path) -> None:
    path = write_multi_frame(tmp_path, 2)
    whole = volume_of(path).hu
    data_set = encapsulated(dcmread(path), "basic")
    frames = [bytes(each.pixel_data) for each in read_slices(saved(data_set, tmp_path))]
    inner = [frame[16:-8] for frame in frames]  # an empty offset table, one item, no end
    data_set.PixelData = encapsulate(inner, fragments_per_frame=3, has_bot=True)
    assert np.array_equal(volume_of(saved(data_set, tmp_path)).hu, whole)


def test_a_part_of_the_frames_is_loaded(enhanced: Path) -> None:
    some = sort_slices(read_headers_file(enhanced)[4:7])
    assert np.array_equal(load_volume([enhanced], some).hu, expected_hu()[-7:-4])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: setattr(d, "PixelData", d.PixelData[:-2]), "bytes for 12 frames"),
        (lambda d: setattr(d, "PixelData", b""), "absent or empty"),
        (lambda d: setattr(d, "Rows", ROWS + 1), "bytes for 12 frames"),
        (lambda d: setattr(d, "BitsAllocated", 32), "32 allocated"),
    ],
)
def test_pixel_data_that_are_not_the_frames(
    enhanced: Path, tmp_path: Path, change: object, words: str
) -> None:
    data_set = dcmread(enhanced)
    assert callable(change)
    change(data_set)
    with pytest.raises(DataError, match=words) as caught:
        volume_of(saved(data_set, tmp_path))
    assert caught.value.rule == "pixel_data"


@pytest.mark.parametrize(("count", "words"), [(2, "frames"), (5, "cannot be told apart")])
def test_encapsulated_frames_of_another_number(tmp_path: Path, count: int, words: str) -> None:
    data_set = encapsulated(dcmread(write_multi_frame(tmp_path, 3)), "")
    data_set.NumberOfFrames = count
    path = saved(data_set, tmp_path)
    with pytest.raises(DataError, match=words):
        volume_of(path)


def test_garbage_in_one_frame_names_that_frame(tmp_path: Path) -> None:
    data_set = dcmread(write_multi_frame(tmp_path, 3))
    data_set.file_meta.TransferSyntaxUID = RLELossless
    data_set.PixelData = encapsulate([b"\1\2" * 99] * 3)
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    with pytest.raises(DataError, match=rf"{data_set.SOPInstanceUID} frame [123]: RLE"):
        volume_of(saved(data_set, tmp_path))


def test_fewer_groups_than_frames_are_told(enhanced: Path, tmp_path: Path) -> None:
    data_set = dcmread(enhanced)
    del data_set.PerFrameFunctionalGroupsSequence[5:]
    headers = read_headers_file(saved(data_set, tmp_path))
    assert len(headers) == 5
    told = "PerFrameFunctionalGroupsSequence: 5 items for 12 frames"
    assert {h.problems for h in headers} == {(told,)}


def test_without_functional_groups_the_frames_are_nowhere(enhanced: Path, tmp_path: Path) -> None:
    data_set = dcmread(enhanced)
    del data_set.PerFrameFunctionalGroupsSequence
    path = saved(data_set, tmp_path)
    (header,) = read_headers_file(path)
    assert (header.frame_number, header.number_of_frames) == (None, FRAMES)
    assert StackProblem.MULTI_FRAME in sort_slices([header]).problems
    assessment = assess_files([path], EligibilityPolicy())
    failed = {r.rule: r.value for r in assessment.reasons if r.verdict is Verdict.FAIL}
    assert failed["frames"] == "12 in one instance, without functional groups"
    with pytest.raises(DataError, match="without functional groups"):
        read_slices(path)


@pytest.mark.parametrize("keyword", ["PlanePositionSequence", "PixelValueTransformationSequence"])
def test_a_group_that_is_missing_in_one_frame_is_a_reason(
    enhanced: Path, tmp_path: Path, keyword: str
) -> None:
    data_set = dcmread(enhanced)
    del data_set.PerFrameFunctionalGroupsSequence[7][keyword]
    assessment = assess_files([saved(data_set, tmp_path)], EligibilityPolicy())
    failed = {r.rule for r in assessment.reasons if r.verdict is Verdict.FAIL}
    assert ("slice_spacing" in failed) == (keyword == "PlanePositionSequence")
    assert ("rescale" in failed) == (keyword == "PixelValueTransformationSequence")


def test_any_damage_of_the_groups_is_a_reason_or_no_dicom(enhanced: Path, tmp_path: Path) -> None:
    """Bytes changed all over the header: never another exception than DataError."""
    data_set = dcmread(enhanced)
    data_set.Rows = data_set.Columns = 4
    data_set.PixelData = bytes(2 * 16 * int(data_set.NumberOfFrames))
    whole = saved(data_set, tmp_path).read_bytes()
    path = tmp_path / "damaged.dcm"
    ended = set()
    for place in range(600, len(whole), 61):
        path.write_bytes(whole[:place] + b"\xff\x00\xff\x7f" + whole[place + 4 :])
        assessment = assess_files([path], EligibilityPolicy())
        problems = {problem for h in assessment.headers for problem in h.problems}
        ended.add((bool(assessment.unreadable), bool(problems), assessment.eligible))
    assert ended >= {(True, False, False), (False, True, False), (False, False, True)}


def test_several_multi_frame_instances_are_one_stack(tmp_path: Path) -> None:
    """As in a concatenation (PS3.3 C.7.6.16.2.2.4): half of the frames in each instance."""
    whole = dcmread(write_multi_frame(tmp_path, 12))
    size, paths = len(whole.PixelData) // 12, []
    for part in range(2):
        half = dcmread(tmp_path / "multi-frame.dcm")
        half.SOPInstanceUID = half.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.3.{part}")
        half.NumberOfFrames = 6
        own = whole.PerFrameFunctionalGroupsSequence[part * 6 : part * 6 + 6]
        half.PerFrameFunctionalGroupsSequence = own
        half.PixelData = whole.PixelData[part * 6 * size : (part + 1) * 6 * size]
        paths.append(tmp_path / f"{part}.dcm")
        half.save_as(paths[-1], enforce_file_format=True)
    assessment = assess_files(paths, EligibilityPolicy())
    assert assessment.eligible
    loaded = load_volume(paths, assessment.eligibility.stack)
    assert np.array_equal(loaded.hu, volume_of(tmp_path / "multi-frame.dcm").hu)
