"""Requests to an HTTP server, and why one was not answered (RFC 9110, PS3.18 section 8).

By urllib3, which here follows no redirect, repeats nothing and asks no environment for a proxy: all
of that would take results, or who we are, to where nobody meant them to go.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import Any, cast

from urllib3 import BaseHTTPResponse, connection_from_url
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util import parse_url

from dicomnode.config.destinations import WebServer
from dicomnode.errors import PeerCause, PeerError
from dicomnode.tls import client_context, reason
from dicomnode.version import PRODUCT_NAME, VERSION

_LONGEST_ANSWER_BYTES = 1 << 20
_PART_BYTES = 1 << 16
_USER_AGENT = f"{PRODUCT_NAME}/{VERSION}"


@dataclass(frozen=True)
class Answer:
    """`body`: at most as much of it as was asked for, as it came. `retry_after`, `date`: headers,
    empty without."""

    status: int
    retry_after: str
    body: bytes
    date: str = ""


class WebConnection:
    """One server, over a connection that stays open from request to request."""

    def __init__(self, server: WebServer, timeout: float) -> None:
        """`timeout` in seconds bounds each wait.

        Raises:
            ConfigurationError: a TLS file of ours cannot be read or used.
        """
        tls: dict[str, Any] = {}
        if server.tls is not None:
            name = server.tls.server_name or None
            tls = {"ssl_context": client_context(server.tls), "server_hostname": name}
        self._timeout = timeout
        self._connection: HTTPConnection | None = None
        self._path = parse_url(server.url).path or ""
        pool = cast("Any", connection_from_url(server.url, timeout=timeout, retries=False, **tls))
        pool.ConnectionCls = partial(self._connected, pool.ConnectionCls)
        self._pool = pool
        self._name = f"{server.name} ({self._pool.host}:{self._pool.port})"

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Iterable[bytes] = (),
        longest: int = _LONGEST_ANSWER_BYTES,
    ) -> Answer:
        """To a path below the address of the service. `headers` name the length of the body.
        `longest`: so many bytes of the answer are read, and no more.

        Raises:
            PeerError: no answer came, or not all of it; why.
        """
        late = threading.Event()
        watch = threading.Timer(self._timeout, self._cut, [late])
        watch.daemon = True
        try:
            response = self._pool.urlopen(
                method,
                self._path + path,
                body=_watched(body, watch),
                headers={"Content-Length": "0", "User-Agent": _USER_AGENT, **headers},
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            try:
                content = _content(response, longest)
            finally:
                response.close()  # what was read to its end has given its connection back
        except HTTPError as error:
            raise self._fault(error, late.is_set()) from error
        finally:
            watch.cancel()
        if late.is_set():  # a head that was cut looks whole
            raise self._peer_error(PeerCause.NO_ANSWER)
        headers = response.headers
        after, date = headers.get("Retry-After", ""), headers.get("Date", "")
        return Answer(response.status, after, content, date)

    def _connected(self, kind: type[HTTPConnection], **options: Any) -> HTTPConnection:
        self._connection = kind(**options)
        return self._connection

    def _cut(self, late: threading.Event) -> None:
        """End an answer that comes byte by byte: no single wait for it is long."""
        late.set()
        if self._connection is not None and self._connection.sock is not None:
            with suppress(OSError):  # it has ended just now
                socket.socket.shutdown(self._connection.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        self._pool.close()

    def _fault(self, error: HTTPError, late: bool) -> PeerError:
        inner = next((each for each in error.args if isinstance(each, Exception)), error.__cause__)
        why = reason(inner) if isinstance(inner, OSError) else ""
        cause = PeerCause.NO_ANSWER if late else _cause(error, inner)
        return self._peer_error(cause, "closed it" if _closed(inner) else why)

    def _peer_error(self, cause: PeerCause, why: str = "") -> PeerError:
        text = _TEXTS[cause].format(why=why, seconds=self._timeout)
        return PeerError(f"{self._name}{text}", cause)


_TEXTS = {
    PeerCause.UNREACHABLE: " cannot be reached: {why}",
    PeerCause.TLS: ": TLS failed: {why}",
    PeerCause.NO_ANSWER: ": the request was not answered within {seconds:g} s",
    PeerCause.NO_HTTP: " answered with what is no HTTP",
    PeerCause.LOST: ": the connection broke off before the request was answered ({why})",
}


def _watched(body: Iterable[bytes], watch: threading.Timer) -> Iterator[bytes]:
    """An object takes as long as the network needs; what counts is the time after it."""
    yield from body
    watch.start()


def _content(response: BaseHTTPResponse, longest: int) -> bytes:
    content = bytearray()
    while len(content) < longest and (part := response.read1(_PART_BYTES)):
        content += part
    return bytes(content)


def _closed(error: BaseException | None) -> bool:
    """Whether the other side just went, with nothing to say."""
    return isinstance(
        error, RemoteDisconnected | IncompleteRead | ssl.SSLEOFError | ssl.SSLZeroReturnError
    )


def _cause(error: HTTPError, inner: BaseException | None) -> PeerCause:
    """By urllib3's error, and by that of Python which is in it."""
    if isinstance(error, NewConnectionError | ConnectTimeoutError):
        return PeerCause.UNREACHABLE
    if isinstance(error, ReadTimeoutError) or isinstance(inner, TimeoutError):
        return PeerCause.NO_ANSWER
    if isinstance(error, SSLError) and not _closed(inner):
        return PeerCause.TLS
    if isinstance(inner, HTTPException) and not _closed(inner):
        return PeerCause.NO_HTTP
    return PeerCause.LOST
