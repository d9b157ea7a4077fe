"""The HTTP server (waitress), within limits: what a stranger sends costs next to nothing.

It serves from a thread of the monitor; nothing that receives or analyses waits for it.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Collection
from typing import Any

from waitress import wasyncore
from waitress.server import create_server

from dicomnode.config.http import HttpSettings

_POLL_SECONDS = 0.5
_THREADS = 4
_LIMITS: dict[str, Any] = {
    "channel_timeout": 10,  # seconds without a word
    "cleanup_interval": 5,
    "connection_limit": 50,
    "max_request_header_size": 16384,  # bytes
    "max_request_body_size": 1024,
    "inbuf_overflow": 65536,
    "outbuf_overflow": 8 << 20,  # a page stays in memory, not in a file
}


_MOST_CONNECTIONS = 40
"""Less than `connection_limit`, at which nobody would be let in any more."""


def listener(settings: HttpSettings) -> socket.socket:
    """
    Raises:
        OSError: the port is another's, or the address none of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.address else socket.AF_INET
    return socket.create_server((settings.address, settings.port), family=family)


def serve(application: Any, listening: socket.socket, stop: threading.Event) -> None:
    """Until `stop`; closes the socket."""
    theirs, sockets = logging.getLogger("waitress"), dict[int, Any]()
    level = theirs.level
    theirs.setLevel(logging.ERROR)
    server = create_server(
        application, map=sockets, sockets=[listening], threads=_THREADS, ident=None, **_LIMITS
    )
    try:
        while not stop.is_set():
            wasyncore.loop(_POLL_SECONDS, use_poll=True, map=sockets, count=1)
            _make_room(server.active_channels.values())
    finally:
        server.task_dispatcher.shutdown(timeout=1)
        wasyncore.close_all(sockets, ignore_all=True)
        theirs.setLevel(level)


def _make_room(channels: Collection[Any]) -> None:
    """Beyond so many the oldest connections give way on which nothing is asked just now: who sends
    or reads a byte now and then would hold them for ever, and nobody else would be answered."""
    idle = [each for each in channels if not each.requests]
    idle.sort(key=lambda each: each.creation_time)
    for each in idle[: max(0, len(channels) - _MOST_CONNECTIONS)]:
        each.will_close = True
