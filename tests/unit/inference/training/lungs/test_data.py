"""Slices of the task `lungs`: what is learned from is what the network sees in use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.bundles.bundle import load_bundle
from inference.errors import NoLungsError
from inference.lungs.lung_input import LungInput
from inference.lungs.network import LungNetwork
from inference.lungs.torch_backend import TorchUnet
from inference.networks.unet import Unet
from inference.regions import Side
from inference.training.augment import Augmentation
from inference.training.lungs.augmentation import augment_labelled, renamed
from inference.training.lungs.data import evenly, lung_slices
from inference.training.scan import LoadedScan
from support.bundles import LUNG_CARD, write_bundle
from support.labelled_scans import known_lungs, labelled
from support.orientations import AXIAL, Stored, stored, turned

SETTINGS = LungInput(size=48)
ALL = 1000
STILL = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def scan() -> LoadedScan:
    return labelled({})


def _stored(scan: LoadedScan, how: Stored) -> LoadedScan:
    return LoadedScan(stored(scan.volume, how), turned(known_lungs(scan), how))


@pytest.mark.parametrize("how", [AXIAL[0], AXIAL[5], AXIAL[7]], ids=str)
def test_the_images_are_those_that_the_network_sees_in_use(
    scan: LoadedScan, how: Stored, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    card = replace(LUNG_CARD, preprocessing=SETTINGS)
    weights = Unet(3, width=1).state_dict()
    bundle = load_bundle(write_bundle(tmp_path / "unet", card, weights))
    network = LungNetwork.load(bundle, "cpu", backend="torch")
    seen: list[torch.Tensor] = []
    assert isinstance(network._backend, TorchUnet)
    network._backend._network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    other_way = _stored(scan, how)
    network._labels(other_way.volume, lambda *_: None)
    images = lung_slices(other_way, SETTINGS, 3, ALL)["images"]
    used = torch.cat(seen)[:, 0]
    assert images.shape == used.shape
    assert float((images.float() / 255 - used).abs().max()) <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("how", AXIAL, ids=str)
def test_slices_and_sides_are_the_same_however_stored(scan: LoadedScan, how: Stored) -> None:
    plain, other = (lung_slices(s, SETTINGS, 3, 7) for s in (scan, _stored(scan, how)))
    assert torch.equal(plain["images"], other["images"])
    assert torch.equal(plain["labels"], other["labels"])


def test_right_lies_on_the_right_and_one_class_is_either(scan: LoadedScan) -> None:
    sides = lung_slices(scan, SETTINGS, 3, ALL)["labels"]
    lung = lung_slices(scan, SETTINGS, 2, ALL)["labels"]
    assert torch.equal(sides > 0, lung > 0)
    columns = torch.arange(48).expand_as(sides)
    assert int(columns[sides == Side.RIGHT].max()) < int(columns[sides == Side.LEFT].min())


def test_labels_hold_as_much_lung_as_the_mask(scan: LoadedScan) -> None:
    tensors = lung_slices(scan, SETTINGS, 2, ALL)
    share = float((tensors["labels"] > 0).float().mean())
    assert share == pytest.approx(float(known_lungs(scan).mean()), rel=0.02)
    assert tensors["lung_pixels"].tolist() == (tensors["labels"] > 0).sum(dim=(1, 2)).tolist()


@pytest.mark.parametrize(("length", "most"), [(5, 9), (9, 9), (300, 64), (1, 1)])
def test_chosen_slices_are_spread_evenly(length: int, most: int) -> None:
    chosen = evenly(length, most)
    assert len(chosen) == len(set(chosen.tolist())) == min(length, most)
    assert 0 <= chosen[0] <= length - 1 - chosen[-1] + 1 <= length
    assert np.ptp(np.diff(chosen)) <= 1 if len(chosen) > 1 else True


@pytest.mark.parametrize("empty", [True, False])
def test_a_scan_without_lungs_is_refused(scan: LoadedScan, empty: bool) -> None:
    lungs = np.zeros_like(known_lungs(scan)) if empty else None
    with pytest.raises(NoLungsError, match="lungs in the mask"):
        lung_slices(replace(scan, lungs=lungs), SETTINGS, 3, ALL)


def _batch(scan: LoadedScan) -> tuple[torch.Tensor, torch.Tensor]:
    tensors = lung_slices(scan, SETTINGS, 3, 6)
    return tensors["images"][:, None].float() / 255, tensors["labels"]


def test_augmentation_of_nothing_changes_nothing(scan: LoadedScan) -> None:
    images, labels = _batch(scan)
    random = np.random.Generator(np.random.PCG64(0))
    moved, named = augment_labelled(images, labels, 3, random, STILL)
    assert torch.allclose(moved, images, atol=1e-5)
    assert torch.equal(named, labels.long())


def test_a_mirrored_slice_keeps_its_right_on_the_right(scan: LoadedScan) -> None:
    images, labels = _batch(scan)
    random = np.random.Generator(np.random.PCG64(0))
    moved, named = augment_labelled(images, labels, 3, random, replace(STILL, flip=1.0))
    assert torch.allclose(moved, images.flip(3), atol=1e-5)
    columns = torch.arange(48).expand_as(named)
    assert int(columns[named == Side.RIGHT].max()) < int(columns[named == Side.LEFT].min())
    assert torch.equal(renamed(labels.long(), torch.zeros(6, dtype=torch.bool)), labels.long())


def test_labels_move_with_the_images_and_values_stay_in_range(scan: LoadedScan) -> None:
    images, labels = _batch(scan)
    random = np.random.Generator(np.random.PCG64(1))
    bounds = Augmentation(rotation_degrees=20.0, noise=0.0, brightness=0.0, contrast=0.0)
    moved, named = augment_labelled(images, labels, 3, random, bounds)
    assert 0 <= float(moved.min()) <= float(moved.max()) <= 1
    assert not torch.equal(named, labels.long())
    assert float((moved[:, 0][named > 0] < 0.4).float().mean()) > 0.95  # lung is 0.11, tissue 0.66
    assert float((moved[:, 0][labels > 0] < 0.4).float().mean()) < 0.9
