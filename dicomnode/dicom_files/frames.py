"""The slices that one instance holds, each with its own header and its own Pixel Data.

What comes out looks like an instance of one slice, so that `pixels.py` decodes a frame
of a multi-frame CT (PS3.3 C.7.6.16) and a single-frame CT image alike.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import ExplicitVRBigEndian

from dicomnode.decisions.instance_header import SliceKey
from dicomnode.dicom_files.attributes import AttributeReader
from dicomnode.dicom_files.functional_groups import (
    frame_data_sets,
    is_multi_frame_ct,
    number_of_frames,
)
from dicomnode.dicom_files.headers import (
    NATIVE_SYNTAXES,
    PYDICOM_QUIET,
    read_with_pixels,
    transfer_syntax_of,
)
from dicomnode.dicom_files.pixel_element import SEQUENCE_DELIMITATION
from dicomnode.dicom_files.pixels import fragments, read_layout
from dicomnode.errors import DataError

_EXTENDED_OFFSET_TABLE = 0x7FE00001
_EXTENDED_OFFSET_TABLE_LENGTHS = 0x7FE00002

_END = struct.pack("<II", SEQUENCE_DELIMITATION, 0)  # PS3.5 table A.4-1

_BROKEN = (EOFError, IndexError, TypeError, ValueError, struct.error)


@dataclass(frozen=True, eq=False)
class EncodedSlice:
    """`header`: without pixels. `pixel_data`: the value that Pixel Data has for it alone."""

    key: SliceKey
    header: Dataset
    pixel_data: bytes | memoryview


def read_slices(path: Path) -> list[EncodedSlice]:
    """All slices of a file, in the order of the frames; one for a single-frame image.

    Raises:
        DataError: `dicom_file` as `read_header_file`; `pixel_data` when the frames cannot be told
            apart; `rescale` or `pixel_data` when a frame does not say how it is encoded.
    """
    data_set, value = read_with_pixels(path)
    uid = AttributeReader(data_set).uid("SOPInstanceUID")
    if not is_multi_frame_ct(data_set):
        return [EncodedSlice((uid, None), data_set, value)]
    count = number_of_frames(data_set)
    with PYDICOM_QUIET:
        headers = list(islice(frame_data_sets(data_set), count))
        values = frame_values(data_set, headers, value, count)
    return [
        EncodedSlice((uid, number), header, each)
        for number, (header, each) in enumerate(zip(headers, values, strict=False), start=1)
    ]


def frame_values(
    data_set: Dataset, headers: Sequence[Dataset], value: bytes, count: int
) -> Sequence[bytes | memoryview]:
    """Pixel Data of each of `count` frames, out of that of the instance.

    Raises:
        DataError: `pixel_data` or `rescale`.
    """
    if not headers:
        raise DataError("pixel_data", f"{count} frames without functional groups")
    if not value:
        raise DataError("pixel_data", "Pixel Data are absent or empty")
    if transfer_syntax_of(data_set) in NATIVE_SYNTAXES:
        return list(_native(value, headers[0], count))
    return _encapsulated(data_set, value, count)


def _native(value: bytes, header: Dataset, count: int) -> Iterator[memoryview]:
    """Frames follow each other without padding between them (PS3.5 section 8.2); some behind."""
    layout = read_layout(header)
    size = layout.native_bytes
    if len(value) < size * count:
        found = f"{len(value)} bytes for {count} frames of {layout.rows} x {layout.columns} pixels"
        raise DataError("pixel_data", found, f"{size * count} bytes")
    if size % 2 and count > 1 and layout.transfer_syntax_uid == ExplicitVRBigEndian:
        # bytes are swapped in pairs (PS3.5 section 7.3), across the end of every other frame
        raise DataError("pixel_data", "big-endian frames of an odd number of bytes")
    view = memoryview(value)
    yield from (view[size * i : size * (i + 1)] for i in range(count))


def _encapsulated(data_set: Dataset, value: bytes, count: int) -> list[bytes]:
    """Frames by the Basic or Extended Offset Table, or by their fragments (PS3.5 section A.4)."""
    fragments(value)  # all of them whole
    try:
        frames = list(
            generate_frames(
                value, number_of_frames=count, extended_offsets=_extended_offsets(data_set)
            )
        )
    except _BROKEN as error:
        text = f"the frames cannot be told apart ({type(error).__name__})"
        raise DataError("pixel_data", text) from error
    if len(frames) != count:
        raise DataError("pixel_data", f"{len(frames)} encapsulated frames", f"{count} frames")
    return [encapsulate([frame], has_bot=False) + _END for frame in frames]


def _extended_offsets(data_set: Dataset) -> tuple[bytes, bytes] | None:
    """Extended Offset Table and its Lengths (PS3.3 C.7.6.3.1.8), when both are there."""
    found: list[bytes] = []
    for tag in (_EXTENDED_OFFSET_TABLE, _EXTENDED_OFFSET_TABLE_LENGTHS):
        element = data_set.get_item(tag) if tag in data_set else None
        value = getattr(element, "value", None)
        if not isinstance(value, bytes) or not value or len(value) % 8:
            return None
        found.append(value)
    return found[0], found[1]
