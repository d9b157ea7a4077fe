"""The grid that lesions are drawn on, with the anatomy and the sharpness of its host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inference.arrays.components import bounding_box
from inference.arrays.patient_axes import PatientView
from inference.simulation.anatomy import Anatomy, survey
from inference.simulation.fields import Points, Values, Vector
from inference.simulation.host_noise import HostNoise, measure_noise

Cut = tuple[slice, slice, slice]

LAYER_MM = 1.7
"""A slice is drawn as the mean of layers at most so thick: the partial volume along z."""
MOST_LAYERS = 4
RIM_MM = 2.5
"""Half-filled voxels of the pleura, just outside the mask, are painted too."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """A volume in the patient's axes; positions are mm (z, y, x) from its first voxel.

    `box`: the lungs with their rim; nothing is drawn outside.
    """

    spacing_mm: tuple[float, float, float]
    box: Cut
    anatomy: Anatomy
    noise: HostNoise

    @property
    def layers(self) -> int:
        """How many layers a slice is drawn as."""
        return int(np.clip(np.ceil(self.spacing_mm[0] / LAYER_MM), 1, MOST_LAYERS))

    def cut(self, low_mm: Vector, high_mm: Vector) -> Cut:
        """The voxels of a box in mm, as far as they are of `box`; perhaps none."""
        sides = zip(low_mm, high_mm, self.spacing_mm, self.box, strict=True)
        cut = []
        for low, high, step, lungs in sides:
            first = max(lungs.start, int(np.floor(low / step)))
            stop = min(lungs.stop, int(np.ceil(high / step)) + 1)
            cut.append(slice(min(first, lungs.stop), max(min(first, lungs.stop), stop)))
        return cut[0], cut[1], cut[2]

    def points(self, cut: Cut) -> Points:
        """The points to draw at: as many along z as there are layers, centres of pixels."""
        z, y, x = (np.arange(c.start, c.stop, dtype=np.float64) for c in cut)
        parts = (np.arange(self.layers) + 0.5) / self.layers - 0.5
        z = (z[:, None] + parts).ravel()
        lines = [line * s for line, s in zip((z, y, x), self.spacing_mm, strict=True)]
        return Points(lines[0], lines[1], lines[2])

    def settle(self, values: Values) -> Values:
        """The slices: means over their layers."""
        if self.layers == 1:
            return values
        layered = values.reshape(-1, self.layers, *values.shape[1:])
        mean: Values = layered.mean(axis=1)
        return mean

    def edge(self, inside_mm: Values, soft_mm: float = 0.0) -> Values:
        """0 to 1 across an edge, `inside_mm` its signed depth; never sharper than the scanner."""
        width = np.float32(np.hypot(self.noise.blur_mm, soft_mm) * 1.25)
        rise: Values = np.tanh(inside_mm / width)
        rise += 1.0
        rise *= 0.5
        return rise


def canvas_of(view: PatientView) -> Canvas:
    """
    Raises:
        NoLungsError: there is too little lung to paint into.
    """
    anatomy = survey(view)
    noise = measure_noise(view.hu, view.lungs, view.spacing_mm[1])
    return Canvas(view.spacing_mm, _with_rim(view), anatomy, noise)


def _with_rim(view: PatientView) -> Cut:
    """The lungs' box, with a rim of RIM_MM and a pixel more in-plane."""
    slices, *lungs = bounding_box(view.lungs)
    rows, columns = (
        slice(max(0, side.start - reach), min(length, side.stop + reach))
        for side, length, reach in zip(
            lungs,
            view.hu.shape[1:],
            (rim_pixels(mm) + 1 for mm in view.spacing_mm[1:]),
            strict=True,
        )
    )
    return slices, rows, columns


def rim_pixels(pixel_mm: float) -> int:
    """The rim in pixels, one at least."""
    return max(1, round(RIM_MM / pixel_mm))
