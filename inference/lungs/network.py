"""Lungs by a network of a bundle: a U-net slice by slice, then what a network does not know.

Right and left are told apart by the network's classes or, where it knows lung only, by place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import Mask
from inference.arrays.patient_axes import patient_view
from inference.backends.choice import Backend
from inference.backends.device import Device, choose_device
from inference.backends.precision import USUAL, PrecisionWish, engine_on
from inference.bundles.bundle import Bundle
from inference.bundles.tasks import LUNGS
from inference.errors import NoLungsError
from inference.findings import IntendedUse
from inference.lungs.backend import LungBackend
from inference.lungs.chest import CoarseBody, coarse_chest
from inference.lungs.class_labels import best_classes, enlarged_classes, neighbours
from inference.lungs.lung_input import LungInput
from inference.lungs.openvino_backend import OpenvinoUnet
from inference.lungs.sides import Sides, lung_sides
from inference.lungs.thresholds import MINIMUM_LUNGS_ML
from inference.lungs.tidied import tidied
from inference.lungs.torch_backend import TorchUnet
from inference.memory import Memory
from inference.networks.unet import Unet
from inference.progress import Progress, no_progress
from inference.volume import CtVolume

Labels = NDArray[np.uint8]


class LungNetwork:
    """A bundle of the task `lungs` on a device."""

    def __init__(
        self,
        backend: LungBackend,
        bundle: Bundle,
        use_here: IntendedUse = IntendedUse.NONE,
        memory: Memory | None = None,
    ) -> None:
        self._backend = backend
        self._memory = memory or Memory()
        self._size = bundle.settings(LungInput, LUNGS).size
        self._knows_sides = len(bundle.card.classes) == 3
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
    ) -> LungNetwork:
        """Put the bundle's network on the device; as `Engine.load`, but `threads` are OpenVINO's.

        Raises:
            DeviceError: as `Engine.load`.
            BundleError: the bundle is for another task.
        """
        settings = bundle.settings(LungInput, LUNGS)
        chosen = choose_device(device)
        engine = engine_on(backend, chosen)
        precision = wish.on(engine)
        network = cast("Unet", bundle.network())
        network.fold()
        network.requires_grad_(False)
        made: LungBackend
        if engine == "openvino":
            made = OpenvinoUnet(network, settings, threads, precision)
        else:
            made = TorchUnet(network, chosen, settings, precision, at_once)
        return cls(made, bundle, use_here, memory)

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return self._backend.device

    @property
    def backend(self) -> str:
        """`openvino` or `torch`."""
        return self._backend.name

    def segment(
        self,
        volume: CtVolume,
        progress: Progress | None = None,
        minimum_ml: float = MINIMUM_LUNGS_ML,
    ) -> Sides:
        """Right and left lung: uint8 (slices, rows, columns) of `volume`, values of `Side` or 0.

        Raises:
            NoLungsError: there is less than `minimum_ml`.
        """
        chest = coarse_chest(volume).of_body
        fine, coarse = self._labels(volume, progress or no_progress)
        lungs = _enough(volume, tidied(fine, coarse, chest), minimum_ml)
        if not self._knows_sides:
            return lung_sides(volume, lungs)
        by_place = lung_sides(volume, lungs & (fine == 0))  # filled holes: no class of their own
        return np.where(lungs & (fine > 0), fine, by_place)

    def mask(
        self,
        volume: CtVolume,
        body: CoarseBody,
        progress: Progress | None = None,
        minimum_ml: float = MINIMUM_LUNGS_ML,
    ) -> Mask:
        """Where `segment` finds a lung, without telling which; `body`: that of the volume.

        Raises:
            as `segment`.
        """
        fine, coarse = self._labels(volume, progress or no_progress)
        return _enough(volume, tidied(fine, coarse, body, in_place=True), minimum_ml)

    def _labels(self, volume: CtVolume, on_progress: Progress) -> tuple[Labels, Labels]:
        """Most probable class: of each voxel (stored axes), and of each pixel of the network.

        The second is (slices, size, size) in stored axes too: both for slices as they are stored.
        """
        view = patient_view(volume, np.broadcast_to(np.False_, volume.hu.shape))
        rows, columns = (neighbours(pixels, self._size) for pixels in view.hu.shape[1:])
        fine = np.empty(view.hu.shape, np.uint8)
        coarse = np.empty((len(fine), self._size, self._size), np.uint8)

        def labelled(slices: Iterable[NDArray[np.int16]]) -> Iterator[Labels]:
            for logits in self._backend.logits(list(slices), on_progress):
                small = best_classes(logits)
                large = enlarged_classes(logits, small, rows, columns)
                yield np.concatenate((large.ravel(), small.ravel()))

        for index, both in enumerate(self._memory.recall(LUNGS, list(view.hu), labelled)):
            fine[index].reshape(-1)[:] = both[: fine[index].size]
            coarse[index].reshape(-1)[:] = both[fine[index].size :]
        return view.as_stored(fine), view.as_stored(coarse)


def _enough(volume: CtVolume, lungs: Mask, minimum_ml: float) -> Mask:
    found_ml = float(np.count_nonzero(lungs)) * volume.voxel_ml
    if found_ml < minimum_ml:
        raise NoLungsError("lung volume", found_ml, minimum_ml, "ml")
    return lungs
