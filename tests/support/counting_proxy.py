"""Between an archive and a node: passes on what either says, and counts the instances that come.

Counted are C-STORE requests as they go by (PS3.7 table 9.3-1, PS3.8 section 9.3.5).
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_HEADER = 6
_P_DATA = 4
_COMMAND = 1
_STORE_REQUEST = bytes.fromhex("00000001 02000000 0100")
"""Command Field (0000,0100) in Implicit VR Little Endian: 0x0001."""


class CountingProxy:
    """`moments`: of each instance, in seconds of the monotonic clock."""

    def __init__(self, target: int) -> None:
        self.moments: list[float] = []
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        """Until its socket is closed."""
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def most_within(self, seconds: float) -> int:
        """Of all spans of so many seconds the one with the most."""
        inside: deque[float] = deque()
        most = 0
        for moment in sorted(self.moments):
            inside.append(moment)
            while inside[0] <= moment - seconds:
                inside.popleft()
            most = max(most, len(inside))
        return most

    def _carry(self, near: socket.socket) -> None:
        target = "127.0.0.1", self._target
        with near, suppress(OSError), socket.create_connection(target) as far:
            back = threading.Thread(target=_pass_on, args=(far, near), daemon=True)
            back.start()
            self._counted(near, far)
            with suppress(OSError):
                far.shutdown(socket.SHUT_WR)
            back.join()

    def _counted(self, near: socket.socket, far: socket.socket) -> None:
        held = b""
        while part := near.recv(1 << 16):
            far.sendall(part)
            held += part
            while len(held) >= _HEADER:
                end = _HEADER + int.from_bytes(held[2:_HEADER])
                if len(held) < end:
                    break
                if held[0] == _P_DATA:
                    self.moments += [time.monotonic()] * _requests(held[_HEADER:end])
                held = held[end:]


def _requests(body: bytes) -> int:
    """Of the presentation data values of one PDU."""
    count = 0
    while len(body) > _HEADER:
        end = 4 + int.from_bytes(body[:4])
        count += bool(body[5] & _COMMAND) and _STORE_REQUEST in body[_HEADER:end]
        body = body[end:]
    return count


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(1 << 16):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def counting(target: int) -> Iterator[CountingProxy]:
    """Before a port of this machine."""
    proxy = CountingProxy(target)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
