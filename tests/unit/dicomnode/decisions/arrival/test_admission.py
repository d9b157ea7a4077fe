"""Who may open an association: nobody by default, and what a refused peer is told."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from dicomnode.decisions.arrival.admission import (
    AdmissionPolicy,
    Peer,
    RejectReason,
    describe_policy,
    judge_admission,
    printable_ae_title,
    readable_ae_title,
)

OWN = "DICOMNODE"
CT = Peer("CT1", ("192.0.2.7", "10.1.0.0/16", "2001:db8::/32"))
POLICY = AdmissionPolicy(peers=(CT, Peer("PACS", ("*",)), Peer("*", ("198.51.100.0/24",))))
NODE = POLICY.for_node(OWN)
CALLING = RejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED
CALLED = RejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED

titles = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=16)
addresses = st.ip_addresses().map(str)
networks = st.tuples(st.ip_addresses(), st.integers(0, 32)).map(
    lambda drawn: str(ip_network((drawn[0], drawn[1]), strict=False))
)
peers = st.builds(Peer, titles | st.just("*"), st.lists(networks, min_size=1).map(tuple))


@pytest.mark.parametrize(
    ("calling", "address"),
    [
        ("CT1", "192.0.2.7"),
        ("CT1 ", "10.1.255.255"),
        (" CT1", "2001:db8::1"),
        ("CT1", "::ffff:192.0.2.7"),  # how a socket for both families shows an IPv4 peer
        ("PACS", "203.0.113.9"),
        ("PACS", "fe80::1%eth0"),
        ("ANYBODY", "198.51.100.3"),
        ("CT1", "198.51.100.3"),  # by the entry for every title
    ],
)
def test_who_is_named_may_come_from_where_it_lives(calling: str, address: str) -> None:
    admission = judge_admission(calling, OWN, address, NODE)
    assert admission.accepted, admission.why
    assert admission.reject is None


@pytest.mark.parametrize(
    ("calling", "address", "why"),
    [
        ("CT1", "192.0.2.8", "not from this address"),
        ("ct1", "203.0.113.9", "not from this address"),  # case counts: by the entry for all
        ("CT1", "10.2.0.0", "not from this address"),
        ("CT1", "::192.0.2.7", "not from this address"),  # the same number, another family
        ("CT1", "no address", "not from this address"),
        ("", "198.51.101.0", "not from this address"),
    ],
)
def test_a_stranger_is_not_recognized(calling: str, address: str, why: str) -> None:
    admission = judge_admission(calling, OWN, address, NODE)
    assert not admission.accepted
    assert admission.reject is CALLING
    assert why in admission.why


def test_an_unknown_title_is_told_apart_in_the_log_only() -> None:
    policy = AdmissionPolicy(peers=(CT,)).for_node(OWN)
    unknown = judge_admission("MR1", OWN, "192.0.2.7", policy)
    elsewhere = judge_admission("CT1", OWN, "192.0.2.8", policy)
    assert unknown.reject is elsewhere.reject is CALLING
    assert unknown.why != elsewhere.why


def test_a_known_peer_that_calls_another_title_is_told_so() -> None:
    admission = judge_admission("CT1", "STORESCP", "192.0.2.7", NODE)
    assert admission.reject is CALLED
    assert admission.why == "the called AE title is not ours"


def test_a_stranger_learns_nothing_of_the_called_title_but_the_log_does() -> None:
    admission = judge_admission("MR1", "STORESCP", "192.0.2.7", NODE)
    assert admission.reject is CALLING
    assert "called AE title is not ours" in admission.why


def test_reject_reasons_are_those_of_the_standard() -> None:
    assert CALLING.value == (1, 1, 3)
    assert CALLED.value == (1, 1, 7)
    assert RejectReason.NO_REASON_GIVEN.value == (1, 1, 1)


def test_the_called_titles_replace_the_own_one() -> None:
    policy = AdmissionPolicy(peers=(CT,), called_ae_titles=("AI", "AI2")).for_node(OWN)
    accepted = [judge_admission("CT1", t, "192.0.2.7", policy).accepted for t in ("AI", "AI2", OWN)]
    assert accepted == [True, True, False]
    every = AdmissionPolicy(peers=(CT,), called_ae_titles=("*",))
    assert judge_admission("CT1", "WHATEVER", "192.0.2.7", every).accepted


@given(st.text(), st.text(), st.text() | addresses)
def test_without_peers_nobody_is_admitted(calling: str, called: str, address: str) -> None:
    for policy in (AdmissionPolicy(), AdmissionPolicy(called_ae_titles=("*",))):
        assert not judge_admission(calling, called, address, policy).accepted


@given(st.text(), st.text() | addresses)
def test_allow_any_admits_all_who_call_the_node(calling: str, address: str) -> None:
    policy = AdmissionPolicy(allow_any=True).for_node(OWN)
    assert judge_admission(calling, OWN, address, policy).accepted
    assert judge_admission(calling, "OTHER", address, policy).reject is CALLED


@given(st.lists(peers, max_size=5).map(tuple), titles, addresses)
def test_it_is_admitted_if_and_only_if_an_entry_names_title_and_address(
    entries: tuple[Peer, ...], calling: str, address: str
) -> None:
    """Against `ipaddress` itself, one entry and one network at a time."""
    admission = judge_admission(calling, OWN, address, AdmissionPolicy(entries).for_node(OWN))
    expected = any(
        ip_address(address) in ip_network(network)
        for entry in entries
        for network in entry.networks
        if entry.ae_title in {"*", calling}
    )
    mapped = getattr(ip_address(address), "ipv4_mapped", None)
    assert admission.accepted == expected or mapped is not None
    assert admission.accepted == (admission.reject is None)


@given(st.lists(peers, max_size=4).map(tuple), peers, titles, addresses)
def test_one_more_peer_shuts_nobody_out(
    entries: tuple[Peer, ...], more: Peer, calling: str, address: str
) -> None:
    before = judge_admission(calling, OWN, address, AdmissionPolicy(entries).for_node(OWN))
    after = judge_admission(calling, OWN, address, AdmissionPolicy((*entries, more)).for_node(OWN))
    assert after.accepted >= before.accepted


@given(st.text())
def test_a_title_in_the_log_is_one_short_line(title: str) -> None:
    shown = printable_ae_title(title)
    assert len(shown) <= 16
    assert shown.isascii()
    assert shown.isprintable()


def test_a_policy_says_what_it_means() -> None:
    assert "every association will be refused" in describe_policy(AdmissionPolicy())
    assert "every peer" in describe_policy(AdmissionPolicy(allow_any=True))
    assert "CT1" in describe_policy(AdmissionPolicy((CT,)))


class Configured(BaseModel):
    admission: AdmissionPolicy = AdmissionPolicy()


def test_it_is_a_section_of_the_configuration() -> None:
    data = {"peers": [{"ae_title": "CT1", "networks": ["192.0.2.0/24"]}]}
    configured = Configured.model_validate({"admission": data})
    assert configured.admission.peers == (Peer("CT1", ("192.0.2.0/24",)),)
    assert Configured.model_validate_json(configured.model_dump_json()) == configured


@pytest.mark.parametrize(
    ("peer", "named"),
    [
        ({"ae_title": "CT1", "networks": ["192.0.2.300"]}, "192.0.2.300"),
        ({"ae_title": "CT1", "networks": ["10.1.2.3/8"]}, "10.1.2.3/8"),  # host bits are set
        ({"ae_title": "CT1", "networks": ["pacs.example.org"]}, "pacs.example.org"),
        ({"ae_title": "CT1", "networks": []}, "no network"),
        ({"ae_title": "SEVENTEEN_LETTERS", "networks": ["*"]}, "SEVENTEEN_LETTERS"),
        ({"ae_title": "A\\B", "networks": ["*"]}, "no AE title"),
        ({"ae_title": "", "networks": ["*"]}, "no AE title"),
    ],
)
def test_a_wrong_entry_is_named_when_the_node_starts(peer: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Configured.model_validate({"admission": {"peers": [peer]}})
    assert named in str(caught.value)


def test_a_wrong_called_title_is_named() -> None:
    with pytest.raises(ValueError, match="no AE title"):
        AdmissionPolicy(called_ae_titles=("",))


@given(st.binary(min_size=16, max_size=16))
def test_any_title_of_a_request_is_one_that_can_be_judged_and_logged(field: bytes) -> None:
    title = readable_ae_title(field)
    assert 1 <= len(title) <= 16
    assert title == title.strip(" ")
    assert title.isascii()
    assert title.isprintable()
    assert "\\" not in title


@given(titles, st.binary(max_size=15))
def test_a_title_that_is_padded_with_nul_is_read_up_to_it(title: str, behind: bytes) -> None:
    assert readable_ae_title((title.encode() + b"\0" + behind)[:16]) == title


@pytest.mark.parametrize("field", [bytes(16), b" " * 16, b"\0CT1", b"  \0CT1"])
def test_no_title_is_no_known_title(field: bytes) -> None:
    assert readable_ae_title(field) == "?"
