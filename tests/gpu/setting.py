"""The networks and volumes of the checks, made here from a seed, and how a check ends."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from inference.arrays.components import Mask
from inference.backends.device import Device
from inference.bundles.bundle import Bundle
from inference.covnet.network import CLASSES as COVNET_CLASSES
from inference.covnet.network import Covnet
from inference.findings import FoundLungs, ModelIdentity, Training
from inference.location_attention import engine
from inference.location_attention.network import LocationAttention
from inference.location_attention.preprocess import RegionPreprocessing
from inference.lungs.sides import Sides
from inference.networks.vnet import WIDTH
from inference.training.regions.initial import draw_like
from inference.volume import CtVolume
from support.chest_volume import HEIGHT_MM, WIDTH_MM, Chest, chest
from support.untrained import draw_covnet, untrained_card

CPU = torch.device("cpu")
THRESHOLD = 0.01
IDENTITY = ModelIdentity("of a seed", "0", "0" * 64, Training.UNTRAINED)


def do_without_simpleitk() -> str:
    """Where it is not installed, tell the sides of the lungs by place; what was done, or ""."""
    if find_spec("SimpleITK") is not None:
        return ""
    vars(engine)["lung_sides"] = _by_place
    return "SimpleITK is not installed: the sides of the lungs are told by place"


def _by_place(_volume: CtVolume, lungs: Mask) -> Sides:
    sides = lungs.astype(np.uint8)
    sides[:, :, lungs.shape[2] // 2 :] *= 2
    return sides


def as_drawn(drawn: Chest) -> FoundLungs:
    """To find them is work of the CPU, and not checked here."""
    return FoundLungs(drawn.lungs)


class SkippedError(Exception):
    """A check that cannot be made here, and why."""


@dataclass(frozen=True)
class Setting:
    """`device`: what is checked; `small`: sizes of a rehearsal on a CPU."""

    device: torch.device
    small: bool

    @property
    def name(self) -> str:
        if self.device.type == "cpu":
            return "CPU (a rehearsal)"
        return torch.cuda.get_device_name()

    @property
    def device_name(self) -> Device:
        return "cuda" if self.device.type == "cuda" else "cpu"

    @property
    def size(self) -> int:
        """Pixels of COVNet's input."""
        return 64 if self.small else 224

    @property
    def slices(self) -> int:
        """For comparing: more than one batch of a GPU, and one left."""
        return 9 if self.small else 65

    @property
    def grid(self) -> tuple[int, int, int]:
        """Cells of a piece for the V-Net."""
        return (64, 32, 32) if self.small else (96, 128, 160)

    @property
    def patches(self) -> tuple[int, int]:
        """How many, of how many pixels."""
        return (15, 32) if self.small else (99, 96)

    @property
    def region_settings(self) -> RegionPreprocessing:
        """With a threshold that networks of a seed reach somewhere."""
        small = RegionPreprocessing(
            grid_slice_mm=8.0, grid_pixel_mm=5.0, patch_size=32, score_threshold=THRESHOLD
        )
        return small if self.small else RegionPreprocessing(score_threshold=THRESHOLD)

    @cached_property
    def covnet_weights(self) -> dict[str, Tensor]:
        return draw_covnet(0)

    def covnet(self) -> Covnet:
        """Folded, on the CPU."""
        with torch.device("meta"):
            made = Covnet(len(COVNET_CLASSES))
        made.load_state_dict({n: v.clone() for n, v in self.covnet_weights.items()}, assign=True)
        made.fold()
        return made.requires_grad_(False)

    def covnet_bundle(self) -> Bundle:
        card = untrained_card("COVNet of a seed", "covnet", COVNET_CLASSES, 0)
        return Bundle(Path("seed"), card, MappingProxyType(self.covnet_weights))

    @cached_property
    def region_weights(self) -> dict[str, Tensor]:
        with torch.device("meta"):
            network = LocationAttention(width=4 if self.small else WIDTH)
        return draw_like(network, 0)

    def regions(self, fold: bool = True) -> LocationAttention:
        """On the CPU; `RegionEngine.load` folds it itself."""
        with torch.device("meta"):
            made = LocationAttention(width=4 if self.small else WIDTH)
        made.load_state_dict({n: v.clone() for n, v in self.region_weights.items()}, assign=True)
        if fold:
            made.fold()
        return made.requires_grad_(False)

    def chest(self, slices: int) -> Chest:
        """A phantom of so many slices with a ball of consolidation in each lung."""
        columns = 64 if self.small else 512
        drawn = chest((HEIGHT_MM / slices, WIDTH_MM / columns, WIDTH_MM / columns))
        for x in (-70.0, 70.0):
            drawn.paint(drawn.ball(10.0, 20.0, x, 30.0) & drawn.lungs, 40)
        return drawn


def noise(*shape: int, seed: int = 1) -> Tensor:
    """Uniform from 0 to 1, float32, the first axis rising in brightness."""
    drawn = np.random.Generator(np.random.PCG64(seed)).random(shape, np.float32)
    steps = np.linspace(0.4, 1.0, shape[0], dtype=np.float32)
    return torch.from_numpy(drawn * steps.reshape(-1, *[1] * (len(shape) - 1)))


def at_most(what: str, found: float, limit: float) -> str:
    """A line of the table; raises AssertionError beyond the limit."""
    told = f"{what} {found:.1e} (limit {limit:.0e})"
    if not found <= limit:  # NaN is not
        raise AssertionError(told)
    return told
