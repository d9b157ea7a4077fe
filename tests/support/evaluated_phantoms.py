"""A manifest of phantoms with their truth on disk, and bundles to evaluate on them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from dicomnode.weights.nifti import write_nifti
from inference.bundles.bundle import load_bundle
from inference.bundles.tasks import LUNG_CLASSES
from inference.covnet.network import CLASSES as COVNET_CLASSES
from inference.covnet.preprocess import Preprocessing
from inference.findings import Training
from inference.location_attention.network import CLASSES as REGION_CLASSES
from inference.location_attention.preprocess import RegionPreprocessing
from inference.lungs.lung_input import LungInput
from inference.networks.unet import Unet
from support.blob_network import blob_network
from support.bundles import LUNG_CARD, write_bundle
from support.chest_volume import TISSUE_HU, chest
from support.untrained import make_untrained_bundle

SPACING_MM = (10.0, 4.0, 4.0)
BALL_MM, RADIUS_MM = (40.0, -20.0, 75.0), 20.0
"""Of the one lesion of a scan that has one: z, y, x from the middle of the phantom."""


@dataclass(frozen=True)
class Drawn:
    """A scan to be drawn; `lungs`: False draws a body without any; `columns`: of the manifest."""

    scan: str
    patient: str
    label: str
    ball: bool = True
    lungs: bool = True
    columns: Mapping[str, str] | None = None


def draw_scans(folder: Path, scans: Sequence[Drawn]) -> Path:
    """Scans, masks of lungs and lesions as NIfTI, and the manifest; returns its path."""
    rows = [_draw(folder, each, seed) for seed, each in enumerate(scans)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    manifest = folder / "manifest.csv"
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return manifest


def _draw(folder: Path, each: Drawn, seed: int) -> dict[str, str]:
    drawn = chest(SPACING_MM)
    ball = drawn.ball(*BALL_MM, RADIUS_MM)
    if each.ball:
        drawn.paint(ball, TISSUE_HU)
    if not each.lungs:
        drawn.paint(np.ones(drawn.hu.shape, np.bool_), TISSUE_HU)
    noise = np.random.default_rng(seed).normal(0, 8, drawn.hu.shape).astype(np.int16)
    affine = drawn.volume().affine
    lesions = (ball & each.ball & each.lungs).astype(np.uint16)
    files = {"path": drawn.hu + noise, "lungs": drawn.lungs.astype(np.uint8), "lesions": lesions}
    row = {"scan": each.scan, "patient": each.patient, "label": each.label}
    for name, values in files.items():
        row[name] = f"{each.scan}-{name}.nii.gz"
        write_nifti(folder / row[name], values, affine)
    return row | dict(each.columns or {})


def covnet_bundle(folder: Path) -> Path:
    """The untrained COVNet for small images, said to be a demonstration."""
    made = load_bundle(make_untrained_bundle(folder / "whole"))
    card = replace(
        made.card,
        preprocessing=Preprocessing(size=32),
        classes=COVNET_CLASSES,
        training=Training.DEMONSTRATION,
    )
    return write_bundle(folder / "covnet", card, made.weights)


def region_bundle(folder: Path) -> Path:
    """Location attention that proposes what is as dense as soft tissue."""
    made = replace(
        LUNG_CARD,
        name="Location attention",
        task="regions",
        classes=REGION_CLASSES,
        preprocessing=RegionPreprocessing(patch_size=32, grid_pixel_mm=3.0),
    )
    return write_bundle(folder / "regions", made, blob_network().state_dict())


def lung_bundle(folder: Path) -> Path:
    """A U-net with weights set by hand: what is as dark as lung is lung."""
    card = replace(LUNG_CARD, classes=LUNG_CLASSES[0], preprocessing=LungInput(size=96))
    return write_bundle(folder / "unet", card, _band_network().state_dict())


def _band_network() -> Unet:
    """Logit of lung: high from about -920 to -750 HU, passed on at the first level only."""
    network = Unet(len(LUNG_CLASSES[0]))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.fill_(1.0 if ".1.weight" in name or ".4.weight" in name else 0.0)
        named = dict(network.named_parameters())
        for channel, threshold in enumerate((0.06, 0.2)):  # of -1024 to 600 HU as 0 to 1
            named["down.0.0.weight"][channel, 0, 1, 1] = 1.0
            named["down.0.1.bias"][channel] = -threshold
            for passing in ("down.0.3", "joined.3.0", "joined.3.3"):
                named[f"{passing}.weight"][channel, channel, 1, 1] = 1.0
        network.last.weight[1, :2, 0, 0] = torch.tensor([10.0, -20.0])
        network.last.bias[1] = -0.2  # type: ignore[index]
    return network
