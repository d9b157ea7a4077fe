"""P-DATA-TF PDUs: pynetdicom's own coding as the oracle, and every wrong length refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import P_DATA

from dicomnode.fast_scp.pdu import (
    COMMAND,
    INVALID_VALUE,
    LAST,
    ProtocolError,
    command_pdus,
    fragments,
    p_data_tf,
)

PIECES = st.lists(
    st.tuples(
        st.integers(0, 127).map(lambda n: 2 * n + 1), st.integers(0, 3), st.binary(max_size=50)
    ),
    min_size=1,
    max_size=5,
)


def body(pdu: bytes) -> memoryview:
    return memoryview(pdu)[6:]


@given(PIECES)
def test_a_pdu_is_made_as_pynetdicom_makes_it(pieces: list[tuple[int, int, bytes]]) -> None:
    primitive = P_DATA()
    primitive.presentation_data_value_list = [
        [context, bytes([control]) + data]  # type: ignore[misc]
        for context, control, data in pieces
    ]
    assert p_data_tf(pieces) == P_DATA_TF(primitive).encode()


@given(PIECES)
def test_what_was_put_in_comes_out(pieces: list[tuple[int, int, bytes]]) -> None:
    found = [(f.context_id, f.control, bytes(f.data)) for f in fragments(body(p_data_tf(pieces)))]
    assert found == pieces


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\0\0\0\2\1",
        struct.pack(">IBB", 0, 1, 3),
        struct.pack(">IBB", 1, 1, 3),
        struct.pack(">IBB", 3, 1, 3),
        struct.pack(">IBB", 0xFFFFFFFF, 1, 3) + b"data",
        struct.pack(">IBB", 3, 1, 3) + b"x" + b"\0\0",
    ],
    ids=["empty", "no head", "length 0", "length 1", "past the end", "4 GiB", "trailing bytes"],
)
def test_lengths_that_do_not_fit_are_refused(wrong: bytes) -> None:
    with pytest.raises(ProtocolError) as refused:
        fragments(memoryview(wrong))
    assert refused.value.reason == INVALID_VALUE


@given(st.binary(max_size=200))
def test_any_bytes_fill_the_pdu_or_are_refused(noise: bytes) -> None:
    try:
        found = fragments(memoryview(noise))
    except ProtocolError:
        return
    assert sum(len(fragment.data) + 6 for fragment in found) == len(noise)


@given(st.binary(min_size=1, max_size=400), st.sampled_from([0, 1, 64, 100, 16384]))
def test_a_command_set_is_cut_to_what_the_peer_takes(command: bytes, longest: int) -> None:
    stream, found = command_pdus(7, command, longest), []
    while stream:
        length = int.from_bytes(stream[2:6], "big")
        assert longest == 0 or length <= max(longest, 64)
        found += fragments(memoryview(stream)[6 : 6 + length])
        stream = stream[6 + length :]
    assert b"".join(bytes(each.data) for each in found) == command
    assert [each.control for each in found] == [COMMAND] * (len(found) - 1) + [COMMAND | LAST]
