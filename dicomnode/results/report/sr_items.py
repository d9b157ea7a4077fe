"""Content items that the measurement groups are made of."""

from __future__ import annotations

import numpy as np
from highdicom import sr

from dicomnode.results.common import codes
from dicomnode.results.common.context import ResultContext
from inference.findings import ModelIdentity, RowColumnBox


def algorithm(model: ModelIdentity) -> sr.AlgorithmIdentification:
    """TID 4019."""
    return sr.AlgorithmIdentification(
        name=model.name,
        version=model.version,
        parameters=[
            f"weights SHA-256 {model.weights_sha256}",
            f"training {model.training.value}",
        ],
        family=codes.ARTIFICIAL_INTELLIGENCE,
    )


def lung_box(
    context: ResultContext, slice_index: int, otherwise: RowColumnBox | None = None
) -> sr.ImageRegion:
    """Box around the lungs of a slice; `otherwise` (or the whole image) where it shows none."""
    rows, columns = np.nonzero(context.lung_mask[slice_index])
    if not rows.size:
        _, height, width = context.volume.hu.shape
        return rectangle(context, slice_index, otherwise or RowColumnBox(0, 0, height, width))
    box = RowColumnBox(
        int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1
    )
    return rectangle(context, slice_index, box)


def rectangle(context: ResultContext, slice_index: int, box: RowColumnBox) -> sr.ImageRegion:
    """A box of pixels as a closed POLYLINE in (column, row).

    0\\0 is the outer corner of the first pixel (PS3.3 Table C.18.6-1), so that the box of
    pixels [left, right) runs from left to right.
    """
    top, left, bottom, right = box.top, box.left, box.bottom, box.right
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    source = context.slices[slice_index]
    return sr.ImageRegion(
        graphic_type=sr.GraphicTypeValues.POLYLINE,
        graphic_data=np.array(corners, dtype=np.float32),
        source_image=sr.SourceImageForRegion(
            source.sop_class_uid,
            source.sop_instance_uid,
            None if source.frame_number is None else [source.frame_number],
        ),
    )
