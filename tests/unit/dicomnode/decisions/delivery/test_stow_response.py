"""The body of a STOW-RS response: JSON, XML, and whatever else a server may say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.delivery.stow_response import StoreReport, read_instances, read_report

UID, OTHER = "1.2.3", "1.2.4"


def item(uid: str | None, reason_tag: str = "", reason: Any = 0) -> dict[str, Any]:
    made: dict[str, Any] = {"00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.7"]}}
    if uid is not None:
        made["00081155"] = {"vr": "UI", "Value": [uid]}
    if reason_tag:
        made[reason_tag] = {"vr": "US", "Value": [reason]}
    return made


def body(stored: list[Any] | None = None, failed: list[Any] | None = None) -> bytes:
    parts = {"00081199": stored, "00081198": failed}
    sequences = {tag: {"vr": "SQ", "Value": each} for tag, each in parts.items() if each}
    return json.dumps(
        {"00081190": {"vr": "UR", "Value": ["http://x/studies/1"]}} | sequences
    ).encode()


XML = """<?xml version="1.0" encoding="UTF-8"?>
<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">
  <DicomAttribute tag="00081198" vr="SQ" keyword="FailedSOPSequence"><Item number="1">
    <DicomAttribute tag="00081155" vr="UI"><Value number="1">1.2.3</Value></DicomAttribute>
    <DicomAttribute tag="00081197" vr="US"><Value number="1">290</Value></DicomAttribute>
  </Item></DicomAttribute>
  <DicomAttribute tag="00081199" vr="SQ"><Item number="1">
    <DicomAttribute tag="00081155" vr="UI"><Value number="1">1.2.4</Value></DicomAttribute>
    <DicomAttribute tag="00081196" vr="US"><Value number="1">45062</Value></DicomAttribute>
  </Item></DicomAttribute>
</NativeDicomModel>"""


def test_json_tells_of_each_instance() -> None:
    made = body([item(UID), item(OTHER, "00081196", 0xB000)], [item("1.2.5", "00081197", 0x0122)])
    assert read_report(made) == StoreReport({UID: 0, OTHER: 0xB000}, {"1.2.5": 0x0122})


@pytest.mark.parametrize(
    "text",
    [
        XML,
        XML.replace(' xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM"', ""),
        "\n" + XML[39:],
    ],
)
def test_xml_tells_the_same(text: str) -> None:
    assert read_report(text.encode()) == StoreReport({OTHER: 0xB006}, {UID: 0x0122})
    assert read_report(XML.replace("UTF-8", "UTF-16").encode("utf-16")) is not None


def test_a_failed_instance_without_uid_or_reason_is_still_one() -> None:
    assert read_report(body(None, [item(None, "00081197", 0x0110)])) == StoreReport(
        {}, {"": 0x0110}
    )
    assert read_report(body(None, [item(UID)])) == StoreReport({}, {UID: 0})
    other = json.dumps({"0008119A": {"vr": "SQ", "Value": [item(None, "00081197", 0xC000)]}})
    assert read_report(other.encode()) == StoreReport({}, {"": 0xC000})


@pytest.mark.parametrize("reason", ["290", 290])
def test_a_reason_may_be_text(reason: object) -> None:
    assert read_report(body(None, [item(UID, "00081197", reason)])) == StoreReport({}, {UID: 290})


@pytest.mark.parametrize("reason", [None, "x", -1, 1.5, 10**9, [], {}, True])
def test_a_reason_that_is_none_is_zero(reason: object) -> None:
    assert read_report(body(None, [item(UID, "00081197", reason)])) == StoreReport({}, {UID: 0})


def test_a_list_of_one_is_that_one() -> None:
    assert read_report(b"[" + body([item(UID)]) + b"]") == StoreReport({UID: 0}, {})


BOMB = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]>' + XML[39:]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"00081199": 3}',
        b'{"00081199": {"Value": 3}}',
        b'{"00081199": {"vr": "SQ", "Value": [3, null]}}',
        b"<html><body>Sign in</body></html>",
        b"<NativeDicomModel>",
        b"\xff\xfe",
        b"[" * 500_000,
        b'{"a":' * 100_000,
        b"<a>" * 200_000,
        b"9" * 6000,
        BOMB.encode(),
        BOMB.encode("utf-16"),
        b'<?xml version="1.0" encoding="nobody-knows"?><a/>',
    ],
)
def test_what_is_no_such_response_is_none(content: bytes) -> None:
    assert read_report(content) is None


def test_items_within_items_do_not_exhaust_us() -> None:
    inner = '<DicomAttribute tag="00081199"><Item>' * 20_000
    outer = "</Item></DicomAttribute>" * 20_000
    read_report(f"<NativeDicomModel>{inner}{outer}</NativeDicomModel>".encode())


def test_a_query_returns_instances() -> None:
    found = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in (UID, OTHER)]
    assert read_instances(json.dumps(found).encode()) == {UID, OTHER}


@pytest.mark.parametrize("content", [b"", b"{}", b"3", b"[3]", b"<html>", b"[" * 500_000])
def test_what_is_no_list_of_instances_names_none(content: bytes) -> None:
    assert not read_instances(content) - {""}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["00081199", "00081198", "00081155", "00081197", "Value"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_read_or_none(content: bytes) -> None:
    found = read_report(content)
    if found is not None:
        assert all(0 <= each <= 0xFFFF for each in (*found.stored.values(), *found.failed.values()))
