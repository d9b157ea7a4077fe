"""Secondary Captures: a montage first, then the key slices, in one series.

Single-frame colour, uncompressed: every PACS takes and every viewer shows them. They carry no
geometry, for the banner shifts the origin; each refers to its source images instead.

Not by highdicom: its SCImage has one frame, the time of day in it (no two are the same bytes), one
Conversion Type, no say in the quality of JPEG, and no word on derivation or sources.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from dicomnode.results.common import codes
from dicomnode.results.common.character_sets import raw_keyword
from dicomnode.results.common.context import ResultContext, ResultObject, SourceSlice
from dicomnode.results.common.findings_text import percent
from dicomnode.results.common.key_slices import KeySlice
from dicomnode.results.common.modules import Place, complete, series_description
from dicomnode.results.common.naming import named
from dicomnode.results.common.summary import RESEARCH_ONLY
from dicomnode.results.common.values import code_string
from dicomnode.results.common.view import view_of
from dicomnode.results.pictures.capture_text import (
    derivation,
    montage_lines,
    outlines_on,
    panel_lines,
)
from dicomnode.results.pictures.heatmap import blend
from dicomnode.results.pictures.montage import TILES_ACROSS, Tile, draw_montage
from dicomnode.results.pictures.panel import Caption, draw_panel
from dicomnode.results.pictures.pixels import set_encoded, uncompressed
from inference.findings import Findings
from inference.heatmap import activation_on_slice

MONTAGE = "montage"
KEY_SLICE = "key_slice"
_ST_LIMIT = 1024  # characters, PS3.5 section 6.2
_TILE_MARGIN = 0.1  # of the extent of the lungs: ribs and skin stay in view


def secondary_captures(context: ResultContext) -> tuple[ResultObject, ...]:
    """The montage (instance 1) and a panel of each key slice, the largest share first.

    Those of each method that has heatmaps, one after the other.

    Raises:
        ValueError: the box of an activation lies outside its slice.
    """
    made: list[ResultObject] = []
    for heat in context.with_heat:
        keys = context.slices_shown(heat)
        pictures = {key.slice_index: _picture(context, key) for key in keys}
        made.append(_montage(context, heat, pictures, len(made) + 1))
        for key in keys:
            pixels = _drawn(context, heat, key, pictures[key.slice_index])
            made.append(_object(context, KEY_SLICE, pixels, len(made) + 1, [key.slice_index]))
    return named(made, *context.salt)


def _picture(context: ResultContext, key: KeySlice) -> NDArray[np.uint8]:
    hu = context.volume.hu[key.slice_index]
    if key.activation is None:
        return blend(hu, np.zeros(hu.shape, np.float32))
    return blend(hu, activation_on_slice(key.activation, *hu.shape))


def _montage(
    context: ResultContext,
    heat: Findings | None,
    pictures: Mapping[int, NDArray[np.uint8]],
    number: int,
) -> ResultObject:
    """The slices for which it has room, all of which have a panel too."""
    keys = context.slices_shown(heat, min(TILES_ACROSS**2, context.settings.options.key_slices))
    rows, columns = _around_lungs(context)
    tiles = [
        Tile(
            pictures[key.slice_index][rows, columns],
            f"{rank}: slice {key.slice_index + 1}/{len(context.slices)}, {_shown_for(key)}",
            tuple(each.within(rows, columns) for each in outlines_on(context, key.slice_index)),
        )
        for rank, key in enumerate(keys, 1)
    ]
    caption = Caption(context.warning, montage_lines(context, heat))
    pixels = draw_montage(tiles, view_of(context.volume.affine), caption)
    return _object(context, MONTAGE, pixels, number, [key.slice_index for key in keys])


def _shown_for(key: KeySlice) -> str:
    if key.region is not None:
        return f"region {key.region}"
    return f"share {percent(key.activation.share)}" if key.activation else "most lung"


def _around_lungs(context: ResultContext) -> tuple[slice, slice]:
    """A square that holds all of the lungs and a margin; the same for every tile.

    Without it a third of each small tile would show air and table.
    """
    lungs = context.lung_mask.any(axis=0)
    rows, columns = np.nonzero(lungs)
    if not rows.size:
        return slice(0, lungs.shape[0]), slice(0, lungs.shape[1])
    extent = max(int(np.ptp(rows)), int(np.ptp(columns))) + 1
    side = round((1.0 + 2.0 * _TILE_MARGIN) * extent)
    return _centred(rows, side, lungs.shape[0]), _centred(columns, side, lungs.shape[1])


def _centred(indices: NDArray[np.intp], side: int, size: int) -> slice:
    """A stretch of `side` around the indices, shifted so that it lies within 0 and `size`."""
    start = (int(indices.min()) + int(indices.max()) + 1 - side) // 2
    start = max(0, min(start, size - side))
    return slice(start, min(size, start + side))


def slice_panel(context: ResultContext, heat: Findings, index: int) -> NDArray[np.uint8]:
    """The picture of any slice: RGB (PANEL_HEIGHT, PANEL_WIDTH, 3).

    A slice without lung was not classified and is shown without colour.

    Raises:
        ValueError: the box of its activation lies outside it.
    """
    of_it = [each for each in heat.ranked if each.slice_index == index]
    key = KeySlice(index, of_it[0] if of_it else None)
    return _drawn(context, heat, key, _picture(context, key))


def _drawn(
    context: ResultContext, heat: Findings | None, key: KeySlice, picture: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    caption = Caption(context.warning, panel_lines(context, key, heat))
    outlines = outlines_on(context, key.slice_index)
    return draw_panel(
        picture, view_of(context.volume.affine), caption, outlines, bar=key.activation is not None
    )


def _object(
    context: ResultContext,
    kind: str,
    pixels: NDArray[np.uint8],
    number: int,
    shown: Sequence[int],
) -> ResultObject:
    sop_class = SecondaryCaptureImageStorage
    place = Place(
        sop_class_uid=sop_class,
        series_number=context.settings.options.sc_series_number,
        instance_number=number,
        modality="OT",
        series_description=series_description("heatmaps", context),
    )
    data_set = Dataset()
    set_image(data_set, context, shown)
    set_pixels(data_set, pixels)
    return ResultObject(kind, complete(data_set, place, context))


def set_image(data_set: Dataset, context: ResultContext, shown: Sequence[int]) -> None:
    """All but the pixels, of a picture of the slices with these indices."""
    _set_general(data_set, context)
    _set_derivation(data_set, context, shown)
    set_compression_history(data_set, context)


def _set_general(data_set: Dataset, context: ResultContext) -> None:
    """General Image (PS3.3 C.7.6.1), SC Equipment (C.8.6.1)."""
    data_set.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    data_set.ConversionType = "WSD"
    data_set.BurnedInAnnotation = "YES"
    data_set.RecognizableVisualFeatures = "NO"
    data_set.BodyPartExamined = "CHEST"
    data_set.PatientOrientation = view_of(context.volume.affine).patient_orientation
    data_set.ImageComments = ". ".join(filter(None, (context.warning, RESEARCH_ONLY)))


def _set_derivation(data_set: Dataset, context: ResultContext, shown: Sequence[int]) -> None:
    """What was done to which images (PS3.3 section C.7.6.1.1.3, C.12.4)."""
    data_set.DerivationDescription = derivation(context)[:_ST_LIMIT]
    if context.with_heat[0] is not None:
        data_set.DerivationCodeSequence = [codes.code_item(codes.GRADIENT_CAM)]
    shown_of: dict[str, list[SourceSlice]] = {}
    for index in shown:
        source = context.slices[index]
        shown_of.setdefault(source.sop_instance_uid, []).append(source)
    data_set.SourceImageSequence = [source_item(slices) for slices in shown_of.values()]


def source_item(slices: Sequence[SourceSlice]) -> Dataset:
    """One instance, with the frames that are shown of it (PS3.3 table 10-3)."""
    item = Dataset()
    item.ReferencedSOPClassUID = slices[0].sop_class_uid
    item.ReferencedSOPInstanceUID = slices[0].sop_instance_uid
    frames = [each.frame_number for each in slices if each.frame_number is not None]
    if frames:
        item.ReferencedFrameNumber = frames
    item.PurposeOfReferenceCodeSequence = [codes.code_item(codes.SOURCE_FOR_PROCESSING)]
    return item


def set_compression_history(data_set: Dataset, context: ResultContext) -> None:
    """Once lossy, always said to be lossy (PS3.3 section C.7.6.1.1.5)."""
    lossy = context.lossy_source
    data_set.LossyImageCompression = "00" if lossy is None else "01"
    if lossy is None:
        return
    ratios = raw_keyword(lossy, "LossyImageCompressionRatio").split("\\")
    methods = raw_keyword(lossy, "LossyImageCompressionMethod").split("\\")
    if all(_is_ratio(ratio) for ratio in ratios):
        data_set.LossyImageCompressionRatio = ratios
    if all(code_string(method)[0] for method in methods):
        data_set.LossyImageCompressionMethod = methods


def _is_ratio(text: str) -> bool:
    whole, _, fraction = text.strip().partition(".")
    digits = whole + fraction
    return digits.isascii() and digits.isdigit() and len(text.strip()) <= 16


def set_pixels(data_set: Dataset, pixels: NDArray[np.uint8]) -> None:
    """One uncompressed picture: RGB (rows, columns, 3)."""
    set_encoded(data_set, uncompressed([pixels]))
