"""The one part of what a DICOMweb server sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.errors import DataError
from dicomnode.pull.web_archive import only_part

TYPED = b"Content-Type: application/dicom\r\nContent-Length: 4\r\n"


@given(st.binary(max_size=300), st.sampled_from([b"", TYPED]), st.sampled_from([b"", b"\r\n"]))
def test_the_part_is_what_was_put_in(content: bytes, head: bytes, before: bytes) -> None:
    body = before + b"--b\r\n" + head + b"\r\n" + content + b"\r\n--b--\r\n"
    assert only_part(body) == content


def test_a_body_of_no_parts_is_the_file_itself() -> None:
    file = bytes(128) + b"DICM" + b"whatever"
    assert only_part(file) == file


def test_a_part_that_does_not_end_is_cut_off() -> None:
    with pytest.raises(DataError, match="cut off"):
        only_part(b"--b\r\n" + TYPED + b"\r\nhalf an inst")


@given(st.binary(max_size=100) | st.binary(max_size=60).map(b"--b\r\n".__add__))
def test_any_bytes_are_taken_apart_or_refused(body: bytes) -> None:
    try:
        assert len(only_part(body)) <= len(body)
    except DataError as error:
        assert error.rule == "pull"
