"""The HTTP server answers, whoever else holds connections to it."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from dicomnode.config.http import HttpSettings
from dicomnode.web.server import listener, serve
from support.node import free_port
from support.wait import PATIENCE_SECONDS

_HOLDING = 60
_DRIP_SECONDS = 0.3


def _application(_environ: object, start_response: Callable[..., object]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]


@pytest.fixture
def port() -> Iterator[int]:
    settings, stop = HttpSettings(port=free_port()), threading.Event()
    serving = threading.Thread(target=serve, args=(_application, listener(settings), stop))
    serving.start()
    yield settings.port
    stop.set()
    serving.join(PATIENCE_SECONDS)


def _drip(holding: list[socket.socket], answered: threading.Event) -> None:
    """A letter of a header that never ends, on each, again and again."""
    while not answered.wait(_DRIP_SECONDS):
        for each in holding:
            with suppress(OSError):
                each.sendall(b"x")


def _asked(port: int) -> bytes:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)) as client:
        client.request("GET", "/healthz")
        return client.getresponse().read()


def test_connections_that_never_come_to_the_point_keep_nobody_out(port: int) -> None:
    answered = threading.Event()
    with ExitStack() as stack:
        stack.callback(answered.set)
        holding = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(_HOLDING)
        ]
        for each in holding:
            with suppress(OSError):
                each.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        threading.Thread(target=_drip, args=(holding, answered), daemon=True).start()
        assert [_asked(port) for _ in range(3)] == [b"ok\n"] * 3
