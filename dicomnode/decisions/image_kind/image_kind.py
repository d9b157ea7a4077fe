"""What a slice is by its Image Type: acquired, a localizer, a view made of slices, or a picture."""

from __future__ import annotations

from enum import StrEnum

from dicomnode.decisions.image_kind.virtual_image import virtual_image
from dicomnode.decisions.instance_header import InstanceHeader

NOT_ACQUIRED = frozenset(
    {
        *("CPR", "MINIP", "MIP", "MPR", "MPVR", "PROJECTION IMAGE", "REFORMATTED", "VOLREN"),
        *("VRT", "SSD", "AVERAGE", "MAX_IP", "MIN_IP", "CURVED_MPR", "VOLUME_RENDER"),
        *("SURFACE_RENDER", "MAXIMUM", "MINIMUM", "MEAN", "SUBTRACTION", "PERFUSION"),
    }
)
"""Values of Image Type from the third on that tell a reformat, a projection, a rendering or a map
(PS3.3 C.8.16.1.3 and C.8.16.1.4, and what scanners write)."""

NO_SLICE = frozenset(
    {
        *("DOSE", "DOSE_INFO", "DOSE REPORT", "EXAM_SUMMARY", "PATIENT PROTOCOL", "PROTOCOL"),
        *("REPORT", "SCREEN SAVE", "SCREENSAVE", "SCREENSHOT", "SCREEN CAPTURE", "SUMMARY"),
    }
)
"""Values of Image Type that tell a page of text or a picture of a screen, as scanners write."""

_ONE_SLICE_ONLY = frozenset({"VOLUME"})
"""A rendering where a single-frame CT image says so; in Enhanced CT a regularly sampled volume
(PS3.3 C.8.16.1.3)."""

_NO_TECHNIQUE = frozenset({"", "NONE"})


class ImageKind(StrEnum):
    ACQUIRED = "acquired"
    LOCALIZER = "localizer"
    VIRTUAL = "map or virtual image"
    MADE_OF_SLICES = "reformat, projection or rendering"
    NO_SLICE = "secondary image, screen capture or report"


def image_kind(header: InstanceHeader) -> ImageKind:
    """By Image Type or Frame Type, values 2 on (PS3.3 C.7.6.1.1.2, C.8.2.1.1.1, C.8.15.3.1),
    by Volume Based Calculation Technique (C.8.16.2.1.3) where there is one.
    """
    values = [value.upper() for value in header.image_type]
    if "LOCALIZER" in values[2:]:
        return ImageKind.LOCALIZER
    virtual = virtual_image(header)
    if virtual is not None and not virtual.as_acquired:
        return ImageKind.VIRTUAL
    made = NOT_ACQUIRED if header.frame_number else NOT_ACQUIRED | _ONE_SLICE_ONLY
    if made & set(values[2:]) or header.volume_technique.upper() not in _NO_TECHNIQUE:
        return ImageKind.MADE_OF_SLICES
    if "SECONDARY" in values[1:2] or NO_SLICE & set(values[2:]):
        return ImageKind.NO_SLICE
    return ImageKind.ACQUIRED
