"""Pixels to Hounsfield units: real transfer syntaxes, odd layouts, and what must be refused."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicomnode.decisions.stack.geometry import sort_slices
from dicomnode.dicom_files.headers import read_header_file, read_with_pixels
from dicomnode.dicom_files.pixels import decode_hu
from dicomnode.dicom_files.volume import load_volume
from dicomnode.errors import DataError
from inference.volume import AIR_HU
from support.ct_headers import DATA, ct_header
from support.dicom_files import dicom_file

SLICES = DATA / "transfer_syntaxes"
REAL_CHEST = sorted((DATA / "ct" / "philips_5mm_noncontrast").glob("*.dcm"))


def decoded(path: Path) -> NDArray[np.int16]:
    return decode_hu(*read_with_pixels(path))


def hu_of(path: Path) -> list[int]:
    return [int(value) for value in decoded(path).ravel()]


@pytest.mark.parametrize(
    "name",
    [
        "deflated",
        "jpeg_2000_lossless",
        "jpeg_lossless",
        "jpeg_lossless_sv1",
        "jpeg_ls_lossless",
        "rle_lossless",
    ],
)
def test_lossless_transfer_syntaxes_give_equal_pixels(name: str) -> None:
    plain = decoded(SLICES / "implicit_vr.dcm")
    assert plain.shape == (512, 512)
    assert plain.min() == AIR_HU
    assert np.array_equal(decoded(SLICES / f"{name}.dcm"), plain)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_native_encodings_give_equal_pixels(tmp_path: Path, syntax: UID) -> None:
    source = dcmread(SLICES / "implicit_vr.dcm")
    plain = decoded(SLICES / "implicit_vr.dcm")
    copy = Dataset({element.tag: element for element in source})
    big = syntax == ExplicitVRBigEndian
    if big:
        copy.PixelData = np.frombuffer(source.PixelData, "<u2").astype(">u2").tobytes()
    copy.file_meta = source.file_meta
    copy.file_meta.TransferSyntaxUID = syntax
    copy.save_as(tmp_path / "x.dcm", implicit_vr=False, little_endian=not big)
    assert np.array_equal(decoded(tmp_path / "x.dcm"), plain)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("jpeg_2000", 6),
        ("jpeg_ls_near_lossless", 3),
        ("jpeg_baseline", 60),
        ("jpeg_extended", 12),
        ("jpeg_spectral_selection", 12),
        ("jpeg_full_progression", 12),
    ],
)
def test_lossy_transfer_syntaxes_are_near(name: str, tolerance: int) -> None:
    plain = decoded(SLICES / "implicit_vr.dcm").astype(int)
    lossy = decoded(SLICES / f"{name}.dcm").astype(int)
    assert np.quantile(np.abs(lossy - plain)[plain > AIR_HU + 50], 0.95) <= tolerance


def test_twelve_bits_unsigned(tmp_path: Path) -> None:
    assert hu_of(dicom_file(tmp_path)) == [-1024, -1000, 0, 40, 1000, 3071]


def test_garbage_above_bits_stored_is_taken_away(tmp_path: Path) -> None:
    stored = struct.pack("<6H", 0xF000, 0x1018, 0xA400, 1064, 2024, 0xFFFF)
    assert hu_of(dicom_file(tmp_path, {"PixelData": stored})) == [-1024, -1000, 0, 40, 1000, 3071]


def test_twelve_bits_signed_are_extended(tmp_path: Path) -> None:
    changes: dict[str, bytes | None] = {
        "PixelRepresentation": b"\x01\x00",
        "RescaleIntercept": b"0 ",
        "PixelData": struct.pack("<6H", 0x0C18, 0xFC18, 0x0FFF, 0x07FF, 1, 0x5001),
    }
    assert hu_of(dicom_file(tmp_path, changes)) == [-1000, -1000, -1, 2047, 1, 1]


def test_bits_below_the_stored_ones_are_taken_away(tmp_path: Path) -> None:
    """High Bit 15 with 12 bits stored: the value sits in the upper bits."""
    changes: dict[str, bytes | None] = {
        "HighBit": b"\x0f\x00",
        "PixelData": struct.pack("<6H", *(v << 4 | 0x7 for v in (0, 24, 1024, 1064, 2024, 4095))),
    }
    assert hu_of(dicom_file(tmp_path, changes)) == [-1024, -1000, 0, 40, 1000, 3071]


def test_eight_bits_with_an_odd_number_of_pixels(tmp_path: Path) -> None:
    changes: dict[str, bytes | None] = {
        "Rows": b"\x01\x00",
        "BitsAllocated": b"\x08\x00",
        "BitsStored": b"\x08\x00",
        "HighBit": b"\x07\x00",
        "RescaleSlope": b"10",
        "PixelData": bytes([0, 100, 255, 0]),
    }
    assert hu_of(dicom_file(tmp_path, changes)) == [-1024, -24, 1526]


def test_slope_is_applied_and_rounded(tmp_path: Path) -> None:
    hu = hu_of(dicom_file(tmp_path, {"RescaleSlope": b"0.5 ", "RescaleIntercept": b"-1000.3"}))
    assert hu == [-1000, -988, -488, -468, 12, 1047]


@pytest.mark.parametrize(
    ("padding", "limit", "expected"),
    [
        (4095, None, [-1024, -1000, 0, 40, 1000, 3071]),  # 3071 HU may be bone or metal
        (1024, None, [-1024, -1000, 0, 40, 1000, 3071]),  # 0 HU is water, whatever it declares
        (None, None, [-1024, -1000, 0, 40, 1000, 3071]),
    ],
)
def test_padding_among_tissue_values_is_not_believed(
    tmp_path: Path, padding: int | None, limit: int | None, expected: list[int]
) -> None:
    changes = {
        keyword: None if value is None else struct.pack("<H", value)
        for keyword, value in {
            "PixelPaddingValue": padding,
            "PixelPaddingRangeLimit": limit,
        }.items()
    }
    assert hu_of(dicom_file(tmp_path, changes)) == expected


def test_padding_above_tissue_becomes_air(tmp_path: Path) -> None:
    changes: dict[str, bytes | None] = {
        "BitsStored": b"\x10\x00",
        "HighBit": b"\x0f\x00",
        "PixelPaddingValue": struct.pack("<H", 65000),
        "PixelPaddingRangeLimit": struct.pack("<H", 65535),
        "PixelData": struct.pack("<6H", 65000, 65100, 65535, 0, 1024, 5000),
    }
    assert hu_of(dicom_file(tmp_path, changes)) == [AIR_HU, AIR_HU, AIR_HU, AIR_HU, 0, 3976]


def test_everything_below_air_becomes_air(tmp_path: Path) -> None:
    """-3024 and -2048 HU, as in real series whose padding is declared wrongly or not at all."""
    changes: dict[str, bytes | None] = {
        "PixelRepresentation": b"\x01\x00",
        "BitsStored": b"\x10\x00",
        "HighBit": b"\x0f\x00",
        "PixelPaddingValue": struct.pack("<h", -32768),
        "PixelData": struct.pack("<6h", -2000, -1024, -32768, 0, 1024, 32767),
    }
    assert hu_of(dicom_file(tmp_path, changes)) == [*[AIR_HU] * 4, 0, 31743]


@pytest.mark.parametrize(
    ("changes", "rule", "words"),
    [
        ({"PixelData": None}, "pixel_data", "absent or empty"),
        ({"PixelData": b""}, "pixel_data", "absent or empty"),
        ({"PixelData": bytes(10)}, "pixel_data", "10 bytes for 2 x 3 pixels"),
        ({"Rows": None}, "pixel_data", "missing"),
        ({"BitsAllocated": b"\x20\x00"}, "pixel_data", "32 allocated"),
        ({"BitsStored": b"\x11\x00"}, "pixel_data", "17 bits stored"),
        ({"HighBit": b"\x01\x00"}, "pixel_data", "high bit 1"),
        ({"SamplesPerPixel": b"\x03\x00"}, "pixel_data", "several samples"),
        ({"NumberOfFrames": b"2 "}, "pixel_data", "several frames"),
        ({"RescaleSlope": None}, "rescale", "missing"),
        ({"RescaleSlope": b"0 "}, "rescale", "missing"),
        ({"RescaleIntercept": b"abc "}, "rescale", "missing"),
    ],
)
def test_refused(tmp_path: Path, changes: dict[str, bytes | None], rule: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        hu_of(dicom_file(tmp_path, changes))
    assert caught.value.rule == rule
    assert words in caught.value.value


@given(st.binary(min_size=1, max_size=700))
def test_what_pads_native_pixels_is_left_out(padding: bytes) -> None:
    """One byte, a block of a disk, more than the pixels themselves (PS3.5 section 8.1.1, note)."""
    stored = struct.pack("<6H", 0, 24, 1024, 1025, 2000, 4095)
    for syntax in (ImplicitVRLittleEndian, ExplicitVRBigEndian):
        data_set = plain_image(syntax)
        value = stored if syntax == ImplicitVRLittleEndian else swapped(stored)
        plain = decode_hu(data_set, value)
        assert np.array_equal(decode_hu(data_set, value + padding), plain)


@given(st.binary(max_size=20), st.integers(1, 5), st.integers(1, 5))
def test_padded_bytes_in_big_endian_too(padding: bytes, rows: int, columns: int) -> None:
    """8 bits allocated: pairs of bytes are swapped (PS3.5 section 7.3), the padded one too."""
    stored = np.arange(rows * columns, dtype="u1").tobytes()
    stored += bytes(len(stored) % 2)
    data_set = plain_image(ExplicitVRBigEndian, rows, columns, bits=8)
    little = plain_image(ImplicitVRLittleEndian, rows, columns, bits=8)
    even = swapped(stored) + padding
    assert np.array_equal(decode_hu(data_set, even), decode_hu(little, stored + padding))


def test_what_is_encapsulated_uncompressed_is_decoded() -> None:
    """In one fragment or several (PS3.5 section A.4.11)."""
    stored = struct.pack("<6H", 0, 24, 1024, 1025, 2000, 4095)
    data_set = plain_image(UID("1.2.840.10008.1.2.1.98"))
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    wanted = decode_hu(plain_image(ImplicitVRLittleEndian), stored)
    for count in (1, 2, 3):
        value = encapsulate([stored], fragments_per_frame=count) + end
        assert np.array_equal(decode_hu(data_set, value), wanted)
    with pytest.raises(DataError):
        decode_hu(data_set, encapsulate([stored[:8]]) + end)


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2.4.102", "1.2.840.113619.5.2"])
def test_pixels_in_an_encoding_that_nobody_knows_are_never_taken_for_native_ones(uid: str) -> None:
    with pytest.raises(DataError, match="pixel_data"):
        decode_hu(plain_image(UID(uid)), encapsulate([bytes(500)]) + b"\xfe\xff\xdd\xe0" + bytes(4))


@pytest.mark.parametrize(
    ("length", "frames", "problem"),
    [
        (12, "1", None),
        (13, "1", None),
        (524, "1", None),
        (10, "1", "PixelData: 10 bytes, 12 are needed"),
        (24, "2", None),
        (22, "2", "PixelData: 22 bytes, 24 are needed"),
    ],
)
def test_what_is_too_short_is_known_from_the_header(
    tmp_path: Path, length: int, frames: str, problem: str | None
) -> None:
    value: dict[str, bytes | None] = {"PixelData": bytes(length), "NumberOfFrames": frames.encode()}
    header = read_header_file(dicom_file(tmp_path, value))
    assert header.has_pixel_data == (problem is None)
    assert [told for told in header.problems if "PixelData" in told] == (
        [problem] if problem else []
    )


def plain_image(syntax: UID, rows: int = 2, columns: int = 3, bits: int = 16) -> Dataset:
    data_set = Dataset()
    data_set.Rows, data_set.Columns, data_set.BitsAllocated = rows, columns, bits
    data_set.BitsStored, data_set.HighBit, data_set.PixelRepresentation = bits, bits - 1, 0
    data_set.RescaleSlope, data_set.RescaleIntercept = 1, -1024
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = syntax
    return data_set


def swapped(value: bytes) -> bytes:
    return np.frombuffer(value, "<u2").byteswap().tobytes()


@pytest.mark.parametrize("name", ["jpeg_2000_lossless", "jpeg_lossless", "rle_lossless"])
def test_a_compressed_slice_cut_short_is_refused(tmp_path: Path, name: str) -> None:
    content = (SLICES / f"{name}.dcm").read_bytes()
    path = tmp_path / "cut.dcm"
    path.write_bytes(content[: len(content) // 2])
    header = read_header_file(path)
    with pytest.raises(DataError) as caught:
        load_volume([path], sort_slices([header]))
    assert caught.value.rule == "pixel_data"
    assert caught.value.value.startswith(f"{header.sop_instance_uid}: the encapsulated")
    assert not header.has_pixel_data
    assert header.problems == ("PixelData: the file ends before its last fragment",)


def test_random_bytes_as_compressed_pixels_are_refused(tmp_path: Path) -> None:
    for syntax in (b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.5"):
        path = dicom_file(tmp_path, transfer_syntax=syntax)
        with pytest.raises(DataError, match="pixel_data"):
            hu_of(path)


def test_a_real_chest_is_loaded_in_stack_order() -> None:
    headers = [read_header_file(path) for path in REAL_CHEST]
    stack = sort_slices(headers)
    kept = replace(stack, headers=stack.headers[10:14])
    volume = load_volume(list(reversed(REAL_CHEST)), kept, workers=2)
    assert volume.hu.shape == (4, 512, 512)
    assert volume.spacing_mm == pytest.approx((5.0, 0.841796875, 0.841796875))
    by_uid = {
        header.sop_instance_uid: path for header, path in zip(headers, REAL_CHEST, strict=True)
    }
    for index, header in enumerate(kept.headers):
        alone = decoded(by_uid[header.sop_instance_uid])
        assert np.array_equal(volume.hu[index], alone)


def test_a_volume_too_large_is_refused_before_it_is_made() -> None:
    stack = sort_slices([ct_header(i, z=i, rows=65535, columns=65535) for i in range(20)])
    with pytest.raises(DataError, match="20 slices of 65535 x 65535") as caught:
        load_volume([], stack)
    assert caught.value.rule == "volume_size"


def test_a_slice_without_a_file_and_a_stack_without_a_place_are_refused(tmp_path: Path) -> None:
    path = dicom_file(tmp_path)
    stack = sort_slices([ct_header(i, z=i, rows=2, columns=3) for i in (1, 2)])
    with pytest.raises(DataError, match=r"no file for 1\.2\.3\.1 \(2 in all\)"):
        load_volume([path], stack)
    with pytest.raises(DataError, match="Image Position"):
        load_volume([path], sort_slices([read_header_file(path)]))


def test_a_file_of_another_size_than_its_header_said(tmp_path: Path) -> None:
    path = dicom_file(tmp_path)
    header = ct_header(sop_instance_uid="1.2.3.4", rows=3, columns=2)
    with pytest.raises(DataError, match=r"1\.2\.3\.4: \(2, 3\) pixels"):
        load_volume([path], sort_slices([header]))


def test_a_file_that_is_no_dicom_any_more(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"")
    with pytest.raises(DataError):
        load_volume([path], sort_slices([ct_header()]))
