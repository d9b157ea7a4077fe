"""Sends the trail to a syslog server: UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425).

The file is the spool: one process reads it from where it left off, in order, and notes how far it
has come. While the server is away messages wait there, until the file that holds them is the
oldest, and goes. Syslog confirms nothing: what a server had accepted when it broke may be missing
there, and what was sent but not noted as sent comes twice. UDP may lose any message, and tells
nobody.
"""

from __future__ import annotations

import errno
import json
import logging
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dicomnode.audit.trail import file_of
from dicomnode.clock import Clock
from dicomnode.config.settings import Settings
from dicomnode.errors import ConfigurationError
from dicomnode.lifecycle import Outage
from dicomnode.tls import client_context, reason

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
RETRY_SECONDS = 30.0
_LAST_SECONDS = 3.0
_AT_ONCE_BYTES = 1 << 18
_XML = b" - <"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # RFC 5424 section 6.4: it says that the message is UTF-8


class SyslogError(Exception):
    """The server is away, as a sentence."""


@dataclass(frozen=True)
class Place:
    """How far the trail is sent: the number of a file, and bytes of it."""

    number: int = 0
    offset: int = 0


class Forwarder:
    """One for a node; for one thread."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or Clock()
        self._trail = file_of(settings)
        self._note = settings.audit_file.with_name(f"{settings.audit_file.name}.sent")
        self._outage = Outage("sending the audit trail to the syslog server", SyslogError)
        self._socket: socket.socket | None = None
        self._not_before = 0.0

    def look(self) -> bool:
        """Send what has come since; whether there may be more."""
        if not self._settings.audit.syslog or self._clock.seconds() < self._not_before:
            return False
        with self._outage.reported():
            if self._send_some():
                return True
        return False

    def close(self) -> None:
        self._break_off()
        self._trail.close()

    def send_rest(self) -> None:
        """All that has come so far, and end; what a server that is away does not get stays."""
        while self.look():
            pass
        self.close()

    def _send_some(self) -> bool:
        place = self._place()
        lines, after = self._next(place)
        try:
            if lines:
                self._send(lines)
        except (OSError, ConfigurationError) as error:
            self._break_off()
            self._not_before = self._clock.seconds() + RETRY_SECONDS
            why = reason(error) if isinstance(error, OSError) else str(error)
            raise SyslogError(f"{self._settings.audit.syslog}: {why}") from None
        if after != place:
            self._note_place(after)
        return bool(lines)

    def _next(self, place: Place) -> tuple[list[bytes], Place]:
        """Whole lines from a place on, and the place behind them."""
        files = dict(self._trail.numbered())
        if not files:
            return [], place
        if place.number not in files:
            if 0 < place.number < min(files):
                gone = min(files) - place.number
                log.error("%d files of the audit trail went before they were sent", gone)
            place = Place(min(files))
        lines = _lines(files[place.number], place.offset)
        if not lines and place.number < max(files):
            return self._next(Place(place.number + 1))
        return lines, Place(place.number, place.offset + sum(map(len, lines)))

    def _send(self, lines: list[bytes]) -> None:
        scheme, host, port = self._settings.audit.syslog_server
        if self._socket is not None and _is_closed(self._socket):
            self._break_off()
        if self._socket is None:
            self._socket = self._connected(scheme, host, port)
        for line in lines:
            message = line.rstrip(b"\n").replace(_XML, _XML[:-1] + _BYTE_ORDER_MARK + b"<", 1)
            if scheme == "udp":
                _send_datagram(self._socket, message)
            else:
                self._socket.sendall(b"%d %s" % (len(message), message))
        if scheme != "udp" and _is_closed(self._socket):
            raise ConnectionResetError(errno.ECONNRESET, "the server has closed the connection")

    def _connected(self, scheme: str, host: str, port: int) -> socket.socket:
        """
        Raises:
            OSError
            ConfigurationError: a file of TLS cannot be used.
        """
        if scheme == "udp":
            family, *_rest, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            datagrams = socket.socket(family, socket.SOCK_DGRAM)
            datagrams.connect(address)
            return datagrams
        connection = socket.create_connection((host, port), TIMEOUT_SECONDS)
        tls = self._settings.audit.tls
        if tls is None:
            return connection
        try:
            name = tls.server_name or host
            return client_context(tls).wrap_socket(connection, server_hostname=name)
        except BaseException:
            connection.close()
            raise

    def _break_off(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _place(self) -> Place:
        try:
            return Place(**json.loads(self._note.read_text()))
        except (OSError, ValueError, TypeError):
            return Place()

    def _note_place(self, place: Place) -> None:
        """By write and rename; lost with a power cut, some messages come twice."""
        new = self._note.with_name(f"{self._note.name}.new")
        with suppress(OSError):
            new.write_text(json.dumps(vars(place)))
            new.replace(self._note)


@contextmanager
def sent_to_the_last(settings: Settings) -> Iterator[None]:
    """Around the trail of a node, or of a host of workers, in its first process: what is written
    when nobody sends any more, its end at the latest, is sent on too. It would wait for the next
    start, which a host that keeps nothing may never see. Takes a moment at most."""
    try:
        yield
    finally:
        if settings.audit.syslog:
            rest = Forwarder(settings).send_rest
            sending = threading.Thread(target=rest, name="last of the audit trail", daemon=True)
            sending.start()
            sending.join(_LAST_SECONDS)


def _lines(path: Path, offset: int) -> list[bytes]:
    """Some whole lines from an offset on."""
    with path.open("rb") as file:
        file.seek(offset)
        return [line for line in file.readlines(_AT_ONCE_BYTES) if line.endswith(b"\n")]


def _send_datagram(connection: socket.socket, message: bytes) -> None:
    """One that is too long for a datagram is passed over: it would hold up all others."""
    try:
        connection.send(message)
    except OSError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        log.error("a message of the audit trail is too long for UDP: %d bytes", len(message))


def _is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed a connection on which it never says anything."""
    if connection.type & socket.SOCK_DGRAM:
        return False
    readable, _, _ = select.select([connection], [], [], 0)
    if not readable:
        return False
    connection.setblocking(False)
    try:
        return connection.recv(1024) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(TIMEOUT_SECONDS)
