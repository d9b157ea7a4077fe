from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicomnode.results.build import ResultObject
from dicomnode.results.pictures.capture import secondary_captures
from dicomnode.results.pictures.panel import BANNER, MARGIN, SLICE_SIZE
from support.result_samples import (
    SERIES_UID,
    SLICES,
    affine_of,
    context,
    dciodvfy,
    source,
    volume,
    with_settings,
)


@pytest.fixture(scope="module")
def captures() -> tuple[ResultObject, ...]:
    return secondary_captures(context())


def sources_of(data_set: Dataset) -> list[str]:
    return [item.ReferencedSOPInstanceUID for item in data_set.SourceImageSequence]


def test_montage_and_panels_are_valid(captures: tuple[ResultObject, ...], tmp_path: Path) -> None:
    for result in captures[:2]:
        errors, warnings = dciodvfy(result, tmp_path)
        assert errors == []
        assert warnings == []


def test_the_montage_comes_first_then_the_largest_share(
    captures: tuple[ResultObject, ...],
) -> None:
    data_sets = [result.data_set for result in captures]
    assert [d.InstanceNumber for d in data_sets] == list(range(1, 12))
    assert len(sources_of(data_sets[0])) == 9
    assert sources_of(data_sets[1]) == [f"{SERIES_UID}.8"]
    assert sources_of(data_sets[0])[:2] == [f"{SERIES_UID}.8", f"{SERIES_UID}.7"]


def test_one_series_and_distinct_instances(captures: tuple[ResultObject, ...]) -> None:
    assert len({r.data_set.SeriesInstanceUID for r in captures}) == 1
    assert len({r.sop_instance_uid for r in captures}) == len(captures)
    assert {r.data_set.SeriesNumber for r in captures} == {9002}


def test_what_it_says_of_itself(captures: tuple[ResultObject, ...]) -> None:
    data_set = captures[1].data_set
    assert data_set.Modality == "OT"
    assert data_set.BurnedInAnnotation == "YES"
    assert data_set.ImageType == ["DERIVED", "SECONDARY", "OTHER"]
    assert data_set.DerivationCodeSequence[0].CodeValue == "130403"
    assert data_set.LossyImageCompression == "00"
    assert data_set.PatientOrientation == ["L", "P"]
    assert "UNTRAINED" in data_set.SeriesDescription
    assert len(data_set.SeriesDescription) <= 64
    for keyword in ("ImagePositionPatient", "FrameOfReferenceUID", "PresentationIntentType"):
        assert keyword not in data_set


def colourful(panel: ResultObject) -> tuple[float, float]:
    """Where the slice area has colour: mean (row, column) relative to its middle."""
    pixels = panel.data_set.pixel_array[BANNER : BANNER + SLICE_SIZE, MARGIN : MARGIN + SLICE_SIZE]
    rows, columns = np.nonzero(np.ptp(pixels.astype(int), axis=2) > 20)
    return float(rows.mean()) - SLICE_SIZE / 2, float(columns.mean()) - SLICE_SIZE / 2


@pytest.mark.parametrize(
    ("orientation", "rows_up", "columns_left"),
    [
        ((1.0, 0.0, 0.0, 0.0, 1.0, 0.0), True, True),
        ((-1.0, 0.0, 0.0, 0.0, 1.0, 0.0), True, False),
        ((1.0, 0.0, 0.0, 0.0, -1.0, 0.0), False, True),
    ],
)
def test_the_heat_turns_with_the_slice(
    orientation: tuple[float, ...], rows_up: bool, columns_left: bool
) -> None:
    """The evidence lies in the first rows and columns of the stored slice."""
    whole = context(volume=volume(affine_of(orientation)))
    row, column = colourful(secondary_captures(whole)[1])
    assert (row < 0) is rows_up
    assert (column < 0) is columns_left


def test_fewer_key_slices() -> None:
    captures = secondary_captures(with_settings(key_slices=2))
    assert len(captures) == 3
    assert len(sources_of(captures[0].data_set)) == 2


def test_a_lossy_source_makes_a_lossy_result(tmp_path: Path) -> None:
    sources = [source(i) for i in range(SLICES)]
    sources[3].LossyImageCompression = "01"
    sources[3].LossyImageCompressionRatio = "12.5"
    sources[3].LossyImageCompressionMethod = "ISO_10918_1"
    result = secondary_captures(context(sources=sources))[1]
    assert result.data_set.LossyImageCompression == "01"
    assert float(result.data_set.LossyImageCompressionRatio) == 12.5
    assert dciodvfy(result, tmp_path)[0] == []


def test_pixels_are_whole(captures: tuple[ResultObject, ...]) -> None:
    data_set = captures[0].data_set
    assert len(data_set.PixelData) == data_set.Rows * data_set.Columns * 3
    assert data_set.pixel_array.dtype == np.uint8
