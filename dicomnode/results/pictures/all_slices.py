"""Every slice of the stack with its heatmap, to be scrolled through: an option, off by default.

One Secondary Capture a slice, or one multi-frame True Color one. Uncompressed they are 300 MB and
more for thin slices; as JPEG a tenth of that, and a peer that does not take JPEG gets them decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from dicomnode.decisions.result_options import AllSlices
from dicomnode.results.common.context import ResultContext, ResultObject
from dicomnode.results.common.modules import Place, complete, series_description
from dicomnode.results.common.naming import named
from dicomnode.results.pictures.capture import set_image, slice_panel, source_item
from dicomnode.results.pictures.multi_frame import set_frames
from dicomnode.results.pictures.pixels import EncodedPixels, jpeg, set_encoded, uncompressed
from inference.findings import Findings

SLICE = "slice"
SLICES = "slices"


def all_slices(context: ResultContext) -> tuple[ResultObject, ...]:
    """As the options ask for: none by default, nor without heatmaps.

    Of each method that has heatmaps, one after the other.

    Raises:
        ValueError: the box of an activation lies outside its slice.
    """
    if context.settings.options.all_slices is AllSlices.OFF:
        return ()
    indices, made = _as_the_source_is_read(context), list[ResultObject]()
    for heat in filter(None, context.with_heat):
        if context.settings.options.multi_frame:
            made.append(_multi_frame(context, heat, indices, len(made) + 1))
        else:
            made += [_single(context, heat, i, n) for n, i in enumerate(indices, len(made) + 1)]
    return named(made, *context.salt) if made else ()


def _as_the_source_is_read(context: ResultContext) -> list[int]:
    """Indices in the order of the source's own numbers, in which viewers show it, head first or
    feet first; in that of the stack where the numbers do not tell."""
    numbers = [(each.instance_number, each.frame_number or 0) for each in context.slices]
    indices = list(range(len(numbers)))
    if len(set(numbers)) < len(numbers) or any(number is None for number, _ in numbers):
        return indices
    return sorted(indices, key=lambda index: (numbers[index][0] or 0, numbers[index][1]))


def _single(context: ResultContext, heat: Findings, index: int, number: int) -> ResultObject:
    data_set = Dataset()
    set_image(data_set, context, [index])
    pixels = _encoded(context, [slice_panel(context, heat, index)])
    set_encoded(data_set, pixels)
    place = _place(context, SecondaryCaptureImageStorage, number)
    return _completed(data_set, context, SLICE, place, pixels)


def _multi_frame(
    context: ResultContext, heat: Findings, indices: Sequence[int], number: int
) -> ResultObject:
    """Each frame refers to the slice that it shows."""
    data_set = Dataset()
    set_image(data_set, context, indices)
    set_frames(data_set, [source_item([context.slices[index]]) for index in indices])
    pixels = _encoded(context, (slice_panel(context, heat, index) for index in indices))
    set_encoded(data_set, pixels)
    place = _place(context, MultiFrameTrueColorSecondaryCaptureImageStorage, number)
    return _completed(data_set, context, SLICES, place, pixels)


def _encoded(context: ResultContext, pictures: Iterable[NDArray[np.uint8]]) -> EncodedPixels:
    as_jpeg = context.settings.options.all_slices is AllSlices.JPEG
    return jpeg(pictures) if as_jpeg else uncompressed(pictures)


def _place(context: ResultContext, sop_class: UID, number: int) -> Place:
    return Place(
        sop_class_uid=sop_class,
        series_number=context.settings.options.all_slices_series_number,
        instance_number=number,
        modality="OT",
        series_description=series_description("all slices", context),
    )


def _completed(
    data_set: Dataset, context: ResultContext, kind: str, place: Place, pixels: EncodedPixels
) -> ResultObject:
    complete(data_set, place, context)
    data_set.file_meta.TransferSyntaxUID = pixels.transfer_syntax_uid
    return ResultObject(kind, data_set)
