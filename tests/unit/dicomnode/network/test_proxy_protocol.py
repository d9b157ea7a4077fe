"""Headers of the PROXY protocol, as proxies write them and as nobody should."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.network.proxy_protocol import (
    LONGEST_BYTES,
    SIGNATURE,
    Address,
    ProxyHeaderError,
    length_of_rest,
    plain_address,
    read_source,
    source_of,
)
from support.proxy_header import proxy_header

ANY_ADDRESS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
PORTS = st.integers(0, 65535)


def parsed(header: bytes) -> Address | None:
    head, rest = header[:16], header[16:]
    assert length_of_rest(head) == len(rest)
    return source_of(head, rest)


@given(ANY_ADDRESS, PORTS, st.binary(max_size=200))
def test_the_source_is_read_whatever_else_the_proxy_adds(
    source: IPv4Address | IPv6Address, port: int, more: bytes
) -> None:
    found = parsed(proxy_header(str(source), port, more))
    assert found is not None
    assert (ip_address(found[0]), found[1]) == (source, port)
    assert len(found) == (2 if source.version == 4 else 4)


def test_a_proxy_that_speaks_for_itself_names_nobody() -> None:
    assert parsed(SIGNATURE + b"\x20\x00\x00\x00") is None
    assert parsed(proxy_header("192.0.2.7", command=0x20)) is None


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (SIGNATURE + b"\x21\x00\x00\x00", "without a TCP address"),  # AF_UNSPEC
        (SIGNATURE + b"\x21\x31\x00\xd8" + bytes(216), "without a TCP address"),  # a UNIX socket
        (SIGNATURE + b"\x21\x12\x00\x0c" + bytes(12), "without a TCP address"),  # UDP
        (SIGNATURE + b"\x21\x11\x00\x0b" + bytes(11), "shorter than its addresses"),
        (SIGNATURE + b"\x21\x21\x00\x0c" + bytes(12), "shorter than its addresses"),
        (SIGNATURE + b"\x11\x11\x00\x0c" + bytes(12), "unknown version or command 0x11"),
        (SIGNATURE + b"\x22\x11\x00\x0c" + bytes(12), "unknown version or command 0x22"),
        (SIGNATURE + b"\x21\x11\xff\xff", "of 65535 bytes"),
        (b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 104\r\n", "version 1"),
        (b"\x01\x00\x00\x00\x00\xcd\x00\x01\x00\x00DICOMNODE", "no PROXY header"),
    ],
)
def test_what_is_no_header_of_a_tcp_peer_is_told(header: bytes, why: str) -> None:
    with pytest.raises(ProxyHeaderError, match=why):
        parsed(header)


@given(
    st.binary(min_size=16, max_size=16) | st.binary(min_size=4, max_size=4).map(SIGNATURE.__add__)
)
def test_any_bytes_are_a_header_or_refused(head: bytes) -> None:
    try:
        length = length_of_rest(head)
        assert length <= LONGEST_BYTES
        source_of(head, bytes(length))
    except ProxyHeaderError as error:
        assert "PROXY" in str(error)


def test_the_peers_own_bytes_stay_and_a_header_may_come_byte_by_byte() -> None:
    ours, proxys = socket.socketpair()
    header = proxy_header("2001:db8::7", 4000, b"\x04\x00\x01x")

    def dribble() -> None:
        for each in header + b"\x01own":
            proxys.sendall(bytes([each]))

    with closing(ours), closing(proxys):
        sender = threading.Thread(target=dribble)
        sender.start()
        assert read_source(ours, 60.0) == ("2001:db8::7", 4000, 0, 0)
        sender.join()
        assert ours.gettimeout() is None
        assert ours.recv(4, socket.MSG_WAITALL) == b"\x01own"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (SIGNATURE[:5], "half a PROXY header"),
        (proxy_header("192.0.2.7")[:-1], "half a PROXY header"),
        (b"PROXY TCP4 192.0.2.7", "version 1"),
        (b"PROXZ", "no PROXY header"),
        (b"\x16\x03\x01", "no PROXY header"),
    ],
)
def test_a_proxy_that_leaves_in_the_middle_or_says_something_else(said: bytes, why: str) -> None:
    ours, proxys = socket.socketpair()
    with closing(ours):
        with closing(proxys):
            proxys.sendall(said)
        with pytest.raises(ProxyHeaderError, match=why):
            read_source(ours, 60.0)


def test_who_says_nothing_is_waited_for_no_longer_than_told_and_who_left_was_nobody() -> None:
    ours, proxys = socket.socketpair()
    with closing(ours):
        proxys.sendall(SIGNATURE)
        with pytest.raises(TimeoutError):
            read_source(ours, 0.05)
        proxys.close()
    ours, proxys = socket.socketpair()
    with closing(ours):
        proxys.close()
        assert read_source(ours, 60.0) is None


def test_an_address_is_known_however_a_socket_writes_it() -> None:
    assert plain_address("::ffff:10.0.0.5") == plain_address("10.0.0.5") == "10.0.0.5"
    assert plain_address("2001:DB8::5") == "2001:db8::5"
