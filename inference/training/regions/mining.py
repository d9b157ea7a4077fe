"""What the segmenter proposes on the training scans: the classifier learns from its mistakes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from inference.backends.device import deterministic
from inference.files import write_whole
from inference.location_attention.network import Segmenter
from inference.location_attention.preprocess import RegionGrid, RegionPreprocessing, region_grid
from inference.location_attention.proposals import Candidates, ProposalMaps, propose
from inference.training.plan import PreparedScan
from inference.training.regions.data import stored_view
from inference.training.regions.patch_data import patch_tensors
from inference.training.regions.settings import RegionSettings

LOWEST_SCORE = 0.05
"""Of what is mined: below any threshold that will be chosen."""
KEPT_SENSITIVITY = 0.9
"""Part of the lesions found at LOWEST_SCORE that must still be found at the threshold."""


def mine(
    scans: Sequence[PreparedScan], segmenter: Segmenter, settings: RegionSettings
) -> list[PreparedScan]:
    """The patches of each scan, as `patch_tensors` names them, in files beside the scans' own.

    They are made once for the weights of the segmenter, which is used as it will be: in evaluation
    mode, on whole grids.
    """
    low = replace(settings.preprocessing, score_threshold=LOWEST_SCORE)
    key = _digest(segmenter, [asdict(low), settings.irrelevant, settings.seed])
    lowered = replace(settings, preprocessing=low)
    return [_mined(scan, segmenter, lowered, key) for scan in scans]


def _mined(
    scan: PreparedScan, segmenter: Segmenter, settings: RegionSettings, key: str
) -> PreparedScan:
    path = scan.file.with_name(f"{scan.file.stem}-patches-{key}.safetensors")
    if not path.exists():
        stored = stored_view(scan, settings.preprocessing)
        grid = region_grid(stored.view, settings.preprocessing)
        proposed = _proposed(segmenter, grid, settings.preprocessing)
        name = int.from_bytes(hashlib.sha256(scan.scan.encode()).digest()[:8])
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([settings.seed, name])))
        tensors = patch_tensors(
            stored, grid, proposed, random, settings.preprocessing, settings.irrelevant
        )
        write_whole(path, save(tensors))
    return replace(scan, file=path)


@torch.no_grad()
def _proposed(segmenter: Segmenter, grid: RegionGrid, settings: RegionPreprocessing) -> Candidates:
    segmenter.eval()
    device = next(segmenter.parameters()).device
    with deterministic():
        found = segmenter.context(torch.from_numpy(grid.values)[None, None].to(device))
    objectness, offsets = (m[0].float().cpu().numpy() for m in (found.objectness, found.offsets))
    maps = ProposalMaps(np.zeros_like(grid.values), objectness, offsets)
    return propose(maps, grid.lungs, settings)


def _digest(segmenter: Segmenter, settings: Sequence[object]) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    state: Mapping[str, Tensor] = segmenter.state_dict()
    for name, value in state.items():
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:20]


def score_threshold(patches: Sequence[PreparedScan], usual: float) -> float:
    """The highest threshold, in hundredths, that keeps most of the lesions that can be found.

    Xu et al. 2020, section 3.3.2, lower it to find as many as possible; `usual` where no lesion is
    known or found.
    """
    best = np.concatenate([np.zeros(0), *(scan.tensor("found").numpy() for scan in patches)])
    found = np.sort(best[best > 0])
    if not len(found):
        return usual
    lost = int((1.0 - KEPT_SENSITIVITY) * len(found))
    return max(LOWEST_SCORE, float(np.floor(found[lost] * 100) / 100))


def sensitivity(patches: Sequence[PreparedScan], threshold: float) -> dict[str, float]:
    """`sensitivity`: part of the lesions that a proposal means; `candidates`: proposals a scan."""
    best = np.concatenate([np.zeros(0), *(scan.tensor("found").numpy() for scan in patches)])
    scores = np.concatenate([scan.tensor("scores").numpy() for scan in patches])
    figures = {"candidates": float((scores >= threshold).sum()) / len(patches)}
    if len(best):
        figures["sensitivity"] = float((best >= threshold).mean())
    return figures
