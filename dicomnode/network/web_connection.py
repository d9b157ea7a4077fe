"""Requests to a DICOMweb server, and why one was not answered (RFC 9110, PS3.18 section 8).

By urllib3, which here follows no redirect, repeats nothing and asks no environment for a proxy: all
of that would take results, or who we are, to where nobody meant them to go.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from time import monotonic
from typing import Any

from urllib3 import BaseHTTPResponse, connection_from_url
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util import parse_url

from dicomnode.config import WebDestination
from dicomnode.errors import PeerCause, PeerError
from dicomnode.tls import client_context, reason
from dicomnode.version import PRODUCT_NAME, VERSION

_LONGEST_ANSWER_BYTES = 1 << 20
_PART_BYTES = 1 << 16


@dataclass(frozen=True)
class Answer:
    """`body`: at most 1 MiB of it, as it came. `retry_after`: the header, empty without it."""

    status: int
    retry_after: str
    body: bytes


class WebConnection:
    """One server, over a connection that stays open from request to request."""

    def __init__(self, server: WebDestination, timeout: float) -> None:
        """`timeout` in seconds bounds each wait.

        Raises:
            ConfigurationError: a TLS file of ours cannot be read or used.
        """
        tls: dict[str, Any] = {}
        if server.tls is not None:
            name = server.tls.server_name or None
            tls = {"ssl_context": client_context(server.tls), "server_hostname": name}
        self._timeout = timeout
        self._path = parse_url(server.url).path or ""
        self._pool = connection_from_url(server.url, timeout=timeout, retries=False, **tls)
        self._name = f"{server.name} ({self._pool.host}:{self._pool.port})"

    def post(self, path: str, body: Iterable[bytes], headers: Mapping[str, str]) -> Answer:
        """POST to a path below the address of the service. Without the header Content-Length the
        body goes in chunks.

        Raises:
            PeerError: no answer came, or not all of it; why.
        """
        try:
            response = self._pool.urlopen(
                "POST",
                self._path + path,
                body=body,
                headers={"User-Agent": f"{PRODUCT_NAME}/{VERSION}", **headers},
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            try:
                content = self._content(response)
            finally:
                response.close()  # what was read to its end has given its connection back
        except HTTPError as error:
            raise self._fault(error) from error
        return Answer(response.status, response.headers.get("Retry-After", ""), content)

    def close(self) -> None:
        self._pool.close()

    def _content(self, response: BaseHTTPResponse) -> bytes:
        """Also what comes byte by byte is not waited for without end."""
        until = monotonic() + self._timeout
        content = bytearray()
        while len(content) < _LONGEST_ANSWER_BYTES and (part := response.read1(_PART_BYTES)):
            content += part
            if monotonic() > until:
                raise self._peer_error(PeerCause.NO_ANSWER)
        return bytes(content)

    def _fault(self, error: HTTPError) -> PeerError:
        inner = next((each for each in error.args if isinstance(each, Exception)), error.__cause__)
        why = reason(inner) if isinstance(inner, OSError) else ""
        return self._peer_error(_cause(error, inner), "closed it" if _closed(inner) else why)

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
