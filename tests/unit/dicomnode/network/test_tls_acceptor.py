"""The end of a certificate, as openssl tells it; and bytes that are no certificate."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.tls import expiry_of_pem
from support.certificates import Authority, openssl


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates") / "ca", "hospital")


def end_by_openssl(certificate: Path) -> datetime:
    told = openssl("x509", "-in", str(certificate), "-noout", "-enddate").strip()
    seconds = ssl.cert_time_to_seconds(told.removeprefix("notAfter="))
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize("days", [-1, 1, 365, 9000, 20000])
def test_the_end_is_what_openssl_says(authority: Authority, days: int) -> None:
    """9000 days from now the year is still written with two digits, 20000 from now with four."""
    certificate = authority.issue(f"node{days}", days).certificate
    assert expiry_of_pem(certificate.read_bytes()) == end_by_openssl(certificate)


def test_a_chain_ends_with_its_first(authority: Authority) -> None:
    leaf = authority.issue("leaf", 5).certificate
    chain = leaf.read_bytes() + authority.certificate.read_bytes()
    assert expiry_of_pem(chain) == end_by_openssl(leaf)
    assert expiry_of_pem(authority.certificate.read_bytes()) == end_by_openssl(
        authority.certificate
    )


def test_a_key_and_words_in_another_language_may_stand_beside_it(authority: Authority) -> None:
    node = authority.issue("beside", 5)
    mixed = "für den Knoten\n".encode() + node.private_key.read_bytes()
    assert expiry_of_pem(mixed + node.certificate.read_bytes()) == end_by_openssl(node.certificate)


@pytest.mark.parametrize("pem", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----"])
def test_a_file_without_certificate(pem: bytes) -> None:
    with pytest.raises(ValueError, match=r"no X\.509 certificate"):
        expiry_of_pem(pem)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_certificate(data: bytes) -> None:
    for pem in (data, ssl.DER_cert_to_PEM_cert(data).encode()):
        with pytest.raises(ValueError, match=r"no X\.509 certificate"):
            expiry_of_pem(pem)


def test_a_certificate_that_breaks_off_anywhere(authority: Authority) -> None:
    whole = ssl.PEM_cert_to_DER_cert(authority.certificate.read_text())
    for length in range(0, len(whole), 7):
        cut = ssl.DER_cert_to_PEM_cert(whole[:length])
        with pytest.raises(ValueError, match=r"no X\.509 certificate"):
            expiry_of_pem(cut.encode())


def test_a_certificate_of_no_version_that_there_is(authority: Authority) -> None:
    whole = ssl.PEM_cert_to_DER_cert(authority.certificate.read_text())
    other = whole.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x14")
    with pytest.raises(ValueError, match=r"no X\.509 certificate"):
        expiry_of_pem(ssl.DER_cert_to_PEM_cert(other).encode())
