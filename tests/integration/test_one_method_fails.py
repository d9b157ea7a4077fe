"""A method whose network gives no numbers: the real worker, real files, and what is told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
import torch
from rich.console import Console

from dicomnode.assess.again import renew
from dicomnode.cli.views.process_view import print_outcomes
from dicomnode.cli.views.queue_view import print_series
from dicomnode.config.sections import InferenceSettings
from dicomnode.data_directory.holding import keep_settings
from dicomnode.errors import DataError
from dicomnode.offline.process import process_folder
from dicomnode.results.documents.text import report_as_text
from inference.bundles.bundle import load_bundle
from inference.location_attention.preprocess import RegionPreprocessing
from storage.records import ResultSet, SeriesDetail, SeriesState
from storage.result_sets import sets_of_series
from storage.results import ResultFiles
from support.bundles import write_bundle
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline
from support.untrained_regions import make_untrained_region_bundle
from support.validators import dciodvfy_errors

SETTINGS = RegionPreprocessing(
    patch_size=32, grid_pixel_mm=4.0, score_threshold=0.05, most_regions=4
)
NEARLY_INFINITE = 3e38  # a number in a bundle that loads, and whose products are none
REGIONS_FAILED = "The search for candidate regions (Location attention untrained 0.0) failed"
LUNGS_FAILED = "The classification of the whole lungs (COVNet untrained 0.0) failed"


def overflowing(bundle: Path, parameter: str, folder: Path) -> Path:
    """The bundle with one parameter with which its network computes infinities."""
    loaded = load_bundle(bundle)
    weights = dict(loaded.weights)
    weights[parameter] = torch.full_like(weights[parameter], NEARLY_INFINITE)
    return write_bundle(folder, loaded.card, weights)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory, shared_models: Path) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    regions = make_untrained_region_bundle(folder / "regions", width=1, settings=SETTINGS)
    made = {
        "regions": regions,
        "broken regions": overflowing(regions, "segmenter.shared.weight", folder / "a"),
        "covnet": shared_models,
        "broken covnet": overflowing(shared_models, "fc.weight", folder / "b"),
    }
    return {name: str(path) for name, path in made.items()}


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_series(tmp_path_factory.mktemp("series"))


def pipeline_with(folder: Path, models: Path, **inference: Any) -> Pipeline:
    pipeline = Pipeline(folder, models)
    named = {"bundle": str(models)} | inference
    settings = InferenceSettings(allow_demonstration_model=True, **named)
    pipeline.settings = pipeline.settings.model_copy(update={"inference": settings})
    return pipeline


def analysed(pipeline: Pipeline, series: list[Path]) -> SeriesDetail:
    pipeline.bring_to_results(series)
    return pipeline.detail(series_uid(series))


def told(detail: SeriesDetail) -> str:
    console = Console(width=300)
    with console.capture() as captured:
        print_series(console, detail.series)
    return captured.get()


def report_of(pipeline: Pipeline) -> pydicom.Dataset:
    """The report among the results; all of them are valid."""
    data_sets = []
    for path in pipeline.settings.result_files.rglob("*.dcm"):
        assert dciodvfy_errors(path) == []
        data_sets.append(pydicom.dcmread(path))
    (report,) = [each for each in data_sets if each.Modality == "SR"]
    return report


def test_without_regions_the_classification_stands(
    tmp_path: Path,
    shared_models: Path,
    bundles: dict[str, str],
    series: list[Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    pipeline = pipeline_with(tmp_path, shared_models, regions_bundle=bundles["broken regions"])
    detail = analysed(pipeline, series)
    assert detail.series.state is SeriesState.ANALYSED
    analysis = detail.series.analysis or {}
    (found,) = analysis["findings"]
    assert sum(found["scores"].values()) == pytest.approx(1.0, abs=1e-5)
    assert (found["method"], analysis["agreement"]) == ("lungs", None)
    (failure,) = analysis["failures"]
    assert (failure["method"], failure["rule"]) == ("regions", "network_output")
    warned = [each for each in detail.series.reasons if each.rule == "regions_method"]
    assert [each.verdict for each in warned] == ["warning"]
    assert REGIONS_FAILED in told(detail)
    assert any("search for candidate regions" in each.message for each in caplog.records)
    text = report_as_text(report_of(pipeline))
    assert REGIONS_FAILED in text
    assert "Summary of Analyses = Partially Succeeded" in text


def test_it_is_tried_again_and_no_uid_gets_other_bytes(
    tmp_path: Path, shared_models: Path, bundles: dict[str, str], series: list[Path]
) -> None:
    """Memory may be there the next time; here a sound bundle is. Nothing of the old set changes."""
    broken = pipeline_with(tmp_path, shared_models, regions_bundle=bundles["broken regions"])
    first = analysed(broken, series)
    before = broken.result_bytes()
    broken.database.close()
    whole = pipeline_with(tmp_path, shared_models, regions_bundle=bundles["regions"])
    keep_settings(whole.settings)
    renew(whole.database, whole.settings, first.series, datetime.now(UTC))
    whole.assess()
    whole.analyse()
    after = whole.result_bytes()
    assert {uid: after[uid] for uid in before} == before
    detail = whole.detail(first.series.series_key)
    assert not (detail.series.analysis or {})["failures"]
    old, new = sets_of(whole, detail)
    kinds = {each.sop_instance_uid: each.kind for each in old.results}
    assert "sr" in kinds.values()
    assert "seg" not in kinds.values()  # the lungs are as they were: one object, of the newer set
    report = next(each for each in new.results if each.kind == "sr")
    assert "one of the two methods had failed in it" in report_as_text(
        pydicom.dcmread(ResultFiles(whole.settings.result_files).open_path(report.path))
    )
    with pytest.raises(DataError, match="are of this model and these settings"):
        renew(whole.database, whole.settings, detail.series, datetime.now(UTC))


def sets_of(pipeline: Pipeline, detail: SeriesDetail) -> tuple[ResultSet, ...]:
    with pipeline.database.read() as session:
        return sets_of_series(session, detail.series.series_key)


def test_without_the_classification_the_regions_stand(
    tmp_path: Path, shared_models: Path, bundles: dict[str, str], series: list[Path]
) -> None:
    pipeline = pipeline_with(
        tmp_path,
        shared_models,
        bundle=bundles["broken covnet"],
        regions_bundle=bundles["regions"],
    )
    detail = analysed(pipeline, series)
    assert detail.series.state is SeriesState.ANALYSED
    analysis = detail.series.analysis or {}
    (found,) = analysis["findings"]
    assert found["method"] == "regions"
    assert len(found["candidates"]) >= 1
    assert LUNGS_FAILED in told(detail)
    assert f"by regions: {found['outcome']}" in told(detail)
    assert LUNGS_FAILED in report_as_text(report_of(pipeline))


def test_where_both_fail_the_series_fails(
    tmp_path: Path, shared_models: Path, bundles: dict[str, str], series: list[Path]
) -> None:
    pipeline = pipeline_with(
        tmp_path,
        shared_models,
        bundle=bundles["broken covnet"],
        regions_bundle=bundles["broken regions"],
    )
    detail = analysed(pipeline, series)
    assert detail.series.state is SeriesState.FAILED
    (reason,) = [each for each in detail.series.reasons if each.verdict == "fail"]
    assert reason.rule == "network_output"
    assert "classification of the whole lungs: probabilities" in str(reason.value)
    assert "search for candidate regions: the segmenter's objectness map" in str(reason.value)
    assert detail.results == ()


def test_process_tells_it_on_the_terminal_and_as_json(
    tmp_path: Path,
    shared_models: Path,
    bundles: dict[str, str],
    series: list[Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipeline = pipeline_with(tmp_path, shared_models, regions_bundle=bundles["broken regions"])
    (outcome,) = process_folder(series[0].parent, tmp_path / "out", pipeline.settings)
    assert outcome.state == "analysed"
    assert [each["method"] for each in outcome.as_json()["failures"]] == ["regions"]
    print_outcomes(Console(width=1000), [outcome])  # no line is folded
    assert REGIONS_FAILED in capsys.readouterr().out
