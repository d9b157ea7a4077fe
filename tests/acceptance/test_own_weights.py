"""From labelled scans to a node that serves with the weights: the way a hospital would go."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from dicomnode.weights.nifti import write_nifti
from inference.bundles.bundle import load_bundle
from inference.findings import Training
from storage.records import SeriesState
from support.chest_volume import chest
from support.command import app
from support.node import Node
from support.pacs import running_pacs
from support.phantom import series_uid, write_series
from support.wait import PATIENCE_SECONDS, wait_for

pytestmark = pytest.mark.long

WARNING = "DEMONSTRATION – trained on simulated lesions, no clinical meaning"
SPLITS = ("training", "validation", "test")
QUICK = ["--stages", "64x1:12", "--loop", "validate_every=4", "--set", "slices_per_step=8"]
TWO_MINUTES = ["--stages", "64x1:60,96x8:20", "--loop", "validate_every=20"]
LABEL = ["--name", "COVNet of a test", "--version", "1", "--licence", "CC0-1.0"]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans of three drawn chests with painted lesions, and the manifest of those for COVNet."""
    folder = tmp_path_factory.mktemp("simulated")
    volume = chest((7.0, 2.8, 2.8)).volume()
    lines = ["scan,patient,path,split"]
    for number, split in enumerate(SPLITS):
        grain = np.random.default_rng(number).normal(0, 20, volume.hu.shape)
        hu = (volume.hu + grain).clip(-1024, 3000).astype(np.int16)
        write_nifti(folder / f"host{number}.nii.gz", hu, volume.affine)
        lines.append(f"host{number},p{number},host{number}.nii.gz,{split}")
    (folder / "hosts.csv").write_text("\n".join(lines) + "\n")
    out = folder / "scans"
    done = model("simulate", "--hosts", folder / "hosts.csv", "--out", out, "--scans", 12)
    assert done.exit_code == 0, done.output
    return out / "covnet.csv"


def model(*arguments: object) -> Result:
    """`dicomnode model` with its arguments."""
    return CliRunner().invoke(app, ["model", *map(str, arguments)])


def training(manifest: Path, run: Path, options: list[str]) -> subprocess.Popen[str]:
    """`dicomnode model train` as a process that can be killed."""
    command = [sys.executable, "-m", "dicomnode", "model", "train", "--task", "covnet"]
    command += ["--manifest", str(manifest), "--out", str(run), "--device", "cpu", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope="module", params=[QUICK, pytest.param(TWO_MINUTES, marks=pytest.mark.slow)])
def run(
    simulated: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A training that was killed after its first checkpoint, and went on to its end."""
    folder = tmp_path_factory.mktemp("run") / "covnet"
    first = training(simulated, folder, request.param)
    wait_for((folder / "checkpoint/state.json").exists, "a checkpoint", 240)
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=PATIENCE_SECONDS)
    assert first.returncode == -signal.SIGKILL
    second = training(simulated, folder, request.param)
    told, _ = second.communicate(timeout=PATIENCE_SECONDS)
    assert second.returncode == 0, told
    assert "going on" in told
    return folder


@pytest.fixture(scope="module")
def bundle(run: Path, simulated: Path) -> Path:
    """The bundle with the figures of its own evaluation in the card."""
    first, evaluation, second = (run.parent / name for name in ("first", "evaluation", "second"))
    packaged = model("package", "--run", run, "--out", first, *LABEL)
    assert packaged.exit_code == 0, packaged.output
    judged = model("evaluate", "--bundle", first, "--manifest", simulated, "--out", evaluation)
    assert judged.exit_code == 0, judged.output
    again = model("package", "--run", run, "--out", second, "--evaluation", evaluation, *LABEL)
    assert again.exit_code == 0, again.output
    return second


def test_the_run_tells_what_it_was(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    assert record["state"] == "finished"
    assert record["simulated"] is True
    assert [list(record["patients"][split]) for split in SPLITS] == [["p0"], ["p1"], ["p2"]]
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_card_is_filled_from_the_run_and_the_evaluation(bundle: Path) -> None:
    card = load_bundle(bundle).card
    assert card.training is Training.DEMONSTRATION
    assert card.identity.warning == WARNING
    assert "lesions painted by a simulator" in card.training_data
    assert {figure.cases for figure in card.metrics} <= set(range(1, 13))
    assert any(figure.name.startswith("accuracy") for figure in card.metrics)


def test_patients_that_were_learned_from_make_no_figures(
    run: Path, bundle: Path, simulated: Path, tmp_path: Path
) -> None:
    judged = model(
        *("evaluate", "--bundle", bundle, "--manifest", simulated, "--out", tmp_path / "known"),
        *("--split", "training"),
    )
    assert judged.exit_code == 0, judged.output
    refused = model(
        *("package", "--run", run, "--out", tmp_path / "bundle"),
        *("--evaluation", tmp_path / "known", *LABEL),
    )
    assert "evaluated on patients that were learned from: p0" in str(refused.exception)
    assert not (tmp_path / "bundle").exists()


def test_a_node_serves_with_it_and_says_what_it_is(bundle: Path, tmp_path: Path) -> None:
    files = write_series(tmp_path / "series")
    toml = (
        f'[completeness]\nquiet_seconds = 1.0\n[inference]\nmethods = [{{ bundle = "{bundle}" }}]\n'
    )
    with running_pacs() as pacs:
        node = Node(tmp_path / "node", [pacs.destination], toml)
        try:
            node.start()
            wait_for(lambda: WARNING in node.log, "the log says what the weights are")
            node.send(files)
            detail = node.wait_until_ended(series_uid(files))
        finally:
            node.close()
        assert detail.series.state is SeriesState.ANALYSED
        (report,) = [each for each in pacs.received if each.Modality == "SR"]
        assert WARNING.partition(" – ")[2] in report.to_json()  # JSON escapes the dash
