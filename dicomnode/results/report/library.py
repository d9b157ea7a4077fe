"""The image library of the report (TID 1600): the key slices and where they lie.

What all slices share stands once, at the group (TID 1600, Image Library Group); highdicom repeats
it for each image, which costs most of the time and size of a report.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from highdicom import sr
from pydicom.sr.coding import Code

from dicomnode.results.common import codes
from dicomnode.results.common.context import ResultContext

_ACQUISITION = sr.RelationshipTypeValues.HAS_ACQ_CONTEXT
_CONTAINS = sr.RelationshipTypeValues.CONTAINS
_ORIENTATION = tuple(  # TID 1604
    Code(str(110904 + i), "DCM", f"Image Orientation (Patient) {side} {axis}")
    for i, (side, axis) in enumerate((s, a) for s in ("Row", "Column") for a in "XYZ")
)
_POSITION = tuple(
    Code(str(110901 + i), "DCM", f"Image Position (Patient) {axis}") for i, axis in enumerate("XYZ")
)


def image_library(context: ResultContext) -> sr.ContainerContentItem:
    """Container of one group with the key slices, in the order of the stack."""
    group = _container(codes.IMAGE_LIBRARY_GROUP, _shared(context))
    shown = {key.slice_index for heat in context.with_heat for key in context.slices_shown(heat)}
    for index in sorted(shown):
        group.ContentSequence.append(_entry(context, index))
    return _container(codes.IMAGE_LIBRARY, [group])


def _container(name: Code, items: Iterable[sr.ContentItem]) -> sr.ContainerContentItem:
    container = sr.ContainerContentItem(name=name, relationship_type=_CONTAINS)
    container.ContentSequence = sr.ContentSequence(list(items))
    return container


def _shared(context: ResultContext) -> list[sr.ContentItem]:
    """TID 1602 and 1604: what is the same for all slices of the series."""
    affine = context.volume.affine
    _, rows, columns = context.volume.hu.shape
    between, down, right = context.volume.spacing_mm
    cosines = (*(affine[:3, 2] / right), *(affine[:3, 1] / down))
    items: list[sr.ContentItem] = [
        sr.CodeContentItem(codes.MODALITY, codes.COMPUTED_TOMOGRAPHY, _ACQUISITION),
        _number(Code("110910", "DCM", "Pixel Data Rows"), rows, codes.PIXELS),
        _number(Code("110911", "DCM", "Pixel Data Columns"), columns, codes.PIXELS),
        _number(Code("111026", "DCM", "Horizontal Pixel Spacing"), right, codes.MILLIMETRE),
        _number(Code("111066", "DCM", "Vertical Pixel Spacing"), down, codes.MILLIMETRE),
        _number(Code("112226", "DCM", "Spacing between slices"), between, codes.MILLIMETRE),
    ]
    items += [_number(n, c, codes.COSINE) for n, c in zip(_ORIENTATION, cosines, strict=True)]
    frame_of_reference = context.header.frame_of_reference_uid
    if frame_of_reference:
        name = codes.FRAME_OF_REFERENCE
        items.insert(1, sr.UIDRefContentItem(name, frame_of_reference, _ACQUISITION))
    return items


def _entry(context: ResultContext, index: int) -> sr.ImageContentItem:
    """TID 1601: one image and its position."""
    source = context.slices[index]
    image = sr.ImageContentItem(
        name=codes.SOURCE,
        referenced_sop_class_uid=source.sop_class_uid,
        referenced_sop_instance_uid=source.sop_instance_uid,
        referenced_frame_numbers=source.frame_number,
        relationship_type=_CONTAINS,
    )
    position = context.volume.to_lps((index, 0, 0))
    image.ContentSequence = sr.ContentSequence(
        [_number(n, p, codes.MILLIMETRE) for n, p in zip(_POSITION, position, strict=True)]
    )
    return image


def _number(name: Code, value: float, unit: Code) -> sr.NumContentItem:
    rounded = value if isinstance(value, int) else float(np.round(value, 6)) + 0.0  # no −0.0
    item = sr.NumContentItem(name, rounded, unit, relationship_type=_ACQUISITION)
    item.MeasuredValueSequence[0].NumericValue = f"{rounded:.10g}"  # highdicom writes 512 as 512.0
    return item
