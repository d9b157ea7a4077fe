"""Lungs by a network of a bundle: a U-net slice by slice, then what a network does not know.

Post-processing: what lies outside the body goes, as do pieces too small for a lobe, holes shut on
all sides are filled, the trachea and the main bronchi come out (body and airways are found in the
HU, as for the classical method), and right and left are told apart by the network's classes or,
where it knows lung only, by place.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from inference.arrays.components import (
    Mask,
    dilate_in_plane,
    erode_in_plane,
    fill_volume,
    label_volume,
    select,
    sizes,
)
from inference.arrays.patient_axes import patient_view
from inference.backends.device import Device, choose_device, deterministic
from inference.bundles.bundle import Bundle
from inference.bundles.tasks import LUNGS
from inference.errors import NoLungsError
from inference.findings import IntendedUse
from inference.lungs.lung_input import LungInput
from inference.lungs.lung_slices import slice_image
from inference.lungs.sides import Sides, lung_sides
from inference.lungs.thresholds import MINIMUM_LUNGS_ML, SMALLEST_PART, body_and_airways
from inference.networks.unet import Unet
from inference.progress import Progress, no_progress
from inference.volume import CtVolume

Labels = NDArray[np.uint8]


class LungNetwork:
    """A bundle of the task `lungs` on a device."""

    def __init__(
        self, network: Unet, bundle: Bundle, device: torch.device, use_here: IntendedUse
    ) -> None:
        self._settings = bundle.settings(LungInput, LUNGS)
        self._network = network
        self._device = device
        self._knows_sides = len(bundle.card.classes) == 3
        self.identity = bundle.card.identity_at(use_here)

    @classmethod
    def load(
        cls,
        bundle: Bundle,
        device: Device = "auto",
        use_here: IntendedUse = IntendedUse.NONE,
    ) -> LungNetwork:
        """Put the bundle's network on the device; as `Engine.load`.

        Raises:
            DeviceError: CUDA is asked for and absent.
            BundleError: the bundle is for another task.
        """
        chosen = choose_device(device)
        network = cast("Unet", bundle.network())
        made = cls(network, bundle, chosen, use_here)
        network.fold()
        network.requires_grad_(False)
        network.to(chosen, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return made

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
        fine, coarse = self._labels(volume, progress or no_progress)
        body, airways = body_and_airways(volume)
        within = (coarse > 0) & _on(body, coarse.shape)
        lungs = _tidied((fine > 0) & body, within) & ~airways
        found_ml = float(np.count_nonzero(lungs)) * volume.voxel_ml
        if found_ml < minimum_ml:
            raise NoLungsError("lung volume", found_ml, minimum_ml, "ml")
        if not self._knows_sides:
            return lung_sides(volume, lungs)
        by_place = lung_sides(volume, lungs & (fine == 0))  # filled holes: no class of their own
        return np.where(lungs & (fine > 0), fine, by_place)

    def _labels(self, volume: CtVolume, on_progress: Progress) -> tuple[Labels, Labels]:
        """Most probable class: of each voxel (stored axes), and of each pixel of the network.

        The second is (slices, size, size) in stored axes too: both for slices as they are stored.
        """
        view = patient_view(volume, np.broadcast_to(np.False_, volume.hu.shape))
        turn = tuple(slice(None, None, -1) if flip else slice(None) for flip in view.flipped)
        size = self._settings.size
        fine = np.empty(view.hu.shape, np.uint8)
        coarse = np.empty((len(view.hu), size, size), np.uint8)
        with deterministic(), torch.inference_mode():
            for index, hu in enumerate(view.hu):
                on_progress("lungs", index, len(view.hu))
                logits = self._network(slice_image(hu, self._settings, self._device))
                coarse[index] = logits[0].argmax(dim=0).to(torch.uint8).cpu().numpy()
                full = interpolate(logits, hu.shape, mode="bilinear", align_corners=False)
                fine[index] = full[0].argmax(dim=0).to(torch.uint8).cpu().numpy()
        return _stored(fine, view.order, turn), _stored(coarse, view.order, turn)


def _stored(labels: Labels, order: tuple[int, int, int], turn: tuple[slice, ...]) -> Labels:
    """From the patient's axes back to the stored ones."""
    inverse = np.argsort(order)
    return np.ascontiguousarray(labels[turn].transpose(inverse))


def _tidied(fine: Mask, coarse: Mask) -> Mask:
    """What of the fine mask belongs to large pieces of the coarse one, with its holes filled."""
    labels = label_volume(coarse)
    counts = sizes(labels)
    kept = fill_volume(select(labels, counts >= max(1.0, counts.max() * SMALLEST_PART)))
    near = _on(dilate_in_plane(kept, 1), fine.shape)
    inside = _on(erode_in_plane(kept, 1), fine.shape)
    return (fine & near) | inside


def _on(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """A mask on a finer or coarser grid of `shape`: of each pixel, that of `mask` at its place."""
    along = [
        np.arange(length) if length == cells else np.arange(length) * cells // length
        for length, cells in zip(shape, mask.shape, strict=True)
    ]
    there: Mask = mask[np.ix_(*along)]
    return there
