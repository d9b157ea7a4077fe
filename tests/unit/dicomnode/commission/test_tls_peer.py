"""TLS: the handshake that deliveries would have, and until when certificates are valid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicomnode.commission.checks import Result
from dicomnode.commission.tls_peer import tls_checks
from dicomnode.tls import DestinationTls, TlsPolicy
from support.acceptor import running_acceptor
from support.certificates import Authority
from support.wait import wait_for

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca") / "ca", "Example CA")


def _policy(authority: Authority, name: str) -> TlsPolicy:
    own = authority.issue(name)
    return TlsPolicy(
        certificate=str(own.certificate),
        private_key=str(own.private_key),
        require_peer_certificate=False,
    )


def test_a_peer_that_is_vouched_for_passes_with_its_dates(authority: Authority) -> None:
    with running_acceptor(tls=_policy(authority, "pacs")) as peer:
        tls = DestinationTls(peer_ca=str(authority.certificate))
        shaken, vouched = tls_checks("127.0.0.1", peer.port, tls, NOW)
        near_end = NOW + timedelta(days=350)
        soon, _ = tls_checks("127.0.0.1", peer.port, tls, near_end)
        wait_for(lambda: not peer.ae.active_associations, "both connections are closed")
    assert shaken.result is vouched.result is Result.PASSED
    assert "certificate of pacs ends" in shaken.found
    assert soon.result is Result.FAILED
    assert "renew" in soon.remedy


def test_a_stranger_and_a_file_that_is_none_fail(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "Other CA")
    with running_acceptor(tls=_policy(authority, "pacs2")) as peer:
        tls = DestinationTls(peer_ca=str(other.certificate))
        stranger, _ = tls_checks("127.0.0.1", peer.port, tls, NOW)
        missing = DestinationTls(peer_ca=str(tmp_path / "none.pem"))
        no_file, dates = tls_checks("127.0.0.1", peer.port, missing, NOW)
    assert stranger.result is no_file.result is dates.result is Result.FAILED
    assert "verify failed" in stranger.found
