"""What surrounds the services: network, configuration, character sets, security."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydicom.charset import python_encoding

from dicomnode.audit.events import RECORDED
from dicomnode.config.destinations import Destination, Peer
from dicomnode.config.settings import Settings
from dicomnode.conformance.contexts import heading
from dicomnode.decisions.arrival.admission import describe_policy
from dicomnode.tls import CIPHERS
from inference.evaluation.report.document import Block, Paragraph, Table

_PARAMETERS = ("node", "receive", "completeness", "query", "results", "delivery", "disk")
_NOT_SHOWN = frozenset(
    {
        *("data_directory", "database_url", "institution_name", "peer", "peers", "web"),
        *("certificate", "private_key", "peer_ca"),
    }
)
"""Of this machine or this hospital alone; who may come, and who is reached, has tables of its own.
"""


def network_and_configuration(settings: Settings) -> Iterator[Block]:
    """4.3 and 4.4."""
    yield heading("4.3 Network interfaces")
    yield Paragraph(
        "TCP/IP, over whatever the operating system offers; IPv4 and IPv6. Host names are resolved"
        " by the operating system (DNS); no DHCP, NTP or LDAP of its own."
    )
    yield heading("4.4 Configuration")
    yield heading("4.4.1 AE titles and presentation addresses")
    yield Table(("Name", "Role", "AE title", "Address", "Port", "TLS"), tuple(_addresses(settings)))
    admission = settings.receive.admission.for_node(settings.node.ae_title)
    called = ", ".join(admission.called_ae_titles)
    yield Paragraph(f"{describe_policy(admission)}; called AE titles answered to: {called}.")
    yield heading("4.4.2 Parameters")
    here, by_default = _flat(settings), _flat(Settings())
    rows = tuple((key, by_default.get(key, "–"), value) for key, value in here.items())
    yield Table(("Parameter", "Default", "Configured"), rows)


def _addresses(settings: Settings) -> Iterator[tuple[str, ...]]:
    receive = settings.receive
    for port in receive.ports:
        tls = "yes" if receive.tls.enabled and port == receive.tls.port else "no"
        yield "this node", "local", settings.node.ae_title, receive.address, str(port), tls
    for each in settings.destinations:
        if isinstance(each, Destination):
            yield _peer(each, "destination")
        else:
            yield each.name, "destination", "–", each.url, "–", _yes(each.tls)
    for peer in settings.peers:
        yield _peer(peer, "gets commitment reports")
    if settings.query.peer is not None:
        yield _peer(settings.query.peer, "is asked by C-FIND")


def _peer(peer: Peer, role: str) -> tuple[str, ...]:
    return peer.name, role, peer.ae_title, peer.address, str(peer.port), _yes(peer.tls)


def _yes(tls: object) -> str:
    return "no" if tls is None else "yes"


def _flat(settings: Settings) -> dict[str, str]:
    """Keys with dots, and their values in words; no secret, no path."""
    dumped = settings.model_dump(mode="json", include=set(_PARAMETERS))
    return dict(_leaves(dumped, ""))


def _leaves(values: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if key in _NOT_SHOWN:
            continue
        if isinstance(value, dict):
            yield from _leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", _word(value)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "–"
    return "–" if value in (None, "") else str(value)


def media_to_security(settings: Settings) -> Iterator[Block]:
    """5 to 7."""
    yield heading("5 Media interchange")
    yield Paragraph("None: no media are written or read.")
    yield heading("6 Support of character sets")
    yield Paragraph(
        "Everything that is written is in UTF-8 (ISO_IR 192). Received text is read in each of the"
        " character sets below, with their code extensions; bytes that fit none are read as well as"
        " they can be, and the report says so."
    )
    terms = sorted(term for term in python_encoding if term)
    yield Table(("Specific Character Set",), tuple((term,) for term in terms))
    yield heading("7 Security")
    yield heading("7.1 Security profiles")
    receive = settings.receive
    yield Paragraph(
        "BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 annex B.12), as"
        " acceptor and as requestor. "
        + (
            f"Configured as acceptor on port {receive.tls.port}, TLS"
            f" {receive.tls.minimum_version} at least; a certificate of the peer is"
            f" {'required' if receive.tls.require_peer_certificate else 'not required'}."
            if receive.tls.enabled
            else "Not configured as acceptor."
        )
        + (" Associations without TLS are accepted too." if receive.plain else "")
    )
    yield Table(("Cipher suite of TLS 1.2 (OpenSSL's name)",), tuple((each,) for each in CIPHERS))
    yield Paragraph(
        "TLS 1.3 is preferred, with the suites of RFC 8446. As requestor the certificate of the"
        " peer is always verified, with its name; ours is shown where the peer asks for one."
    )
    yield from _audit(settings)
    yield heading("7.2 Association level security")
    yield Paragraph(
        "Calling AE title with address, and called AE title, must be configured, for each"
        " association. User Identity Negotiation is neither offered nor asked for."
    )
    yield heading("7.3 Application level security")
    yield Paragraph("None: no digital signatures, no encrypted attributes.")
    yield heading("7.4 Attribute confidentiality")
    yield Paragraph(
        "No de-identification: results bear the identity of the patient as the analysed series has"
        " it. Logs and file names bear none. The pixels of results bear no identity."
    )


def _audit(settings: Settings) -> Iterator[Block]:
    """PS3.15 A.5 wants the events told that are detected, and how that is configured."""
    where = " and to a syslog server" if settings.audit.syslog else ""
    named = "" if settings.audit.patient_id else "not "
    yield Paragraph(
        f"Audit Trail Message Format Profile (PS3.15 annex A.5), to a file{where}; Audit Trail"
        " Message Transmission by syslog (PS3.15 annexes A.6 and A.7) over TLS, TCP or UDP where"
        f" [audit] syslog names a server. Patients are {named}named in messages ([audit]"
        " patient_id). No messages of others are processed."
    )
    yield Table(("Event", "Recorded when"), RECORDED)
