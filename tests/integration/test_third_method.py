"""A third method, and other classes of a known one: bundles, and no line of the node.

The whole way each: C-STORE over a socket, the decision, the worker, the results and what the
commands tell of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from rich.console import Console

from dicomnode.cli.views.queue_view import print_series
from dicomnode.config.sections import ReceiveSettings
from dicomnode.config.settings import Settings
from dicomnode.deliver.result_settings import analysis_digest
from dicomnode.errors import ConfigurationError
from dicomnode.methods.bundles import check_permitted, load_bundles
from dicomnode.results.documents.text import report_as_text
from inference.bundles.bundle import CARD, load_bundle
from inference.bundles.tasks import TASKS
from inference.errors import BundleError
from inference.findings import FindingClass
from storage.records import SeriesDetail, SeriesState
from support import texture_method
from support.bundles import write_bundle
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline, inference
from support.receiver import running_receiver
from support.texture_method import CLASSES, make_texture_bundle
from support.validators import dciodvfy_errors

OTHERS = (
    FindingClass("tuberculosis", "56717001", "SCT", "Tuberculosis", "TB"),
    FindingClass("COVID-19", "840539006", "SCT", "COVID-19", "COVID19"),
    FindingClass("neither of both", "NEITHER", "99SITE", "Neither of both", "NEITHER"),
)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, texture_method.TASK.name, texture_method.TASK)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_series(tmp_path_factory.mktemp("series"))


def with_methods(node: Pipeline, *bundles: Path) -> Settings:
    return node.settings.model_copy(update={"inference": inference(*bundles, device="cpu")})


def sent_and_analysed(folder: Path, series: list[Path], *bundles: Path) -> Pipeline:
    """A node with these methods, after the series came by C-STORE and was analysed."""
    with running_receiver(folder / "node", ReceiveSettings()) as receiver:
        assert receiver.send(*series) == [0x0000] * len(series)
    node = Pipeline(folder / "node", bundles[0])
    node.settings = with_methods(node, *bundles)
    node.assess()
    node.analyse()
    return node


def results(node: Pipeline) -> dict[str, list[Dataset]]:
    """The objects by modality, in their order; all of them are valid."""
    found: dict[str, list[Dataset]] = {}
    for path in sorted(node.settings.result_files.rglob("*.dcm")):
        assert dciodvfy_errors(path) == []
        made = pydicom.dcmread(path)
        found.setdefault(str(made.Modality), []).append(made)
    return {key: sorted(each, key=lambda one: one.InstanceNumber) for key, each in found.items()}


def told(detail: SeriesDetail) -> str:
    console = Console(width=300)
    with console.capture() as captured:
        print_series(console, detail.series)
    return captured.get()


def codes(data_set: Dataset) -> Iterator[tuple[str, str, str]]:
    for each in data_set.iterall():
        if each.keyword in {"ConceptCodeSequence", "ConceptNameCodeSequence"}:
            (code,) = each.value
            yield code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning


def test_a_third_method_goes_the_whole_way(
    tmp_path: Path, shared_models: Path, series: list[Path]
) -> None:
    texture = make_texture_bundle(tmp_path / "texture")
    node = sent_and_analysed(tmp_path, series, shared_models, texture)
    detail = node.detail(series_uid(series))
    assert detail.series.state is SeriesState.ANALYSED
    whole, third = (detail.series.analysis or {})["findings"]
    assert (whole["method"], third["method"]) == ("lungs", "texture")
    assert set(third["scores"]) == {each.name for each in CLASSES}
    assert sum(third["scores"].values()) == pytest.approx(1.0, abs=1e-5)
    assert third["outcome"] == max(third["scores"], key=third["scores"].__getitem__)
    assert f"{third['outcome']} by texture: " in told(detail)

    made = results(node)
    (report,) = made["SR"]
    outcome = next(each for each in CLASSES if each.name == third["outcome"])
    assert (outcome.value, "99TEXTURE", outcome.meaning) in set(codes(report))
    names = {value for value, _, _ in codes(report)}
    assert {"P_SMOOTH_U", "P_RETICULAR_U", "P_COVID19_U", "NOT_COMPARABLE"} <= names
    schemes = [each.CodingSchemeDesignator for each in report.CodingSchemeIdentificationSequence]
    assert schemes == ["99COVNET", "99TEXTURE"]
    text = report_as_text(report)
    assert f"Most probable by texture: {outcome.name}" in text
    assert "Class set by texture: smooth parenchyma, reticular pattern; nothing else" in text
    assert "Model by texture: Texture untrained 0.0" in text
    assert "Lungs, AI classification by texture" in text


@pytest.mark.long
def test_its_heat_has_pictures_of_its_own(
    tmp_path: Path, shared_models: Path, series: list[Path]
) -> None:
    texture = make_texture_bundle(tmp_path / "texture")
    node = sent_and_analysed(tmp_path, series, texture, shared_models)
    pictures = results(node)["OT"]
    assert [each.InstanceNumber for each in pictures] == [1, 2, 3, 4]  # a montage and a slice each
    assert len({each.SeriesInstanceUID for each in pictures}) == 1
    assert (pictures[0].pixel_array != pictures[2].pixel_array).any()
    findings = (node.detail(series_uid(series)).series.analysis or {})["findings"]
    assert [each["method"] for each in findings] == ["texture", "lungs"]  # as configured


def with_classes(bundle: Path, folder: Path, classes: tuple[FindingClass, ...]) -> Path:
    """The bundle with classes of other names, and their codes on the card."""
    loaded = load_bundle(bundle)
    names = tuple(each.name for each in classes)
    return write_bundle(folder, replace(loaded.card, classes=names, codes=classes), loaded.weights)


@pytest.mark.long
def test_covnet_with_other_classes_needs_no_code(
    tmp_path: Path, shared_models: Path, series: list[Path]
) -> None:
    node = sent_and_analysed(
        tmp_path, series, with_classes(shared_models, tmp_path / "other", OTHERS)
    )
    detail = node.detail(series_uid(series))
    (found,) = (detail.series.analysis or {})["findings"]
    assert list(found["scores"]) == [each.name for each in OTHERS]
    outcome = next(each for each in OTHERS if each.name == found["outcome"])
    made = results(node)
    (report,) = made["SR"]
    assert (outcome.value, outcome.scheme, outcome.meaning) in set(codes(report))
    assert {"P_TB_U", "P_COVID19_U", "P_NEITHER_U"} <= {value for value, _, _ in codes(report)}
    text = report_as_text(report)
    assert f"Most probable: {outcome.name}" in text
    assert "Class set: tuberculosis, COVID-19, neither of both; nothing else" in text
    assert len(made["OT"]) == 2
    assert f"{outcome.name}: " in told(detail)


def test_what_is_no_method_of_its_own_is_refused(tmp_path: Path, shared_models: Path) -> None:
    node = Pipeline(tmp_path / "node", shared_models)
    unet = Path(texture_method.__file__).parents[2] / "inference" / "demonstration" / "lungs"
    with pytest.raises(BundleError, match="is for the task 'lungs', which is no method"):
        load_bundles(with_methods(node, unet))
    with pytest.raises(BundleError, match="one of them is enough"):
        load_bundles(with_methods(node, shared_models, shared_models))
    alone = with_methods(node, shared_models)
    with pytest.raises(ConfigurationError, match=r"inference\.allow_demonstration_model = true"):
        check_permitted((each.card for each in load_bundles(alone).values()), alone)


def test_classes_without_codes_are_refused(tmp_path: Path) -> None:
    texture = load_bundle(make_texture_bundle(tmp_path / "texture"))
    bare = write_bundle(tmp_path / "bare", replace(texture.card, codes=()), texture.weights)
    node = Pipeline(tmp_path / "node", bare)
    with pytest.raises(BundleError, match="'smooth parenchyma' has no code to report it by"):
        load_bundles(with_methods(node, bare))


def test_scores_of_two_classes_never_bear_one_code(tmp_path: Path, shared_models: Path) -> None:
    texture = load_bundle(make_texture_bundle(tmp_path / "texture"))
    codes = (CLASSES[0], replace(CLASSES[1], short="COVID19"))
    alike = write_bundle(tmp_path / "alike", replace(texture.card, codes=codes), texture.weights)
    node = Pipeline(tmp_path / "node", alike)
    assert list(load_bundles(with_methods(node, alike))) == ["texture"]
    told = "short 'COVID19' of 'reticular pattern' is that of 'COVID-19', too"
    with pytest.raises(BundleError, match=told):
        load_bundles(with_methods(node, shared_models, alike))


def test_what_was_loaded_is_named_though_its_folder_holds_another_since(
    tmp_path: Path, series: list[Path]
) -> None:
    """Else nobody could have the series analysed by the new model: it would look made by it."""
    node = Pipeline(tmp_path / "node", make_texture_bundle(tmp_path / "texture"))
    node.settings = with_methods(node, tmp_path / "texture")
    loaded = analysis_digest(node.settings)
    node.receive(series)
    node.assess()
    node.load_worker()
    card = tmp_path / "texture" / CARD
    card.write_text(card.read_text().replace("Texture untrained", "Texture anew"))
    node.analyse()
    made = node.detail(series_uid(series)).series.analysis or {}
    assert made["findings"][0]["model"]["name"] == "Texture untrained"
    assert made["made_with"] == loaded != analysis_digest(node.settings)
