"""Associations on TLS, with DCMTK and openssl as peers; and peers that are none."""

from __future__ import annotations

import logging
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pydicom
import pytest
from pynetdicom import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from dicomnode.errors import ConfigurationError
from dicomnode.network.associations import requestor
from dicomnode.network.tls_acceptor import ServerTls
from dicomnode.tls import DestinationTls, TlsPolicy, client_context, server_context
from support.acceptor import Acceptor, running_acceptor
from support.certificates import Authority, Credentials, openssl
from support.node import free_port
from support.phantom import write_series
from support.tools import needed
from support.wait import PATIENCE_SECONDS, wait_for


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("hospital") / "ca", "hospital")


@pytest.fixture(scope="module")
def node(hospital: Authority) -> Credentials:
    return hospital.issue("node")


@pytest.fixture(scope="module")
def peer(hospital: Authority) -> Credentials:
    return hospital.issue("peer")


@pytest.fixture(scope="module")
def policy(hospital: Authority, node: Credentials) -> TlsPolicy:
    """Mutual TLS."""
    return TlsPolicy(
        str(node.certificate),
        str(node.private_key),
        str(hospital.certificate),
        handshake_seconds=20.0,
    )


@pytest.fixture(scope="module")
def one_sided(policy: TlsPolicy) -> TlsPolicy:
    return replace(policy, require_peer_certificate=False, peer_ca="")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    """Of an authority that nobody in the hospital knows."""
    return Authority(tmp_path_factory.mktemp("elsewhere") / "ca", "elsewhere").issue("peer")


def dcmtk(program: str, acceptor: Acceptor, *options: str) -> subprocess.CompletedProcess[str]:
    files = [option for option in options if option.endswith(".dcm")]
    command = [needed(program, "dcmtk"), "-aec", "DICOMNODE"]
    command += [option for option in options if option not in files]
    command += ["127.0.0.1", str(acceptor.port), *files]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


def with_tls(own: Credentials, ca: Path) -> list[str]:
    return ["+tls", str(own.private_key), str(own.certificate), "+cf", str(ca)]


def s_client(acceptor: Acceptor, *options: str) -> subprocess.CompletedProcess[str]:
    """A handshake by openssl."""
    command = [needed("openssl", "openssl"), "s_client", "-connect", f"127.0.0.1:{acceptor.port}"]
    return subprocess.run(
        [*command, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def failures(acceptor: Acceptor) -> dict[str, int]:
    assert acceptor.tls is not None
    return acceptor.tls.failed


def expect_failures(acceptor: Acceptor, expected: dict[str, int]) -> None:
    """The peer may be told of its failure before the acceptor has counted it."""
    wait_for(lambda: failures(acceptor) == expected, f"{expected} is counted")


@pytest.mark.parametrize("profile", ["+py", "+px", "+pz"])
def test_dcmtk_with_each_of_its_bcp_195_profiles(
    tmp_path: Path,
    policy: TlsPolicy,
    peer: Credentials,
    hospital: Authority,
    profile: str,
) -> None:
    (file,) = write_series(tmp_path / "series", slices=1)
    options = [*with_tls(peer, hospital.certificate), profile]
    with running_acceptor(tls=policy) as acceptor:
        echoed = dcmtk("echoscu", acceptor, *options)
        assert echoed.returncode == 0, echoed.stderr
        stored = dcmtk("storescu", acceptor, *options, "-R", str(file))
        assert stored.returncode == 0, stored.stderr
        assert failures(acceptor) == {}
    assert acceptor.stored[0] in file.read_bytes()


def test_large_instances_pass_the_tls_records(
    tmp_path: Path, policy: TlsPolicy, peer: Credentials, hospital: Authority
) -> None:
    """A PDU spans several TLS records; what OpenSSL has read ahead is not seen by select."""
    files = write_series(tmp_path / "series", slices=8)
    data_set = pydicom.dcmread(files[0])
    data_set.add_new(0x00091010, "OB", bytes(range(256)) * 4096)
    data_set.add_new(0x00090010, "LO", "TEST")
    data_set.save_as(files[0])
    with running_acceptor(tls=policy) as acceptor:
        options = [*with_tls(peer, hospital.certificate), "-R", *map(str, files)]
        stored = dcmtk("storescu", acceptor, *options)
        assert stored.returncode == 0, stored.stderr
        assert len(acceptor.stored) == 8
    for each in files:
        assert any(kept in each.read_bytes() for kept in acceptor.stored)


def test_a_peer_of_another_authority_is_refused(
    caplog: pytest.LogCaptureFixture,
    policy: TlsPolicy,
    stranger: Credentials,
    hospital: Authority,
) -> None:
    with running_acceptor(tls=policy) as acceptor:
        assert dcmtk("echoscu", acceptor, *with_tls(stranger, hospital.certificate)).returncode
        wait_for(lambda: failures(acceptor), "it is counted")
        (why,) = failures(acceptor)
    assert why.startswith("certificate verify failed")
    assert any("127.0.0.1" in r.getMessage() and why in r.getMessage() for r in caplog.records)


def test_a_peer_whose_certificate_has_ended_is_refused(
    policy: TlsPolicy, hospital: Authority
) -> None:
    ended = hospital.issue("ended", days=-1)
    with running_acceptor(tls=policy) as acceptor:
        assert dcmtk("echoscu", acceptor, *with_tls(ended, hospital.certificate)).returncode
        expect_failures(acceptor, {"certificate verify failed: certificate has expired": 1})


def test_a_peer_without_certificate_comes_in_only_where_none_is_required(
    policy: TlsPolicy, one_sided: TlsPolicy, hospital: Authority
) -> None:
    anonymous = ["+tla", "+cf", str(hospital.certificate)]
    with running_acceptor(tls=policy) as acceptor:
        assert dcmtk("echoscu", acceptor, *anonymous).returncode
        expect_failures(acceptor, {"peer did not return a certificate": 1})
    for lenient in (one_sided, replace(policy, require_peer_certificate=False)):
        with running_acceptor(tls=lenient) as acceptor:
            assert dcmtk("echoscu", acceptor, *anonymous).returncode == 0


def test_a_certificate_that_is_shown_is_verified_even_if_none_is_required(
    policy: TlsPolicy, stranger: Credentials, hospital: Authority
) -> None:
    with running_acceptor(tls=replace(policy, require_peer_certificate=False)) as acceptor:
        assert dcmtk("echoscu", acceptor, *with_tls(stranger, hospital.certificate)).returncode


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], "unsupported protocol"),
        (["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"], "unsupported protocol"),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"], "no shared cipher"),  # CBC
        (["-tls1_2", "-cipher", "AES128-GCM-SHA256"], "no shared cipher"),  # no forward secrecy
    ],
)
def test_what_bcp_195_forbids_is_refused(
    one_sided: TlsPolicy, options: list[str], why: str
) -> None:
    with running_acceptor(tls=one_sided) as acceptor:
        assert s_client(acceptor, *options).returncode != 0
        expect_failures(acceptor, {why: 1})


def test_tls_1_3_is_preferred_and_may_be_required(one_sided: TlsPolicy) -> None:
    with running_acceptor(tls=one_sided) as acceptor:
        assert "New, TLSv1.3" in s_client(acceptor).stdout
        assert "New, TLSv1.2" in s_client(acceptor, "-tls1_2").stdout
    with running_acceptor(tls=replace(one_sided, minimum_version="1.3")) as acceptor:
        assert s_client(acceptor, "-tls1_2").returncode != 0
        assert s_client(acceptor, "-tls1_3").returncode == 0


def test_a_peer_that_speaks_no_tls_is_refused_and_named_for_it(policy: TlsPolicy) -> None:
    with running_acceptor(tls=policy) as acceptor:
        assert dcmtk("echoscu", acceptor).returncode != 0
        expect_failures(acceptor, {"DICOM without TLS": 1})
        with socket.create_connection(("127.0.0.1", acceptor.port), 20) as web:
            web.sendall(b"GET / HTTP/1.1\r\n\r\n")
            wait_for(lambda: "http request" in failures(acceptor), "it is counted")


def test_silent_peers_hold_nobody_up_and_are_sent_away(
    one_sided: TlsPolicy, hospital: Authority
) -> None:
    impatient = replace(one_sided, handshake_seconds=2.0)
    with running_acceptor(tls=impatient) as acceptor, ExitStack() as held:
        silent = [
            held.enter_context(socket.create_connection(("127.0.0.1", acceptor.port), 20))
            for _ in range(20)
        ]
        for half in silent[:10]:
            half.sendall(bytes.fromhex("16 0301 0200 01"))  # the head of a ClientHello
        echoed = dcmtk("echoscu", acceptor, "+tla", "+cf", str(hospital.certificate))
        assert echoed.returncode == 0
        assert failures(acceptor) == {}  # they are all there still
        for each in silent:
            assert each.recv(1) == b""
        expect_failures(acceptor, {"timed out": 20})


def test_bare_connects_leave_nothing_behind(
    caplog: pytest.LogCaptureFixture, one_sided: TlsPolicy, hospital: Authority
) -> None:
    """As a load balancer does every second: no failure, no line in the log, no thread."""
    caplog.set_level(logging.INFO)
    with running_acceptor(tls=one_sided) as acceptor:
        before = threading.active_count()
        for _ in range(100):
            socket.create_connection(("127.0.0.1", acceptor.port), 20).close()
        wait_for(lambda: threading.active_count() <= before, "their threads have ended")
        assert failures(acceptor) == {}
        assert dcmtk("echoscu", acceptor, "+tla", "+cf", str(hospital.certificate)).returncode == 0
    assert not any("TLS port" in record.getMessage() for record in caplog.records)


def shown_certificate(acceptor: Acceptor) -> str:
    return ssl.get_server_certificate(("127.0.0.1", acceptor.port), timeout=20)


def test_new_files_are_taken_over_and_broken_ones_are_not(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, one_sided: TlsPolicy, hospital: Authority
) -> None:
    certificate, key = tmp_path / "node.pem", tmp_path / "node.key"
    shutil.copy(one_sided.certificate, certificate)
    shutil.copy(one_sided.private_key, key)
    renewed = hospital.issue("renewed", days=700)
    policy = replace(one_sided, certificate=str(certificate), private_key=str(key))
    with running_acceptor(tls=policy) as acceptor:
        assert acceptor.tls is not None
        first, end = shown_certificate(acceptor), acceptor.tls.expires_at
        shutil.copy(renewed.certificate, certificate)  # its key is not there yet
        assert shown_certificate(acceptor) == shown_certificate(acceptor) == first
        errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
        assert len(errors) == 1
        assert str(certificate) in errors[0]
        shutil.copy(renewed.private_key, key)
        second = shown_certificate(acceptor)
        assert second.strip() == renewed.certificate.read_text().strip()
        assert acceptor.tls.expires_at - end > timedelta(days=300)
        certificate.unlink()
        assert shown_certificate(acceptor) == second
        certificate.write_text("no certificate")
        assert shown_certificate(acceptor) == second


@pytest.mark.parametrize(
    ("days", "level", "text"),
    [(-1, logging.ERROR, "has ended"), (20, logging.WARNING, "ends in 19 days"), (40, None, "")],
)
def test_the_log_warns_before_the_certificate_ends_once_a_day(
    caplog: pytest.LogCaptureFixture,
    one_sided: TlsPolicy,
    hospital: Authority,
    days: int,
    level: int | None,
    text: str,
) -> None:
    short = hospital.issue(f"days{days}", days)
    tls = ServerTls(
        replace(one_sided, certificate=str(short.certificate), private_key=str(short.private_key))
    )
    tls.context()
    tls.look()
    told = [(r.levelno, r.getMessage()) for r in caplog.records]
    assert [each[0] for each in told] == ([] if level is None else [level])
    assert all(text in each[1] for each in told)
    tls.look(tls.expires_at - timedelta(days=10))
    assert "ends in 10 days" in caplog.records[-1].getMessage()


def test_what_cannot_work_is_told_at_the_start(
    tmp_path: Path, policy: TlsPolicy, peer: Credentials
) -> None:
    locked = tmp_path / "locked.key"
    openssl("ec", "-aes256", "-passout", "pass:x", "-in", policy.private_key, "-out", str(locked))
    wrong = {
        "absent.pem": replace(policy, certificate=str(tmp_path / "absent.pem")),
        "peer.key: key values mismatch": replace(policy, private_key=str(peer.private_key)),
        "is encrypted": replace(policy, private_key=str(locked)),
        "node.key: no certificate": replace(policy, peer_ca=policy.private_key),
    }
    for named, each in wrong.items():
        with pytest.raises(ConfigurationError, match=named):
            server_context(each)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"certificate": "a"}, "private_key"),
        ({"certificate": "a", "private_key": "b"}, "peer_ca is needed"),
        ({"port": 0}, "port"),
        ({"handshake_seconds": 0.0}, "handshake_seconds"),
    ],
)
def test_a_policy_that_is_not_whole_is_refused(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        TlsPolicy(**wrong)  # type: ignore[arg-type]


@contextmanager
def running_storescp(own: Credentials, ca: Path) -> Iterator[int]:
    """DCMTK's storescp on TLS; it asks for our certificate."""
    port = free_port()
    command = [needed("storescp", "dcmtk"), *with_tls(own, ca), "--ignore", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: not probe(port), "storescp listens")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def probe(port: int) -> int:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port))


def echo(port: int, policy: DestinationTls) -> int | None:
    """Status of a C-ECHO over TLS; None if no association came about."""
    tls_args = (client_context(policy), policy.server_name or "127.0.0.1")
    ae = requestor("DICOMNODE", [build_context(Verification)], 10)
    association = ae.associate("127.0.0.1", port, ae_title="PACS", tls_args=tls_args)
    if not association.is_established:
        return None
    status = association.send_c_echo().get("Status")
    association.release()
    return None if status is None else int(status)


def test_a_destination_on_tls(
    node: Credentials, peer: Credentials, stranger: Credentials, hospital: Authority
) -> None:
    known = DestinationTls(str(hospital.certificate), str(node.certificate), str(node.private_key))
    other_ca = stranger.certificate.parent / "ca.pem"
    with running_storescp(peer, hospital.certificate) as port:
        assert echo(port, known) == 0x0000
        assert echo(port, replace(known, server_name="localhost")) == 0x0000
        assert echo(port, replace(known, server_name="pacs.example.org")) is None
        assert echo(port, replace(known, peer_ca=str(other_ca))) is None
        assert echo(port, replace(known, certificate="", private_key="")) is None


def test_a_destination_whose_certificate_has_ended_gets_nothing(hospital: Authority) -> None:
    ended = hospital.issue("ended-pacs", days=-1)
    with running_storescp(ended, hospital.certificate) as port:
        assert echo(port, DestinationTls(str(hospital.certificate))) is None


def test_relative_paths_are_taken_from_a_folder(tmp_path: Path) -> None:
    policy = TlsPolicy("node.pem", "/keys/node.key", require_peer_certificate=False)
    assert policy.anchored(tmp_path).files() == (tmp_path / "node.pem", Path("/keys/node.key"))
    assert TlsPolicy().anchored(tmp_path) == TlsPolicy()
    destination = DestinationTls("ca.pem").anchored(tmp_path)
    assert (destination.peer_ca, destination.certificate) == (str(tmp_path / "ca.pem"), "")
