"""An engine: a bundle loaded on a device, ready to analyse one volume after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from inference.bundle import Bundle
from inference.covnet import Covnet, Evidence, gather
from inference.errors import DeviceError, NetworkOutputError
from inference.findings import CovnetFindings, SliceActivation
from inference.gradcam import activation_maps, slice_shares
from inference.lungs import segment_lungs
from inference.preprocess import NetworkInput, prepare
from inference.volume import CtVolume

if TYPE_CHECKING:
    from torch import Tensor

Device = Literal["auto", "cpu", "cuda"]
Progress = Callable[[str, int, int], None]
"""Called with a stage, how much of it is done, and how much there is."""

BATCH = {"cpu": 8, "cuda": 32}
"""Slices at once: on a CPU more was not measurably faster, and takes about 15 MB each."""


class Engine:
    """COVNet with its weights on a device; `analyse` may be called any number of times.

    The same volume on the same machine, device and number of threads gives the same numbers.
    """

    def __init__(self, network: Covnet, bundle: Bundle, device: torch.device) -> None:
        self._network = network
        self._device = device
        self.card = bundle.card

    @classmethod
    def load(cls, bundle: Bundle, device: Device = "auto", threads: int | None = None) -> Engine:
        """Put the bundle's network on the device; `auto` takes a GPU when there is one.

        `threads`: of this whole process, for torch on the CPU; None leaves them as they are.
        Raises DeviceError when CUDA is asked for and absent.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        chosen = _device(device)
        with torch.device("meta"):
            network = Covnet(len(bundle.card.classes))
        network.load_state_dict(dict(bundle.weights), strict=True, assign=True)
        network.fold()
        network.requires_grad_(False)
        for parameter in network.parameters():  # channels_last: the quicker layout on a CPU
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        return cls(network.to(chosen), bundle, chosen)

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return self._device.type

    def analyse(self, volume: CtVolume, progress: Progress | None = None) -> CovnetFindings:
        """Lungs, probabilities and heatmaps of one volume.

        Raises NoLungsError when there is too little lung, NetworkOutputError when the network
        gives numbers that are no probabilities.
        """
        tell = progress or _tell_nobody
        clock = _Clock()
        tell("lungs", 0, 1)
        with clock.stage("lungs"):
            lungs = segment_lungs(volume)
        tell("lungs", 1, 1)
        with clock.stage("preprocess"):
            prepared = prepare(volume, lungs, self.card.preprocessing)
        with clock.stage("network"), _deterministic(), torch.inference_mode():
            evidence = gather(self._network, self._batches(prepared.images, tell))
            probabilities = self._probabilities(evidence)
        with clock.stage("heatmap"), torch.inference_mode():
            activations = self._activations(evidence, prepared, int(np.argmax(probabilities)))
        return CovnetFindings(
            model=self.card.identity,
            class_names=self.card.classes,
            probabilities=probabilities,
            lungs=lungs,
            activations=activations,
            seconds=clock.seconds,
        )

    def _batches(self, images: Tensor, tell: Progress) -> Iterator[Tensor]:
        """Slices for the network, on its device; tells how many it has had."""
        size = BATCH[self.device]
        for start in range(0, len(images), size):
            tell("network", start, len(images))
            batch = images[start : start + size].to(self._device).expand(-1, 3, -1, -1)
            yield batch.contiguous(memory_format=torch.channels_last)
        tell("network", len(images), len(images))

    def _probabilities(self, evidence: Evidence) -> tuple[float, ...]:
        logits = self._network.logits(evidence.features).double()
        probabilities = tuple(float(p) for p in torch.softmax(logits, dim=0).cpu())
        if not np.isfinite(probabilities).all():
            raise NetworkOutputError(f"probabilities {probabilities} from logits {logits.tolist()}")
        return probabilities

    def _activations(
        self, evidence: Evidence, prepared: NetworkInput, winner: int
    ) -> tuple[SliceActivation, ...]:
        """Grad-CAM for the winning class, 1.0 at the maximum over the slices."""
        weights = self._network.fc.weight[winner]
        maps = activation_maps(evidence, weights)
        maps = (maps / maps.amax().clamp_min(torch.finfo(maps.dtype).tiny)).cpu()
        shares = slice_shares(evidence, weights).tolist()
        return tuple(
            SliceActivation(index, prepared.box, cam.numpy(), share)
            for index, cam, share in zip(prepared.slice_indices, maps, shares, strict=True)
        )


def _device(asked: Device) -> torch.device:
    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise DeviceError("device cuda: this machine, or this build of torch, has no CUDA GPU")
    return torch.device("cuda" if asked != "cpu" and there else "cpu")


@contextmanager
def _deterministic() -> Iterator[None]:
    """On a GPU: no search for the quickest kernel, and all 24 bits of float32."""
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    ):
        yield


def _tell_nobody(_stage: str, _done: int, _total: int) -> None:
    return


class _Clock:
    """Seconds by stage, from a clock that nobody sets."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begun
