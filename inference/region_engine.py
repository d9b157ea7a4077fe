"""Location attention on a device: a volume and its lungs in, candidate regions and a verdict out.

The steps are those of Xu et al. 2020, section 2.2 and figure 2: grid, candidate cubes, three
patches each, their classes, the vote, noisy-or.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from inference.components import Mask
from inference.device import Device, choose_device, deterministic
from inference.errors import NetworkOutputError
from inference.findings import ModelIdentity
from inference.location_attention import LocationAttention
from inference.patches import Patch, ThreePatches, images_with_lung, patches
from inference.patient_axes import PatientView, patient_view
from inference.region_findings import CandidateRegion, PatchFinding, RegionFindings
from inference.region_measures import (
    box_ml,
    boxes_in_view,
    centre_lps_mm,
    lesion_ml,
    stored_voxels,
)
from inference.region_preprocess import RegionGrid, RegionPreprocessing, region_grid
from inference.region_tiles import segment
from inference.region_votes import PATCHES, verdict, vote
from inference.regions import ProposalMaps, propose
from inference.stages import Progress, StageClock, tell_nobody
from inference.volume import CtVolume

BATCH = 32
"""Patches at once."""
Probabilities = NDArray[np.float64]


class RegionEngine:
    """Both networks with their weights on a device; `analyse` may be called any number of times.

    The same volume on the same machine, device and number of threads gives the same numbers.
    """

    def __init__(
        self,
        network: LocationAttention,
        identity: ModelIdentity,
        classes: tuple[str, ...],
        settings: RegionPreprocessing,
        device: torch.device,
    ) -> None:
        self._network = network
        self._device = device
        self.identity = identity
        self.classes = classes
        self.settings = settings

    @classmethod
    def load(
        cls,
        network: LocationAttention,
        identity: ModelIdentity,
        classes: tuple[str, ...],
        settings: RegionPreprocessing,
        device: Device = "auto",
        threads: int | None = None,
    ) -> RegionEngine:
        """Fold the network, which holds its weights already, and put it on the device.

        `classes`: the last one is "irrelevant to infection"; `threads`: of this whole process,
        for torch on the CPU. Raises ValueError for settings or a number of classes that do not
        fit, DeviceError when CUDA is asked for and absent.
        """
        problems = list(settings.problems())
        if len(classes) != (outputs := network.classifier.fc3.out_features):
            problems.append(f"{len(classes)} classes for {outputs} outputs")
        if problems:
            raise ValueError("; ".join(problems))
        if threads is not None:
            torch.set_num_threads(threads)
        chosen = choose_device(device)
        network.fold()
        network.requires_grad_(False)
        for parameter in network.classifier.parameters():  # the quicker layout in two dimensions
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        return cls(network.to(chosen), identity, classes, settings, chosen)

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return self._device.type

    def analyse(
        self, volume: CtVolume, lungs: Mask, progress: Progress | None = None
    ) -> RegionFindings:
        """Candidate regions and verdict of one volume; without a candidate, no infection.

        `lungs`: bool (slices, rows, columns) of the volume. Raises NoLungsError when the mask is
        empty, VolumeError when its extent is no chest's, NetworkOutputError when a network gives
        numbers that are none.
        """
        clock, tell = StageClock(), progress or tell_nobody
        view = patient_view(volume, lungs)
        with clock.stage("grid"):
            grid = region_grid(view, self.settings)
        with clock.stage("regions"):
            maps = self._maps(grid, tell)
            candidates = propose(maps, grid.lungs, self.settings)
        boxes = boxes_in_view(candidates.boxes, grid, view)
        with clock.stage("patches"):
            images = images_with_lung(view)
            cut = [patches(view, images, box, self.settings) for box in boxes]
        with clock.stage("classes"):
            probabilities = self._probabilities(cut, tell)
        regions = tuple(
            CandidateRegion(
                box=stored_voxels(box, view),
                centre_lps_mm=centre_lps_mm(box, view),
                box_ml=box_ml(box, view),
                lesion_ml=lesion_ml(in_grid, maps.lesion, grid, view),
                score=float(score),
                patches=_patch_findings(three, found, view),
                vote=vote(found.tolist()),
            )
            for box, in_grid, score, three, found in zip(
                boxes, candidates.boxes, candidates.scores, cut, probabilities, strict=True
            )
        )
        case = verdict([region.vote for region in regions], len(self.classes))
        return RegionFindings(self.identity, self.classes, regions, case, clock.seconds)

    def _maps(self, grid: RegionGrid, tell: Progress) -> ProposalMaps:
        with deterministic(), torch.inference_mode():
            return segment(
                self._network.segmenter,
                grid.values,
                self._device,
                lambda done, total: tell("regions", done, total),
            )

    def _probabilities(self, cut: Sequence[ThreePatches], tell: Progress) -> Probabilities:
        """Of the classes, for the three patches of each region: float64 (regions, 3, classes)."""
        flat = [patch for three in cut for patch in three]
        found = np.empty((len(flat), len(self.classes)))
        with deterministic(), torch.inference_mode():
            for start in range(0, len(flat), BATCH):
                tell("classes", start, len(flat))
                found[start : start + BATCH] = self._of_batch(flat[start : start + BATCH])
        tell("classes", len(flat), len(flat))
        if not np.isfinite(found).all():
            raise NetworkOutputError("the classifier's probabilities are not finite")
        return found.reshape(len(cut), PATCHES, len(self.classes))

    def _of_batch(self, batch: Sequence[Patch]) -> Probabilities:
        values = torch.from_numpy(np.stack([patch.values for patch in batch]))[:, None]
        distances = torch.tensor([patch.relative_distance for patch in batch])
        scaled = (distances * self.settings.distance_scale).to(self._device)
        logits = self._network.classifier(values.to(self._device), scaled).double()
        probabilities: Probabilities = torch.softmax(logits, dim=1).cpu().numpy()
        return probabilities


def _patch_findings(
    three: ThreePatches, found: Probabilities, view: PatientView
) -> tuple[PatchFinding, PatchFinding, PatchFinding]:
    centre, below, above = (
        PatchFinding(
            image_index=view.stored_slice(patch.image_index),
            relative_distance=patch.relative_distance,
            probabilities=tuple(probabilities),
        )
        for patch, probabilities in zip(three, found.tolist(), strict=True)
    )
    return centre, below, above
