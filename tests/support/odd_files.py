"""One CT slice written in every way that was met in the field, each still legible.

Each way takes the slice (native, Explicit VR Little Endian, 16 bits signed) and gives the bytes of
a file. PS3.5 is the standard's part on encoding, PS3.10 that on files.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from io import BytesIO

import imagecodecs
import numpy as np
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.pixels.encoders.base import get_encoder
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

Way = Callable[[Dataset], bytes]
_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
_EMPTY = (
    *("AcquisitionDate", "AcquisitionNumber", "AcquisitionTime", "BodyPartExamined"),
    *(
        "ContentDate",
        "ContentTime",
        "ContrastBolusAgent",
        "ContrastBolusRoute",
        "ConvolutionKernel",
    ),
    *("DataCollectionDiameter", "DistanceSourceToDetector", "Exposure", "ExposureTime"),
    *("FilterType", "FocalSpots", "GantryDetectorTilt", "ImageComments", "InstanceCreationDate"),
    *("InstitutionName", "KVP", "Laterality", "ManufacturerModelName", "OperatorsName"),
    *("PatientAge", "PatientPosition", "PixelPaddingValue", "PositionReferenceIndicator"),
    *("ProtocolName", "ReconstructionDiameter", "SliceLocation", "SpacingBetweenSlices"),
    *("StationName", "TableHeight", "XRayTubeCurrent"),
)
"""More than thirty that consoles write without a value."""


def parts(data_set: Dataset, syntax: UID = ExplicitVRLittleEndian) -> tuple[bytes, bytes]:
    """Preamble to the end of the file meta information, and the data set."""
    copy, buffer = deepcopy(data_set), BytesIO()
    copy.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        copy.PixelData = np.frombuffer(copy.PixelData, "<i2").byteswap().tobytes()
    dcmwrite(buffer, copy, enforce_file_format=True)
    whole = buffer.getvalue()
    start = 144 + int.from_bytes(whole[140:144], "little")
    return whole[:start], whole[start:]


def in_syntax(syntax: UID, data_set: Dataset) -> bytes:
    return b"".join(parts(data_set, syntax))


def in_fragments(
    syntax: UID, count: int, table: bool, data_set: Dataset, *, signed: bool = True
) -> bytes:
    """Compressed, the frame in `count` fragments (PS3.5 A.4), with an offset table or without."""
    copy = deepcopy(data_set)
    frame = _encoded(copy, syntax, signed)
    copy.PixelData = encapsulate([frame], fragments_per_frame=count, has_bot=table)
    copy["PixelData"].VR = "OB"
    copy["PixelData"].is_undefined_length = True
    return in_syntax(syntax, copy)


def _encoded(data_set: Dataset, syntax: UID, signed: bool) -> bytes:
    if syntax == JPEG2000Lossless:
        values = np.frombuffer(data_set.PixelData, "<i2" if signed else "<u2")
        image = values.reshape(data_set.Rows, data_set.Columns)
        return bytes(imagecodecs.jpeg2k_encode(image, codecformat="J2K", level=0))
    return get_encoder(syntax).encode(
        data_set.PixelData,
        rows=data_set.Rows,
        columns=data_set.Columns,
        samples_per_pixel=1,
        photometric_interpretation="MONOCHROME2",
        bits_allocated=16,
        bits_stored=16,
        pixel_representation=int(signed),
        number_of_frames=1,
    )


def with_a_contradicting_sign(signed: bool, data_set: Dataset) -> bytes:
    """JPEG 2000 whose codestream says another sign than Pixel Representation, which is right."""
    copy = deepcopy(data_set)
    if not signed:
        stored = np.frombuffer(copy.PixelData, "<i2").astype(np.int32) + 1024
        copy.PixelData, copy.RescaleIntercept = stored.astype("<u2").tobytes(), -1024
        copy.PixelRepresentation = 0
    return in_fragments(JPEG2000Lossless, 1, True, copy, signed=not signed)


def with_undefined_lengths(syntax: UID, data_set: Dataset) -> bytes:
    """Sequences and items that only delimiters end, one in the other, private ones too."""
    copy, inner, outer = deepcopy(data_set), Dataset(), Dataset()
    inner.CodeValue, inner.CodeMeaning = "36643-5", "XR Chest"
    inner.is_undefined_length_sequence_item = True
    outer.PurposeOfReferenceCodeSequence = Sequence([inner, Dataset()])
    outer["PurposeOfReferenceCodeSequence"].is_undefined_length = True
    outer.is_undefined_length_sequence_item = True
    copy.ReferencedImageSequence = Sequence([outer, Dataset()])
    copy["ReferencedImageSequence"].is_undefined_length = True
    copy.add_new(0x00090010, "LO", "HOUSE")
    copy.add_new(0x00091001, "SQ", Sequence([deepcopy(outer)]))
    copy[0x00091001].is_undefined_length = True
    return in_syntax(syntax, copy)


def with_an_unknown_sequence(data_set: Dataset) -> bytes:
    """UN of undefined length: its items are in Implicit VR (PS3.5 section 6.2.2, note)."""
    head, body = parts(data_set)
    item = struct.pack("<HHI", 0x0008, 0x0100, 2) + b"12"
    value = struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item + _END
    creator = struct.pack("<HH2sH", 0x0009, 0x0010, b"LO", 6) + b"HOUSE "
    unknown = struct.pack("<HH2sHI", 0x0009, 0x1001, b"UN", 0, 0xFFFFFFFF) + value
    return head + inserted(body, creator + unknown, 0x00090010)


def inserted(body: bytes, element: bytes, tag: int) -> bytes:
    """In Explicit VR Little Endian, before the first element behind `tag` (at the top level)."""
    at = 0
    for group, number, start, end in elements(body):
        if (group << 16 | number) > tag:
            return body[:start] + element + body[start:]
        at = end
    return body[:at] + element + body[at:]


def elements(body: bytes) -> list[tuple[int, int, int, int]]:
    """Group, number, begin and end of each element of a flat explicit little endian data set."""
    found, at = [], 0
    while at < len(body):
        group, number, vr, short = struct.unpack_from("<HH2sH", body, at)
        long = vr in (b"OB", b"OW", b"UN", b"SQ", b"UT")
        length = struct.unpack_from("<I", body, at + 8)[0] if long else short
        end = at + (12 if long else 8) + length
        found.append((group, number, at, end))
        at = end
    return found


def with_file_meta_inside(syntax: UID, inside: UID, data_set: Dataset) -> bytes:
    """Group 0002 again at the head of the data set, naming the syntax `inside`."""
    head, body = parts(data_set, syntax)
    value = inside.encode() + b"\0" * (len(inside) % 2)
    if syntax == ImplicitVRLittleEndian:
        element = struct.pack("<HHI", 0x0002, 0x0010, len(value)) + value
    else:
        element = struct.pack("<HH2sH", 0x0002, 0x0010, b"UI", len(value)) + value
    return head + element + body


def with_group_lengths(data_set: Dataset) -> bytes:
    """(gggg,0000) before each group, retired since 2008."""
    head, body = parts(data_set)
    groups: dict[int, bytes] = {}
    for group, _number, start, end in elements(body):
        groups[group] = groups.get(group, b"") + body[start:end]
    told = (
        struct.pack("<HH2sHI", group, 0, b"UL", 4, len(each)) + each
        for group, each in groups.items()
    )
    return head + b"".join(told)


def with_wrong_group_lengths(data_set: Dataset) -> bytes:
    """They are hints: nobody may rely on them."""
    head, body = parts(data_set)
    whole = with_group_lengths(data_set)[len(head) :]
    for group in {each[0] for each in elements(body)}:
        before = struct.pack("<HH2sH", group, 0, b"UL", 4)
        at = whole.index(before) + len(before)
        whole = whole[:at] + struct.pack("<I", 0xFFFF) + whole[at + 4 :]
    return head + whole


def with_trailing_padding(data_set: Dataset) -> bytes:
    """Data Set Trailing Padding (FFFC,FFFC), PS3.10 section 7.2."""
    padding = struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 64) + bytes(64)
    return b"".join(parts(data_set)) + padding


def with_trailing_nulls(count: int, syntax: UID, data_set: Dataset) -> bytes:
    return in_syntax(syntax, data_set) + bytes(count)


def deflated_with_group_lengths(data_set: Dataset) -> bytes:
    head, _ = parts(data_set, DeflatedExplicitVRLittleEndian)
    plain_head, _ = parts(data_set)
    body = with_group_lengths(data_set)[len(plain_head) :]
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(body) + packer.flush()
    return head + packed + b"\0" * (len(packed) % 2)


def with_unknown_vrs(data_set: Dataset) -> bytes:
    """Every element UN, as an archive keeps what came without its dictionary (PS3.5 6.2.2)."""
    head, body = parts(data_set)
    unknown = b""
    for group, number, start, end in elements(body):
        vr = body[start + 4 : start + 6]
        value = body[start + (12 if vr in (b"OB", b"OW", b"UN", b"UT") else 8) : end]
        if vr == b"OW":
            unknown += body[start:end]
        else:
            unknown += struct.pack("<HH2sHI", group, number, b"UN", 0, len(value)) + value
    return head + unknown


def with_vrs(changes: dict[str, tuple[str, bytes]], data_set: Dataset) -> bytes:
    """Elements under another VR and encoding than the dictionary's."""
    head, body = parts(data_set)
    whole = b""
    named = {int(tag_for_keyword(k) or 0): each for k, each in changes.items()}
    for group, number, start, end in elements(body):
        if (each := named.get(group << 16 | number)) is None:
            whole += body[start:end]
            continue
        vr, value = each
        whole += struct.pack("<HH2sH", group, number, vr.encode(), len(value)) + value
    return head + whole


def with_empty_attributes(data_set: Dataset) -> bytes:
    copy = deepcopy(data_set)
    for keyword in _EMPTY:
        vr = dictionary_VR(tag_for_keyword(keyword) or 0).split(" or ")[0]
        copy.add_new(Tag(keyword), vr, None)
    return in_syntax(ExplicitVRLittleEndian, copy)


def with_number_of_frames(value: str | None, data_set: Dataset) -> bytes:
    copy = deepcopy(data_set)
    copy.add_new(Tag("NumberOfFrames"), "IS", value)
    return in_syntax(ExplicitVRLittleEndian, copy)


def with_overlays_in_the_pixels(data_set: Dataset) -> bytes:
    """12 bits stored from bit 0, and two overlays in bits 12 and 15 (retired, PS3.5 8.1.2)."""
    copy = deepcopy(data_set)
    copy.BitsStored, copy.HighBit, copy.PixelRepresentation = 12, 11, 0
    stored = np.frombuffer(copy.PixelData, "<i2").astype(np.int32) + 1024
    drawn = np.arange(stored.size) % 7 == 0
    words = (stored | drawn << 12 | ~drawn << 15).astype("<u2")
    copy.PixelData, copy.RescaleIntercept = words.tobytes(), -1024
    for group, bit in ((0x6000, 12), (0x6002, 15)):
        copy.add_new((group, 0x0010), "US", copy.Rows)
        copy.add_new((group, 0x0011), "US", copy.Columns)
        copy.add_new((group, 0x0040), "CS", "G")
        copy.add_new((group, 0x0050), "SS", [1, 1])
        copy.add_new((group, 0x0100), "US", 16)
        copy.add_new((group, 0x0102), "US", bit)
    return in_syntax(ExplicitVRLittleEndian, copy)


def with_high_bit_15(data_set: Dataset) -> bytes:
    """12 bits stored in the upper bits of the word, an overlay in the lowest."""
    copy = deepcopy(data_set)
    copy.BitsStored, copy.HighBit, copy.PixelRepresentation = 12, 15, 0
    stored = np.frombuffer(copy.PixelData, "<i2").astype(np.int32) + 1024
    words = (stored << 4 | np.arange(stored.size) % 2).astype("<u2")
    copy.PixelData, copy.RescaleIntercept = words.tobytes(), -1024
    return in_syntax(ExplicitVRLittleEndian, copy)


def _us(value: int) -> bytes:
    return struct.pack("<H", value)


def wrong_vrs(data_set: Dataset) -> bytes:
    """Numbers as texts, texts as numbers, decimals as binary ones."""
    row, column = data_set.PixelSpacing
    return with_vrs(
        {
            "Rows": ("IS", b"%d " % data_set.Rows if data_set.Rows > 99 else b"%d" % data_set.Rows),
            "Columns": ("UL", struct.pack("<I", data_set.Columns)),
            "BitsAllocated": ("DS", b"16"),
            "HighBit": ("SS", struct.pack("<h", data_set.HighBit)),
            "PixelSpacing": ("FD", struct.pack("<2d", row, column)),
            "SliceThickness": ("FL", struct.pack("<f", data_set.SliceThickness)),
            "ImagePositionPatient": (
                "FD",
                struct.pack("<3d", *map(float, data_set.ImagePositionPatient)),
            ),
            "RescaleIntercept": ("SL", struct.pack("<i", int(data_set.RescaleIntercept))),
            "RescaleSlope": ("US", _us(int(data_set.RescaleSlope))),
            "InstanceNumber": ("US", _us(int(data_set.InstanceNumber))),
            "Modality": ("LO", b"CT"),
        },
        data_set,
    )


WAYS: dict[str, Way] = {
    "big endian": partial(in_syntax, ExplicitVRBigEndian),
    "implicit": partial(in_syntax, ImplicitVRLittleEndian),
    "deflated": partial(in_syntax, DeflatedExplicitVRLittleEndian),
    "deflated with group lengths": deflated_with_group_lengths,
    **{
        f"{syntax.name} in {count} fragments, offset table: {table}": partial(
            in_fragments, syntax, count, table
        )
        for syntax in (JPEG2000Lossless, JPEGLSLossless, RLELossless)
        for count in (1, 2, 3, 7)
        for table in (True, False)
    },
    "JPEG 2000 says unsigned": partial(with_a_contradicting_sign, True),
    "JPEG 2000 says signed": partial(with_a_contradicting_sign, False),
    "undefined lengths": partial(with_undefined_lengths, ExplicitVRLittleEndian),
    "undefined lengths, implicit": partial(with_undefined_lengths, ImplicitVRLittleEndian),
    "UN of undefined length": with_an_unknown_sequence,
    "group 0002 inside": partial(
        with_file_meta_inside, ExplicitVRLittleEndian, ExplicitVRLittleEndian
    ),
    "group 0002 inside that says another syntax": partial(
        with_file_meta_inside, ExplicitVRLittleEndian, ImplicitVRLittleEndian
    ),
    "group 0002 inside that says deflated": partial(
        with_file_meta_inside, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian
    ),
    "group 0002 inside that says JPEG 2000": partial(
        with_file_meta_inside, ExplicitVRLittleEndian, JPEG2000Lossless
    ),
    "group 0002 inside that says explicit, implicit": partial(
        with_file_meta_inside, ImplicitVRLittleEndian, ExplicitVRLittleEndian
    ),
    "group 0002 inside, implicit": partial(
        with_file_meta_inside, ImplicitVRLittleEndian, ImplicitVRLittleEndian
    ),
    "group lengths": with_group_lengths,
    "wrong group lengths": with_wrong_group_lengths,
    "trailing padding": with_trailing_padding,
    "a trailing NUL": partial(with_trailing_nulls, 1, ExplicitVRLittleEndian),
    "many trailing NULs": partial(with_trailing_nulls, 4096, ExplicitVRLittleEndian),
    "trailing NULs, implicit": partial(with_trailing_nulls, 2, ImplicitVRLittleEndian),
    "trailing NULs, deflated": partial(with_trailing_nulls, 2, DeflatedExplicitVRLittleEndian),
    "UN for standard elements": with_unknown_vrs,
    "numbers in wrong VRs": wrong_vrs,
    "thirty empty attributes": with_empty_attributes,
    "Number of Frames empty": partial(with_number_of_frames, None),
    "Number of Frames 1": partial(with_number_of_frames, "1"),
    "overlays in the pixel word": with_overlays_in_the_pixels,
    "high bit 15": with_high_bit_15,
}
