"""Series that are computed while they come: the same bytes as of one that is computed at once."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dicomnode.analyse.analysis import Analysis, analyse_series, foresee
from dicomnode.assess.assessment import assess_files
from dicomnode.config.settings import Settings
from dicomnode.decisions.result_options import ResultOptions
from dicomnode.methods.bundles import Engines, load_engines
from inference.demonstration import shipped_bundles
from inference.errors import InferenceError
from inference.location_attention.preprocess import RegionPreprocessing
from inference.lungs.openvino_backend import OpenvinoUnet
from support.phantom import LOW_CHEST_POLICY, write_series
from support.pipeline import inference
from support.untrained_regions import make_untrained_region_bundle

SLICES = 20
REGIONS = RegionPreprocessing(
    patch_size=32, grid_pixel_mm=4.0, score_threshold=0.05, most_regions=6
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, small_models: Path) -> Settings:
    regions = tmp_path_factory.mktemp("models") / "regions"
    make_untrained_region_bundle(regions, width=2, settings=REGIONS)
    lungs = str(shipped_bundles()["lungs"])
    models = inference(small_models, regions, lungs_bundle=lungs, engine="openvino")
    return Settings(chest=LOW_CHEST_POLICY, inference=models, results=ResultOptions(key_slices=1))


@pytest.fixture(scope="module")
def engines(settings: Settings) -> Engines:
    return load_engines(settings)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_series(tmp_path_factory.mktemp("ct"), SLICES)


@pytest.fixture(scope="module")
def at_once(engines: Engines, settings: Settings, files: list[Path]) -> list[bytes]:
    return objects(engines, settings, files)


@pytest.fixture(autouse=True)
def forgotten(engines: Engines) -> Iterator[None]:
    yield
    engines.memory.forget()


def objects(engines: Engines, settings: Settings, files: Sequence[Path]) -> list[bytes]:
    """The bytes of all result objects."""
    analysis = analyse_series(
        engines,
        assess_files(files, settings.eligibility),
        settings,
        analysed_at=datetime(2026, 1, 2, tzinfo=UTC),
        input_digest="0",
        completeness="",
    )
    assert isinstance(analysis, Analysis)
    assert len(analysis.findings) == 2
    found = []
    for each in analysis.objects:
        content = BytesIO()
        each.data_set.save_as(content, enforce_file_format=True)
        found.append(content.getvalue())
    return found


class Counted:
    """How many slices the networks are given."""

    def __init__(self, engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lungs = self.covnet = 0
        unet_logits = OpenvinoUnet.logits
        maps = engines.methods[0]._backend._streams  # type: ignore[attr-defined]
        run = maps.run

        def logits(unet: OpenvinoUnet, hu: Sequence[NDArray[np.int16]], progress: object) -> object:
            self.lungs += len(hu)
            return unet_logits(unet, hu, progress)  # type: ignore[arg-type]

        def counted(images: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
            for each in images:
                self.covnet += 1
                yield each

        monkeypatch.setattr(OpenvinoUnet, "logits", logits)
        monkeypatch.setattr(maps, "run", lambda images: run(counted(images)))


ORDERS = {
    "to the feet": list(range(SLICES))[::-1],
    "every other one first": [*range(0, SLICES, 2), *range(1, SLICES, 2)],
    "at random": random.Random(5).sample(range(SLICES), SLICES),
}


@pytest.mark.parametrize("order", ORDERS)
def test_slices_in_any_order_give_the_same_bytes(
    engines: Engines,
    settings: Settings,
    files: list[Path],
    at_once: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    order: str,
) -> None:
    counted = Counted(engines, monkeypatch)
    engines.memory.begin("series")
    come = [files[at] for at in ORDERS[order]]
    for count in (10, 14, 18, SLICES - 1):
        seen = assess_files(come[:count], settings.eligibility)
        with suppress(InferenceError):
            foresee(engines, seen)
    assert counted.lungs <= SLICES - 1  # of each slice once
    before = counted.covnet
    assert objects(engines, settings, files) == at_once
    assert counted.lungs == SLICES
    assert before
    assert counted.covnet <= before + SLICES


def test_when_all_was_foreseen_nothing_is_computed_again(
    engines: Engines,
    settings: Settings,
    files: list[Path],
    at_once: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engines.memory.begin("series")
    for _ in range(2):
        foresee(engines, assess_files(files, settings.eligibility))
    monkeypatch.setattr("dicomnode.dicom_files.volume.decode_hu", None)
    counted = Counted(engines, monkeypatch)
    assert objects(engines, settings, files) == at_once
    assert (counted.lungs, counted.covnet) == (0, 0)


@pytest.mark.parametrize("limit_bytes", [0, 1_500_000])
def test_with_little_room_too(
    engines: Engines,
    settings: Settings,
    files: list[Path],
    at_once: list[bytes],
    limit_bytes: int,
) -> None:
    engines.memory.begin("series", limit_bytes)
    for count in (15, 18):
        foresee(engines, assess_files(files[:count], settings.eligibility))
    assert engines.memory.size <= limit_bytes
    assert objects(engines, settings, files) == at_once


def test_slices_of_another_series_make_no_difference(
    engines: Engines,
    settings: Settings,
    files: list[Path],
    at_once: list[bytes],
    tmp_path: Path,
) -> None:
    """Though the memory were never told of the change."""
    engines.memory.begin("series")
    other = write_series(tmp_path, SLICES, seed=1)
    for _ in range(2):
        foresee(engines, assess_files(other, settings.eligibility))
    assert objects(engines, settings, files) == at_once
