"""The reader of single attributes, whatever stands in them."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy, judge_eligibility
from dicomnode.dicom_files.attributes import PLAUSIBLE, AttributeReader
from dicomnode.dicom_files.headers import read_header

READ_KEYWORDS = [
    *("SOPInstanceUID", "SOPClassUID", "SeriesInstanceUID", "StudyInstanceUID", "Modality"),
    *("Manufacturer", "ManufacturerModelName", "ImageType", "InstanceNumber", "Rows", "Columns"),
    *("NumberOfFrames", "SamplesPerPixel", "PixelSpacing", "SliceThickness", "RescaleType"),
    *("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "RescaleSlope"),
    *("RescaleIntercept", "GantryDetectorTilt", "ContrastBolusAgent", "ContrastBolusRoute"),
    *("ContrastBolusVolume", "ContrastBolusStartTime", "ContrastFlowRate"),
    *("ContrastBolusAgentSequence", "SpecificCharacterSet"),
]


def as_received(
    keyword: str, value: bytes | None, vr: str | None = None, *, little: bool = True
) -> Dataset:
    """A data set with one element as it comes from a file: bytes, not yet converted."""
    tag = BaseTag(tag_for_keyword(keyword) or 0)
    vr = vr or dictionary_VR(tag).split(" or ")[0]
    length = len(value or b"")
    return Dataset({tag: RawDataElement(tag, vr, length, value, 0, False, little)})


@pytest.mark.parametrize(
    ("vr", "value", "little", "expected"),
    [
        ("US", b"\x02\x00", True, 2),
        ("US", b"\x00\x02", False, 2),
        ("UN", b"\x02\x00", True, 2),  # a peer that knew no better: the dictionary's VR holds
        ("SS", b"\xff\xff", True, None),
        ("UL", b"\x02\x00\x00\x00", True, 2),
        ("FD", struct.pack("<d", 2.0), True, 2),
        ("FD", struct.pack("<d", float("nan")), True, None),
        ("IS", b"512 ", True, 512),
        ("US", b"\x02\x00\x03\x00", True, None),
        ("US", None, True, None),
    ],
)
def test_rows_under_any_vr(
    vr: str, value: bytes | None, little: bool, expected: int | None
) -> None:
    read = AttributeReader(as_received("Rows", value, vr, little=little))
    assert read.integer("Rows") == expected
    assert bool(read.problems) == (expected is None and value is not None)


def test_several_texts_are_trimmed_and_a_control_character_is_dropped() -> None:
    read = AttributeReader(as_received("ImageType", b" ORIGINAL\\PRIMARY\\\x07AXIAL \x00"))
    assert read.texts("ImageType") == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert read.text("ImageType") == "ORIGINAL\\PRIMARY\\AXIAL"
    assert read.texts("Modality") == ()


def test_a_text_without_end_is_cut() -> None:
    read = AttributeReader(as_received("ContrastBolusAgent", b"A" * 60_000))
    assert len(read.text("ContrastBolusAgent")) == 1024


def test_a_sequence_where_a_value_belongs_is_a_problem() -> None:
    name = Dataset()
    name.PatientName = "DOE^JANE"
    tag = BaseTag(0x00180050)
    read = AttributeReader(Dataset({tag: DataElement(tag, "SQ", Sequence([name]))}))
    assert read.number("SliceThickness") is None
    assert read.problems == ["SliceThickness: is a sequence"]


@pytest.mark.parametrize(
    ("vr", "value", "signed", "expected"),
    [
        ("SS", struct.pack("<h", -2000), True, -2000),
        ("US", struct.pack("<H", 63536), True, -2000),  # the VR and the sign disagree
        ("US", struct.pack("<H", 63536), False, 63536),
        ("SS", struct.pack("<h", -2000), False, 63536),
        ("US", b"", True, None),
    ],
)
def test_pixel_padding_value_by_pixel_representation(
    vr: str, value: bytes, signed: bool, expected: int | None
) -> None:
    read = AttributeReader(as_received("PixelPaddingValue", value or None, vr))
    assert read.signed_or_unsigned("PixelPaddingValue", signed=signed) == expected


def test_items_of_a_sequence() -> None:
    assert not AttributeReader(Dataset()).has_items("ContrastBolusAgentSequence")
    for value, expected in [(None, False), (b"", False), (b"\xfe\xff\x00\xe0\0\0\0\0", True)]:
        read = AttributeReader(as_received("ContrastBolusAgentSequence", value, "SQ"))
        assert read.has_items("ContrastBolusAgentSequence") == expected


@pytest.mark.parametrize("keyword", sorted(PLAUSIBLE))
def test_every_range_is_one(keyword: str) -> None:
    low, high = PLAUSIBLE[keyword]
    assert low < high
    assert tag_for_keyword(keyword) is not None


GARBAGE = (
    st.binary(max_size=12)
    | st.text(max_size=8).map(str.encode)
    | st.sampled_from([b"5\\5", b"1e9", b"-0", b"nan", b"inf\\0\\0", b"1\\0\\0\\0\\1\\0", b"CT"])
)
VRS = ["DS", "IS", "US", "SS", "FD", "LO", "UI", "UN", "SQ", "XX"]


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(READ_KEYWORDS), st.tuples(st.sampled_from(VRS), GARBAGE), max_size=8
        ),
        max_size=3,
    )
)
def test_garbage_in_every_attribute_gives_reasons_and_no_exception(
    described: list[dict[str, tuple[str, bytes]]],
) -> None:
    headers = []
    for elements in described:
        content: dict[Any, Any] = {}
        for keyword, (vr, value) in elements.items():
            content |= as_received(keyword, value, vr).items()
        headers.append(read_header(Dataset(content)))
    decision = judge_eligibility(headers, EligibilityPolicy())
    assert decision.failures
    assert judge_eligibility(headers[::-1], EligibilityPolicy()) == decision
