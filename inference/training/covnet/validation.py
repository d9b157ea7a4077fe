"""How good COVNet is while it is trained, on the validation scans, and its calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, cross_entropy

from inference.covnet.network import CLASSES, Covnet
from inference.training.calibration import fit_calibration
from inference.training.covnet.data import NEGATIVE, CovnetScan
from inference.training.covnet.losses import CELL_ABSENT, on_last_maps
from inference.training.covnet.settings import CovnetSettings
from inference.training.task import Validation

_BATCH = 32


@torch.no_grad()
def validate(
    network: Covnet,
    scans: Sequence[CovnetScan],
    size: int,
    settings: CovnetSettings,
    device: torch.device,
) -> Validation:
    """`score` is the calibrated cross-entropy, negated; the calibration is in `extra`.

    Figures: cross-entropy before and after, accuracy, AUC of each class against the others, and
    the part of the evidence for a scan's own class that lies on its lesions, where they are known.
    """
    seen = [_look(network, scan, size, settings, device) for scan in scans]
    logits = torch.stack([each[0] for each in seen])
    labels = torch.tensor([scan.label for scan in scans])
    calibration = fit_calibration(logits, labels)
    calibrated = calibration.applied(logits)
    after = float(cross_entropy(calibrated, labels))
    figures = {
        "cross-entropy": float(cross_entropy(logits, labels)),
        "calibrated cross-entropy": after,
        "accuracy": float((calibrated.argmax(dim=1) == labels).double().mean()),
        "temperature": calibration.temperature,
    }
    shares = [each[1] for each in seen if each[1] is not None]
    if shares:
        figures["evidence on lesions"] = float(np.mean(shares))
    areas = _areas(torch.softmax(calibrated, dim=1), labels)
    return Validation(-after, figures | areas, asdict(calibration))


def _look(
    network: Covnet, scan: CovnetScan, size: int, settings: CovnetSettings, device: torch.device
) -> tuple[Tensor, float | None]:
    """Logits (classes,) of a scan, and which part of the evidence for its class is on lesions."""
    number = min(scan.slices, settings.validation_slices)
    chosen = np.unique(np.linspace(0, scan.slices - 1, number).round().astype(int)).tolist()
    images = scan.file.rows(f"images_{size}", chosen)
    maps = torch.cat(
        [network.feature_maps(b.to(device).float()) for b in torch.split(images, _BATCH)]
    )
    logits = network.logits(maps.mean(dim=(2, 3)).amax(dim=0)).float().cpu()
    if not scan.known or scan.label == NEGATIVE:
        return logits, None
    evidence = conv2d(maps, network.fc.weight[scan.label][None, :, None, None])[:, 0].relu().cpu()
    lesions = scan.file.rows("lesions", chosen).float() / 255
    on_lesions = on_last_maps(lesions, evidence.shape[-2:])[:, scan.label] > CELL_ABSENT
    return logits, float((evidence * on_lesions).sum() / evidence.sum().clamp_min(1e-12))


def _areas(probabilities: Tensor, labels: Tensor) -> dict[str, float]:
    """Area under the ROC curve of each class against the others, where both are there."""
    areas = {}
    for index, name in enumerate(CLASSES):
        mine = probabilities[labels == index, index][:, None]
        others = probabilities[labels != index, index][None]
        if mine.numel() and others.numel():
            wins = (mine > others).double() + 0.5 * (mine == others).double()
            areas[f"AUC {name}"] = float(wins.mean())
    return areas
