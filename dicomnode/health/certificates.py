"""The certificates that the configuration names, and when they end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dicomnode.config.settings import Settings
from dicomnode.decisions.operating.facts import CertificateFile
from dicomnode.tls import DestinationTls, TlsPolicy, ends_of_pem

_FEW = 10
"""A file with more authorities is a collection, as the system's: of it one may end any day."""


def certificate_files(settings: Settings) -> tuple[CertificateFile, ...]:
    """Each file once, in the order of the configuration."""
    named: dict[str, str] = {}
    for what, path in _named(settings):
        named.setdefault(path, what)
    return tuple(_read(what, path) for path, what in named.items())


def _named(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.receive.tls.enabled:
        yield from _of("receive.tls", settings.receive.tls)
    for peer in (settings.query.peer, *settings.peers, *settings.destinations):
        if peer is not None and peer.tls is not None:
            yield from _of(peer.name, peer.tls)
    if settings.audit.tls is not None:
        yield from _of("audit", settings.audit.tls)
    webhook, mail = settings.alerts.webhook, settings.alerts.mail
    if webhook is not None and webhook.tls is not None:
        yield from _of("alerts.webhook", webhook.tls)
    if mail is not None and mail.peer_ca:
        yield "alerts.mail peer_ca", mail.peer_ca


def _of(name: str, tls: TlsPolicy | DestinationTls) -> Iterator[tuple[str, str]]:
    if tls.certificate:
        yield f"{name} certificate", tls.certificate
    if tls.peer_ca:
        yield f"{name} peer_ca", tls.peer_ca


def _read(what: str, path: str) -> CertificateFile:
    try:
        ends = ends_of_pem(Path(path).read_bytes())
    except OSError as error:
        return CertificateFile(what, path, None, error.strerror or type(error).__name__)
    except ValueError as error:
        return CertificateFile(what, path, None, str(error))
    return CertificateFile(what, path, min(ends) if len(ends) <= _FEW else max(ends))
