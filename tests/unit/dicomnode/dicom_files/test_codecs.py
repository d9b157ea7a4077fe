"""Compressed frames: what other encoders make is read, what is damaged or too large is named.

DCMTK's encodings: tests/integration/test_decoded_as_dcmtk.py.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import UID

from dicomnode.decisions.eligibility.attribute_rules import DECODABLE
from dicomnode.dicom_files import codecs
from dicomnode.dicom_files.codecs import MOST_SCANS, decode_frame
from dicomnode.dicom_files.codestreams import CodedImage
from dicomnode.dicom_files.headers import NATIVE_SYNTAXES
from dicomnode.dicom_files.pixels import decode_hu
from dicomnode.errors import DataError
from support.ct_headers import DATA

ROWS, COLUMNS = 33, 47
LOSSLESS, BASELINE, EXTENDED, PROGRESSIVE = (f"1.2.840.10008.1.2.4.{n}" for n in (70, 50, 51, 55))
JPEG_LS, JPEG_2000, HTJ2K = (f"1.2.840.10008.1.2.4.{n}" for n in (80, 90, 201))
JPEG_XL, JPEG_XL_RECOMPRESSED, JPEG_XL_LOSSY = (f"1.2.840.10008.1.2.4.{n}" for n in (110, 111, 112))
RLE = "1.2.840.10008.1.2.5"
WANTED = CodedImage(ROWS, COLUMNS, 16)

Encode = Callable[[NDArray[Any]], bytes | bytearray]


def stored_values(bits: int, signed: bool) -> NDArray[Any]:
    """Noise of all values, with a run in it; (33, 47) of 16 bits."""
    low = -(1 << bits - 1) if signed else 0
    values = np.random.default_rng(bits).integers(low, low + (1 << bits), (ROWS, COLUMNS))
    values[0, :2] = low, low + (1 << bits) - 1
    values[1:12] = low
    return values.astype(np.int16 if signed else np.uint16)


def rle(pixels: NDArray[Any]) -> bytes:
    """PS3.5 annex G, each segment of even length."""
    planes = pixels.astype(">u2").view("u1").reshape(pixels.size, 2).T
    segments = [bytes(imagecodecs.packbits_encode(plane.tobytes())) for plane in planes]
    segments = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    return struct.pack("<16I", 2, 64, 64 + len(segments[0]), *[0] * 13) + b"".join(segments)


def within(bits: int, encode: Callable[..., Any], **options: Any) -> Encode:
    """As an encoder has it that knows of no sign: the bits stored alone."""
    return lambda pixels: bytes(encode(pixels.view(np.uint16) & (1 << bits) - 1, **options))


LOSSLESS_WAYS: dict[str, tuple[str, int, Encode]] = {
    "JPEG 2000, 16 bits": (
        JPEG_2000, 16, lambda a: imagecodecs.jpeg2k_encode(a, codecformat="J2K", level=0),
    ),
    "JPEG 2000, 12 bits": (
        JPEG_2000, 12,
        lambda a: imagecodecs.jpeg2k_encode(a, codecformat="J2K", level=0, bitspersample=12),
    ),
    "JPEG 2000 in a file of its own": (
        JPEG_2000, 16, lambda a: imagecodecs.jpeg2k_encode(a, codecformat="JP2", level=0),
    ),
    "HTJ2K": (HTJ2K, 16, imagecodecs.htj2k_encode),
    "JPEG lossless, 12 bits": (
        LOSSLESS, 12, within(12, imagecodecs.jpeg8_encode, lossless=True, bitspersample=12),
    ),
    "JPEG-LS": (JPEG_LS, 16, within(16, imagecodecs.jpegls_encode)),
    "JPEG XL, 16 bits": (JPEG_XL, 16, within(16, imagecodecs.jpegxl_encode, lossless=True)),
    "JPEG XL, 12 bits": (
        JPEG_XL, 12, within(12, imagecodecs.jpegxl_encode, lossless=True, bitspersample=12),
    ),
    "JPEG XL in a container": (
        JPEG_XL, 12,
        within(12, imagecodecs.jpegxl_encode, lossless=True, bitspersample=12, usecontainer=True),
    ),
    "RLE": (RLE, 16, lambda a: rle(a.view(np.uint16))),
}  # fmt: skip


def image(syntax: str, bits: int, signed: bool) -> Dataset:
    data_set = Dataset()
    data_set.Rows, data_set.Columns, data_set.BitsAllocated = ROWS, COLUMNS, 16
    data_set.BitsStored, data_set.HighBit = bits, bits - 1
    data_set.PixelRepresentation = int(signed)
    data_set.RescaleSlope, data_set.RescaleIntercept = 1, 0
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = UID(syntax)
    return data_set


def encapsulated(frame: bytes, fragments: int = 1) -> bytes:
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return encapsulate([frame], fragments_per_frame=fragments) + end


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("way", LOSSLESS_WAYS)
def test_lossless_pixels_come_back(way: str, signed: bool) -> None:
    syntax, bits, encode = LOSSLESS_WAYS[way]
    stored = stored_values(bits, signed)
    for fragments in (1, 3):
        value = encapsulated(bytes(encode(stored)), fragments)
        hu = decode_hu(image(syntax, bits, signed), value)
        assert np.array_equal(hu, np.clip(stored.astype(int), -1024, 32767))


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (EXTENDED, within(12, imagecodecs.jpeg8_encode, bitspersample=12, level=90)),
        (JPEG_XL_LOSSY, within(12, imagecodecs.jpegxl_encode, distance=0.1, bitspersample=12)),
        ("1.2.840.10008.1.2.4.203", within(12, imagecodecs.htj2k_encode, level=0.0001)),
    ],
)
def test_lossy_pixels_are_near(syntax: str, encode: Encode) -> None:
    stored = np.add.outer(np.arange(ROWS) * 40, np.arange(COLUMNS) * 20).astype(np.uint16)
    hu = decode_hu(image(syntax, 12, signed=False), encapsulated(bytes(encode(stored))))
    assert 0 < np.abs(hu - stored.astype(int)).max() <= 8


def test_a_jpeg_that_jpeg_xl_recompressed_is_as_it_was() -> None:
    stored = (stored_values(8, signed=False) // 16 + 100).astype(np.uint8)
    jpeg = bytes(imagecodecs.jpeg8_encode(stored))
    wanted = replace(WANTED, bits=8)
    recompressed = bytes(imagecodecs.jpegxl_encode_jpeg(jpeg, usecontainer=True))
    before = decode_frame(jpeg, BASELINE, wanted).astype(int)
    after = decode_frame(recompressed, JPEG_XL_RECOMPRESSED, wanted)
    assert np.abs(after - before).max() <= 1  # another inverse transform, rounded


def test_each_syntax_that_is_called_decodable_has_a_decoder_and_no_other() -> None:
    uncompressed = NATIVE_SYNTAXES - {""} | {"1.2.840.10008.1.2.1.98"}
    assert codecs._DECODERS.keys() | uncompressed == DECODABLE


@cache
def frames() -> dict[str, tuple[str, bytes, CodedImage]]:
    """A frame in each encoding: those of the way above, and real ones of retired processes."""
    found = {
        way: (syntax, bytes(encode(stored_values(bits, signed=False))), WANTED)
        for way, (syntax, bits, encode) in LOSSLESS_WAYS.items()
    }
    for name in ("jpeg_baseline", "jpeg_extended", "jpeg_full_progression", "jpeg_lossless"):
        real = dcmread(DATA / "transfer_syntaxes" / f"{name}.dcm")
        frame = get_frame(real.PixelData, 0, number_of_frames=1)
        wanted = CodedImage(real.Rows, real.Columns, real.BitsAllocated)
        found[name] = str(real.file_meta.TransferSyntaxUID), frame, wanted
    return found


WAYS = [*LOSSLESS_WAYS, "jpeg_baseline", "jpeg_extended", "jpeg_full_progression", "jpeg_lossless"]


@pytest.mark.parametrize("way", WAYS)
def test_a_frame_cut_short_is_refused(way: str, capfd: pytest.CaptureFixture[str]) -> None:
    syntax, frame, wanted = frames()[way]
    assert decode_frame(frame, syntax, wanted).shape == (wanted.rows, wanted.columns)
    for length in (0, 1, 40, *range(100, len(frame) - 100, len(frame) // 5)):
        with pytest.raises(DataError, match="pixel_data") as caught:
            decode_frame(frame[:length], syntax, wanted)
        assert len(caught.value.value.partition(": ")[2]) > 10
    assert capfd.readouterr() == ("", "")  # of what a library prints, nobody knows what it is about


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "other", [{"rows": ROWS - 1}, {"columns": 4 * COLUMNS}, {"rows": COLUMNS, "columns": ROWS}]
)
def test_another_size_than_the_header_says_is_refused(way: str, other: dict[str, int]) -> None:
    syntax, frame, wanted = frames()[way]
    if way == "RLE" and other != {"columns": 4 * COLUMNS}:
        return  # RLE does not tell its size: what is more is padding (PS3.5 G.3.1)
    with pytest.raises(DataError, match="pixel_data"):
        decode_frame(frame, syntax, replace(wanted, **other))


@pytest.mark.parametrize("way", [way for way in WAYS if not way.startswith(("RLE", "JPEG XL"))])
def test_a_size_of_gigabytes_is_refused_before_anything_is_decoded(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    syntax, frame, wanted = frames()[way]
    if "2000" in way or way == "HTJ2K":
        place = frame.index(b"\xff\x4f\xff\x51") + 8
        huge = frame[:place] + struct.pack(">2I", 65000, 65000) + frame[place + 8 :]
    else:
        place = frame.index(struct.pack(">2H", wanted.rows, wanted.columns))
        huge = frame[:place] + struct.pack(">2H", 65000, 65000) + frame[place + 4 :]
    monkeypatch.setattr(codecs, "_call", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(DataError, match=r"65000 x 65000 pixels in \d+ bits, not 33|not 512"):
        decode_frame(huge, syntax, wanted)


def test_several_components_are_refused() -> None:
    colour = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    for syntax, frame in {
        BASELINE: imagecodecs.jpeg8_encode(colour),
        JPEG_LS: imagecodecs.jpegls_encode(colour),
        JPEG_2000: imagecodecs.jpeg2k_encode(colour, codecformat="J2K"),
        JPEG_XL: imagecodecs.jpegxl_encode(colour),
    }.items():
        with pytest.raises(DataError, match=r"3 components|not 33 x 47"):
            decode_frame(bytes(frame), syntax, replace(WANTED, bits=8))


@pytest.mark.parametrize("way", [way for way in WAYS if way != "jpeg_baseline"])
def test_more_bits_than_are_allocated_are_refused(way: str) -> None:
    syntax, frame, wanted = frames()[way]
    with pytest.raises(DataError, match=r"8 bits|2 segments, not 1"):
        decode_frame(frame, syntax, replace(wanted, bits=8))


def test_fewer_bits_than_are_allocated_are_made_more() -> None:
    stored = stored_values(8, signed=True)
    for syntax, encode in {
        LOSSLESS: within(8, lambda a: imagecodecs.jpeg8_encode(a.astype("u1"), lossless=True)),
        JPEG_2000: lambda a: imagecodecs.jpeg2k_encode(a.astype("i1"), codecformat="J2K", level=0),
        JPEG_XL: within(8, lambda a: imagecodecs.jpegxl_encode(a.astype("u1"), lossless=True)),
    }.items():
        value = encapsulated(bytes(encode(stored)))
        assert np.array_equal(decode_hu(image(syntax, 8, signed=True), value), stored)


def test_a_jpeg_of_more_scans_than_it_can_need_is_refused() -> None:
    syntax, frame, wanted = frames()["jpeg_full_progression"]
    first = frame.index(b"\xff\xda")
    scan = frame[first : frame.index(b"\xff", first + 20)]
    with pytest.raises(DataError, match=r"\d{4} scans, at most 1000"):
        decode_frame(frame[:first] + scan * (MOST_SCANS + 1) + frame[first:], syntax, wanted)


@pytest.mark.parametrize("alone", [b"\xff\x01", b"\xff\xd0"])
def test_no_marker_hides_the_frame_header_that_is_decoded(alone: bytes) -> None:
    """TEM and RST have no length (ITU-T T.81 B.1.1.3): what follows them is a marker again."""
    syntax, frame, wanted = frames()["jpeg_lossless"]
    start = frame.index(b"\xff\xc3")
    smaller = bytearray(frame[start : start + 19])
    struct.pack_into(">HH", smaller, 5, 1, 1)
    told_at = 4 + 0xFFFE  # by the next marker, FFFE, read as a length
    first = b"\xff\xfe" + struct.pack(">H", 0xFFF0) + bytes(0xFFF0 - 2)
    within = bytes(told_at - 8 - len(first)) + smaller
    comments = first + b"\xff\xfe" + struct.pack(">H", 2 + len(within)) + within
    hidden = frame[:2] + alone + comments + frame[2:]
    pixels = decode_frame(frame, syntax, wanted)
    assert np.array_equal(decode_frame(hidden, syntax, wanted), pixels)
    with pytest.raises(DataError, match=f"{wanted.rows} x {wanted.columns} pixels .*, not 1 x 1"):
        decode_frame(hidden, syntax, replace(wanted, rows=1, columns=1))


@given(st.lists(st.integers(0, 2**32 - 1), min_size=16, max_size=16), st.binary(max_size=200))
def test_an_rle_header_that_points_anywhere_is_refused_or_read(
    head: list[int], rest: bytes
) -> None:
    """The library's own reading of it ends the process."""
    try:
        decode_frame(
            struct.pack("<16I", 2, *head[1:]) + rest, RLE, replace(WANTED, rows=1, columns=3)
        )
    except DataError as error:
        assert error.rule == "pixel_data"


@given(
    st.sampled_from(WAYS),
    st.lists(st.tuples(st.integers(0, 300), st.binary(min_size=1, max_size=9))),
)
def test_damaged_codestreams_are_refused_or_read(way: str, damage: list[tuple[int, bytes]]) -> None:
    syntax, frame, wanted = frames()[way]
    damaged = bytearray(frame)
    for place, value in damage:
        damaged[place : place + len(value)] = value
    try:
        decode_frame(bytes(damaged), syntax, wanted)
    except DataError as error:
        assert error.rule == "pixel_data"


def test_the_library_is_loaded_where_something_is_decoded_and_nowhere_else() -> None:
    program = "import dicomnode.dicom_files.volume, sys; assert 'imagecodecs' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


@given(
    signed=st.booleans(),
    bits=st.integers(1, 16),
    above=st.integers(0, 15),
    slope=st.sampled_from([1.0, 0.5, 2.0002442, 32.1216, -1.0]),
    intercept=st.sampled_from([0.0, -1024.0, -1000.3, 5000.0]),
)
def test_hounsfield_units_are_those_of_the_standard(
    signed: bool, bits: int, above: int, slope: float, intercept: float
) -> None:
    """PS3.5 8.1.1 and PS3.3 C.11.1.1.2, value by value."""
    high = min(bits - 1 + above, 15)
    held = np.random.default_rng(bits).integers(0, 1 << 16, (ROWS, COLUMNS)).astype(np.uint16)
    data_set = image("1.2.840.10008.1.2.1", bits, signed)
    data_set.HighBit, data_set.RescaleSlope, data_set.RescaleIntercept = high, slope, intercept
    for value, found in zip(
        held.ravel()[:50], decode_hu(data_set, held.tobytes()).ravel(), strict=False
    ):
        stored = (int(value) >> high + 1 - bits) & (1 << bits) - 1
        if signed and stored >> bits - 1:
            stored -= 1 << bits
        hu = np.rint(np.float32(stored) * np.float32(slope) + np.float32(intercept))
        assert found == np.clip(hu, -1024, 32767)
