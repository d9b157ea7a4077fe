"""`dicomnode model train`: the real command, stopped, killed and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from inference.covnet.network import CLASSES
from inference.training.curves import read_curves
from support.evaluated_phantoms import Drawn, draw_scans
from support.wait import PATIENCE_SECONDS, wait_for

pytestmark = pytest.mark.long

QUICK = ["--stages", "32x4:5", "--device", "cpu", "--loop", "validate_every=2"]
SMALL = ["--loop", "tell_every=1", "--set", "slices_per_step=8"]
FINISHED, FAULT, STOPPED = 0, 2, 3


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan of each class for training and for validation; a patient for each part."""
    folder = tmp_path_factory.mktemp("scans")
    return draw_scans(
        folder,
        [
            Drawn(f"{split}{number}", f"patient of {split}", label, columns={"split": split})
            for split in ("training", "validation", "test")
            for number, label in enumerate(CLASSES)
        ],
    )


def command(manifest: Path, out: Path, *more: str) -> list[str]:
    asked = ["--task", "covnet", "--manifest", str(manifest), "--out", str(out)]
    return [sys.executable, "-m", "dicomnode", "model", "train", *asked, *QUICK, *SMALL, *more]


def run(manifest: Path, out: Path, *more: str) -> tuple[int, str]:
    """Exit status and what was told."""
    done = subprocess.run(
        command(manifest, out, *more),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    return done.returncode, done.stderr


def record(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "run.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def whole(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run from beginning to end."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    status, told = run(manifest, out)
    assert status == FINISHED, told
    assert "beginning: training 3 scans of 1 patients, validation 3 scans of 1 patients" in told
    return out


def test_a_run_leaves_weights_their_card_curves_and_a_record(whole: Path) -> None:
    told = record(whole)
    assert told["state"] == "finished"
    assert told["stages"] == [{"name": "32x4", "steps": 5, "done": 5}]
    assert told["patients"]["test"] == {"patient of test": ["test0", "test1", "test2"]}
    assert set(told["versions"]) >= {"dicomnode", "torch", "numpy", "python"}
    card = json.loads((whole / "best.json").read_text("utf-8"))
    assert card["preprocessing"]["size"] == 32
    assert card["classes"] == list(CLASSES)
    assert 1 <= card["temperature"] <= 20
    weights = load_file(whole / "best.safetensors")
    assert weights["fc.weight"].shape == (3, 2048)
    assert all(torch.isfinite(value).all() for value in weights.values())
    curves = read_curves(whole / "curves.csv")
    assert [step for step, _ in curves["loss"]] == [1, 2, 3, 4, 5]
    assert [step for step, _ in curves["validation accuracy"]] == [2, 4, 5]
    assert (whole / "curves.png").stat().st_size > 1000


def test_only_scans_that_are_learned_from_are_prepared(whole: Path) -> None:
    prepared = {path.name.partition("-")[0] for path in (whole / "cache").iterdir()}
    assert prepared == {f"{part}{n}" for part in ("training", "validation") for n in range(3)}


@pytest.mark.long
def test_a_killed_run_goes_on_and_ends_with_the_very_same_weights(
    manifest: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    started = subprocess.Popen(command(manifest, out), stderr=subprocess.DEVNULL, text=True)
    state = out / "checkpoint" / "state.json"
    wait_for(state.exists, "a checkpoint", 200)
    started.send_signal(signal.SIGKILL)
    assert started.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    assert record(out)["state"] == "begun"
    status, told = run(manifest, out)
    assert status == FINISHED, told
    assert "going on" in told
    one, other = (load_file(each / "best.safetensors") for each in (whole, out))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (whole / "curves.csv").read_text() == (out / "curves.csv").read_text()


def test_a_run_that_is_asked_to_stop_stops_between_two_steps(
    manifest: Path, tmp_path: Path
) -> None:
    out, told = tmp_path / "stopped", tmp_path / "told.txt"
    with told.open("w") as file:
        started = subprocess.Popen(
            command(manifest, out, "--loop", "validate_every=100", "--stages", "32:5000"),
            env=os.environ | {"PYTHONFAULTHANDLER": "1"},
            stderr=file,
        )
    curves = out / "curves.csv"

    def has_begun() -> bool:
        assert started.poll() is None, told.read_text()
        return curves.exists() and ",loss," in curves.read_text()

    try:
        wait_for(has_begun, "a step", 100)
    except AssertionError as error:
        started.send_signal(signal.SIGABRT)  # it tells where each thread stands
        started.wait(PATIENCE_SECONDS)
        raise AssertionError(f"{error}\n{told.read_text()}") from error
    started.terminate()
    assert started.wait(PATIENCE_SECONDS) == STOPPED
    left = record(out)
    assert left["state"] == "stopped"
    (stage,) = left["stages"]
    assert 1 <= stage["done"] < 5000


def test_a_folder_of_another_run_is_refused(manifest: Path, whole: Path) -> None:
    status, told = run(manifest, whole, "--seed", "7")
    assert status == FAULT
    assert "holds another run: settings.seed was 0, now 7; loop.seed was 0, now 7" in told
    assert record(whole)["state"] == "finished"


def test_all_scans_that_cannot_be_trained_on_are_told_before_it_starts(tmp_path: Path) -> None:
    manifest = draw_scans(
        tmp_path,
        [
            Drawn("a", "p1", CLASSES[0], columns={"split": "training"}),
            Drawn("b", "p1", CLASSES[1], lungs=False, columns={"split": "training"}),
            Drawn("c", "p1", CLASSES[2], lungs=False, columns={"split": "training"}),
            Drawn("d", "p2", CLASSES[2], columns={"split": "validation"}),
        ],
    )
    status, told = run(manifest, tmp_path / "run", "--set", "given_lungs=0")
    assert status == FAULT
    assert "manifest manifest.csv: 2 problem(s)" in told
    assert "scan b: lung volume" in told
    assert "scan c: lung volume" in told
    assert not (tmp_path / "run" / "best.json").exists()


def test_what_cannot_be_asked_for_is_told_in_a_line(manifest: Path, tmp_path: Path) -> None:
    status, told = run(manifest, tmp_path / "run", "--stages", "100:4")
    assert status == FAULT
    assert "train: stage '100': size 100 is not a multiple of 32 from 32 to 1024" in told
    assert not (tmp_path / "run").exists()
