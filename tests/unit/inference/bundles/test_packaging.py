"""A run's folder becomes a bundle whose card cannot say more than the run can bear."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from inference.bundles.bundle import Bundle, load_bundle
from inference.bundles.packaging import Label, PackagingError, package
from inference.bundles.proof import PrecisionProof
from inference.covnet.network import CLASSES
from inference.covnet.preprocess import Preprocessing
from inference.errors import BundleError
from inference.findings import IntendedUse, Training
from support.untrained import make_untrained_bundle

LABEL = Label("COVNet of a test", "1.2", "CC0-1.0", IntendedUse.CLINICAL, "Reads chests.")
PROOF = PrecisionProof("openvino", "2026.4.1", "Any CPU", True, "1 scan", 1, 0.003, 0.003, 0)
PATIENTS = {
    "training": {"P1": ["a", "b"], "P2": ["c"]},
    "validation": {"P3": ["d"]},
    "test": {"P4": ["e"]},
}
MakeRun = Callable[..., Path]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(make_untrained_bundle(tmp_path_factory.mktemp("bundles") / "untrained"))


@pytest.fixture
def make_run(tmp_path: Path, weights: Bundle) -> MakeRun:
    """A run as a training leaves it; `run.json` with what a test changes."""

    def make(**changes: Any) -> Path:
        folder = tmp_path / "run"
        folder.mkdir()
        record = {"task": "covnet", "patients": PATIENTS, "simulated": False, "state": "finished"}
        best = {"stage": "224", "step": 40, "temperature": 2.0, "classes": list(CLASSES)}
        best["preprocessing"] = asdict(Preprocessing(size=192))
        (folder / "run.json").write_text(json.dumps(record | changes))
        (folder / "best.json").write_text(json.dumps(best))
        save_file(dict(weights.weights), folder / "best.safetensors")
        return folder

    return make


def _evaluated(folder: Path, bundle: Path, patients: list[str]) -> Path:
    folder.mkdir()
    figure = {"name": "AUC of COVID-19", "value": 0.9, "low": 0.8, "high": 0.95, "cases": 12}
    evaluation = {
        "patients": patients,
        "simulated": False,
        "bundle": {"weights_sha256": load_bundle(bundle).card.weights_sha256},
        "figures": [figure | {"data": "12 scans of the test part", "confidence": 0.95}],
    }
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    return folder


def test_the_card_tells_what_the_run_was(make_run: MakeRun, tmp_path: Path) -> None:
    card = load_bundle(package(make_run(), tmp_path / "bundle", LABEL)).card
    assert (card.name, card.version, card.licence) == ("COVNet of a test", "1.2", "CC0-1.0")
    assert card.training is Training.PATIENTS
    assert (card.use, card.intended_use) == (IntendedUse.CLINICAL, "Reads chests.")
    assert card.classes == CLASSES
    assert card.preprocessing == Preprocessing(size=192)
    assert "2 patients (3 scans) for training, 1 patients (1 scans) for validation" in (
        card.training_data
    )
    assert "stage 224, step 40" in card.training_data


def test_logits_are_divided_by_the_temperature(
    make_run: MakeRun, tmp_path: Path, weights: Bundle
) -> None:
    made = load_bundle(package(make_run(), tmp_path / "bundle", LABEL)).weights
    for name in ("fc.weight", "fc.bias"):
        assert torch.equal(made[name], weights.weights[name] / 2.0)
    assert torch.equal(made["conv1.weight"], weights.weights["conv1.weight"])


def test_the_biases_of_the_validation_are_added(
    make_run: MakeRun, tmp_path: Path, weights: Bundle
) -> None:
    run = make_run()
    best = json.loads((run / "best.json").read_text()) | {"biases": [0.5, 0.0, -0.5]}
    (run / "best.json").write_text(json.dumps(best))
    made = load_bundle(package(run, tmp_path / "bundle", LABEL)).weights
    expected = weights.weights["fc.bias"] / 2.0 + torch.tensor([0.5, 0.0, -0.5])
    assert torch.equal(made["fc.bias"], expected)


def test_simulated_lesions_make_a_demonstration_whatever_the_label_says(
    make_run: MakeRun, tmp_path: Path
) -> None:
    card = load_bundle(package(make_run(simulated=True), tmp_path / "bundle", LABEL)).card
    assert card.training is Training.DEMONSTRATION
    assert card.use is IntendedUse.DEMONSTRATION
    assert "clinical" not in card.intended_use.replace("No clinical meaning", "")
    assert card.identity.warning == (
        "DEMONSTRATION – trained on simulated lesions, no clinical meaning"
    )


def test_a_training_that_was_stopped_says_so(make_run: MakeRun, tmp_path: Path) -> None:
    card = load_bundle(package(make_run(state="stopped"), tmp_path / "bundle", LABEL)).card
    assert "stopped before its end" in card.training_data


def test_a_proof_of_the_evaluation_comes_into_the_card(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    judged = _evaluated(tmp_path / "eval", package(run, tmp_path / "first", LABEL), ["P4"])
    file = judged / "evaluation.json"
    written = json.loads(file.read_text())
    file.write_text(json.dumps(written | {"precision": [asdict(PROOF)]}))
    card = load_bundle(package(run, tmp_path / "second", LABEL, judged)).card
    assert card.precision == (replace(PROOF, weights_sha256=card.weights_sha256),)
    assert card.proven == {"openvino"}
    impossible = asdict(replace(PROOF, mean_change=0.5))
    file.write_text(json.dumps(written | {"precision": [impossible]}))
    with pytest.raises(PackagingError, match=r"precision on openvino: changes 0\.5 \(mean\)"):
        package(run, tmp_path / "third", LABEL, judged)


def test_figures_of_held_out_patients_come_into_the_card(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    first = package(run, tmp_path / "first", LABEL)
    evaluation = _evaluated(tmp_path / "evaluation", first, ["P4"])
    second = load_bundle(package(run, tmp_path / "second", LABEL, evaluation)).card
    (figure,) = second.metrics
    assert (figure.name, figure.value, figure.cases) == ("AUC of COVID-19", 0.9, 12)
    assert second.weights_sha256 == load_bundle(first).card.weights_sha256


@pytest.mark.parametrize("known", ["P1", "P3"])
def test_patients_that_were_learned_from_are_refused(
    make_run: MakeRun, tmp_path: Path, known: str
) -> None:
    """Those of validation too: the choice of the best weights depends on them."""
    run = make_run()
    evaluation = _evaluated(
        tmp_path / "evaluation", package(run, tmp_path / "first", LABEL), ["P4", known]
    )
    with pytest.raises(PackagingError, match=f"learned from: {known}"):
        package(run, tmp_path / "second", LABEL, evaluation)
    assert not (tmp_path / "second").exists()


def test_an_evaluation_of_other_weights_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    first = package(run, tmp_path / "first", LABEL)
    evaluation = _evaluated(tmp_path / "evaluation", first, ["P4"])
    with pytest.raises(PackagingError, match="evaluated were the weights"):
        package(run, tmp_path / "second", LABEL, evaluation, half=True)


def test_half_precision_halves_the_bundle(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    whole, half = (
        package(run, tmp_path / name, LABEL, half=name == "half") / "weights.safetensors"
        for name in ("whole", "half")
    )
    assert half.stat().st_size < 0.51 * whole.stat().st_size
    assert load_bundle(half.parent).weights["conv1.weight"].dtype == torch.float32


def test_what_is_no_run_is_named(tmp_path: Path, make_run: MakeRun) -> None:
    with pytest.raises(PackagingError, match=r"run\.json cannot be read"):
        package(tmp_path, tmp_path / "bundle", LABEL)
    run = make_run()
    (run / "best.safetensors").write_bytes(b"no weights")
    with pytest.raises(PackagingError, match=r"best\.safetensors cannot be read"):
        package(run, tmp_path / "bundle", LABEL)


def test_files_of_another_shape_are_told_with_all_that_is_wrong(
    tmp_path: Path, make_run: MakeRun
) -> None:
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "evaluation.json").write_text('{"figures": 3, "bundle": {}}')
    with pytest.raises(PackagingError) as caught:
        package(make_run(), tmp_path / "bundle", LABEL, tmp_path / "evaluation")
    assert caught.value.problems == (
        "evaluation.json: figures: 3 is given, but it must be a list, each a table",
        "evaluation.json: patients: is missing and must be a list, each text",
        "evaluation.json: bundle.weights_sha256: is missing and must be text",
    )


def test_a_run_of_no_task_is_refused(tmp_path: Path, make_run: MakeRun) -> None:
    with pytest.raises(
        PackagingError, match=r"run\.json: task: 'x' is given, but it must be one of"
    ):
        package(make_run(task="x"), tmp_path / "bundle", LABEL)


def test_a_folder_that_is_there_is_left_alone(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/mine.txt").write_text("kept")
    with pytest.raises((PackagingError, BundleError), match="bundle"):
        package(make_run(), tmp_path / "bundle", LABEL)
    assert [path.name for path in (tmp_path / "bundle").iterdir()] == ["mine.txt"]
