"""Paint a pattern into the lungs of a CT volume, with the truth of each voxel.

A lesion replaces a share of what is there by its own matter, as fluid replaces air: vessels and
airways of the host go on through it. What a mixture takes away of the host's noise is given back
with the host's own texture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import Mask, bounding_box
from inference.arrays.patient_axes import PatientView, patient_view
from inference.simulation.bacterial import community_acquired
from inference.simulation.canvas import Canvas, Cut, canvas_of, rim_pixels
from inference.simulation.covid19 import covid19
from inference.simulation.host_tissue import airless, evened, open_places, open_to
from inference.simulation.influenza import influenza
from inference.simulation.irrelevant import findings, irrelevant
from inference.simulation.lesions import Lesion
from inference.simulation.patterns import Box, Mark, Painted, Pattern
from inference.volume import AIR_HU, CtVolume

AnyNumber = TypeVar("AnyNumber", bound=np.generic)

HIGHEST_HU = 3071
SEEN_HU = 40.0
"""A voxel that a lesion moves by less is not counted as changed."""
SMALLEST_ML = 0.02
"""A lesion that leaves less changed is not marked."""
BESIDE = 0.35
"""Share of infected scans that show findings beside the infection."""

DRAWN: dict[Pattern, Callable[[Canvas, np.random.Generator], Iterator[Lesion]]] = {
    Pattern.COVID19: covid19,
    Pattern.CAP: community_acquired,
    Pattern.INFLUENZA: influenza,
    Pattern.IRRELEVANT: irrelevant,
}


def paint(volume: CtVolume, lungs: Mask, pattern: Pattern, seed: int) -> Painted:
    """The same for the same arguments, on any number of threads and however the volume is stored.

    `lungs`: bool, of the volume's shape.

    Raises:
        NoLungsError: there is too little lung.
        ValueError: a mask of another shape.
    """
    view = patient_view(volume, lungs)
    canvas = canvas_of(view)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    easel = _Easel(view, canvas)
    for lesion in _lesions(canvas, pattern, rng):
        easel.add(lesion)
    return easel.finish(volume, view, rng)


def _lesions(canvas: Canvas, pattern: Pattern, rng: np.random.Generator) -> Iterator[Lesion]:
    if pattern is Pattern.CLEAN:
        return
    yield from DRAWN[pattern](canvas, rng)
    if pattern is not Pattern.IRRELEVANT and rng.random() < BESIDE:
        yield from findings(canvas, rng, int(rng.integers(1, 3)))


class _Easel:
    """The lungs' box of a volume while it is painted.

    `hu`: float32; `kept`: share of the host's own noise that is left; `label`, `most`: which lesion
    changed a voxel by the most HU, and by how much.
    """

    def __init__(self, view: PatientView, canvas: Canvas) -> None:
        self.canvas = canvas
        self.box = canvas.box
        lungs = view.lungs[self.box]
        self.host = view.hu[self.box]
        self.hu = self.host.astype(np.float32)
        self.even = evened(self.hu)
        self.where = open_places(lungs, self.even, rim_pixels(view.spacing_mm[1]))
        self.airless = airless(self.even, lungs, canvas)
        self.kept = np.ones(self.hu.shape, np.float32)
        self.label = np.zeros(self.hu.shape, np.uint16)
        self.most = np.full(self.hu.shape, SEEN_HU, np.float32)
        self.lesions: list[Lesion] = []

    def add(self, lesion: Lesion) -> None:
        """Blend a lesion in."""
        cut = _within(lesion.cut, self.box)
        fraction = lesion.fraction * self.where[cut]
        if not fraction.any():
            return
        fraction *= open_to(lesion.fill_hu, self.even[cut], self.airless[cut])
        self.lesions.append(lesion)
        change = fraction * (np.float32(lesion.fill_hu) - self.hu[cut])
        self.hu[cut] += change
        self.kept[cut] *= 1.0 - fraction
        size = abs(change)
        more = size > self.most[cut]
        self.label[cut][more] = len(self.lesions)
        self.most[cut][more] = size[more]

    def finish(self, volume: CtVolume, view: PatientView, rng: np.random.Generator) -> Painted:
        """Give the noise back and turn all into the axes that the volume is stored in."""
        painted = self.kept < 1.0
        self._give_noise_back(rng)
        hu = volume.hu.copy()
        box = _turned(hu, view)[self.box]
        box[painted] = np.clip(np.rint(self.hu[painted]), AIR_HU, HIGHEST_HU).astype(np.int16)
        marks = self._marks(volume, view)
        lesions = np.zeros(hu.shape, np.uint16)
        _turned(lesions, view)[self.box] = self.label
        return Painted(CtVolume(hu, volume.affine), lesions, marks)

    def _give_noise_back(self, rng: np.random.Generator) -> None:
        painted = self.kept < 1.0
        box = bounding_box(painted)
        noise = self.canvas.noise
        hu, kept = self.hu[box], self.kept[box]
        left = kept * noise.at(self.host[box].astype(np.float32))
        missing = np.sqrt(np.maximum(noise.at(hu) ** 2 - left**2, 0.0))
        if missing.size:
            hu += missing * noise.sample(rng, hu.shape) * painted[box]

    def _marks(self, volume: CtVolume, view: PatientView) -> tuple[Mark, ...]:
        """Renumber what can be seen from 1 on; the rest leaves the labels."""
        counts = np.bincount(self.label.ravel(), minlength=len(self.lesions) + 1)
        seen = counts * volume.voxel_ml >= SMALLEST_ML
        seen[0] = False
        numbers = np.where(seen, np.cumsum(seen), 0).astype(np.uint16)
        self.label = numbers[self.label]
        return tuple(
            Mark(int(number), str(lesion.pattern), lesion.kind, self._place(view, lesion, number))
            for lesion, number in zip(self.lesions, numbers[1:], strict=True)
            if number
        )

    def _place(self, view: PatientView, lesion: Lesion, number: np.uint16) -> Box:
        """The box (LPS mm) of a label."""
        found = bounding_box(self.label[_within(lesion.cut, self.box)] == number)
        starts = [side.start for side in lesion.cut]
        low = [s + f.start - 0.5 for s, f in zip(starts, found, strict=True)]
        high = [s + f.stop - 0.5 for s, f in zip(starts, found, strict=True)]
        corners = [view.to_lps((z, y, x)) for z, y, x in product(*zip(low, high, strict=True))]
        ends = np.array(corners)
        least, most = ends.min(axis=0).tolist(), ends.max(axis=0).tolist()
        return (least[0], least[1], least[2]), (most[0], most[1], most[2])


def _within(cut: Cut, box: Cut) -> Cut:
    """A cut of the volume as one of its box."""
    z, y, x = (slice(c.start - b.start, c.stop - b.start) for c, b in zip(cut, box, strict=True))
    return z, y, x


def _turned(stored: NDArray[AnyNumber], view: PatientView) -> NDArray[AnyNumber]:
    """A stored array in the patient's axes: a view, written through."""
    turn = tuple(slice(None, None, -1) if flip else slice(None) for flip in view.flipped)
    return stored.transpose(view.order)[turn]
