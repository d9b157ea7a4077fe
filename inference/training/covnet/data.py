"""COVNet's training data: prepared scans, and bags of their slices.

The images come from `inference.covnet.preprocess.prepare`, the function that inference uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from inference.arrays.components import Mask
from inference.bundles.tasks import IRRELEVANT
from inference.covnet.network import CLASSES
from inference.covnet.preprocess import NetworkInput, Preprocessing, prepare
from inference.errors import LesionTruthError
from inference.training.augment import draw_geometry, draw_intensity
from inference.training.covnet.bags import Indices, draw_count, draw_slices
from inference.training.covnet.settings import CovnetSettings, CovnetStage
from inference.training.plan import PreparedScan
from inference.training.scan import LoadedScan

NEGATIVE = len(CLASSES) - 1
"""The class of scans, slices and cells without pneumonia."""
PRESENT, ABSENT = 0.002, 0.0001
"""A slice shows a class from this part of its image on, and none up to that. The lungs with their
margin are about 600 cm2: a lesion of 1.2 cm2 counts, one of 6 mm2 does not; between is unsure."""
FEWEST_UNKNOWN = 8
"""Slices drawn at least of a scan whose lesions are not known: fewer might show none of them."""
UNSURE = -100
"""Label that cross-entropy passes over."""


def prepare_scan(
    scan: LoadedScan, label: str, lungs: Mask, settings: CovnetSettings
) -> dict[str, Tensor]:
    """`images_<size>`: float16 (slices, 1, size, size) for each size; `shown`: float32 (slices,
    classes), the part of the image that shows each class, and `lesions`: uint8 (slices, classes,
    h, w), the part of each cell from 0 to 255, where it is known; else `shown` is NaN.

    Raises:
        NoLungsError
        LesionTruthError: a lesion of an unknown class.
    """
    tensors: dict[str, Tensor] = {}
    sizes = {stage.size for stage in settings.stages}
    for size in sorted(sizes):
        input_ = prepare(scan.volume, lungs, _sized(settings.preprocessing, size))
        tensors[f"images_{size}"] = input_.images.half()
    maps = _lesion_maps(scan, label, input_, settings.cells)
    if maps is None:
        tensors["shown"] = torch.full((len(input_.slice_indices), len(CLASSES)), torch.nan)
        return tensors
    return tensors | {
        "lesions": (maps * 255).round().to(torch.uint8),
        "shown": maps.mean(dim=(2, 3)),
    }


def _sized(preprocessing: Preprocessing, size: int) -> Preprocessing:
    return replace(preprocessing, size=size)


def _lesion_maps(scan: LoadedScan, label: str, input_: NetworkInput, cells: int) -> Tensor | None:
    """Float (slices, classes, cells, cells) on the grid of the images; None when not known."""
    maps = torch.zeros((len(input_.slice_indices), len(CLASSES), cells, cells))
    if scan.lesions is None:
        return maps if label == CLASSES[NEGATIVE] else None
    of_class = _class_of_lesions(scan, label)
    box = input_.box
    turned = [axis + 1 for axis in (0, 1) if input_.flipped[axis]]
    for position, index in enumerate(input_.slice_indices):
        crop = of_class[scan.lesions[index, box.top : box.bottom, box.left : box.right]]
        if crop.any():
            each = torch.from_numpy(np.stack([crop == c + 1 for c in range(len(CLASSES))]))
            small = interpolate(each[None].float(), (cells, cells), mode="bilinear", antialias=True)
            maps[position] = small[0].flip(turned)
    return maps.clamp(0.0, 1.0)


def _class_of_lesions(scan: LoadedScan, label: str) -> NDArray[np.uint8]:
    """For each number in the mask of lesions its class plus 1, or 0 for none."""
    known = {name: index + 1 for index, name in enumerate(CLASSES)} | {IRRELEVANT: NEGATIVE + 1}
    wrong = sorted({box.class_name for box in scan.boxes} - set(known))
    if wrong:
        raise LesionTruthError(f"boxes: unknown class {', '.join(map(repr, wrong))}")
    table = np.full(np.iinfo(np.uint16).max + 1, known[label], np.uint8)
    for box in scan.boxes:
        table[box.number] = known[box.class_name]
    table[0] = 0
    return table


@dataclass(frozen=True, eq=False)
class Bags:
    """Slices of several scans, one after the other, not yet augmented.

    `images`: float16 (n, 1, size, size); `lesions`: uint8 (n, classes, h, w); `known`: bool (n,),
    whether the lesions are; `slice_labels`: int64 (n,), UNSURE where they are not; `bag`: int64
    (n,), rising; `labels`: int64 (bags,); `usual`: bags of a step in the mean; `geometry`:
    (bags, 2, 3); `intensity`: (bags, 4).
    """

    images: Tensor
    lesions: Tensor
    known: Tensor
    slice_labels: Tensor
    bag: Tensor
    labels: Tensor
    usual: float
    geometry: Tensor
    intensity: Tensor
    noise_seed: int


@dataclass(frozen=True)
class CovnetScan:
    """A prepared scan with what is drawn by: small, so that all are held in memory."""

    file: PreparedScan
    label: int
    shown: Tensor  # (slices, classes)

    @classmethod
    def of(cls, prepared: PreparedScan) -> CovnetScan:
        return cls(prepared, CLASSES.index(prepared.label), prepared.tensor("shown"))

    @property
    def slices(self) -> int:
        return len(self.shown)

    @property
    def known(self) -> bool:
        """Whether it is known where the lesions are."""
        return not bool(self.shown.isnan().any())

    @cached_property
    def slice_labels(self) -> Tensor:
        """int64 (slices,)."""
        infected = self.shown[:, :NEGATIVE]
        labels = infected.argmax(dim=1)
        labels[(infected <= ABSENT).all(dim=1)] = NEGATIVE
        labels[(infected > ABSENT).any(dim=1) & (infected < PRESENT).all(dim=1)] = UNSURE
        return labels if self.known else torch.full_like(labels, UNSURE)

    @cached_property
    def telling(self) -> tuple[int, ...] | None:
        """The slices that show the scan's class; None when not known."""
        if not self.known:
            return None
        if self.label == NEGATIVE:
            return ()
        return tuple(torch.nonzero(self.slice_labels == self.label).flatten().tolist())


def draw_bags(
    by_class: Mapping[int, Sequence[CovnetScan]],
    stage: CovnetStage,
    settings: CovnetSettings,
    random: np.random.Generator,
) -> Bags:
    """Each bag's class is drawn with equal chances, then one of its scans, then some slices."""
    present = sorted(by_class)
    scans: list[CovnetScan] = []
    slices: list[Indices] = []
    left = settings.slices_per_step
    while not scans or left >= stage.fewest:
        of_class = by_class[present[int(random.integers(len(present)))]]
        scan = of_class[int(random.integers(len(of_class)))]
        drawn = draw_count(stage.fewest, stage.slices, random)
        count = min(left, drawn if scan.known else max(drawn, FEWEST_UNKNOWN))
        scans.append(scan)
        slices.append(draw_slices(scan.slices, count, random, scan.telling))
        left -= count
    return Bags(
        **_read(scans, slices, stage.size, settings.cells),
        labels=torch.tensor([scan.label for scan in scans]),
        usual=settings.usual_bags(stage),
        geometry=draw_geometry(settings.augmentation, len(scans), random),
        intensity=draw_intensity(settings.augmentation, len(scans), random),
        noise_seed=int(random.integers(2**62)),
    )


def _read(
    scans: Sequence[CovnetScan], slices: Sequence[Indices], size: int, cells: int
) -> dict[str, Tensor]:
    chosen = list(zip(scans, slices, strict=True))
    return {
        "images": torch.cat([s.file.rows(f"images_{size}", i.tolist()) for s, i in chosen]),
        "lesions": torch.cat([_lesion_rows(s, i, cells) for s, i in chosen]),
        "known": torch.cat([torch.full((len(i),), s.known) for s, i in chosen]),
        "slice_labels": torch.cat([s.slice_labels[torch.from_numpy(i)] for s, i in chosen]),
        "bag": torch.cat([torch.full((len(i),), bag) for bag, (_, i) in enumerate(chosen)]),
    }


def _lesion_rows(scan: CovnetScan, slices: Indices, cells: int) -> Tensor:
    if scan.known:
        return scan.file.rows("lesions", slices.tolist())
    return torch.zeros((len(slices), len(CLASSES), cells, cells), dtype=torch.uint8)
