"""What is chosen from a manifest, and all that can be wrong with it, before any scan is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dicomnode.weights.evaluation_plan import (
    EvaluationRequest,
    case_classes,
    plan_evaluation,
)
from dicomnode.weights.manifest import SIMULATION
from inference.bundles.bundle import CARD
from inference.bundles.card import Card
from inference.bundles.tasks import NO_INFECTION
from inference.covnet.network import CLASSES
from inference.covnet.preprocess import Preprocessing
from inference.errors import EvaluationError
from inference.location_attention.network import CLASSES as REGION_CLASSES
from inference.training.scan import Split
from inference.training.split import draw_splits
from support.bundles import LUNG_CARD

COVNET_CARD = replace(
    LUNG_CARD, name="Net", task="covnet", classes=CLASSES, preprocessing=Preprocessing()
)
PATIENTS = [f"p{number}" for number in range(20)]


def bundle(folder: Path, card: Card = COVNET_CARD) -> Path:
    """A card alone: the weights are looked at when they are loaded."""
    folder.mkdir()
    (folder / CARD).write_text(card.as_toml(), "utf-8")
    return folder


def manifest(folder: Path, lines: list[str], columns: str = "scan,patient,path,label") -> Path:
    for line in lines:
        (folder / line.split(",")[2]).touch()
    file = folder / "scans.csv"
    file.write_text("\n".join([columns, *lines]) + "\n", "utf-8")
    return file


@pytest.fixture
def request_(tmp_path: Path) -> EvaluationRequest:
    """Two scans a patient, no split in the manifest."""
    lines = [
        f"{patient}-{time},{patient},{patient}-{time}.nii,{CLASSES[number % 3]}"
        for number, patient in enumerate(PATIENTS)
        for time in (1, 2)
    ]
    scans = manifest(tmp_path, lines)
    return EvaluationRequest(bundle(tmp_path / "bundle"), scans, tmp_path / "out")


@pytest.mark.parametrize("split", list(Split))
@pytest.mark.parametrize("seed", [0, 7])
def test_open_splits_are_those_of_the_training(
    request_: EvaluationRequest, split: Split, seed: int
) -> None:
    plan = plan_evaluation(replace(request_, split=split, seed=seed))
    drawn = draw_splits(dict.fromkeys(PATIENTS), seed)
    assert set(plan.patients) == {patient for patient, part in drawn.items() if part is split}
    assert len(plan.rows) == 2 * len(plan.patients)
    assert {row.split for row in plan.rows} == {split}


def test_all_scans_know_their_split(request_: EvaluationRequest) -> None:
    plan = plan_evaluation(replace(request_, split=None))
    assert len(plan.rows) == 40
    assert {row.split for row in plan.rows} == set(Split)
    assert plan.data(["a", "a", "b"]) == "3 scans of 2 patient(s), all of scans.csv"


def test_the_simulators_mark_is_seen_and_can_be_overruled(request_: EvaluationRequest) -> None:
    assert not plan_evaluation(request_).simulated
    (request_.manifest.parent / SIMULATION).write_text("{}")
    plan = plan_evaluation(request_)
    assert plan.simulated
    assert plan.data("abb").startswith(
        "3 scans with simulated lesions of 2 patient(s), the test part"
    )
    assert not plan_evaluation(replace(request_, simulated=False)).simulated


def test_the_folder_for_the_outcome_is_made(request_: EvaluationRequest) -> None:
    plan_evaluation(replace(request_, out=request_.out / "deep" / "er"))
    assert (request_.out / "deep" / "er").is_dir()


def test_labels_are_those_of_the_bundle(request_: EvaluationRequest, tmp_path: Path) -> None:
    two = bundle(tmp_path / "two", replace(COVNET_CARD, classes=(CLASSES[0], CLASSES[2])))
    with pytest.raises(EvaluationError) as caught:
        plan_evaluation(replace(request_, bundle=two))
    assert len(caught.value.problems) == 2 * len(PATIENTS[1::3])
    assert all(f"label {CLASSES[1]!r} is unknown" in each for each in caught.value.problems)


def test_classes_that_no_result_can_name_are_refused(
    request_: EvaluationRequest, tmp_path: Path
) -> None:
    odd = bundle(tmp_path / "odd", replace(COVNET_CARD, classes=("plague", *CLASSES[1:])))
    with pytest.raises(EvaluationError, match="class 'plague' has no code"):
        plan_evaluation(replace(request_, bundle=odd))


def test_every_fault_is_told_at_once(request_: EvaluationRequest, tmp_path: Path) -> None:
    lines = ["x,p,x.nii,plague,test", "y,p,y.nii,COVID-19,training", "x,q,x.txt,COVID-19,never"]
    bad = manifest(tmp_path, lines, "scan,patient,path,label,split")
    with pytest.raises(EvaluationError) as caught:
        plan_evaluation(replace(request_, manifest=bad, against=tmp_path / "none"))
    told = str(caught.value)
    for part in (
        "label 'plague' is unknown",
        "patient p is in several splits",
        "scan x comes 2 times",
        "split: 'never' is given",
        "neither a folder nor a NIfTI file",
        "none/probabilities.csv: No such file",
    ):
        assert part in told


def test_a_missing_package_is_told_with_the_extra_that_has_it(
    request_: EvaluationRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomnode.weights.evaluation_plan.find_spec", lambda _: None)
    with pytest.raises(EvaluationError) as caught:
        plan_evaluation(request_)
    assert caught.value.problems == (
        "matplotlib is not installed, which draws the plots: pip install 'dicomnode[train]'",
        "scipy is not installed, which has the statistics: pip install 'dicomnode[train]'",
    )


def test_a_lung_network_asks_for_masks_not_for_labels(tmp_path: Path) -> None:
    lines = [f"{scan},p{scan},{scan}.nii,test" for scan in "abc"]
    scans = manifest(tmp_path, lines, "scan,patient,path,split")
    request = EvaluationRequest(bundle(tmp_path / "b", LUNG_CARD), scans, tmp_path / "out")
    with pytest.raises(EvaluationError) as caught:
        plan_evaluation(request)
    assert caught.value.problems == tuple(
        f"scan {scan}: no lungs to compare with" for scan in "abc"
    )


def test_cases_of_location_attention_end_with_none_found() -> None:
    assert case_classes("regions", REGION_CLASSES) == (*REGION_CLASSES[:2], NO_INFECTION)
    assert case_classes("covnet", CLASSES) == CLASSES
