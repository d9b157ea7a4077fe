"""File meta information that is not as PS3.10 section 7.1 wants it, and elements in any order."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicomnode.dicom_files.file_meta import begins_like_dicom, read_file_meta
from dicomnode.dicom_files.folder import read_folder
from dicomnode.dicom_files.headers import UNREADABLE, read_header_file, read_with_pixels
from dicomnode.dicom_files.identity import data_set_sha256, identify_file
from dicomnode.dicom_files.pixels import decode_hu
from dicomnode.errors import DataError
from support.phantom import write_series


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_series(tmp_path_factory.mktemp("plain"), slices=1)[0]


def parts(path: Path) -> tuple[bytes, bytes, bytes]:
    """Preamble with prefix, file meta information without its length, and the data set."""
    whole = path.read_bytes()
    start = 144 + int.from_bytes(whole[140:144], "little")
    return whole[:132], whole[144:start], whole[start:]


def group_length(vr: bytes, value: bytes) -> bytes:
    long = vr in (b"OB", b"UN")
    length = (
        b"\0\0" + len(value).to_bytes(4, "little") if long else len(value).to_bytes(2, "little")
    )
    return b"\2\0\0\0" + vr + length + value


LENGTHS = {
    "missing": b"",
    "zero": group_length(b"UL", bytes(4)),
    "empty": group_length(b"UL", b""),
    "too short": group_length(b"UL", b"\x08\0\0\0"),
    "too long": group_length(b"UL", b"\xff\xff\xff\x7f"),
    "as US": group_length(b"US", b"\xc0\0"),
    "as OB": group_length(b"OB", b"\xc0\0\0\0"),
    "as UN": group_length(b"UN", b"\xc0\0\0\0"),
    "as LO": group_length(b"LO", b"192 "),
}


@pytest.mark.parametrize("preamble", [True, False])
@pytest.mark.parametrize("length", LENGTHS)
def test_the_group_ends_where_its_elements_end(
    tmp_path: Path, plain: Path, length: str, preamble: bool
) -> None:
    head, meta, data_set = parts(plain)
    odd = tmp_path / "odd.dcm"
    odd.write_bytes((head if preamble else b"") + LENGTHS[length] + meta + data_set)
    assert_as_plain(odd, plain)
    assert data_set_sha256(odd) == hashlib.sha256(data_set).hexdigest()


def assert_as_plain(odd: Path, plain: Path) -> None:
    assert identify_file(odd)[0] == identify_file(plain)[0]
    found, wanted = read_header_file(odd), read_header_file(plain)
    assert replace(found, transfer_syntax_uid=wanted.transfer_syntax_uid) == wanted
    assert np.array_equal(decode_hu(*read_with_pixels(odd)), decode_hu(*read_with_pixels(plain)))
    content = read_folder(odd.parent)
    assert list(content.files.values()) == [[odd]]
    assert not content.left_out


@pytest.mark.parametrize("preamble", [True, False])
@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_a_file_that_does_not_name_its_encoding_is_looked_at(
    tmp_path: Path, plain: Path, syntax: str, preamble: bool
) -> None:
    """Without any file meta information; with only Media Storage SOP Class UID."""
    data_set = dcmread(plain)
    if syntax == ExplicitVRBigEndian:
        data_set.PixelData = np.frombuffer(data_set.PixelData, "<u2").byteswap().tobytes()
    content = encoded(data_set, syntax)
    some_meta = b"\2\0\2\0UI\x1a\x00" + b"1.2.840.10008.5.1.4.1.1.2\0"
    odd = tmp_path / "odd.dcm"
    for meta in (b"", some_meta):
        odd.write_bytes((bytes(128) + b"DICM" if preamble else b"") + meta + content)
        assert_as_plain(odd, plain)
        assert identify_file(odd)[1].TransferSyntaxUID == syntax
        assert data_set_sha256(odd) == hashlib.sha256(content).hexdigest()


def encoded(data_set: Dataset, syntax: str) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR = syntax == ImplicitVRLittleEndian
    stream.is_little_endian = syntax != ExplicitVRBigEndian
    write_dataset(stream, Dataset(data_set))
    return stream.getvalue()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 1 << 32))
def test_elements_in_any_order_say_the_same(tmp_path: Path, plain: Path, seed: int) -> None:
    """In the file meta information and in the data set, before the pixels and behind them."""
    data_set = dcmread(plain)
    pieces = [encoded(Dataset({e.tag: e}), ExplicitVRLittleEndian) for e in data_set]
    meta = [
        b"\2\0\x10\0UI\x14\0" + b"1.2.840.10008.1.2.1\0",
        b"\2\0\x12\0UI\4\0" + b"1.2\0",
        LENGTHS["too short"],
    ]
    random.Random(seed).shuffle(pieces)
    random.Random(seed).shuffle(meta)
    odd = tmp_path / "odd.dcm"
    odd.write_bytes(bytes(128) + b"DICM" + b"".join(meta) + b"".join(pieces))
    assert_as_plain(odd, plain)


@pytest.mark.parametrize(
    "behind", [bytes(500), b"\xfc\xff\xfc\xffOB\0\0\xff\0\0\0", b"garbage" * 99]
)
def test_what_pads_the_file_is_no_element(tmp_path: Path, plain: Path, behind: bytes) -> None:
    odd = tmp_path / "odd.dcm"
    odd.write_bytes(plain.read_bytes() + behind)
    assert_as_plain(odd, plain)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_or_refused(content: bytes, dressed: bool) -> None:
    whole = bytes(128) + b"DICM" + content if dressed else content
    file = BytesIO(whole)
    try:
        meta, start = read_file_meta(file)
    except UNREADABLE:
        return
    assert begins_like_dicom(whole[:132])
    assert file.tell() == start <= len(whole)
    assert meta.TransferSyntaxUID


def test_a_text_is_no_dicom(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_text("This is a long letter to whom it may concern. " * 9)
    with pytest.raises(DataError, match="dicom_file"):
        identify_file(path)
