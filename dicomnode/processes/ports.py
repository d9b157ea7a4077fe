"""The listening sockets of a node: its own, or those that systemd holds for it.

With a socket unit peers wait in the kernel while the node is started again; systemd hands it the
sockets from descriptor 3 on (sd_listen_fds(3)).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Mapping

from dicomnode.config.sections import ReceiveSettings
from dicomnode.errors import ConfigurationError
from dicomnode.lifecycle import STOP_SECONDS
from dicomnode.network.listeners import bind_listener

_LOOK_SECONDS = 0.2
_FIRST_HANDED = 3  # SD_LISTEN_FDS_START

Address = tuple[str, int]


def served(receive: ReceiveSettings) -> tuple[tuple[str, Address], ...]:
    """What is listened on, each with the key of its port; in the order of `receive.ports`."""
    keys = {receive.tls.port: "receive.tls.port"} if receive.tls.enabled else {}
    return tuple(
        (keys.get(port, "receive.port"), (receive.address, port)) for port in receive.ports
    )


def open_ports(receive: ReceiveSettings, stop: threading.Event) -> list[socket.socket]:
    """A listening socket for each of `receive.ports`; none when asked to stop meanwhile.

    Raises:
        ConfigurationError: one cannot be had, or systemd holds others.
    """
    handed = {each.getsockname()[1]: each for each in _handed_over(os.environ)}
    if strange := sorted(set(handed) - set(receive.ports)):
        raise ConfigurationError(
            f"receive.port: systemd holds the port {strange[0]}, which is not configured: "
            "ListenStream of the socket unit and the configuration must name the same"
        )
    found: list[socket.socket] = []
    for key, address in served(receive):
        listener = handed.get(address[1]) or _bound_as(key, address, stop)
        if listener is None:
            return []
        found.append(listener)
    return found


def _handed_over(environment: Mapping[str, str]) -> list[socket.socket]:
    """What systemd hands to this very process; a process between the two hands on nothing."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environment.get("LISTEN_FDS", "0"))
    return [socket.socket(fileno=fd) for fd in range(_FIRST_HANDED, _FIRST_HANDED + count)]


def _bound_as(key: str, address: Address, stop: threading.Event) -> socket.socket | None:
    try:
        return bound(address, stop)
    except ConfigurationError as error:
        raise ConfigurationError(f"{key}: {error}") from error


def bound(address: Address, stop: threading.Event) -> socket.socket | None:
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


def is_held_by_systemd(port: int) -> bool:
    """Whether a socket unit of this machine listens on a port: for a node, as one may hope."""
    if shutil.which("systemctl") is None:
        return False
    asked = ["systemctl", "list-sockets", "--no-legend", "--no-pager", "--plain"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    return any(
        line.split()[:1] and line.split()[0].endswith(f":{port}") for line in told.splitlines()
    )
