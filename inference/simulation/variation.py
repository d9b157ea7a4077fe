"""Vary a host before it is painted, whatever the pattern: nothing here tells the classes apart.

In-plane and axial scale, thickness of slices, sharpness of the kernel, noise, a rare motion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import Mask, bounding_box
from inference.arrays.patient_axes import patient_view
from inference.simulation.fields import Values
from inference.simulation.host_noise import measure_noise
from inference.volume import AIR_HU, CtVolume

HIGHEST_HU = 3071
SCALE = (0.9, 1.1)
THICKEST_MM = 5.0
"""Thin slices are joined at most to this."""
KERNEL = (-0.1, 0.2)
"""Weight of each neighbour: below 0 sharper, above 0 softer."""
NOISE_HU = 20.0
MOTION = 0.12
"""Share of scans in which some slices are doubled by a breath or the heart."""
MOVED_MM = (1.5, 6.0)
BODY_ABOVE_HU = -500
MARGIN_MM = 12.0
BEYOND_LUNGS_MM = 40.0
"""What lies further above or below the lungs is cut off."""


@dataclass(frozen=True, eq=False)
class Host:
    """A volume and its lungs: bool, of its shape."""

    volume: CtVolume
    lungs: Mask


def vary(host: Host, seed: int) -> Host:
    """The same for the same seed.

    Raises:
        ValueError: the lungs are of another shape than the volume.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 1])))
    turned = patient_view(host.volume, host.lungs)
    hu, lungs, affine = np.ascontiguousarray(turned.hu), turned.lungs, turned.affine.copy()
    hu, lungs, affine = _cropped(hu, lungs, affine)
    hu, lungs, affine = _thicker(rng, hu, lungs, affine)
    in_plane, axial = rng.uniform(*SCALE, 2)
    affine[:3, 0] *= axial
    affine[:3, 1:3] *= in_plane
    pixel_mm = float(np.linalg.norm(affine[:3, 1]))
    values = hu.astype(np.float32)
    if rng.random() < MOTION:
        values = _moved(rng, values, pixel_mm)
    values = _filtered(values, float(rng.uniform(*KERNEL)) if rng.random() < 0.7 else 0.0)
    if rng.random() < 0.5:
        noise = measure_noise(np.rint(values).astype(np.int16), lungs, pixel_mm)
        values += np.float32(rng.uniform(2.0, NOISE_HU)) * noise.sample(rng, hu.shape)
    values[hu <= AIR_HU] = AIR_HU
    hu = np.clip(np.rint(values), AIR_HU, HIGHEST_HU).astype(np.int16)
    return Host(CtVolume(hu, affine), np.ascontiguousarray(lungs))


def _cropped(
    hu: NDArray[np.int16], lungs: Mask, affine: NDArray[np.float64]
) -> tuple[NDArray[np.int16], Mask, NDArray[np.float64]]:
    """To the body in-plane and to the lungs, with some room, along z."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    tissue = hu > BODY_ABOVE_HU
    rows, columns = (tissue.mean(axis=(0, axis)) > 0.03 for axis in (2, 1))
    found = np.flatnonzero(rows), np.flatnonzero(columns)
    ends = [bounding_box(lungs)[0]]
    ends += [slice(int(f[0]), int(f[-1]) + 1) if len(f) else slice(0, None) for f in found]
    room = [BEYOND_LUNGS_MM, MARGIN_MM, MARGIN_MM]
    cut = []
    for end, more, step, length in zip(ends, room, spacing, hu.shape, strict=True):
        pixels = round(more / step)
        stop = length if end.stop is None else end.stop
        cut.append(slice(max(0, end.start - pixels), min(length, stop + pixels)))
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ np.array([c.start for c in cut])
    box = cut[0], cut[1], cut[2]
    return hu[box], lungs[box], moved


def _thicker(
    rng: np.random.Generator, hu: NDArray[np.int16], lungs: Mask, affine: NDArray[np.float64]
) -> tuple[NDArray[np.int16], Mask, NDArray[np.float64]]:
    """Some slices joined to one, by mean."""
    slice_mm = float(np.linalg.norm(affine[:3, 0]))
    most = max(1, int(THICKEST_MM / slice_mm))
    joined = int(rng.integers(1, most + 1))
    if joined == 1 or len(hu) < 8 * joined:
        return hu, lungs, affine
    length = len(hu) - len(hu) % joined
    parts = hu[:length].reshape(-1, joined, *hu.shape[1:])
    masks = lungs[:length].reshape(-1, joined, *hu.shape[1:])
    thicker = affine.copy()
    thicker[:3, 3] += affine[:3, 0] * (joined - 1) / 2
    thicker[:3, 0] *= joined
    mean = np.rint(parts.mean(axis=1, dtype=np.float32)).astype(np.int16)
    return mean, masks.mean(axis=1) > 0.5, thicker


def _filtered(values: Values, weight: float) -> Values:
    """Three neighbours along rows, then along columns."""
    if weight == 0.0:
        return values
    for axis in (1, 2):
        line = np.moveaxis(values, axis, 0)
        line[1:-1] += np.float32(weight) * (line[:-2] + line[2:] - 2 * line[1:-1])
    return values


def _moved(rng: np.random.Generator, values: Values, pixel_mm: float) -> Values:
    """Some slices are the mean of themselves and themselves moved."""
    number = int(rng.integers(2, max(3, len(values) // 5)))
    first = int(rng.integers(0, max(1, len(values) - number)))
    shift = [round(rng.uniform(*MOVED_MM) / pixel_mm * sign) for sign in rng.choice([-1, 1], 2)]
    share = np.float32(rng.uniform(0.25, 0.5))
    part = values[first : first + number]
    part += share * (np.roll(part, shift, axis=(1, 2)) - part)
    return values
