"""What systemd is told of the node (sd_notify(3)): that it is ready, reloads, stops, and is alive.

Where no service manager waits for it, nothing is told.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

log = logging.getLogger(__name__)

_SOCKET = "NOTIFY_SOCKET"
_ITS_OWN = (_SOCKET, "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def without_its_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for processes of ours: they have nothing to tell, and are handed nothing."""
    return {name: value for name, value in environment.items() if name not in _ITS_OWN}


class ServiceManager:
    """Times are in the seconds of the clock."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get(_SOCKET, "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        seconds = int(environment.get("WATCHDOG_USEC", "0")) / 1e6 if mine else 0.0
        self._every = seconds / 2
        self._told_at = float("-inf")

    def ready(self, status: str) -> None:
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={usec}")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def alive(self, now: float) -> None:
        """As often as the watchdog wants it."""
        if self._every and now - self._told_at >= self._every:
            self._told_at = now
            self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):  # of Linux's abstract namespace
            address = "\0" + address[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as way:
                way.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.warning("the service manager is not told %s: %s", lines[0], error.strerror)
