"""The node as a peer of its own: by address, by name, and through TLS that asks who comes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dicomnode.canary.own_port import own_peer
from dicomnode.config.sections import ReceiveSettings
from dicomnode.config.settings import Settings
from dicomnode.decisions.arrival.admission import AdmissionPolicy, judge_admission
from dicomnode.decisions.operating.canary import CanaryPolicy
from dicomnode.network.associations import echo
from dicomnode.tls import TlsPolicy
from storage.canary_runs import CANARY_AE_TITLE
from support.acceptor import running_acceptor
from support.certificates import Authority

ON = CanaryPolicy(enabled=True)


@pytest.mark.parametrize(
    ("configured", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - nothing is bound
        ("::", "::1"),
        ("192.0.2.7", "192.0.2.7"),
        ("localhost", "localhost"),
    ],
)
def test_it_is_reached_where_it_listens(configured: str, address: str) -> None:
    settings = Settings(receive=ReceiveSettings(address=configured), canary=ON)
    peer = own_peer(settings)
    assert (peer.address, peer.port, peer.tls) == (address, 11112, None)


def test_it_calls_a_title_that_the_node_answers_to() -> None:
    others = AdmissionPolicy(called_ae_titles=("CHEST", "AI"))
    settings = Settings(receive=ReceiveSettings(admission=others), canary=ON)
    assert own_peer(settings).ae_title == "CHEST"


def test_the_canary_is_admitted_from_this_machine_alone_and_only_when_it_is_on() -> None:
    for policy, address, admitted in (
        (ON, "127.0.0.1", True),
        (ON, "192.0.2.1", False),
        (CanaryPolicy(), "127.0.0.1", False),
    ):
        settings = Settings(canary=policy)
        judged = judge_admission(CANARY_AE_TITLE, "DICOMNODE", address, settings.admission)
        assert judged.accepted is admitted


def test_through_tls_it_shows_the_certificate_of_the_node(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca", "Example CA")
    own = authority.issue("node")
    tls = TlsPolicy(
        certificate=str(own.certificate),
        private_key=str(own.private_key),
        peer_ca=str(authority.certificate),
    )
    with running_acceptor(tls=tls) as node:
        receive = ReceiveSettings(plain=False, tls=replace(tls, port=node.port))
        peer = own_peer(Settings(receive=receive, canary=ON))
        echo(peer, CANARY_AE_TITLE)
    assert peer.tls is not None
    assert peer.tls.server_name == "localhost"
