"""`dicomnode model evaluate`: the real command on phantoms with known truth, each task."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dicomnode.config.reading import load_settings
from dicomnode.errors import ConfigurationError
from dicomnode.offline.process import process_folder
from dicomnode.weights import evaluation_bf16
from dicomnode.weights.manifest import read_manifest
from dicomnode.weights.scans import load_scan
from inference.backends.precision import PrecisionWish
from inference.bundles.bundle import load_bundle
from inference.bundles.card import Metric
from inference.bundles.tasks import NO_INFECTION
from inference.covnet.engine import Engine
from inference.covnet.network import CLASSES
from inference.errors import DeviceError, EvaluationError
from inference.location_attention.network import CLASSES as REGION_CLASSES
from inference.lungs.thresholds import segment_lungs
from support.command import app
from support.emulated_bf16 import emulate
from support.evaluated_phantoms import Drawn, covnet_bundle, draw_scans, lung_bundle, region_bundle
from support.phantom import LOW_CHEST, write_series

pytestmark = pytest.mark.long

COVID, CAP, NEITHER = CLASSES
FLU = REGION_CLASSES[1]
DAY = r"\d{4}-\d\d-\d\d"
WARNING = "DEMONSTRATION – trained on simulated lesions, no clinical meaning"


def evaluate(*arguments: str | Path) -> tuple[int, str]:
    """Exit status and standard output."""
    done = CliRunner().invoke(
        app, ["model", "evaluate", *map(str, arguments)], catch_exceptions=False
    )
    return done.exit_code, done.stdout


def lines(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("node")
    file = folder / "dicomnode.toml"
    file.write_text('[node]\ndata_directory = "data"\n[inference]\nengine = "torch"\n')
    return file


class Run:
    """One evaluation and what it left."""

    def __init__(self, folder: Path, bundle: Path, scans: list[Drawn], config: Path) -> None:
        self.bundle, self.out = bundle, folder / "out"
        self.manifest = draw_scans(folder, scans)
        options = ("--bundle", bundle, "--manifest", self.manifest, "--out", self.out)
        self.status, self.output = evaluate(*options, "--split", "all", "--config", config)

    @property
    def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "evaluation.json").read_text("utf-8"))
        return found


@pytest.fixture(scope="module")
def covnet(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("covnet")
    labels = [COVID, CAP, NEITHER, COVID, CAP, NEITHER, COVID]
    scans = [
        Drawn(f"s{i}", f"p{i % 6}", label, label != NEITHER, columns={"sex": "F", "age": "61"})
        for i, label in enumerate(labels)
    ]
    broken = Drawn("solid", "p6", CAP, lungs=False, columns={"sex": "M"})
    return Run(folder, covnet_bundle(folder), [*scans, broken], config)


@pytest.fixture
def two_scans(tmp_path: Path) -> Path:
    scans = [Drawn("a", "p0", COVID), Drawn("b", "p1", NEITHER, ball=False)]
    return draw_scans(tmp_path, scans)


def test_bf16_is_proven_where_it_is_computed_and_nowhere_else(
    two_scans: Path, tmp_path: Path, config: Path
) -> None:
    given = ("--bundle", covnet_bundle(tmp_path), "--manifest", two_scans, "--out", tmp_path / "o")
    with pytest.raises(DeviceError, match=r"precision bf16: .*: PyTorch on a CPU computes in"):
        evaluate(*given, "--split", "all", "--config", config, "--prove-bf16")
    assert not (tmp_path / "o" / "evaluation.json").exists()


@pytest.mark.parametrize("kind", ["covnet", "lungs"])
def test_what_bf16_changes_comes_into_report_and_figures(
    two_scans: Path, tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Emulated: what computes it is put in the place of an engine of this machine."""
    make = {"covnet": covnet_bundle, "lungs": lung_bundle}[kind]
    monkeypatch.setattr(PrecisionWish, "on", lambda *_, **__: "f32")
    monkeypatch.setattr(evaluation_bf16, "engine_of", lambda _computing: "openvino")
    for name in ("load_method", "load_lung_finder"):
        monkeypatch.setattr(evaluation_bf16, name, _emulating(getattr(evaluation_bf16, name)))
    given = ("--bundle", make(tmp_path), "--manifest", two_scans, "--out", tmp_path / "o")
    status, output = evaluate(*given, "--split", "all", "--config", config, "--prove-bf16")
    assert status == 0
    assert "Precision" in output
    (proof,) = json.loads((tmp_path / "o" / "evaluation.json").read_text())["precision"]
    assert (proof["cases"], proof["native"]) == (2, True)
    assert proof["data"] == "2 scans of 2 patient(s), all of manifest.csv"
    assert 0 < proof["mean_change"] <= proof["largest_change"] < 0.05


def _emulating(load: Callable[..., Any]) -> Callable[..., Any]:
    def loaded(*given: Any, **named: Any) -> Any:
        found = load(*given, **named)
        emulate(getattr(found, "network", found))
        return found

    return loaded


def test_a_scan_that_fails_is_named_and_counted_nowhere(covnet: Run) -> None:
    assert covnet.status == 1
    last = lines(covnet.out / "probabilities.csv")[-1]
    assert (last["scan"], last["state"], last["predicted"]) == ("solid", "failed", "")
    assert "lung" in last["reason"]
    assert [each["scan"] for each in covnet.figures["failed"]] == ["solid"]
    assert sum(map(sum, covnet.figures["confusion"]["counts"])) == 7
    report = (covnet.out / "report.md").read_text("utf-8")
    assert "1 scan(s) failed" in report
    assert "solid" in report


def test_the_probabilities_are_those_of_the_nodes_engine(covnet: Run) -> None:
    row = read_manifest(covnet.manifest, "covnet").rows[3]
    engine = Engine.load(load_bundle(covnet.bundle), "cpu", backend="torch")
    volume = load_scan(row).volume
    answer = engine.analyse(volume, segment_lungs(volume)).answer
    line = lines(covnet.out / "probabilities.csv")[3]
    found = [float(line[f"p: {name}"]) for name in CLASSES]
    assert found == pytest.approx(answer.scores, abs=1e-6)
    assert line["predicted"] == answer.outcome.name


def test_the_figures_are_metrics_of_a_card(covnet: Run) -> None:
    metrics = [Metric(**each) for each in covnet.figures["figures"]]
    assert [problem for each in metrics for problem in each.problems()] == []
    named = {each.name: each for each in metrics}
    right = covnet.figures["confusion"]["counts"]
    assert named["accuracy"].value == pytest.approx(sum(right[i][i] for i in range(3)) / 7)
    assert named[f"AUC, {COVID}"].data.startswith("7 scans of 6 patient(s), all of manifest.csv")


def test_heat_is_measured_where_the_scan_has_lesions(covnet: Run) -> None:
    by_scan = {line["scan"]: line for line in lines(covnet.out / "probabilities.csv")}
    assert 0 <= float(by_scan["s0"]["heat_on_lesions"]) <= 1
    assert by_scan["s2"]["heat_on_lesions"] == ""
    (metric,) = (each for each in covnet.figures["figures"] if "heat" in each["name"])
    assert metric["cases"] == 5


def test_the_json_says_on_whom_and_with_what(covnet: Run) -> None:
    figures, card = covnet.figures, load_bundle(covnet.bundle).card
    assert figures["patients"] == [f"p{number}" for number in range(7)]
    assert figures["bundle"]["weights_sha256"] == card.weights_sha256
    assert figures["bundle"]["digest"] == card.digest
    assert figures["manifest"]["sha256"] == read_manifest(covnet.manifest, "covnet").sha256
    assert (figures["split"], figures["simulated"]) == ("all", False)


def test_the_report_begins_with_what_the_weights_are(covnet: Run) -> None:
    head = (covnet.out / "report.md").read_text("utf-8").splitlines()[:4]
    assert WARNING in head[2]
    page = (covnet.out / "report.html").read_text("utf-8")
    assert page.index(WARNING) < page.index("<table>")
    assert page.count("data:image/png;base64,") == 5  # ROC, confusion, calibration, dots, gallery
    assert "http" not in page.replace("http-equiv", "")
    assert WARNING in covnet.output


def test_the_pictures_of_the_markdown_are_there(covnet: Run) -> None:
    for name in ("classes-roc", "classes-confusion", "classes-calibration", "heat-gallery"):
        assert f"({name}.png)" in (covnet.out / "report.md").read_text("utf-8")
        assert (covnet.out / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_strata_too_small_are_named(covnet: Run) -> None:
    report = (covnet.out / "report.md").read_text("utf-8")
    assert "sex F: 7 cases, 6 patients" in report
    assert "scanner" not in report


@pytest.fixture(scope="module")
def regions(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("regions")
    (folder / "simulation.json").write_text("{}")
    scans = [
        Drawn("covid", "a", COVID),
        Drawn("flu", "b", FLU),
        Drawn("clean", "c", NO_INFECTION, ball=False),
    ]
    return Run(folder, region_bundle(folder), scans, config)


def test_regions_are_told_by_the_lesion_they_lie_on(regions: Run) -> None:
    assert regions.status == 0
    patches = lines(regions.out / "regions.csv")
    assert {line["scan"] for line in patches} == {"covid", "flu"}
    assert [line["patch"] for line in patches] == ["centre", "feet", "head"] * 2
    truth = {line["scan"]: (line["truth"], line["lesion"]) for line in patches}
    assert truth == {"covid": (COVID, "1"), "flu": (FLU, "1")}
    x, y, z = map(float, patches[0]["centre_lps_mm"].split())
    assert (x, y, z) == pytest.approx((178 + 75, 134 - 20, 125 + 40), abs=12)


def test_cases_without_a_region_have_no_infection(regions: Run) -> None:
    clean = lines(regions.out / "probabilities.csv")[2]
    assert (clean["predicted"], clean["regions"]) == (NO_INFECTION, "0")
    assert float(clean[f"p: {NO_INFECTION}"]) == 1.0
    assert regions.figures["confusion"]["classes"] == [COVID, FLU, NO_INFECTION]
    named = {each["name"]: each for each in regions.figures["figures"]}
    assert named[f"lesions with a candidate region, {COVID}"]["value"] == 1.0
    assert named["accuracy of patches"]["cases"] == 6


def test_simulated_scans_are_said_to_be(regions: Run) -> None:
    assert regions.figures["simulated"] is True
    assert "SIMULATED LESIONS" in (regions.out / "report.html").read_text("utf-8")
    assert "scans with simulated lesions" in regions.figures["figures"][0]["data"]


@pytest.fixture(scope="module")
def lungs(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("lungs")
    scans = [Drawn("one", "a", "", ball=False), Drawn("two", "b", "")]
    return Run(folder, lung_bundle(folder), scans, config)


def test_lungs_are_compared_with_their_masks(lungs: Run) -> None:
    assert lungs.status == 0
    one, two = lines(lungs.out / "lungs.csv")
    for line in (one, two):
        assert 0.85 < float(line["dice"]) < 1
        assert 0.9 < float(line["classical_dice"]) <= 1
        assert float(line["found_ml"]) == pytest.approx(float(line["true_ml"]), rel=0.2)
    (metric,) = lungs.figures["figures"]
    assert metric["value"] == pytest.approx((float(one["dice"]) + float(two["dice"])) / 2, abs=1e-6)
    assert "over scans" in metric["data"]


def test_the_same_run_again_gives_the_same_report(lungs: Run, config: Path, tmp_path: Path) -> None:
    options = ("--bundle", lungs.bundle, "--manifest", lungs.manifest, "--out", tmp_path)
    evaluate(*options, "--split", "all", "--config", config)
    for name in ("report.md", "report.html"):
        ours, theirs = ((at / name).read_text("utf-8") for at in (tmp_path, lungs.out))
        assert re.sub(DAY, "", ours) == re.sub(DAY, "", theirs)
    assert (tmp_path / "lungs.csv").is_file()


def test_a_model_compared_with_itself_has_no_difference(
    regions: Run, covnet: Run, config: Path, tmp_path: Path
) -> None:
    options = (
        *("--bundle", regions.bundle, "--manifest", regions.manifest, "--split", "all"),
        *("--out", tmp_path, "--config", config),
    )
    evaluate(*options, "--against", regions.out)
    report = (tmp_path / "report.md").read_text("utf-8")
    assert "On the 3 cases that both models could analyse" in report
    with pytest.raises(EvaluationError, match=f"no column 'p: {FLU}'"):
        evaluate(*options, "--against", covnet.out)


def test_a_dicom_series_gets_the_probabilities_that_process_gives(
    covnet: Run, tmp_path: Path
) -> None:
    write_series(tmp_path / "series")
    config = tmp_path / "dicomnode.toml"
    config.write_text(
        '[node]\ndata_directory = "data"\n'
        f'[inference]\nengine = "torch"\nmethods = [{{ bundle = "{covnet.bundle}" }}]\n{LOW_CHEST}'
    )
    scans = tmp_path / "scans.csv"
    scans.write_text(f"scan,patient,path,label,split\nx,p,series,{COVID},test\n")
    options = ("--bundle", covnet.bundle, "--manifest", scans, "--out", tmp_path / "out")
    assert evaluate(*options, "--config", config)[0] == 0
    (line,) = lines(tmp_path / "out" / "probabilities.csv")
    (done,) = process_folder(tmp_path / "series", tmp_path / "results", load_settings(config))
    (told,) = done.findings or [{}]
    for name, value in told["scores"].items():
        assert float(line[f"p: {name}"]) == pytest.approx(value, abs=1e-6)


def test_all_that_is_wrong_is_told_before_any_scan(config: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "file").write_text("")
    options = ("--bundle", tmp_path / "bundle", "--manifest", tmp_path / "none.csv")
    with pytest.raises(EvaluationError) as caught:
        evaluate(*options, "--out", tmp_path / "file" / "out", "--config", config)
    told = str(caught.value)
    assert "2 problem(s)" in told
    assert "card.toml" in told
    assert "Not a directory" in told


def test_labels_splits_and_masks_are_checked(lungs: Run, config: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.csv"
    scan = lungs.manifest.parent / "one-path.nii.gz"
    bare.write_text(f"scan,patient,path,split\nx,a,{scan},test\n")
    options = ("--bundle", lungs.bundle, "--manifest", bare, "--out", tmp_path / "out")
    with pytest.raises(EvaluationError, match="scan x: no lungs to compare with"):
        evaluate(*options, "--config", config)
    with pytest.raises(EvaluationError, match="no scan in the split validation"):
        evaluate(*options, "--config", config, "--split", "validation")
    bundle = region_bundle(tmp_path)
    with pytest.raises(EvaluationError, match=r"manifest bare\.csv: line 2.*no label"):
        evaluate("--bundle", bundle, *options[2:], "--config", config)


def test_counts_alone_give_the_tables_of_li(tmp_path: Path) -> None:
    table = tmp_path / "li.csv"
    table.write_text("truth,COVID-19,CAP,none\nCOVID-19,114,12,1\nCAP,13,152,10\nnone,0,8,124\n")
    status, output = evaluate("--confusion", table, "--out", tmp_path / "out")
    assert status == 0
    for text in (output, (tmp_path / "out" / "report.html").read_text("utf-8")):
        assert "90 (114 of 127) [83, 94]" in text
        assert "96 (294 of 307) [93, 98]" in text


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="stands for itself"):
        evaluate("--confusion", tmp_path / "x.csv", "--bundle", tmp_path)
    with pytest.raises(ConfigurationError, match="give --bundle"):
        evaluate("--bundle", tmp_path)
    with pytest.raises(ConfigurationError, match="No such file"):
        evaluate("--confusion", tmp_path / "x.csv")
    (tmp_path / "odd.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(EvaluationError, match="no UTF-8"):
        evaluate("--confusion", tmp_path / "odd.csv")
