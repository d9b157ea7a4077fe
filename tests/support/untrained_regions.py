"""Seeded weights of location attention without training: all but the meaning is real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from inference.bundles.bundle_writer import put_bundle
from inference.location_attention.network import CLASSES, LocationAttention
from inference.location_attention.preprocess import RegionPreprocessing
from inference.networks.vnet import WIDTH
from inference.training.regions.initial import draw_like
from support.untrained import untrained_card


def make_untrained_region_bundle(
    folder: Path,
    seed: int = 0,
    width: int | None = None,
    settings: RegionPreprocessing | None = None,
) -> Path:
    """Make the bundle in `folder`, which it returns.

    `width`: of the V-Net, None for the paper's (308 MB of weights); `settings`: the card's input.
    """
    with torch.device("meta"):
        network = LocationAttention(width=width or WIDTH)
    card = untrained_card("Location attention untrained", "regions", CLASSES, seed)
    preprocessing = settings or RegionPreprocessing()
    put_bundle(folder, replace(card, preprocessing=preprocessing), draw_like(network, seed))
    return folder


def draw_regions(seed: int) -> dict[str, Tensor]:
    """Weights of the paper's network of three classes, by numpy's PCG64 from `seed`."""
    with torch.device("meta"):
        network = LocationAttention()
    return draw_like(network, seed)
