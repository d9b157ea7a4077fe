"""Secondary Captures: a montage first, then the key slices, in one series.

Single-frame colour, uncompressed: every PACS takes and every viewer shows them. They carry no
geometry, for the banner shifts the origin; each refers to its source images instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from dicomnode.results import codes
from dicomnode.results.character_sets import raw_keyword
from dicomnode.results.context import ResultContext, ResultObject, SourceSlice
from dicomnode.results.heatmap import THRESHOLD, blend
from dicomnode.results.modules import Place, complete, series_description
from dicomnode.results.montage import TILES_ACROSS, Tile, draw_montage
from dicomnode.results.panel import Caption, draw_panel
from dicomnode.results.summary import RESEARCH_ONLY, percent, probabilities, where, winner
from dicomnode.results.values import code_string
from dicomnode.results.view import view_of
from inference.findings import SliceActivation
from inference.heatmap import activation_on_slice

MONTAGE = "montage"
KEY_SLICE = "key_slice"
_TILE_MARGIN = 0.1  # of the extent of the lungs: ribs and skin stay in view


def secondary_captures(context: ResultContext) -> tuple[ResultObject, ...]:
    """The montage (instance 1) and a panel of each key slice, the largest share first.

    Raises:
        ConfigurationError: the model has a class that no code is known for.
        ValueError: the box of an activation lies outside its slice.
    """
    pictures = [_picture(context, key) for key in context.key_slices]
    panels = [
        _panel(context, rank, key, picture)
        for rank, (key, picture) in enumerate(zip(context.key_slices, pictures, strict=True), 1)
    ]
    return (_montage(context, pictures), *panels)


def _picture(context: ResultContext, key: SliceActivation) -> NDArray[np.uint8]:
    hu = context.volume.hu[key.slice_index]
    return blend(hu, activation_on_slice(key, *hu.shape))


def _montage(context: ResultContext, pictures: Sequence[NDArray[np.uint8]]) -> ResultObject:
    keys = context.key_slices[: TILES_ACROSS**2]
    slices = len(context.slices)
    rows, columns = _around_lungs(context)
    tiles = [
        Tile(
            picture[rows, columns],
            f"{rank}: slice {key.slice_index + 1}/{slices}, share {percent(key.share)}",
        )
        for rank, (key, picture) in enumerate(zip(keys, pictures, strict=False), 1)
    ]
    legend = (
        f"Largest share in the evidence for {winner(context)} first. Colour: relative activation,"
        f" blue low, red high, none below {THRESHOLD}. {_model(context)}"
    )
    caption = Caption(context.findings.model.warning, (probabilities(context), legend))
    pixels = draw_montage(tiles, view_of(context.volume.affine), caption)
    return _object(context, MONTAGE, pixels, 1, "", [key.slice_index for key in keys])


def _around_lungs(context: ResultContext) -> tuple[slice, slice]:
    """A square that holds all of the lungs and a margin; the same for every tile.

    Without it a third of each small tile would show air and table.
    """
    lungs = context.findings.lungs.any(axis=0)
    rows, columns = np.nonzero(lungs)
    if not rows.size:
        return slice(None), slice(None)
    extent = max(int(np.ptp(rows)), int(np.ptp(columns))) + 1
    side = round((1.0 + 2.0 * _TILE_MARGIN) * extent)
    return _centred(rows, side, lungs.shape[0]), _centred(columns, side, lungs.shape[1])


def _centred(indices: NDArray[np.intp], side: int, size: int) -> slice:
    """A stretch of `side` around the indices, shifted so that it lies within 0 and `size`."""
    start = (int(indices.min()) + int(indices.max()) + 1 - side) // 2
    start = max(0, min(start, size - side))
    return slice(start, min(size, start + side))


def _panel(
    context: ResultContext, rank: int, key: SliceActivation, picture: NDArray[np.uint8]
) -> ResultObject:
    place = f"{where(context, key.slice_index)}, {percent(key.share)} of the evidence"
    caption = Caption(context.findings.model.warning, (place, probabilities(context)))
    pixels = draw_panel(picture, view_of(context.volume.affine), caption)
    source_name = context.slices[key.slice_index].name
    return _object(context, KEY_SLICE, pixels, rank + 1, source_name, [key.slice_index])


def _object(
    context: ResultContext,
    kind: str,
    pixels: NDArray[np.uint8],
    number: int,
    source_name: str,
    shown: Sequence[int],
) -> ResultObject:
    """`source_name`: of the one slice that the picture shows; empty for the montage."""
    sop_class = SecondaryCaptureImageStorage
    place = Place(
        sop_class_uid=sop_class,
        sop_instance_uid=context.seed.uid(kind, sop_class, source_name),
        series_instance_uid=context.seed.uid("sc series", sop_class),
        series_number=context.settings.sc_series_number,
        instance_number=number,
        modality="OT",
        series_description=series_description("heatmaps", context),
    )
    data_set = Dataset()
    _set_general(data_set, context)
    _set_derivation(data_set, context, shown)
    set_compression_history(data_set, context)
    set_pixels(data_set, pixels)
    return ResultObject(kind, complete(data_set, place, context))


def _set_general(data_set: Dataset, context: ResultContext) -> None:
    """General Image (PS3.3 C.7.6.1), SC Equipment (C.8.6.1)."""
    data_set.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    data_set.ConversionType = "WSD"
    data_set.BurnedInAnnotation = "YES"
    data_set.RecognizableVisualFeatures = "NO"
    data_set.BodyPartExamined = "CHEST"
    data_set.PatientOrientation = view_of(context.volume.affine).patient_orientation
    warning = context.findings.model.warning
    data_set.ImageComments = ". ".join(filter(None, (warning, RESEARCH_ONLY)))


def _set_derivation(data_set: Dataset, context: ResultContext, shown: Sequence[int]) -> None:
    """What was done to which images (PS3.3 section C.7.6.1.1.3, C.12.4)."""
    data_set.DerivationDescription = (
        f"Grad-CAM above {THRESHOLD} in Jet over CT at lung window, {_model(context)}"
    )
    data_set.DerivationCodeSequence = [codes.code_item(codes.GRADIENT_CAM)]
    shown_of: dict[str, list[SourceSlice]] = {}
    for index in shown:
        source = context.slices[index]
        shown_of.setdefault(source.sop_instance_uid, []).append(source)
    data_set.SourceImageSequence = [_source_item(slices) for slices in shown_of.values()]


def _source_item(slices: Sequence[SourceSlice]) -> Dataset:
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
    lossy = [s for s in context.sources if raw_keyword(s, "LossyImageCompression") == "01"]
    data_set.LossyImageCompression = "01" if lossy else "00"
    if not lossy:
        return
    ratios = raw_keyword(lossy[0], "LossyImageCompressionRatio").split("\\")
    methods = raw_keyword(lossy[0], "LossyImageCompressionMethod").split("\\")
    if all(_is_ratio(ratio) for ratio in ratios):
        data_set.LossyImageCompressionRatio = ratios
    if all(code_string(method)[0] for method in methods):
        data_set.LossyImageCompressionMethod = methods


def _is_ratio(text: str) -> bool:
    whole, _, fraction = text.strip().partition(".")
    digits = whole + fraction
    return digits.isascii() and digits.isdigit() and len(text.strip()) <= 16


def set_pixels(data_set: Dataset, pixels: NDArray[np.uint8]) -> None:
    """Image Pixel (PS3.3 section C.7.6.3): RGB, colour by pixel."""
    data_set.SamplesPerPixel = 3
    data_set.PhotometricInterpretation = "RGB"
    data_set.PlanarConfiguration = 0
    data_set.Rows, data_set.Columns = pixels.shape[:2]
    data_set.BitsAllocated = 8
    data_set.BitsStored = 8
    data_set.HighBit = 7
    data_set.PixelRepresentation = 0
    encoded = np.ascontiguousarray(pixels).tobytes()
    data_set.PixelData = encoded + b"\0" * (len(encoded) % 2)
    data_set["PixelData"].VR = "OB"


def _model(context: ResultContext) -> str:
    model = context.findings.model
    return f"{model.name} {model.version}"
