"""A U-net for lungs: it learns a phantom here, and finds its lungs however it is stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate

from inference.bundles.bundle import Bundle, load_bundle
from inference.bundles.tasks import LUNG_CLASSES
from inference.covnet.engine import Engine
from inference.errors import BundleError, NoLungsError
from inference.lungs import finder, thresholds
from inference.lungs import network as network_module
from inference.lungs.chest import CoarseChest, coarse_chest
from inference.lungs.finder import LungFinder
from inference.lungs.network import LungNetwork
from inference.lungs.thresholds import segment_lungs
from inference.networks.unet import Unet
from inference.regions import Side
from inference.volume import CtVolume
from support.bundles import LUNG_CARD, write_bundle
from support.chest_volume import TISSUE_HU, Chest, airways, chest, dice
from support.orientations import AXIAL, Stored, stored, turned
from support.untrained import make_untrained_bundle

SIZE = 48
STEPS, RATE = 60, 3e-3


def _truth(drawn: Chest) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    sides = np.where(drawn.x < 0, Side.RIGHT, Side.LEFT) * drawn.lungs
    return sides.astype(np.uint8)


def _learned(drawn: Chest) -> Unet:
    torch.manual_seed(0)
    network = Unet(3)
    hu = torch.from_numpy(drawn.hu.astype(np.float32))[:, None]
    images = ((hu + 1024) / 1624).clamp(0, 1)
    images = interpolate(images, (SIZE, SIZE), mode="bilinear", antialias=True)
    truth = torch.from_numpy(_truth(drawn).astype(np.float32))[:, None]
    labels = interpolate(truth, (SIZE, SIZE), mode="nearest")[:, 0].long()
    parameters = list(network.parameters())
    first, second = ([torch.zeros_like(each) for each in parameters] for _ in range(2))
    for step in range(1, STEPS + 1):
        slopes = torch.autograd.grad(cross_entropy(network(images), labels), parameters)
        with torch.no_grad():
            for each, m, v, slope in zip(parameters, first, second, slopes, strict=True):
                _adam(each, m, v, slope, step)
    return network


def _adam(parameter: Tensor, m: Tensor, v: Tensor, slope: Tensor, step: int) -> None:
    """Kingma & Ba 2014, algorithm 1; by hand, as to import torch's takes longer than all steps."""
    m.mul_(0.9).add_(slope, alpha=0.1)
    v.mul_(0.999).addcmul_(slope, slope, value=0.001)
    corrected = (v / (1 - 0.999**step)).sqrt_().add_(1e-8)
    parameter.addcdiv_(m / (1 - 0.9**step), corrected, value=-RATE)


@pytest.fixture(scope="module")
def drawn() -> Chest:
    return chest((20.0, 4.0, 4.0))


@pytest.fixture(scope="module")
def folder(drawn: Chest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    weights = _learned(drawn).state_dict()
    return write_bundle(tmp_path_factory.mktemp("lungs") / "unet", LUNG_CARD, weights)


@pytest.fixture(scope="module")
def network(folder: Path) -> LungNetwork:
    return LungNetwork.load(load_bundle(folder), "cpu")


@pytest.mark.parametrize("how", AXIAL, ids=str)
def test_lungs_and_their_sides_however_it_is_stored(
    network: LungNetwork, drawn: Chest, how: Stored
) -> None:
    volume, truth = stored(drawn.volume(), how), turned(_truth(drawn), how)
    found = network.segment(volume)
    for side in Side:
        assert dice(found == side, truth == side) > 0.9


def test_the_airways_come_out(network: LungNetwork, drawn: Chest) -> None:
    found = network.segment(drawn.volume())
    assert not (found[airways(drawn)] > 0).any()


def test_what_the_network_sees_beside_the_lungs_is_too_small_to_stay(
    network: LungNetwork, drawn: Chest
) -> None:
    spotted = drawn.volume().hu.copy()
    spotted[0, 30:32, 40:42] = -850
    found = network.segment(replace(drawn.volume(), hu=spotted))
    assert not found[0].any()


def test_a_body_without_lungs_is_refused(network: LungNetwork, drawn: Chest) -> None:
    hu = np.where(drawn.lungs, np.int16(TISSUE_HU), drawn.hu)
    with pytest.raises(NoLungsError, match="lung volume"):
        network.segment(replace(drawn.volume(), hu=hu))


def test_lung_alone_as_a_class_gets_its_sides_by_place(
    folder: Path, drawn: Chest, tmp_path: Path
) -> None:
    weights = dict(load_bundle(folder).weights)
    for name in ("last.weight", "last.bias"):
        background, right, left = weights[name]
        weights[name] = torch.stack((background, torch.maximum(right, left)))
    card = replace(LUNG_CARD, classes=LUNG_CLASSES[0])
    made = load_bundle(write_bundle(tmp_path / "two", card, weights))
    found = LungNetwork.load(made, "cpu").segment(drawn.volume())
    assert (found[drawn.lungs & (found > 0)] == _truth(drawn)[drawn.lungs & (found > 0)]).all()
    assert dice(found > 0, drawn.lungs) > 0.7


def test_folding_the_batchnorms_changes_nothing_and_happens_once() -> None:
    torch.manual_seed(1)
    plain, folded = Unet(2).double().eval(), Unet(2).double()
    folded.load_state_dict(plain.state_dict())
    folded.fold()
    x = torch.rand(1, 1, 32, 48, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(folded(x), plain(x), rtol=1e-9)
        assert plain(x).shape == (1, 2, 32, 48)
    with pytest.raises(TypeError, match="folded already"):
        folded.fold()


@pytest.fixture(scope="module")
def covnet(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(make_untrained_bundle(tmp_path_factory.mktemp("covnet") / "bundle"))


def test_the_finder_checks_the_network_by_the_classical_method(
    network: LungNetwork, drawn: Chest
) -> None:
    found = LungFinder(network).find(drawn.volume())
    assert found.model == network.identity
    assert found.classical_dice is not None
    assert 0.9 < found.classical_dice <= 1.0
    assert (found.mask == (network.segment(drawn.volume()) > 0)).all()
    classical = segment_lungs(drawn.volume())
    assert found.classical_dice == pytest.approx(dice(found.mask, classical))


def test_the_body_is_looked_for_once(
    network: LungNetwork, drawn: Chest, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = list[CtVolume]()

    def watched(volume: CtVolume) -> CoarseChest:
        looked.append(volume)
        return coarse_chest(volume)

    for module in (finder, network_module, thresholds):
        monkeypatch.setattr(module, "coarse_chest", watched)
    LungFinder(network).find(drawn.volume())
    assert len(looked) == 1


def test_the_engines_find_the_same_lungs(folder: Path, drawn: Chest) -> None:
    one, other = (
        LungNetwork.load(load_bundle(folder), "cpu", backend=backend)
        for backend in ("openvino", "torch")
    )
    assert (one.backend, other.backend) == ("openvino", "torch")
    assert dice(one.segment(drawn.volume()) > 0, other.segment(drawn.volume()) > 0) > 0.9999


def test_a_bundle_of_another_task_is_refused(folder: Path, covnet: Bundle) -> None:
    with pytest.raises(BundleError, match="'covnet' is not 'lungs'"):
        LungNetwork.load(covnet, "cpu")
    with pytest.raises(BundleError, match="'lungs' is not 'covnet'"):
        Engine.load(load_bundle(folder), "cpu")
