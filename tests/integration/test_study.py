"""Several series of a study: one result, and another turn when the chosen one fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dicomnode.assess.assessor import Assessor
from dicomnode.decisions.reasons import Reason
from storage.queries import list_series
from storage.records import SeriesState
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline
from support.wait import wait_for

STUDY, SCAN = generate_uid(), generate_uid()
BLOOD_HU = 320
"""As after an injection of contrast medium."""


@pytest.fixture
def node(tmp_path: Path, shared_models: Path) -> Iterator[Pipeline]:
    made = Pipeline(tmp_path / "data", shared_models)
    yield made
    made.database.close()


def of_the_study(kernel: str, enhanced: bool = False) -> Callable[[Dataset, int], None]:
    def change(data_set: Dataset, _number: int) -> None:
        data_set.StudyInstanceUID = STUDY
        data_set.ConvolutionKernel = kernel
        if enhanced:
            _enhance(data_set)

    return change


def _enhance(data_set: Dataset) -> None:
    """The heart between the lungs becomes as bright as enhanced blood; no attribute tells of it."""
    pixels = data_set.pixel_array.astype(np.int16)
    rows, columns = pixels.shape
    y, x = np.mgrid[0:rows, 0:columns]
    heart = np.hypot(x - columns / 2, y - rows / 2) < 9
    soft = pixels + int(data_set.RescaleIntercept) > -200
    pixels[heart & soft] = BLOOD_HU - int(data_set.RescaleIntercept)
    data_set.PixelData = pixels.tobytes()


def assess_all(node: Pipeline) -> None:
    """Until each series is decided."""
    assessor = Assessor(node.settings, "node/assessor/1/")

    def decided() -> bool:
        assessor.assess_one(datetime.now(UTC))
        with node.database.read() as session:
            states = {each.state for each in list_series(session)}
        return SeriesState.RECEIVING not in states

    wait_for(decided, "each series is decided")


def reason(node: Pipeline, uid: str, rule: str) -> Reason:
    (found,) = [each for each in node.detail(uid).series.reasons if each.rule == rule]
    return found


def test_of_two_kernels_the_standard_one_is_analysed(node: Pipeline, tmp_path: Path) -> None:
    sharp = write_series(tmp_path / "sharp", seed=1, change=of_the_study("LUNG"))
    standard = write_series(tmp_path / "standard", seed=2, change=of_the_study("STANDARD"))
    node.receive([*sharp, *standard])
    assess_all(node)
    assert node.detail(series_uid(standard)).series.state is SeriesState.QUEUED
    left = node.detail(series_uid(sharp)).series
    assert left.state is SeriesState.SKIPPED
    told = reason(node, series_uid(sharp), "study_choice")
    assert told.verdict == "fail"
    assert str(told.value).startswith(
        f"a better series of the study was chosen: {series_uid(standard)} (12 slices every 2.5 mm"
    )
    node.analyse()
    assert node.detail(series_uid(standard)).series.state is SeriesState.ANALYSED


def test_when_the_pixels_of_the_chosen_one_show_contrast_the_other_is_analysed(
    node: Pipeline, tmp_path: Path
) -> None:
    plain = write_series(tmp_path / "plain", seed=1, change=of_the_study("LUNG"))
    change = of_the_study("STANDARD", enhanced=True)
    enhanced = write_series(tmp_path / "enhanced", seed=2, change=change)
    node.receive([*plain, *enhanced])
    assess_all(node)
    assert node.detail(series_uid(plain)).series.state is SeriesState.SKIPPED
    node.analyse()
    refused = node.detail(series_uid(enhanced))
    assert refused.series.state is SeriesState.SKIPPED
    assert refused.results == ()
    told = reason(node, series_uid(enhanced), "contrast")
    assert (told.verdict, told.value) == (
        "fail",
        "yes: attributes unknown, text unknown, pixels yes",
    )
    assess_all(node)
    assert node.detail(series_uid(plain)).series.state is SeriesState.QUEUED
    node.analyse()
    analysed = node.detail(series_uid(plain)).series
    assert analysed.state is SeriesState.ANALYSED
    assert [each.state for each in analysed.history] == ["skipped"]
    assert reason(node, series_uid(plain), "contrast_pixels").verdict == "pass"


def test_a_series_without_lungs_is_skipped_and_says_so(node: Pipeline, tmp_path: Path) -> None:
    def solid(data_set: Dataset, _number: int) -> None:
        pixels = data_set.pixel_array
        data_set.PixelData = np.full_like(pixels, 40 - int(data_set.RescaleIntercept)).tobytes()

    files = write_series(tmp_path / "solid", change=solid)
    node.receive(files)
    assess_all(node)
    node.analyse()
    assert node.detail(series_uid(files)).series.state is SeriesState.SKIPPED
    told = reason(node, series_uid(files), "lungs")
    assert (told.value, told.limit) == ("lung volume: 0 ml", "at least 150 ml")


TWINS: tuple[dict[str, Any], ...] = (
    {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "MAT_REMOVED"]},
    {"SeriesDescription": "Thorax 1.0 Virtual Non-Contrast"},
    {"IrradiationEventUID": SCAN, "AcquisitionNumber": 2},
)


def test_no_virtual_image_takes_the_place_of_a_scan_with_contrast(
    node: Pipeline, tmp_path: Path
) -> None:
    """Contrast is taken out of its pixels, so that they show none: no result for such a study."""

    def scan(data_set: Dataset, number: int) -> None:
        of_the_study("STANDARD", enhanced=True)(data_set, number)
        data_set.SeriesDescription = "Thorax arteriell"
        data_set.IrradiationEventUID, data_set.AcquisitionNumber = SCAN, 2

    def virtual(twin: dict[str, Any]) -> Callable[[Dataset, int], None]:
        def change(data_set: Dataset, number: int) -> None:
            of_the_study("STANDARD")(data_set, number)
            for keyword, value in twin.items():
                setattr(data_set, keyword, value)

        return change

    enhanced = write_series(tmp_path / "enhanced", seed=1, change=scan)
    made = [
        write_series(tmp_path / f"made{number}", seed=number + 2, change=virtual(twin))
        for number, twin in enumerate(TWINS)
    ]
    node.receive([*enhanced, *(path for paths in made for path in paths)])
    assess_all(node)
    with node.database.read() as session:
        states = {each.state for each in list_series(session)}
    assert states == {SeriesState.SKIPPED}
    assert reason(node, series_uid(enhanced), "contrast").verdict == "fail"
    for paths in made:
        assert node.detail(series_uid(paths)).results == ()
