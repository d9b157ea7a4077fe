"""Every attribute that a decision reads, with anything bad in it: a reason, no exception."""

from __future__ import annotations

import inspect
import re
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword

from dicomnode.decisions.eligibility.eligibility import RULES, EligibilityPolicy, judge_eligibility
from dicomnode.dicom_files import headers, nested_attributes
from dicomnode.errors import DataError
from support.ct_headers import ct_series
from support.dicom_files import data_set, dicom_file, element

POLICY = EligibilityPolicy(min_slices=2)
SOURCE = inspect.getsource(headers.read_header)
BY_KEYWORD = {keyword for _, keyword, _ in headers._BY_KEYWORD}
KEYWORDS = {*re.findall(r'"([A-Z]\w+)"', SOURCE), *BY_KEYWORD, *nested_attributes.READ}
READ = sorted(filter(tag_for_keyword, KEYWORDS))
IDENTITY = {"SOPInstanceUID", "SOPClassUID"}

BAD = [
    *(b"", b" ", b"\\", b"5\\5", b"1e9 ", b"-3", b"NaN\\NaN\\NaN ", b"inf ", b"0x10", b"1,5 "),
    *(
        b"\x00" * 8,
        b"\xff\xfe\xfd",
        b"\x1b$B",
        "增強".encode(),
        b"1" * 3001,
        b"1\\2\\3\\4\\5\\6\\7 ",
    ),
    *(struct.pack("<3d", float("nan"), 1e300, -1e300), b"1.2.840.10008.5.1.4.1.1.2\\1.2"),
]


GOOD = ct_series(3)


def decide(path: Path) -> None:
    """The slice among good ones: always one reason for each rule, in any order."""
    try:
        found = headers.read_headers_file(path)
    except DataError as error:
        assert error.rule == "dicom_file"
        return
    decision = judge_eligibility([*found, *GOOD], POLICY)
    assert [reason.rule for reason in decision.reasons] == [rule.__name__ for rule in RULES]
    assert judge_eligibility([*GOOD, *found], POLICY) == decision
    assert all(len(str(reason)) < 2000 for reason in decision.reasons)


def test_the_list_holds_what_is_read() -> None:
    assert len(READ) > 30
    assert {"SliceThickness", "ImagePositionPatient", "FrameType", "KVP", "StackID"} <= set(READ)


@pytest.mark.parametrize("keyword", READ)
def test_bad_values_are_reasons(tmp_path: Path, keyword: str) -> None:
    for value in BAD:
        decide(dicom_file(tmp_path, {keyword: value}))
    decide(dicom_file(tmp_path, {keyword: None}))


@pytest.mark.parametrize("vr", ["UN", "SQ", "FD", "LO", "PN"])
def test_the_wrong_type_is_a_reason(tmp_path: Path, vr: str) -> None:
    path = tmp_path / "bare"
    for keyword in READ:
        if keyword in IDENTITY:
            continue
        for value in (b"12345678", b"\xfe\xff\x00\xe0\x00\x00\x00\x00"):
            path.write_bytes(element(keyword, value, vr) + data_set({keyword: None}))
            decide(path)


@given(st.sampled_from(READ), st.binary(max_size=40))
@example("ImagePositionPatient", b"nan\\0\\0")
@settings(
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_bytes_are_a_reason(tmp_path: Path, keyword: str, value: bytes) -> None:
    decide(dicom_file(tmp_path, {keyword: value}))
