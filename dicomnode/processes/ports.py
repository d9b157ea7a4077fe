"""The listening sockets of a node."""

from __future__ import annotations

import socket
import threading
import time

from dicomnode.errors import ConfigurationError
from dicomnode.lifecycle import STOP_SECONDS
from dicomnode.network.listeners import bind_listener

_LOOK_SECONDS = 0.2


def bound(address: tuple[str, int], stop: threading.Event) -> socket.socket | None:
    """A listening socket; the receivers of a supervisor that was killed may hold it a moment.

    None when asked to stop meanwhile.

    Raises:
        ConfigurationError: somebody else listens there, and goes on to.
    """
    deadline = time.monotonic() + STOP_SECONDS + 2.0
    while True:
        try:
            return bind_listener(address)
        except ConfigurationError:
            if time.monotonic() > deadline:
                raise
            if stop.wait(_LOOK_SECONDS):
                return None
