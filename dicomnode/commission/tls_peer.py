"""The checks of TLS: who answers, and until when each certificate is valid."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from dicomnode.commission.checks import Check, failed, passed
from dicomnode.errors import ConfigurationError
from dicomnode.tls import WARNING_BEFORE_END, DestinationTls, client_context, expiry_of_pem, reason

_SECONDS = 10.0


def tls_checks(host: str, port: int, tls: DestinationTls, now: datetime) -> Iterator[Check]:
    """A handshake of its own, with what is configured; then the dates."""
    yield _handshake(host, port, tls, now)
    yield file_check("authority that vouches for it", tls.peer_ca, now)
    if tls.certificate:
        yield file_check("certificate that is shown to it", tls.certificate, now)


def _handshake(host: str, port: int, tls: DestinationTls, now: datetime) -> Check:
    what, name = "TLS", tls.server_name or host
    try:
        context = client_context(tls)
        with (
            socket.create_connection((host, port), _SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            shown, version = secured.getpeercert() or {}, secured.version()
    except ConfigurationError as error:
        return failed(what, found=str(error), remedy="tls of this destination: see the file")
    except OSError as error:
        remedy = f"tls.peer_ca, tls.server_name ({name}) and the certificates of either side"
        return failed(what, found=reason(error), remedy=remedy)
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)
    words = f"{version}, certificate of {_common_name(shown)} ends {end:%Y-%m-%d}"
    return _dated(what, words, end, now)


def _common_name(shown: Mapping[str, object]) -> str:
    subject = shown.get("subject")
    pairs = [pair for part in subject for pair in part] if isinstance(subject, tuple) else []
    return next((value for key, value in pairs if key == "commonName"), "no name")


def file_check(what: str, file: str, now: datetime) -> Check:
    """The first end of the certificates in a PEM file."""
    try:
        end = expiry_of_pem(Path(file).read_bytes())
    except (OSError, ValueError) as error:
        return failed(what, found=f"{file}: {error}", remedy="give a PEM file that can be read")
    return _dated(what, f"ends {end:%Y-%m-%d}", end, now)


def _dated(what: str, words: str, end: datetime, now: datetime) -> Check:
    if end - now > WARNING_BEFORE_END:
        return passed(what, found=words)
    return failed(what, found=words, remedy="renew it: less than 30 days are left")
