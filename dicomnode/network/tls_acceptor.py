"""Accepting associations on TLS: renewed certificates, and handshakes that hold nobody else up."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pynetdicom.transport import ThreadedAssociationServer

from dicomnode.audit import trail
from dicomnode.audit.events import Peer, Refused
from dicomnode.errors import ConfigurationError
from dicomnode.logs import Repeats, so_far
from dicomnode.tls import WARNING_BEFORE_END, TlsPolicy, expiry_of_pem, reason, server_context

log = logging.getLogger(__name__)

_A_ASSOCIATE_RQ = b"\x01"  # the first byte of that PDU (PS3.8 table 9-11)

_Signature = tuple[tuple[int, int, int] | None, ...]


class ServerTls:
    """The context of the TLS port, made anew when its files change.

    New files that cannot be used leave the old context in force, with an error in the log.

    Raises:
        ConfigurationError: a file cannot be used at the start; names it and why.
    """

    def __init__(self, policy: TlsPolicy) -> None:
        self.policy = policy
        self._lock = threading.Lock()
        self._failed: Counter[str] = Counter()
        self.repeats = Repeats()
        self._warned_on: date | None = None
        self._seen = _signature(policy)
        self._context, self._expires_at = _load(policy)
        self.look()

    @property
    def expires_at(self) -> datetime:
        """When the first certificate of the node's chain ends, UTC."""
        return self._expires_at

    @property
    def failed(self) -> dict[str, int]:
        """Connections that came to no association, by why, so far."""
        with self._lock:
            return dict(self._failed)

    def context(self) -> ssl.SSLContext:
        """The context for one more connection."""
        self.look()
        return self._context

    def take_over(self, policy: TlsPolicy) -> None:
        """Other files, or other limits; those that cannot be used leave the old ones in force."""
        with self._lock:
            if policy != self.policy:
                self._renew(policy)
                self._seen = _signature(self.policy)

    def look(self, now: datetime | None = None) -> None:
        """Take over changed files; warn once a day of an end that is near.

        For each connection, and at least once an hour for a node that nobody connects to.
        """
        with self._lock:
            seen = _signature(self.policy)
            if seen != self._seen:
                self._seen = seen  # looked at once, not for every connection
                self._renew(self.policy)
            self._warn(now or datetime.now(UTC))

    def _renew(self, policy: TlsPolicy) -> None:
        try:
            self._context, self._expires_at = _load(policy)
        except ConfigurationError as error:
            log.error("the changed TLS files are not used, the former ones are: %s", error)
            return
        self.policy = policy
        self._warned_on = None
        log.info("TLS files renewed; the certificate ends at %s", self._expires_at.isoformat())

    def _warn(self, now: datetime) -> None:
        left = self._expires_at - now
        if left > WARNING_BEFORE_END or self._warned_on == now.date():
            return
        self._warned_on = now.date()
        if left <= timedelta(0):
            log.error("the TLS certificate has ended at %s", self._expires_at.isoformat())
        else:
            end = self._expires_at.isoformat()
            log.warning("the TLS certificate ends in %d days, at %s", left.days, end)

    def count_failure(self, why: str) -> None:
        with self._lock:
            self._failed[why] += 1


def _load(policy: TlsPolicy) -> tuple[ssl.SSLContext, datetime]:
    context = server_context(policy)
    try:
        return context, expiry_of_pem(Path(policy.certificate).read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{policy.certificate}: {error}") from error


def _signature(policy: TlsPolicy) -> _Signature:
    """What changes when a file is written or replaced; None for one that is not there."""
    return tuple(_file_signature(path) for path in policy.files())


def _file_signature(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


class TlsHandshakes(ThreadedAssociationServer):
    """A server whose connections begin with a TLS handshake, in the connection's own thread.

    pynetdicom itself does it in the one thread that accepts: a peer that connects and says nothing
    keeps every other out. Give `tls` before `serve_forever`, and no `ssl_context`.
    """

    tls: ServerTls
    daemon_threads = True  # a handshake that hangs must not hold up the end of the process

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Make an association of a connection, if its handshake succeeds; else close it."""
        secured = self._secured(request, client_address[0])
        if secured is not None:
            super().finish_request(secured, client_address)

    def _secured(self, connection: socket.socket, peer: str) -> ssl.SSLSocket | None:
        before = connection.gettimeout()
        try:
            secured = shake_hands(connection, self.tls)
        except (OSError, NotTlsError) as error:
            why = reason(error) if isinstance(error, OSError) else str(error)
            self.tls.count_failure(why)
            if times := self.tls.repeats.count(peer, why):
                log.warning(
                    "connection from %s refused on the TLS port: %s%s", peer, why, so_far(times)
                )
                trail.record(Refused(Peer("", peer), f"TLS port: {why}", times))
            return None
        if secured is None:
            log.debug("connection from %s closed without a word", peer)
            return None
        secured.settimeout(before)
        return secured


class NotTlsError(Exception):
    """The peer's first byte begins no handshake."""


def shake_hands(connection: socket.socket, tls: ServerTls) -> ssl.SSLSocket | None:
    """The connection after its TLS handshake; None if the peer left before it said anything.

    Closes the connection unless it succeeds. Load balancers and monitors connect and leave, every
    few seconds: that is no failure.

    Raises:
        NotTlsError: the peer speaks DICOM without TLS.
        OSError: the handshake failed or took too long (`ssl.SSLError` and `TimeoutError` are some).
    """
    deadline = time.monotonic() + tls.policy.handshake_seconds
    with connection:
        connection.settimeout(tls.policy.handshake_seconds)
        first = connection.recv(1, socket.MSG_PEEK)
        if not first:
            return None
        if first == _A_ASSOCIATE_RQ:
            raise NotTlsError("DICOM without TLS")
        secured = tls.context().wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        )
    try:
        secured.settimeout(max(0.001, deadline - time.monotonic()))
        secured.do_handshake()
    except OSError:
        secured.close()
        raise
    return secured
