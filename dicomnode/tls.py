"""TLS contexts for associations, as acceptor and as requestor.

PS3.15 annex B.12, the "BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile": TLS 1.2 at
least, TLS 1.3 preferred; for TLS 1.2 the suites that RFC 9325 section 4.2 recommends (ECDHE with
AES-GCM), and ChaCha20. No DHE (RFC 9325 section 4.1), no renegotiation, no compression.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from dicomnode.decisions.policy import Port, policy
from dicomnode.errors import ConfigurationError

DICOM_TLS_PORT = 2762
"""The registered port of DICOM's upper layer protocol on TLS (PS3.15 annex B.12)."""

WARNING_BEFORE_END = timedelta(days=30)
"""The end of a certificate is told from so long before it on."""

TlsVersion = Literal["1.2", "1.3"]
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
"""Of TLS 1.2, as OpenSSL names them."""

_LEVEL = "@SECLEVEL=2"  # RSA keys of 2048 bits, curves of 224 at least (RFC 9325 section 4.5)


@policy
class TlsPolicy:
    """TLS for peers that open associations. Files are PEM; without a certificate there is no TLS.

    `certificate` holds the node's own certificate, then the intermediate ones. Peers must show a
    certificate that `peer_ca` vouches for, unless `require_peer_certificate` is false; with a
    `peer_ca` one that is shown is verified all the same.

    Raises:
        ValueError: a file is missing from the configuration, or a number is out of its range.
    """

    certificate: str = ""
    private_key: str = ""
    peer_ca: str = ""
    require_peer_certificate: bool = True
    port: Port = DICOM_TLS_PORT
    minimum_version: TlsVersion = "1.2"
    handshake_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.private_key):
            raise ValueError("certificate and private_key go together")
        if self.certificate and self.require_peer_certificate and not self.peer_ca:
            raise ValueError("peer_ca is needed, or require_peer_certificate must be false")

    @property
    def enabled(self) -> bool:
        return bool(self.certificate)

    def files(self) -> tuple[Path, ...]:
        """All files that the context is made of."""
        return _paths(self.certificate, self.private_key, self.peer_ca)

    def anchored(self, folder: Path) -> TlsPolicy:
        """Relative paths are taken from this folder."""
        return replace(
            self,
            certificate=_anchored(self.certificate, folder),
            private_key=_anchored(self.private_key, folder),
            peer_ca=_anchored(self.peer_ca, folder),
        )


@policy
class DestinationTls:
    """TLS towards a destination. Its certificate must be vouched for by `peer_ca`, and be made out
    to `server_name` ("": the destination's address as it is configured). The node shows
    `certificate` when the destination asks for one.

    Raises:
        ValueError: a file is missing from the configuration.
    """

    peer_ca: str
    certificate: str = ""
    private_key: str = ""
    server_name: str = ""
    minimum_version: TlsVersion = "1.2"

    def __post_init__(self) -> None:
        if not self.peer_ca:
            raise ValueError("peer_ca is needed: who vouches for the destination's certificate")
        if bool(self.certificate) != bool(self.private_key):
            raise ValueError("certificate and private_key go together")

    def anchored(self, folder: Path) -> DestinationTls:
        """Relative paths are taken from this folder."""
        return replace(
            self,
            certificate=_anchored(self.certificate, folder),
            private_key=_anchored(self.private_key, folder),
            peer_ca=_anchored(self.peer_ca, folder),
        )


def server_context(policy: TlsPolicy) -> ssl.SSLContext:
    """The context for accepted connections.

    Raises:
        ConfigurationError: a file cannot be read or used; names it and why.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, policy.minimum_version)
    # an association is long and a ticket saves nothing; a new handshake looks at certificates again
    context.num_tickets = 0
    _show(context, policy.certificate, policy.private_key)
    if policy.peer_ca:
        required = policy.require_peer_certificate
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        _trust(context, policy.peer_ca)
    return context


def client_context(policy: DestinationTls) -> ssl.SSLContext:
    """The context for connections to a destination; its certificate is always verified.

    For `AE.associate(..., tls_args=(context, server_name))`. Made anew for each association, it
    needs no watch over its files.

    Raises:
        ConfigurationError: a file cannot be read or used; names it and why.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, policy.minimum_version)
    _trust(context, policy.peer_ca)
    if policy.certificate:
        _show(context, policy.certificate, policy.private_key)
    return context


def ends_of_pem(pem: bytes) -> list[datetime]:
    """When the certificates in a PEM file end, in their order.

    It is the one thing that `ssl` does not tell of one's own certificates. notAfter is in UTC (RFC
    5280 section 4.1.2.5).

    Raises:
        ValueError: there is no certificate in it, or one that cannot be read.
    """
    from cryptography import x509  # 17 MB: for those who use TLS

    try:
        return [each.not_valid_after_utc for each in x509.load_pem_x509_certificates(pem)]
    except (ValueError, x509.InvalidVersion) as error:
        raise ValueError("no X.509 certificate in it that can be read") from error


class _Connection(ssl.SSLSocket):
    """pynetdicom closes a socket only after a shutdown that succeeds."""

    def shutdown(self, how: int) -> None:
        with suppress(OSError):  # the peer may have left before us
            super().shutdown(how)


def _context(side: int, minimum_version: TlsVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.sslsocket_class = _Connection
    context.minimum_version = _VERSIONS[minimum_version]
    context.set_ciphers(":".join((*CIPHERS, _LEVEL)))
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _show(context: ssl.SSLContext, certificate: str, private_key: str) -> None:
    """Load our own certificate and key."""

    def no_passphrase() -> str:  # else OpenSSL asks for one on the terminal, and waits
        raise ConfigurationError(
            f"{private_key}: the key is encrypted; give one without passphrase"
        )

    try:
        context.load_cert_chain(certificate, private_key, password=no_passphrase)
    except OSError as error:  # ssl.SSLError is one
        files = _names(_paths(certificate, private_key))
        raise ConfigurationError(f"{files}: {reason(error)}") from error


def _trust(context: ssl.SSLContext, ca: str) -> None:
    try:
        context.load_verify_locations(cafile=ca)
    except OSError as error:
        raise ConfigurationError(f"{ca}: {reason(error)}") from error


def expiry_of_pem(pem: bytes) -> datetime:
    """When the first of all certificates in a PEM file ends: a chain holds no longer than that.

    Raises:
        ValueError: as `ends_of_pem`.
    """
    return min(ends_of_pem(pem))


def reason(error: OSError) -> str:
    """What OpenSSL or the system says, without its source lines."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return error.strerror or type(error).__name__


def _paths(*names: str) -> tuple[Path, ...]:
    return tuple(Path(name) for name in names if name)


def _names(paths: Iterable[Path]) -> str:
    return ", ".join(map(str, paths))


def _anchored(name: str, folder: Path) -> str:
    return str(folder / name) if name else ""
