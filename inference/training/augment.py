"""Augmentation of bags of slices, in batches on the network's device.

All parameters are drawn by numpy from the step's own generator; noise comes from a generator of
the device, seeded by it. Flips are left to right in the image, heart and all: the paper's "flips";
a flip of front and back would put what gravity collects where it never lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample


@dataclass(frozen=True)
class Augmentation:
    """How much of each at most; 0 is none. Drawn once for all slices of a scan."""

    flip: float = 0.5
    """Probability of a flip from left to right."""
    rotation_degrees: float = 10.0
    scale: float = 0.12
    """Part by which the image grows or shrinks."""
    shift: float = 0.06
    """Part of the image's edge."""
    contrast: float = 0.15
    """Part by which values spread about their middle."""
    brightness: float = 0.04
    """Of the window's width: 0.04 of 1500 HU is 60 HU."""
    noise: float = 0.03
    """Largest standard deviation, of the window's width."""
    sharpness: float = 0.6
    """How much of the difference to the blurred image is added or taken away."""


def draw_geometry(settings: Augmentation, bags: int, random: np.random.Generator) -> Tensor:
    """For each bag a matrix (bags, 2, 3) as `affine_grid` takes it: where an output pixel looks."""
    turn = np.radians(settings.rotation_degrees) * random.uniform(-1, 1, bags)
    grow = np.exp(np.log1p(settings.scale) * random.uniform(-1, 1, bags))
    mirror = np.where(random.random(bags) < settings.flip, -1.0, 1.0)
    shift = 2 * settings.shift * random.uniform(-1, 1, (bags, 2))
    matrices = np.empty((bags, 2, 3), np.float32)
    matrices[:, 0, 0], matrices[:, 0, 1] = mirror * np.cos(turn) / grow, -np.sin(turn) / grow
    matrices[:, 1, 0], matrices[:, 1, 1] = mirror * np.sin(turn) / grow, np.cos(turn) / grow
    matrices[:, :, 2] = shift
    return torch.from_numpy(matrices)


def draw_intensity(settings: Augmentation, bags: int, random: np.random.Generator) -> Tensor:
    """Contrast factor, brightness, sharpness and noise of each bag: (bags, 4)."""
    drawn = random.uniform(-1, 1, (bags, 4))
    drawn[:, 0] = np.exp(np.log1p(settings.contrast) * drawn[:, 0])
    drawn[:, 1] *= settings.brightness
    drawn[:, 2] *= settings.sharpness
    drawn[:, 3] = settings.noise * drawn[:, 3].clip(0)  # half of the bags get none
    return torch.from_numpy(drawn.astype(np.float32))


def move(images: Tensor, matrices: Tensor) -> Tensor:
    """Images or maps (n, c, rows, columns), each looked at through its matrix (n, 2, 3)."""
    grid = affine_grid(matrices, list(images.shape), align_corners=False)
    return grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def change_values(images: Tensor, intensity: Tensor, seed: int) -> Tensor:
    """`images`: (n, 1, rows, columns) from 0 to 1, `intensity`: (n, 4); what is outside the lungs
    (exactly 0, `preprocess`) stays so."""
    inside = images > 0
    contrast, brightness, sharpness, noise = intensity.T[:, :, None, None, None]
    blurred = avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    changed = images + sharpness * (images - blurred)
    middle = images.sum() / inside.sum().clamp_min(1)
    changed = (changed - middle) * contrast + middle + brightness
    chance = torch.Generator(images.device).manual_seed(seed)
    grain = torch.randn(images.shape, generator=chance, device=images.device)
    noisy: Tensor = (changed + noise * grain).clamp(0.0, 1.0)
    return noisy * inside
