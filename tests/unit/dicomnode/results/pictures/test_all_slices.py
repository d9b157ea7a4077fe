"""Every slice as a Secondary Capture, by itself or as a frame."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from dicomnode.decisions.result_options import AllSlices, ResultOptions
from dicomnode.results.build import build_results, encode
from dicomnode.results.common.context import ResultObject
from dicomnode.results.pictures.all_slices import all_slices
from dicomnode.results.pictures.panel import BANNER, MARGIN, PANEL_HEIGHT, PANEL_WIDTH, SLICE_SIZE
from dicomnode.results.pictures.pixels import jpeg, uncompressed
from support.result_samples import SLICES, context, dciodvfy, source, with_settings

BOTH = (AllSlices.JPEG, AllSlices.UNCOMPRESSED)


def made(encoding: AllSlices, multi_frame: bool = False) -> tuple[ResultObject, ...]:
    return all_slices(with_settings(all_slices=encoding, multi_frame=multi_frame))


def read(result: ResultObject) -> Dataset:
    return pydicom.dcmread(BytesIO(encode(result)))


def pixels(result: ResultObject) -> NDArray[np.uint8]:
    """As RGB, decoded by pydicom."""
    array: NDArray[np.uint8] = pixel_array(BytesIO(encode(result)))
    return array


def test_by_default_there_are_none() -> None:
    assert all_slices(context()) == ()
    with_all = build_results(with_settings(all_slices=AllSlices.JPEG))
    assert [each.kind for each in with_all[-SLICES:]] == ["slice"] * SLICES
    uids = {str(each.sop_instance_uid) for each in with_all}
    assert len(uids) == len(with_all)


@pytest.mark.parametrize("encoding", BOTH)
def test_each_slice_is_a_valid_object_that_names_its_source(
    encoding: AllSlices, tmp_path: Path
) -> None:
    found = made(encoding)
    assert len(found) == SLICES
    for number, each in enumerate(found, start=1):
        data_set = each.data_set
        assert data_set.SOPClassUID == SecondaryCaptureImageStorage
        assert (data_set.SeriesNumber, data_set.InstanceNumber) == (9008, number)
        (item,) = data_set.SourceImageSequence
        assert item.ReferencedSOPInstanceUID == source(SLICES - number).SOPInstanceUID
    assert len({each.data_set.SeriesInstanceUID for each in found}) == 1
    assert dciodvfy(found[5], tmp_path) == ([], [])


@pytest.mark.parametrize("encoding", BOTH)
def test_all_in_one_object_each_frame_names_its_source(encoding: AllSlices, tmp_path: Path) -> None:
    (found,) = made(encoding, multi_frame=True)
    data_set = read(found)
    assert data_set.SOPClassUID == MultiFrameTrueColorSecondaryCaptureImageStorage
    assert data_set.NumberOfFrames == SLICES
    frames = data_set.PerFrameFunctionalGroupsSequence
    named = [
        frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for frame in frames
    ]
    by_number = sorted(map(source, range(SLICES)), key=lambda header: int(header.InstanceNumber))
    assert named == [header.SOPInstanceUID for header in by_number]
    assert dciodvfy(found, tmp_path)[0] == []
    assert pixels(found).shape == (SLICES, PANEL_HEIGHT, PANEL_WIDTH, 3)
    assert np.array_equal(pixels(found), [pixels(each) for each in made(encoding)])


def test_jpeg_says_that_it_is_lossy_and_looks_the_same() -> None:
    plain, lossy = made(AllSlices.UNCOMPRESSED)[7], made(AllSlices.JPEG)[7]
    assert plain.sop_instance_uid != lossy.sop_instance_uid  # other pixels
    assert read(plain).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    data_set = read(lossy)
    assert data_set.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert (data_set.LossyImageCompression, plain.data_set.LossyImageCompression) == ("01", "00")
    assert data_set.LossyImageCompressionMethod == "ISO_10918_1"
    assert 5 < data_set.LossyImageCompressionRatio < 100
    assert len(encode(lossy)) < 150_000 < len(encode(plain))
    difference = np.abs(pixels(lossy).astype(np.int16) - pixels(plain))
    assert difference.mean() < 2.0


def test_what_was_lossy_before_stays_in_the_history() -> None:
    sources = [source(index) for index in range(SLICES)]
    sources[0].LossyImageCompression = "01"
    sources[0].LossyImageCompressionRatio = "8.5"
    sources[0].LossyImageCompressionMethod = "ISO_15444_1"
    settings = with_settings(all_slices=AllSlices.JPEG).settings
    data_set = all_slices(context(sources=sources, settings=settings))[0].data_set
    assert data_set.LossyImageCompressionRatio[0] == 8.5
    assert data_set.LossyImageCompressionMethod == ["ISO_15444_1", "ISO_10918_1"]


def test_a_slice_that_was_not_classified_has_no_colour() -> None:
    """The first slice of the sample has no lung; what is drawn beside the slice has colour."""
    pictures = [pixels(each) for each in made(AllSlices.UNCOMPRESSED)]
    shown = [p[BANNER : BANNER + SLICE_SIZE, MARGIN : MARGIN + SLICE_SIZE] for p in pictures]
    coloured = [bool(np.any(np.ptp(each, axis=2))) for each in shown]
    assert coloured == [True] * (SLICES - 1) + [False]


def test_without_numbers_the_order_is_that_of_the_stack() -> None:
    """Otherwise it is that of the source's numbers, which in the sample run against the stack."""
    sources = [source(index) for index in range(SLICES)]
    sources[3].InstanceNumber = sources[4].InstanceNumber
    settings = with_settings(all_slices=AllSlices.JPEG).settings
    first = all_slices(context(sources=sources, settings=settings))[0].data_set
    assert first.SourceImageSequence[0].ReferencedSOPInstanceUID == sources[0].SOPInstanceUID
    assert first.InstanceNumber == 1


@pytest.mark.parametrize("encode_frames", [jpeg, uncompressed])
def test_frames_of_one_object_are_of_one_size(encode_frames: object) -> None:
    assert callable(encode_frames)
    small, large = np.zeros((4, 4, 3), np.uint8), np.zeros((8, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="of one size"):
        encode_frames([small, large])
    with pytest.raises(ValueError, match="of one size"):
        encode_frames([])


def test_frames_without_slices_are_no_configuration() -> None:
    with pytest.raises(ValueError, match="set all_slices too"):
        ResultOptions(multi_frame=True)
    both = ResultOptions(multi_frame=True, all_slices=AllSlices.JPEG)
    assert both.all_slices_series_number == 9008
