"""Augmentation: what it does, and what it must leave alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from inference.training.augment import (
    Augmentation,
    change_values,
    draw_geometry,
    draw_intensity,
    move,
)

NONE = Augmentation(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def chance(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def lungs() -> Tensor:
    """Two images (2, 1, 32, 32) of values from 0.2 to 0.8 within a disc, 0 outside."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    inside = (x**2 + y**2 < 0.64).float()
    return torch.stack([(0.5 + 0.3 * x) * inside, (0.5 + 0.3 * y) * inside])[:, None]


def test_none_of_everything_changes_nothing() -> None:
    images = lungs()
    moved = move(images, draw_geometry(NONE, 2, chance()))
    assert torch.allclose(moved, images, atol=1e-5)
    changed = change_values(images, draw_intensity(NONE, 2, chance()), 0)
    assert torch.allclose(changed, images, atol=1e-6)


@given(st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_values_stay_from_0_to_1_and_outside_the_lungs_0(seed: int) -> None:
    images = lungs()
    strong = Augmentation(contrast=0.9, brightness=0.5, noise=0.5, sharpness=3.0)
    changed = change_values(images, draw_intensity(strong, 2, chance(seed)), seed)
    assert float(changed.min()) >= 0.0
    assert float(changed.max()) <= 1.0
    assert not changed[images == 0].any()


def test_a_flip_is_from_left_to_right_and_nothing_else() -> None:
    matrices = draw_geometry(replace(NONE, flip=1.0), 2, chance())
    images = lungs()
    assert torch.allclose(move(images, matrices), images.flip(3), atol=1e-5)


def test_images_and_lesions_are_moved_alike() -> None:
    """A lesion map of a quarter of the edge stays on its lesion, however it is turned."""
    images = torch.zeros((1, 1, 64, 64))
    images[0, 0, 8:24, 36:52] = 1.0
    maps = torch.zeros((1, 1, 16, 16))
    maps[0, 0, 2:6, 9:13] = 1.0
    for seed in range(20):
        matrices = draw_geometry(Augmentation(), 1, chance(seed))
        coarse = torch.nn.functional.avg_pool2d(move(images, matrices), 4)
        moved = move(maps, matrices)
        assert float((coarse - moved).abs().mean()) < 0.02
        assert float(moved.sum()) == pytest.approx(float(coarse.sum()), rel=0.1)


def test_rotation_and_scale_are_within_their_bounds() -> None:
    bounds = replace(NONE, rotation_degrees=10.0, scale=0.12)
    matrices = draw_geometry(bounds, 5000, chance()).numpy()[:, :, :2]
    grown = 1 / np.sqrt(np.linalg.det(matrices))
    turned = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    assert 1 / 1.121 < grown.min() < 0.9
    assert 1.11 < grown.max() < 1.121
    assert 9.8 < abs(turned).max() < 10.001
    assert abs(turned.mean()) < 0.3


def test_contrast_spreads_about_the_middle_and_brightness_shifts() -> None:
    images = lungs()
    inside = images > 0
    spread = change_values(images, torch.tensor([[1.2, 0.0, 0.0, 0.0]] * 2), 0)
    shifted = change_values(images, torch.tensor([[1.0, 0.05, 0.0, 0.0]] * 2), 0)
    assert float(spread[inside].std()) == pytest.approx(1.2 * float(images[inside].std()), rel=1e-3)
    assert float((shifted - images)[inside].mean()) == pytest.approx(0.05, abs=1e-4)


def test_noise_is_as_strong_as_drawn_and_the_same_for_the_same_seed() -> None:
    images = torch.full((1, 1, 64, 64), 0.5)
    drawn = torch.tensor([[1.0, 0.0, 0.0, 0.03]])
    noisy = change_values(images, drawn, 7)
    assert float(noisy.std()) == pytest.approx(0.03, rel=0.05)
    assert torch.equal(noisy, change_values(images, drawn, 7))
    assert not torch.equal(noisy, change_values(images, drawn, 8))


def test_negative_sharpness_blurs_and_positive_sharpens() -> None:
    images = torch.rand((1, 1, 32, 32), generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    blurred = change_values(images, torch.tensor([[1.0, 0.0, -0.6, 0.0]]), 0)
    sharp = change_values(images, torch.tensor([[1.0, 0.0, 0.6, 0.0]]), 0)
    assert float(blurred.std()) < 0.7 * float(images.std()) < 0.7 * float(sharp.std())
