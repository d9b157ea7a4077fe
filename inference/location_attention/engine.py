"""Location attention on a device: a volume and its lungs in, candidate regions and a verdict out.

The steps are those of Xu et al. 2020, section 2.2 and figure 2: grid, candidate cubes, three
patches each, their classes, the vote, noisy-or.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from inference.arrays.components import Mask
from inference.arrays.patient_axes import patient_view
from inference.backends.choice import Backend
from inference.backends.device import Device, choose_device
from inference.backends.precision import USUAL, PrecisionWish, engine_on
from inference.bundles.bundle import Bundle
from inference.bundles.class_codes import known_classes
from inference.bundles.tasks import EngineOptions
from inference.errors import NetworkOutputError
from inference.findings import FindingClass, Findings, MethodTitle, ModelIdentity
from inference.location_attention.backend import RegionBackend
from inference.location_attention.candidate_regions import candidate_regions
from inference.location_attention.findings import answer_of
from inference.location_attention.measures import boxes_in_view
from inference.location_attention.network import LocationAttention
from inference.location_attention.openvino_backend import OpenvinoRegions
from inference.location_attention.patches import ThreePatches, images_with_lung, patches
from inference.location_attention.pieces import with_lesions
from inference.location_attention.preprocess import RegionGrid, RegionPreprocessing, region_grid
from inference.location_attention.proposals import Candidates, ProposalMaps, propose
from inference.location_attention.tiles import grid_context
from inference.location_attention.torch_backend import TorchRegions
from inference.location_attention.votes import PATCHES, verdict
from inference.lungs.sides import side_cells
from inference.progress import Progress, StageClock, no_progress
from inference.volume import CtVolume

Probabilities = NDArray[np.float64]


class RegionEngine:
    """Both networks with their weights on a device; `analyse` may be called any number of times.

    The same volume gives the same numbers as `Engine` says. Here the last digits of both engines
    turn on the number of threads.
    """

    title = MethodTitle("regions", "search for candidate regions", "by regions", "by regions")

    def __init__(
        self,
        backend: RegionBackend,
        identity: ModelIdentity,
        classes: tuple[str, ...],
        infections: tuple[FindingClass, ...],
        settings: RegionPreprocessing,
    ) -> None:
        self._backend = backend
        self.identity = identity.computed_in(backend.precision)
        self.classes = classes
        self._infections = infections
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
        backend: Backend = "auto",
        infections: tuple[FindingClass, ...] | None = None,
        wish: PrecisionWish = USUAL,
        at_once: int = 1,
    ) -> RegionEngine:
        """Fold the network, which holds its weights already, and put it on the device.

        `classes`: the last one is "irrelevant to infection"; `threads`: of this whole process, for
        torch on the CPU; `backend`: as for `Engine.load`; `infections`: the classes but the last,
        with their codes; None for those of usual names; `wish`: in which precision; `at_once`: as
        in `EngineOptions`.

        Raises:
            ValueError: settings or a number of classes that do not fit.
            DeviceError: as `Engine.load` of COVNet.
        """
        problems = list(settings.problems())
        if len(classes) != (outputs := network.classifier.fc3.out_features):
            problems.append(f"{len(classes)} classes for {outputs} outputs")
        if problems:
            raise ValueError("; ".join(problems))
        if threads is not None:
            torch.set_num_threads(threads)
        chosen = choose_device(device)
        engine = engine_on(backend, chosen)
        precision = wish.on(engine, half_on_gpu=True)
        network.fold()
        network.requires_grad_(False)
        made: RegionBackend
        if engine == "openvino":
            made = OpenvinoRegions(network, threads, precision)
        else:
            made = TorchRegions(network, chosen, settings.patch_size, precision, at_once)
        return cls(made, identity, classes, infections or known_classes(classes[:-1]), settings)

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return self._backend.device

    @property
    def backend(self) -> str:
        """`openvino` or `torch`."""
        return self._backend.name

    def analyse(self, volume: CtVolume, lungs: Mask, progress: Progress | None = None) -> Findings:
        """Candidate regions and verdict of one volume; without a candidate, no infection.

        `lungs`: bool (slices, rows, columns) of the volume.

        Raises:
            NoLungsError: the mask is empty.
            VolumeError: its extent is no chest's.
            NetworkOutputError: a network gives numbers that are none.
        """
        clock, on_progress = StageClock(), progress or no_progress
        view = patient_view(volume, lungs)
        with clock.stage("grid"):
            grid = region_grid(view, self.settings)
        with clock.stage("regions"):
            maps, candidates = self._candidates(grid, on_progress)
        boxes = boxes_in_view(candidates.boxes, grid, view)
        with clock.stage("patches"):
            images = images_with_lung(view)
            cut = [patches(view, images, box, self.settings) for box in boxes]
        with clock.stage("classes"):
            probabilities = self._probabilities(cut, on_progress)
        with clock.stage("lesions"):
            regions = candidate_regions(
                boxes,
                candidates.scores,
                cut,
                probabilities,
                maps.lesion,
                grid,
                view,
                side_cells(volume, lungs),
            )
        case = verdict([region.vote for region in regions], len(self.classes))
        answer = answer_of(case, self._infections)
        return Findings(self.title, self.identity, answer, clock.seconds, regions=regions)

    def _candidates(
        self, grid: RegionGrid, on_progress: Progress
    ) -> tuple[ProposalMaps, Candidates]:
        """The candidates, and the maps with the lesions in them."""

        def on_tiles(done: int, total: int) -> None:
            on_progress("regions", done, total)

        context = grid_context(self._backend, grid, self.settings.cell_mm, on_tiles)
        self._backend.release()
        candidates = propose(context.maps, grid.lungs, self.settings)
        maps = with_lesions(self._backend, grid, context, candidates.boxes, on_tiles)
        self._backend.release()
        return maps, candidates

    def _probabilities(self, cut: Sequence[ThreePatches], on_progress: Progress) -> Probabilities:
        """Of the classes, for the three patches of each region: float64 (regions, 3, classes)."""
        flat = [patch for three in cut for patch in three]
        shape = len(cut), PATCHES, len(self.classes)
        if not flat:
            return np.empty(shape)
        images = torch.from_numpy(np.stack([patch.values for patch in flat]))[:, None]
        distances = torch.tensor([patch.relative_distance for patch in flat])
        logits = self._backend.logits(images, distances * self.settings.distance_scale, on_progress)
        found: Probabilities = torch.softmax(logits.double(), dim=1).numpy()
        if not np.isfinite(found).all():
            raise NetworkOutputError("the classifier's probabilities are not finite")
        return found.reshape(shape)


def load(bundle: Bundle, options: EngineOptions) -> RegionEngine:
    """The method of a bundle, whose weights it takes over without a copy; as `RegionEngine.load`.

    Raises:
        BundleError: a class has no code.
    """
    card = bundle.card
    return RegionEngine.load(
        cast("LocationAttention", bundle.network()),
        card.identity_at(options.use_here),
        card.classes,
        cast("RegionPreprocessing", card.preprocessing),  # as the card's task has it
        options.device,
        options.threads,
        options.backend,
        card.finding_classes,
        card.wish(options),
        options.at_once,
    )
