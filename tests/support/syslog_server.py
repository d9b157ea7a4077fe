"""A syslog server in a thread of the test: UDP, TCP or TLS, with octet counting."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from support.certificates import Credentials


class SyslogServer:
    """`messages`: what has come, without its count."""

    def __init__(self, url: str, listener: socket.socket) -> None:
        self.url = url
        self.messages: list[bytes] = []
        self._listener = listener
        self._connections: list[socket.socket] = []

    def take_datagrams(self) -> None:
        with suppress(OSError):
            while message := self._listener.recv(65535):
                self.messages.append(message)

    def take_connections(self, context: ssl.SSLContext | None) -> None:
        with suppress(OSError):
            while True:
                connection, _address = self._listener.accept()
                if context is not None:
                    connection = context.wrap_socket(connection, server_side=True)
                self._connections.append(connection)
                threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        with suppress(OSError), connection.makefile("rb") as stream:
            while count := self._count(stream.read(1), stream):
                self.messages.append(stream.read(count))

    @staticmethod
    def _count(first: bytes, stream: object) -> int:
        """MSG-LEN SP of RFC 6587 section 3.4.1."""
        digits = first
        while digits and not digits.endswith(b" "):
            digits += stream.read(1)  # type: ignore[attr-defined]
        return int(digits or b"0")

    def close(self) -> None:
        """As a server that dies: nobody is there any more."""
        for each in (self._listener, *self._connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@contextmanager
def syslog_server(
    scheme: str, port: int = 0, shown: Credentials | None = None
) -> Iterator[SyslogServer]:
    """On a free port of the loopback interface. `shown`: for "tls"."""
    kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
    listener = socket.socket(socket.AF_INET, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    server = SyslogServer(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", listener)
    if scheme == "udp":
        target = server.take_datagrams
        threading.Thread(target=target, daemon=True).start()
    else:
        listener.listen()
        context = None
        if shown is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(shown.certificate, shown.private_key)
        threading.Thread(target=server.take_connections, args=(context,), daemon=True).start()
    try:
        yield server
    finally:
        server.close()
