"""Who may open an association: by calling AE title with address, and by called AE title.

Nobody may unless the configuration says so. How a refusal is worded to the peer: PS3.8 section
9.3.4, table 9-21. That table knows no "wrong address", so an AE title from an address that is not
its own is answered as not recognized: only the log says which half was wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Annotated

from pydantic import AfterValidator

from dicomnode.decisions.policy import policy

ANY = "*"
_LONGEST_AE_TITLE = 16  # characters; PS3.5 section 6.2, VR AE


class RejectReason(Enum):
    """Result, Source and Reason/Diag. of an A-ASSOCIATE-RJ PDU (PS3.8 table 9-21)."""

    NO_REASON_GIVEN = (1, 1, 1)
    CALLING_AE_TITLE_NOT_RECOGNIZED = (1, 1, 3)
    CALLED_AE_TITLE_NOT_RECOGNIZED = (1, 1, 7)


def _is_ae_title(title: str) -> str:
    fit = printable_ae_title(title) == title and "\\" not in title
    if not title or not fit:
        raise ValueError(f"{title!r} is no AE title: 1 to 16 characters, no backslash or control")
    return title


def _is_network(text: str) -> str:
    _network(text)
    return text


def _is_somewhere(networks: tuple[str, ...]) -> tuple[str, ...]:
    if not networks:
        raise ValueError('no network is given: "*" is every address')
    return networks


_AeTitle = Annotated[str, AfterValidator(_is_ae_title)]
_Network = Annotated[str, AfterValidator(_is_network)]


@policy
class Peer:
    """A peer that may open associations, from these addresses.

    `ae_title` is the calling AE title, exactly, or "*" for every one. Each of `networks` is an IPv4
    or IPv6 address ("192.0.2.7"), a network ("192.0.2.0/24", "2001:db8::/32"), or "*".

    Raises:
        ValueError: no AE title, no network, or one that is none; names it.
    """

    ae_title: _AeTitle
    networks: Annotated[tuple[_Network, ...], AfterValidator(_is_somewhere)]

    def bears(self, ae_title: str) -> bool:
        return self.ae_title in (ANY, ae_title)

    def lives_at(self, address: IPv4Address | IPv6Address | None) -> bool:
        """Whether the address is one of the peer's; None is an address that is none."""
        return any(_contains(_network(network), address) for network in self.networks)


@policy
class AdmissionPolicy:
    """Without peers nobody is admitted. `allow_any` admits every calling AE title and address.

    `called_ae_titles` are those that the node answers to; the called one must be among them, also
    with `allow_any`. "*" is every one; none at all is the node's own (see `for_node`).

    Raises:
        ValueError: a called AE title that is none.
    """

    peers: tuple[Peer, ...] = ()
    called_ae_titles: tuple[_AeTitle, ...] = ()
    allow_any: bool = False

    def for_node(self, ae_title: str) -> AdmissionPolicy:
        """The policy of the node that bears this AE title: it answers to that, if to no other."""
        return self if self.called_ae_titles else replace(self, called_ae_titles=(ae_title,))


@dataclass(frozen=True)
class Admission:
    """`reject` is None if the association is accepted; `why` holds every reason, for the log."""

    accepted: bool
    why: str
    reject: RejectReason | None


def judge_admission(calling: str, called: str, address: str, policy: AdmissionPolicy) -> Admission:
    """Whether a peer may open an association; for any text as AE title or address.

    `calling` and `called` are the AE titles of the A-ASSOCIATE-RQ PDU: spaces around them are not
    significant, case is (PS3.5 section 6.2, VR AE). `address` is that of the transport connection.
    A stranger is told nothing of the called AE title.
    """
    stranger = "" if policy.allow_any else _what_is_strange(calling.strip(" "), address, policy)
    wrong_door = "" if _answers_to(called.strip(" "), policy) else "the called AE title is not ours"
    why = ", ".join(reason for reason in (stranger, wrong_door) if reason)
    if stranger:
        return Admission(False, why, RejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED)
    if wrong_door:
        return Admission(False, why, RejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED)
    return Admission(True, "any peer may come" if policy.allow_any else "a known peer", None)


def describe_policy(policy: AdmissionPolicy) -> str:
    """What a policy means, in one sentence for the log."""
    if policy.allow_any:
        return "every peer that reaches the port may open associations (allow_any)"
    if not policy.peers:
        return "no peer is configured: every association will be refused"
    titles = ", ".join(sorted({peer.ae_title for peer in policy.peers}))
    return f"associations are accepted from {titles}, from their own addresses"


def printable_ae_title(title: str) -> str:
    """An AE title that a stranger sent, made fit for a log: one line, 16 ASCII characters."""
    fit = (c if c.isascii() and c.isprintable() else "?" for c in title.strip(" "))
    return "".join(fit)[:_LONGEST_AE_TITLE]


def readable_ae_title(field: bytes) -> str:
    """The AE title in a field of 16 bytes of an A-ASSOCIATE-RQ PDU (PS3.8 table 9-11).

    What begins with a NUL is padding of a careless peer. "?" stands for each character that no AE
    title has, and for no title at all: no peer is known by such a title.
    """
    text = field.partition(b"\0")[0].decode("ascii", "replace").strip(" ")
    return "".join(c if c.isascii() and c.isprintable() and c != "\\" else "?" for c in text) or "?"


def _what_is_strange(calling: str, address: str, policy: AdmissionPolicy) -> str:
    named = [peer for peer in policy.peers if peer.bears(calling)]
    if not policy.peers:
        return "no peer is configured"
    if not named:
        return "the calling AE title is not known"
    where = _address(address)
    if not any(peer.lives_at(where) for peer in named):
        return "the calling AE title is known, but not from this address"
    return ""


def _answers_to(called: str, policy: AdmissionPolicy) -> bool:
    return any(title in (ANY, called) for title in policy.called_ae_titles)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address as IPv4 if it is one: a socket for both families shows it as ::ffff:a.b.c.d."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


_Bits = tuple[int, int, int]
"""A network: version, network address and mask as numbers."""


@lru_cache(maxsize=4096)
def _network(text: str) -> _Bits | None:
    """None is every address. Host bits that are set are an error: "10.1.2.3/8" is ambiguous."""
    if text == ANY:
        return None
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no address or network: {error}") from None
    return network.version, int(network.network_address), int(network.netmask)


def _contains(network: _Bits | None, address: IPv4Address | IPv6Address | None) -> bool:
    if network is None:
        return True
    version, bits, mask = network
    return address is not None and address.version == version and int(address) & mask == bits
