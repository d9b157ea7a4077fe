"""The data sets of storage commitment: what is built is read back, and nothing sent crashes us."""

from __future__ import annotations

import contextlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode

from dicomnode.commitment.data_sets import (
    Report,
    Request,
    action_information,
    check_size,
    event_information,
    read_report,
    read_request,
)
from dicomnode.dicom_files.headers import UNREADABLE
from dicomnode.errors import DataError

uids = st.from_regex(r"2\.25\.[1-9][0-9]{0,30}", fullmatch=True)
references = st.lists(st.tuples(uids, uids), min_size=1, max_size=5, unique_by=lambda each: each[1])


def sent(information: Dataset) -> Dataset:
    """As it comes over the network."""
    encoded = encode(information, False, True)
    assert encoded is not None
    return decode(BytesIO(encoded), False, True)


@given(uids, references)
def test_a_request_is_read_as_it_was_made(uid: str, objects: list[tuple[str, str]]) -> None:
    found = read_request(sent(action_information(uid, objects)))
    assert found == Request(uid, tuple(objects))


@given(uids, references, references, st.integers(0, 0xFFFF))
def test_a_report_is_read_as_it_was_made(
    uid: str, committed: list[tuple[str, str]], failed: list[tuple[str, str]], reason: int
) -> None:
    told = event_information(uid, committed, [(each, reason) for each in failed])
    lost = {each[1]: reason for each in failed}
    kept = frozenset(each[1] for each in committed if each[1] not in lost)
    assert read_report(sent(told)) == Report(uid, kept, lost)


@given(st.binary(max_size=200), st.booleans())
def test_whatever_is_sent_is_read_or_refused(content: bytes, implicit: bool) -> None:
    try:
        information = decode(BytesIO(content), implicit, True)
    except (*UNREADABLE, UserWarning):  # before any handler of ours: pynetdicom answers 0x0110
        return
    for read in (read_request, read_report):
        with contextlib.suppress(DataError):
            read(information)


def broken(**values: object) -> Dataset:
    information = action_information("2.25.1", [("1.2", "2.25.2")])
    for keyword, value in values.items():
        setattr(information, keyword, value)
    return information


@pytest.mark.parametrize(
    "information",
    [Dataset(), broken(TransactionUID=""), broken(ReferencedSOPSequence=[])],
    ids=["empty", "no transaction", "no object"],
)
def test_a_request_that_is_none_is_refused(information: Dataset) -> None:
    with pytest.raises(DataError):
        read_request(information)


def test_an_object_without_its_class_is_refused() -> None:
    information = broken()
    del information.ReferencedSOPSequence[0].ReferencedSOPClassUID
    with pytest.raises(DataError):
        read_request(information)


def test_a_failure_without_a_reason_is_one_of_processing() -> None:
    told = event_information("2.25.1", [], [(("1.2", "2.25.2"), 0x0112)])
    del told.FailedSOPSequence[0].FailureReason
    assert read_report(told).failed == {"2.25.2": 0x0110}


def test_a_data_set_of_too_many_items_is_refused_before_it_is_decoded() -> None:
    objects = [("1.2.840.10008.5.1.4.1.1.2", f"2.25.{number}") for number in range(2000)]
    encoded = encode(action_information("2.25.1", objects), True, True)
    assert encoded is not None
    check_size(BytesIO(encoded))
    item = bytes.fromhex("feff00e0 00000000")
    for refused in (None, BytesIO(encoded + item * 100_000), BytesIO(bytes((1 << 24) + 1))):
        with pytest.raises(DataError):
            check_size(refused)
