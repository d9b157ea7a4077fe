"""Bundles of location attention, whose networks may be narrower than the paper's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from inference.bundles.bundle import load_bundle, weights_problems
from inference.bundles.tasks import TASKS, WIDEST
from inference.errors import BundleError
from inference.findings import Training
from inference.location_attention.network import CLASSES, LocationAttention
from inference.location_attention.preprocess import RegionPreprocessing
from inference.networks.vnet import WIDTH
from inference.training.regions.initial import draw_like
from support.bundles import write_bundle
from support.untrained_regions import make_untrained_region_bundle

WIDTH_FROM = "segmenter.vnet.left1.activation.weight"
SETTINGS = RegionPreprocessing(score_threshold=0.05)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "regions"
    return make_untrained_region_bundle(folder, seed=3, width=2, settings=SETTINGS)


def test_the_untrained_bundle_says_what_it_is(made: Path) -> None:
    bundle = load_bundle(made)
    assert (bundle.card.task, bundle.card.classes) == ("regions", CLASSES)
    assert bundle.card.training is Training.UNTRAINED
    assert bundle.card.preprocessing == SETTINGS
    assert len(bundle.weights[WIDTH_FROM]) == 2


def test_the_network_is_as_wide_as_its_weights(made: Path) -> None:
    weights = load_bundle(made).weights
    with torch.device("meta"):
        network = TASKS["regions"].build(3, weights)
    network.load_state_dict(dict(weights), strict=True, assign=True)
    drawn = draw_like(LocationAttention(width=2), seed=3)
    assert all(torch.equal(value, drawn[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("odd", [None, torch.zeros(0), torch.zeros(WIDEST + 1), torch.zeros(2, 2)])
def test_weights_that_tell_no_width_are_measured_against_the_papers(
    odd: torch.Tensor | None,
) -> None:
    with torch.device("meta"):
        network = TASKS["regions"].build(3, {} if odd is None else {WIDTH_FROM: odd})
    assert len(network.state_dict()[WIDTH_FROM]) == WIDTH


def test_a_network_wide_here_and_narrow_there_is_refused_by_name(made: Path) -> None:
    weights = dict(load_bundle(made).weights)
    weights["segmenter.vnet.bottom.activation.weight"] = torch.zeros(16)
    assert weights_problems(weights, 3, "regions") == (
        "segmenter.vnet.bottom.activation.weight is (16,), not (32,)",
    )


def test_a_class_more_than_outputs_is_refused(made: Path, tmp_path: Path) -> None:
    bundle = load_bundle(made)
    card = replace(bundle.card, classes=("a", *bundle.card.classes))
    folder = write_bundle(tmp_path / "four", card, bundle.weights)
    with pytest.raises(BundleError, match=r"fc3\.weight is \(3, 32\), not \(4, 32\)"):
        load_bundle(folder)
