"""This node as a peer of its own, through TLS where that is all it serves."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from dicomnode.config.destinations import Peer
from dicomnode.config.settings import Settings
from dicomnode.decisions.arrival.admission import ANY
from dicomnode.errors import ConfigurationError
from dicomnode.tls import DestinationTls, TlsPolicy


def own_peer(settings: Settings) -> Peer:
    """The first port that is served, as a peer on this machine reaches it.

    Raises:
        ConfigurationError: only TLS is served, and the certificate cannot be read.
    """
    receive = settings.receive
    called = settings.admission.called_ae_titles[0]
    return Peer(
        name="this node",
        ae_title=settings.node.ae_title if called == ANY else called,
        address=_address(receive.address, receive.own_addresses[0]),
        port=receive.ports[0],
        tls=None if receive.plain else _own_tls(receive.tls),
    )


def _address(configured: str, own: str) -> str:
    """A host name is left to the system."""
    try:
        ip_address(configured)
    except ValueError:
        return configured
    return own


def _own_tls(tls: TlsPolicy) -> DestinationTls:
    """We show the certificate that we serve with, and trust whom we trust."""
    return DestinationTls(
        peer_ca=tls.peer_ca or tls.certificate,
        certificate=tls.certificate,
        private_key=tls.private_key,
        server_name=_name_in(tls.certificate),
    )


def _name_in(certificate: str) -> str:
    """The first name or address that the certificate is made out to (RFC 5280 section 4.2.1.6)."""
    from cryptography import x509

    try:
        first = x509.load_pem_x509_certificates(Path(certificate).read_bytes())[0]
        names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound) as error:
        raise ConfigurationError(f"{certificate}: its names cannot be read: {error}") from error
    found = [
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    ]
    if not found:
        raise ConfigurationError(f"{certificate}: it is made out to no name")
    return found[0].replace("*", "node")  # a wildcard stands for any first label
