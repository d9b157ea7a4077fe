"""Pictures of some scans of an evaluation: does the heat lie on the lesion?"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dicomnode.results.common.view import view_of
from dicomnode.results.pictures.heatmap import blend, lung_window
from inference.arrays.components import Mask
from inference.findings import Findings
from inference.heatmap import activation_on_slice
from inference.location_attention.patches import outline
from inference.volume import CtVolume

MOST_OF_A_LABEL = 4
LONGEST_SIDE = 320
"""Pixels of a tile; more are left out, one in so many."""
_OUTLINE = (255, 0, 255)


@dataclass(frozen=True, eq=False)
class GalleryTile:
    """`words`: what stands above; `picture`: RGB (rows, columns, 3), upright: the slice with
    the most heat with the outline of its lesions, and beside it the same with the heat."""

    words: str
    picture: NDArray[np.uint8]


@dataclass(frozen=True)
class Gallery:
    """The first scans of each label, so many that a person looks at all of them."""

    tiles: list[GalleryTile] = field(default_factory=list)
    _of_label: dict[str, int] = field(default_factory=dict)

    def offer(
        self, scan: str, label: str, volume: CtVolume, findings: Findings, lesions: Mask
    ) -> None:
        """Draw the scan, unless there are enough of its label."""
        drawn = self._of_label.get(label, 0)
        if drawn >= MOST_OF_A_LABEL or not findings.heat:
            return
        self._of_label[label] = drawn + 1
        winner, share = findings.answer.outcome.name, 100 * max(findings.answer.scores)
        words = f"{scan}: {label}\nfound {winner}, {share:.0f} %"
        self.tiles.append(GalleryTile(words, _picture(volume, findings, lesions)))


def _picture(volume: CtVolume, findings: Findings, lesions: Mask) -> NDArray[np.uint8]:
    activation = max(findings.ranked, key=lambda each: float(each.cam.sum()))
    hu, marked = volume.hu[activation.slice_index], lesions[activation.slice_index]
    heat = activation_on_slice(activation, *hu.shape)
    edge = outline(marked)
    view, pair = view_of(volume.affine), []
    for picture in (np.repeat(lung_window(hu)[..., None], 3, axis=2), blend(hu, heat)):
        picture[edge] = _OUTLINE
        layers = [view.upright(picture[..., channel]) for channel in range(3)]
        pair.append(np.stack(layers, axis=-1))
    whole = np.concatenate(pair, axis=1)
    step = max(1, round(max(pair[0].shape[:2]) / LONGEST_SIDE))
    return np.ascontiguousarray(whole[::step, ::step])
