"""`dicomnode model`: the real command, on bundles of each kind."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from dicomnode.config.reading import load_settings
from dicomnode.errors import ConfigurationError
from inference.bundles.bundle import CARD, load_bundle
from inference.bundles.card import Metric
from inference.covnet.engine import Engine
from inference.errors import BundleError
from inference.findings import IntendedUse, Training
from inference.networks.unet import Unet
from support.bundles import LUNG_CARD, WEIGHTS, write_bundle
from support.command import app
from support.untrained import make_untrained_bundle

METRIC = Metric("Dice", 0.97, 0.96, 0.98, "40 held-out patients", 40)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration, an untrained COVNet and a U-net for lungs."""
    folder = tmp_path_factory.mktemp("node")
    torch.manual_seed(0)
    card = replace(
        LUNG_CARD, training=Training.PATIENTS, use=IntendedUse.RESEARCH, metrics=(METRIC,)
    )
    write_bundle(folder / "unet", card, Unet(3).state_dict())
    make_untrained_bundle(folder / "whole")
    (folder / "dicomnode.toml").write_text(
        '[node]\ndata_directory = "data"\n'
        '[inference]\nmethods = [{ bundle = "whole" }]\nlungs_bundle = "unet"\n'
        'intended_use_here = "research"\n'
    )
    return folder


def run(node: Path, *arguments: str) -> tuple[int, Any]:
    """Exit status and JSON of one command."""
    config = ["--config", str(node / "dicomnode.toml"), "--json"]
    done = CliRunner().invoke(app, ["model", *arguments, *config], catch_exceptions=False)
    return done.exit_code, json.loads(done.output) if done.output else None


def copied(node: Path, target: Path) -> Path:
    return shutil.copytree(node, target, copy_function=os.link)


def test_list_names_the_configured_bundles_and_what_results_will_say(node: Path) -> None:
    status, found = run(node, "list")
    assert status == 0
    assert [each["configured_for"] for each in found] == ["covnet", "lungs"]
    assert found[0]["warning"].startswith("UNTRAINED")
    assert found[1]["warning"] is None


def test_check_verifies_the_weights_of_all(node: Path) -> None:
    status, found = run(node, "check")
    assert status == 0
    assert [each["problems"] for each in found] == [[], []]


def test_show_gives_the_whole_card(node: Path) -> None:
    _, found = run(node, "show", "lungs")
    assert found["card"]["metrics"][0]["low"] == 0.96
    assert found["card"]["preprocessing"]["size"] == 48


@pytest.mark.parametrize("command", ["list", "check", "show"])
def test_the_tables_name_the_model(node: Path, command: str) -> None:
    config = ["--config", str(node / "dicomnode.toml")]
    done = CliRunner().invoke(app, ["model", command, *config], catch_exceptions=False)
    assert done.exit_code == 0
    assert "COVNet untrained" in done.output


def test_a_changed_weight_is_found_by_check(node: Path, tmp_path: Path) -> None:
    other = copied(node, tmp_path / "node")
    weights = (other / "unet" / WEIGHTS).read_bytes()
    (other / "unet" / WEIGHTS).unlink()
    (other / "unet" / WEIGHTS).write_bytes(weights[:-1] + b"\x01")
    status, found = run(other, "check", "lungs")
    assert status == 1
    assert "the card says" in found[0]["problems"][0]


def test_a_bundle_for_another_task_is_found_by_list(node: Path, tmp_path: Path) -> None:
    other = copied(node, tmp_path / "node")
    methods = '[{ bundle = "whole" }, { bundle = "unet", task = "regions" }]'
    (other / "dicomnode.toml").unlink()
    (other / "dicomnode.toml").write_text(f"[inference]\nmethods = {methods}\n")
    _, found = run(other, "list")
    assert found[1]["problems"] == ["is for the task 'lungs', configured for 'regions'"]


@pytest.mark.parametrize(
    ("methods", "problem"),
    [
        ('[{ bundle = "unet" }]', "is for the task 'lungs', configured for 'any method'"),
        ('[{ bundle = "whole" }, { bundle = "whole" }]', "whole is configured for 'covnet', too"),
    ],
)
def test_what_a_node_would_not_start_with_is_found_by_check(
    node: Path, tmp_path: Path, methods: str, problem: str
) -> None:
    other = copied(node, tmp_path / "node")
    (other / "dicomnode.toml").unlink()
    (other / "dicomnode.toml").write_text(f"[inference]\nmethods = {methods}\n")
    status, found = run(other, "check")
    assert status == 1
    assert found[-1]["problems"] == [problem]


def test_what_is_no_bundle_is_named(node: Path) -> None:
    with pytest.raises(ConfigurationError, match="no bundle 'nothing'"):
        run(node, "show", "nothing")


def test_the_same_checks_hold_at_the_start_of_a_node(node: Path, tmp_path: Path) -> None:
    from dicomnode.methods.bundles import load_bundles, models_digest

    other = copied(node, tmp_path / "node")
    settings = load_settings(other / "dicomnode.toml")
    assert sorted(load_bundles(settings)) == ["covnet", "lungs"]
    before = models_digest(settings)
    changed = replace(load_bundle(other / "unet").card, classes=("background", "lung"))
    (other / "unet" / CARD).unlink()
    (other / "unet" / CARD).write_text(changed.as_toml())
    assert models_digest(settings) != before
    with pytest.raises(BundleError, match=r"last\.weight is \(3, 16, 1, 1\), not \(2, 16, 1, 1\)"):
        load_bundles(settings)


def test_a_node_analyses_with_all_that_is_configured(node: Path) -> None:
    from dicomnode.methods.bundles import load_engines

    (engine,) = load_engines(load_settings(node / "dicomnode.toml")).methods
    assert isinstance(engine, Engine)
    assert engine.backend == "openvino"
    assert engine.identity.use is IntendedUse.DEMONSTRATION  # the lesser of card and site
    assert not (node / "data" / "compiled-models").exists()  # nothing compiled is kept
