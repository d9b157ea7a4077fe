"""Who speaks through a proxy: the header of PROXY protocol version 2 before a connection's bytes.

HAProxy's `proxy-protocol.txt`, section 2.2. It is read, and wanted, from the proxies that are named
and from nobody else: whoever may write one is whoever he likes to the allow-list.
"""

from __future__ import annotations

import logging
import socket
import struct
import time
from ipaddress import IPv6Address, ip_address
from typing import Any

from pynetdicom.transport import ThreadedAssociationServer

from dicomnode.audit import trail
from dicomnode.audit.events import Peer, Refused
from dicomnode.logs import Repeats, so_far

log = logging.getLogger(__name__)

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LONGEST_BYTES = 4096
"""Of what follows the first 16 bytes: addresses, and what a proxy adds (a certificate, say)."""

HEADER_SECONDS = 5.0
"""For the whole header: a proxy sends it as soon as the connection stands."""

_HEAD = struct.Struct(">12sBBH")  # signature, version and command, family and transport, length
_VERSION_2, _LOCAL, _PROXY = 0x20, 0x0, 0x1
_FAMILIES = {0x11: (4, 12), 0x21: (16, 36)}  # TCP over IPv4 and IPv6: bytes of an address, of all
_BEGINS_VERSION_1 = b"PROXY"

Address = tuple[str, int] | tuple[str, int, int, int]
"""As a socket tells it: host and port; of IPv6 flow information and scope too."""


class ProxyHeaderError(Exception):
    """A named proxy sent something else, too much or too little; the text says what."""


def length_of_rest(head: bytes) -> int:
    """How many bytes follow the first 16.

    Raises:
        ProxyHeaderError: they are no head of version 2, or too many follow.
    """
    signature, version, _family, length = _HEAD.unpack(head)
    check_begin(signature)
    if version & 0xF0 != _VERSION_2 or version & 0x0F not in (_LOCAL, _PROXY):
        raise ProxyHeaderError(f"a PROXY header of unknown version or command 0x{version:02X}")
    if length > LONGEST_BYTES:
        raise ProxyHeaderError(f"a PROXY header of {length} bytes")
    return int(length)


def check_begin(data: bytes) -> None:
    """
    Raises:
        ProxyHeaderError: no header of version 2 begins so.
    """
    begin = data[: len(SIGNATURE)]
    if SIGNATURE.startswith(begin):
        return
    if begin.startswith(_BEGINS_VERSION_1):
        raise ProxyHeaderError("a PROXY header of version 1 (HAProxy: send-proxy-v2 is wanted)")
    raise ProxyHeaderError("no PROXY header (HAProxy: send-proxy-v2 is wanted)")


def source_of(head: bytes, rest: bytes) -> Address | None:
    """Who the proxy says it speaks for; None where it speaks for itself (LOCAL).

    `rest`: as many bytes as `length_of_rest(head)` says.

    Raises:
        ProxyHeaderError: it names no TCP peer.
    """
    _signature, version, family, _length = _HEAD.unpack(head)
    if version & 0x0F == _LOCAL:
        return None
    size, least = _FAMILIES.get(family, (0, 0))
    if not size:
        raise ProxyHeaderError(f"a PROXY header without a TCP address (family 0x{family:02X})")
    if len(rest) < least:
        raise ProxyHeaderError("a PROXY header shorter than its addresses")
    host, port = str(ip_address(rest[:size])), int.from_bytes(rest[2 * size : 2 * size + 2], "big")
    return (host, port) if size == _FAMILIES[0x11][0] else (host, port, 0, 0)


def read_source(connection: socket.socket, seconds: float) -> Address | None:
    """Who is at the other end of a proxy's connection, which then stands behind the header.

    None where nobody is: the proxy looked whether we are there, and said LOCAL or nothing.

    Raises:
        ProxyHeaderError: as `length_of_rest`, `source_of`; or it ended in the middle.
        OSError: it did not come in time, or the connection broke.
    """
    deadline, before = time.monotonic() + seconds, connection.gettimeout()
    head = _exactly(connection, _HEAD.size, deadline, check=True)
    if not head:
        return None
    rest = _exactly(connection, length_of_rest(head), deadline)
    connection.settimeout(before)
    return source_of(head, rest)


def _exactly(
    connection: socket.socket, count: int, deadline: float, *, check: bool = False
) -> bytes:
    """Not a byte more than `count`: what follows is the peer's. `check`: they begin the header;
    empty where the other end closed before it said anything."""
    got = b""
    while len(got) < count:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        connection.settimeout(left)
        more = connection.recv(count - len(got))
        if not more and check and not got:
            return b""
        if not more:
            raise ProxyHeaderError("half a PROXY header")
        got += more
        if check and not _BEGINS_VERSION_1.startswith(got):
            check_begin(got)
    return got


def plain_address(host: str) -> str:
    """As IPv4 if it is one: a socket for both families shows it as ::ffff:a.b.c.d.

    Raises:
        ValueError: no address.
    """
    address = ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


class ProxiedConnections(ThreadedAssociationServer):
    """A server that learns from proxies, in the connection's own thread, who speaks through them.

    Give `proxies` (addresses, as `plain_address` writes them) before `serve_forever`.
    """

    proxies: frozenset[str] = frozenset()
    daemon_threads = True  # a header that does not come must not hold up the end of the process
    _repeats = Repeats()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Go on with the true peer in place of the proxy, before TLS and DICOM."""
        if self.proxies and plain_address(client_address[0]) in self.proxies:
            client_address = self._spoken_for(request, client_address[0])
        if client_address is None:
            self.shutdown_request(request)
        else:
            super().process_request_thread(request, client_address)

    def _spoken_for(self, connection: socket.socket, proxy: str) -> Address | None:
        """None where the connection is to be closed."""
        try:
            return read_source(connection, HEADER_SECONDS)
        except ProxyHeaderError as error:
            why = str(error)
        except TimeoutError:
            why = f"no whole PROXY header within {HEADER_SECONDS:g} s"
        except OSError:  # the proxy left
            return None
        if times := self._repeats.count(proxy, why):
            log.warning("connection from the proxy %s closed: %s%s", proxy, why, so_far(times))
            trail.record(Refused(Peer("", proxy), f"proxy: {why}", times))
        return None
