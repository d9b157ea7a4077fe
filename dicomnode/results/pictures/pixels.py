"""Colour pixels as they stand in an object: uncompressed, or JPEG baseline frame by frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.multival import MultiValue
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit

JPEG_QUALITY = 90
_HALVED_COLUMNS = 1  # Pillow's number for chroma 4:2:2, which YBR_FULL_422 names


@dataclass(frozen=True, eq=False)
class EncodedPixels:
    """`ratio`: of all bytes before and after a lossy compression; None without one."""

    rows: int
    columns: int
    content: bytes
    transfer_syntax_uid: UID
    ratio: float | None


def uncompressed(pictures: Iterable[NDArray[np.uint8]]) -> EncodedPixels:
    """Frames of RGB (rows, columns, 3), all of one size, colour by pixel.

    Raises:
        ValueError: there is none, or their sizes differ.
    """
    content = bytearray()
    shapes = set()
    for picture in pictures:
        shapes.add(picture.shape)
        content += picture.tobytes()
    rows, columns = _one_size(shapes)
    content += b"\0" * (len(content) % 2)
    return EncodedPixels(rows, columns, bytes(content), ExplicitVRLittleEndian, None)


def jpeg(pictures: Iterable[NDArray[np.uint8]]) -> EncodedPixels:
    """The same as JPEG baseline of quality 90, encapsulated (PS3.5 sections 8.2.1 and A.4).

    Raises:
        ValueError: there is none, or their sizes differ.
    """
    frames = []
    shapes = set()
    for picture in pictures:
        shapes.add(picture.shape)
        buffer = BytesIO()
        Image.fromarray(picture).save(
            buffer, "JPEG", quality=JPEG_QUALITY, subsampling=_HALVED_COLUMNS
        )
        frames.append(buffer.getvalue())
    rows, columns = _one_size(shapes)
    ratio = len(frames) * rows * columns * 3 / sum(map(len, frames))
    return EncodedPixels(rows, columns, encapsulate(frames), JPEGBaseline8Bit, ratio)


def _one_size(shapes: set[tuple[int, ...]]) -> tuple[int, int]:
    if len(shapes) != 1:
        raise ValueError(f"an object has frames of one size, not {sorted(shapes)}")
    ((rows, columns, _),) = shapes
    return rows, columns


def set_encoded(data_set: Dataset, pixels: EncodedPixels) -> None:
    """Image Pixel (PS3.3 section C.7.6.3); a lossy compression is added to those before it.

    After `set_compression_history`; the transfer syntax belongs into the file meta information.
    """
    data_set.SamplesPerPixel = 3
    data_set.PhotometricInterpretation = "RGB" if pixels.ratio is None else "YBR_FULL_422"
    data_set.PlanarConfiguration = 0
    data_set.Rows, data_set.Columns = pixels.rows, pixels.columns
    data_set.BitsAllocated = 8
    data_set.BitsStored = 8
    data_set.HighBit = 7
    data_set.PixelRepresentation = 0
    data_set.PixelData = pixels.content
    data_set["PixelData"].VR = "OB"
    if pixels.ratio is not None:
        data_set["PixelData"].is_undefined_length = True
        _add_compression(data_set, pixels.ratio)


def _add_compression(data_set: Dataset, ratio: float) -> None:
    """PS3.3 section C.7.6.1.1.5: each lossy step with its ratio and method, in their order."""
    data_set.LossyImageCompression = "01"
    steps = {
        "LossyImageCompressionRatio": f"{ratio:.2f}",
        "LossyImageCompressionMethod": "ISO_10918_1",
    }
    for keyword, value in steps.items():
        former = data_set.get(keyword)
        before = list(former) if isinstance(former, MultiValue) else [former] * (former is not None)
        setattr(data_set, keyword, [*before, value])
