"""Both methods on one series: real command and real worker, weights without training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from rich.console import Console
from typer.testing import CliRunner

from dicomnode.analyse.process import tell_models
from dicomnode.cli.views.model_view import BundlePlace, look_at
from dicomnode.cli.views.queue_view import print_series
from dicomnode.config.reading import load_settings
from dicomnode.config.sections import InferenceSettings, MethodSettings
from dicomnode.methods.bundles import load_bundles, load_engines
from dicomnode.results.documents.text import report_as_text
from inference.bundles.bundle import CARD, load_card
from inference.errors import BundleError
from inference.findings import IntendedUse, Training
from inference.location_attention.engine import RegionEngine
from inference.location_attention.preprocess import RegionPreprocessing
from storage.records import SeriesState
from support.command import app
from support.phantom import LOW_CHEST, PIXEL_MM, SPACING_MM, series_uid, write_series
from support.pipeline import Pipeline, inference
from support.untrained_regions import make_untrained_region_bundle
from support.validators import dciodvfy_errors

UNTRAINED = "UNTRAINED WEIGHTS – no clinical meaning"
SETTINGS = RegionPreprocessing(
    patch_size=32, grid_pixel_mm=4.0, score_threshold=0.05, most_regions=6
)
"""A coarse grid and a threshold with which weights without training find something."""
STAGES = {
    "regions.grid",
    "regions.regions",
    "regions.patches",
    "regions.classes",
    "regions.lesions",
}


@pytest.fixture(scope="module")
def region_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "regions"
    return make_untrained_region_bundle(folder, width=2, settings=SETTINGS)


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, shared_models: Path, region_bundle: Path
) -> Path:
    """A folder with a configuration that names both bundles, and one series."""
    folder = tmp_path_factory.mktemp("both")
    (folder / "dicomnode.toml").write_text(
        '[node]\ndata_directory = "data"\n'
        f'[[inference.methods]]\nbundle = "{shared_models}"\n'
        f'[[inference.methods]]\nbundle = "{region_bundle}"\n'
        f"[results]\nkey_slices = 1\n{LOW_CHEST}"
    )
    write_series(folder / "in")
    return folder


@pytest.fixture(scope="module")
def processed(home: Path) -> tuple[str, dict[str, Any]]:
    """What `dicomnode process` prints, and the entry of the series."""
    story = home / "story.json"
    options = ("--json", story, "--config", home / "dicomnode.toml")
    done = CliRunner().invoke(
        app,
        ["process", *map(str, (home / "in", "--out", home / "out")), *map(str, options)],
        catch_exceptions=False,
        env={"COLUMNS": "200"},
    )
    assert done.exit_code == 0, done.output
    (entry,) = json.loads(story.read_text(encoding="utf-8"))
    return done.output, entry


@pytest.fixture(scope="module")
def report(processed: tuple[str, dict[str, Any]]) -> Dataset:
    (path,) = [o["path"] for o in processed[1]["objects"] if o["path"].endswith("sr.dcm")]
    return pydicom.dcmread(path)


def test_the_findings_of_both_are_told(processed: tuple[str, dict[str, Any]]) -> None:
    entry = processed[1]
    assert entry["state"] == "analysed"
    whole, regions = entry["findings"]
    assert sum(whole["scores"].values()) == pytest.approx(1.0, abs=1e-5)
    assert regions["model"]["name"] == "Location attention untrained"
    assert (whole["model"]["warning"], regions["model"]["warning"]) == (UNTRAINED, UNTRAINED)
    assert 1 <= len(regions["candidates"]) <= SETTINGS.most_regions
    assert set(entry["seconds"]) >= STAGES | {"network", "results"}


def test_the_case_follows_from_its_regions(processed: tuple[str, dict[str, Any]]) -> None:
    _, regions = processed[1]["findings"]
    for infection, told in regions["scores"].items():
        missed = 1.0
        for each in regions["candidates"]:
            missed *= 1.0 - each["confidence"] * (each["class"] == infection)
        assert told == pytest.approx(1.0 - missed, abs=1e-4)
    best = max(regions["scores"], key=regions["scores"].__getitem__)
    assert regions["outcome"] == (best if regions["scores"][best] else "no infection found")


def test_regions_lie_in_the_patient(processed: tuple[str, dict[str, Any]]) -> None:
    """The phantom's body is 160 mm to either side, 115 mm to front and back, 30 mm high."""
    for each in processed[1]["findings"][1]["candidates"]:
        x, y, z = each["centre_lps_mm"]
        assert abs(x) < 160
        assert abs(y) < 115
        assert -2 < z < 32
        box = each["box"].values()
        voxels = np.prod([stop - start for start, stop in box])
        assert 0 <= each["lesion_ml"] <= voxels * PIXEL_MM**2 * SPACING_MM / 1000 + 1e-3
        assert each["side"] in {("right" if x < 0 else "left"), None}


def test_the_person_at_the_terminal_sees_both(processed: tuple[str, dict[str, Any]]) -> None:
    text, entry = processed
    assert "by regions:" in text
    assert "no probability of a disease" in text
    assert entry["agreement"] in text
    assert UNTRAINED in entry["agreement"]


def test_the_report_holds_both_and_is_valid(
    processed: tuple[str, dict[str, Any]], report: Dataset
) -> None:
    entry = processed[1]
    text = report_as_text(report)
    assert entry["agreement"] in text
    assert f"Regions: {UNTRAINED}" in text
    shown = [line for line in text.splitlines() if "Tracking Identifier = Region" in line]
    assert len(shown) == entry["findings"][1]["infections"]
    for each in entry["objects"]:
        assert dciodvfy_errors(Path(each["path"])) == []


def test_the_worker_does_the_same_and_the_queue_tells(
    tmp_path: Path,
    home: Path,
    shared_models: Path,
    region_bundle: Path,
    processed: tuple[str, dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    pipeline = Pipeline(tmp_path / "node", shared_models)
    pipeline.settings = pipeline.settings.model_copy(
        update={"inference": inference(shared_models, region_bundle)}
    )
    files = sorted((home / "in").iterdir())
    pipeline.bring_to_results(files)
    record = pipeline.detail(series_uid(files)).series
    assert record.state is SeriesState.ANALYSED
    analysis = record.analysis or {}
    assert analysis["findings"] == processed[1]["findings"]
    assert analysis["agreement"] == processed[1]["agreement"]
    tell_models(load_engines(pipeline.settings))  # as a worker's process does at its start
    warned = [each.message for each in caplog.records if UNTRAINED in each.message]
    assert ["Location" in each for each in warned] == [False, True]
    assert analysis["relation"] in {"agree", "differ", "agree as far as their class sets go"}
    console = Console(width=200, record=True, quiet=False)
    with console.capture() as told:
        print_series(console, record)
    assert f"by regions: {analysis['findings'][1]['outcome']}" in told.get()
    assert analysis["agreement"] in told.get()


def test_the_engine_is_as_the_card_and_the_site_have_it(home: Path, region_bundle: Path) -> None:
    settings = load_settings(home / "dicomnode.toml")
    _, engine = load_engines(settings).methods
    assert isinstance(engine, RegionEngine)
    assert engine.settings == SETTINGS
    assert engine.identity.training is Training.UNTRAINED
    assert engine.identity.use is IntendedUse.NONE  # the site declares none
    assert sorted(load_bundles(settings)) == ["covnet", "regions"]


def test_classes_that_no_report_can_name_are_refused_at_the_start(
    home: Path, region_bundle: Path, tmp_path: Path
) -> None:
    card = load_card(region_bundle)
    strange = replace(card, classes=("COVID-19", "plague", card.classes[-1]))
    folder = tmp_path / "strange"
    folder.mkdir()
    (folder / card.weights).symlink_to(region_bundle / card.weights)
    (folder / CARD).write_text(strange.as_toml(), encoding="utf-8")
    settings = load_settings(home / "dicomnode.toml")
    problem = "class 'plague' has no code to report it by"
    assert look_at(BundlePlace(folder), settings, weights=False).problems == (problem,)
    first = settings.inference.methods[0]
    methods = (first, MethodSettings(bundle=str(folder)))
    wrong = settings.inference.model_copy(update={"methods": methods})
    with pytest.raises(BundleError, match=problem):
        load_bundles(settings.model_copy(update={"inference": wrong}))


def test_without_a_bundle_there_is_one_method_and_the_wrong_one_is_refused(
    home: Path, shared_models: Path
) -> None:
    settings = load_settings(home / "dicomnode.toml")
    alone = settings.model_copy(update={"inference": inference(shared_models)})
    assert list(load_bundles(alone)) == ["covnet"]
    tasks = ("covnet", "regions")
    methods = tuple(MethodSettings(bundle=str(shared_models), task=task) for task in tasks)
    wrong = InferenceSettings(methods=methods)
    with pytest.raises(BundleError, match="is for the task 'covnet', but configured for 'regions'"):
        load_engines(settings.model_copy(update={"inference": wrong}))
