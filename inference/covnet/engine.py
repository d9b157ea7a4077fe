"""An engine: a bundle loaded on a device, ready to analyse one volume after another."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from inference.arrays.components import Mask
from inference.backends.choice import Backend
from inference.backends.device import Device, choose_device
from inference.backends.precision import USUAL, PrecisionWish, engine_on
from inference.bundles.bundle import Bundle
from inference.bundles.card import TASK
from inference.bundles.tasks import EngineOptions
from inference.covnet.backend import CovnetBackend
from inference.covnet.gradcam import activation_maps, slice_shares
from inference.covnet.network import Covnet, Evidence
from inference.covnet.openvino_backend import OpenvinoBackend
from inference.covnet.preprocess import NetworkInput, Preprocessing, prepare
from inference.covnet.torch_backend import BATCH, TorchBackend
from inference.errors import NetworkOutputError
from inference.findings import Answer, Findings, IntendedUse, MethodTitle, SliceActivation
from inference.progress import Progress, StageClock, no_progress
from inference.ties import first_of_highest
from inference.volume import CtVolume

if TYPE_CHECKING:
    from torch import nn

    from inference.memory import Memory

__all__ = ["BATCH", "Backend", "Device", "Engine", "Progress", "load"]


class Engine:
    """COVNet with its weights on a device; `analyse` may be called any number of times.

    The same volume, in the same processor, number of threads, device and versions of the
    libraries, gives the same bits, whatever was analysed before; on a GPU unless its memory ran
    short. What comes out does not turn on how the slices fall into batches. With another number
    of threads (OpenVINO on a CPU excepted), another processor or another engine the last digits
    differ, by `TOLERANCE` of `openvino_backend` at most; what they decide does not, short of a
    value that lies at its threshold within them (`ties`).
    """

    title = MethodTitle("lungs", "classification of the whole lungs", "by the whole lungs")

    def __init__(
        self,
        backend: CovnetBackend,
        linear: nn.Linear,
        bundle: Bundle,
        use_here: IntendedUse = IntendedUse.NONE,
    ) -> None:
        self._backend = backend
        self._linear = linear
        self._settings = bundle.settings(Preprocessing, TASK)
        self._classes = bundle.card.finding_classes
        self.identity = bundle.card.identity_at(use_here).computed_in(backend.precision)

    @classmethod
    def load(
        cls,
        bundle: Bundle,
        device: Device = "auto",
        threads: int | None = None,
        *,
        backend: Backend = "auto",
        use_here: IntendedUse = IntendedUse.NONE,
        memory: Memory | None = None,
        wish: PrecisionWish = USUAL,
        at_once: int = 1,
    ) -> Engine:
        """Put the bundle's network on the device; `auto` takes a GPU when there is one.

        `threads`: of this whole process, for torch on the CPU; None leaves them as they are.
        `backend`: `auto` takes OpenVINO on a CPU where it is installed. `use_here`: what the site
        declares to use the bundle for. `memory`: of what OpenVINO computes of single slices.
        `wish`: in which precision. `at_once`: as in `EngineOptions`.

        Raises:
            DeviceError: CUDA is asked for and absent, OpenVINO is asked for and absent or on a
                GPU, or bfloat16 is asked for and cannot be.
            BundleError: the bundle is for another task, or a class has no code.
        """
        settings = bundle.settings(Preprocessing, TASK)
        if threads is not None:
            torch.set_num_threads(threads)
        chosen = choose_device(device)
        engine = engine_on(backend, chosen)
        precision = wish.on(engine, half_on_gpu=True)
        network = _network(bundle)
        linear = deepcopy(network.fc)  # stays in float32 on the CPU, wherever the network goes
        made: CovnetBackend
        if engine == "openvino":
            made = OpenvinoBackend(network, settings.size, threads, memory, precision)
        else:
            made = TorchBackend(network, chosen, settings.size, precision, at_once)
        return cls(made, linear, bundle, use_here)

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return self._backend.device

    @property
    def backend(self) -> str:
        """`openvino` or `torch`."""
        return self._backend.name

    def analyse(self, volume: CtVolume, lungs: Mask, progress: Progress | None = None) -> Findings:
        """Probabilities and heatmaps of one volume; `lungs`: bool (slices, rows, columns) of it.

        Raises:
            NoLungsError: there is too little lung.
            NetworkOutputError: the network gives numbers that are no probabilities.
        """
        on_progress, clock = progress or no_progress, StageClock()
        with clock.stage("preprocess"):
            prepared = prepare(volume, lungs, self._settings)
        with clock.stage("network"), torch.inference_mode():
            evidence = self._backend.evidence(prepared.images, on_progress)
            answer = Answer.of_probabilities(self._classes, self._probabilities(evidence))
        with clock.stage("heatmap"), torch.inference_mode():
            heat = self._activations(evidence, prepared, first_of_highest(answer.scores))
        return Findings(self.title, self.identity, answer, clock.seconds, heat)

    def foresee(self, volume: CtVolume, lungs: Mask, progress: Progress | None = None) -> None:
        """As `Foreseeing.foresee`.

        Raises:
            NoLungsError: there is too little lung.
        """
        images = prepare(volume, lungs, self._settings).images
        with torch.inference_mode():
            self._backend.foresee(images, progress or no_progress)

    def _probabilities(self, evidence: Evidence) -> tuple[float, ...]:
        logits = self._linear(evidence.features).double()
        probabilities = tuple(float(p) for p in torch.softmax(logits, dim=0))
        if not np.isfinite(probabilities).all():
            raise NetworkOutputError(f"probabilities {probabilities} from logits {logits.tolist()}")
        return probabilities

    def _activations(
        self, evidence: Evidence, prepared: NetworkInput, winner: int
    ) -> tuple[SliceActivation, ...]:
        """Grad-CAM for the winning class, 1.0 at the maximum over the slices."""
        weights = self._linear.weight[winner]
        maps = activation_maps(evidence, weights)
        maps = maps / maps.amax().clamp_min(torch.finfo(maps.dtype).tiny)
        cams = prepared.as_stored(maps.numpy())
        shares = slice_shares(evidence, weights).tolist()
        return tuple(
            SliceActivation(index, prepared.box, cam, share, prepared.centre_offset)
            for index, cam, share in zip(prepared.slice_indices, cams, shares, strict=True)
        )


def load(bundle: Bundle, options: EngineOptions) -> Engine:
    """The method of a bundle; as `Engine.load`."""
    return Engine.load(
        bundle,
        options.device,
        options.threads,
        backend=options.backend,
        use_here=options.use_here,
        memory=options.memory,
        wish=bundle.card.wish(options),
        at_once=options.at_once,
    )


def _network(bundle: Bundle) -> Covnet:
    """The bundle's network, folded, on the CPU, never to be trained."""
    network = cast("Covnet", bundle.network())
    network.fold()
    network.requires_grad_(False)
    return network
