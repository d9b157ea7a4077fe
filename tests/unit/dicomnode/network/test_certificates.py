"""The end of a certificate, as openssl tells it; and bytes that are no certificate."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.network.certificates import expiry_of_der, expiry_of_pem
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
    assert expiry_of_pem(certificate.read_text()) == end_by_openssl(certificate)


def test_a_chain_ends_with_its_first(authority: Authority) -> None:
    leaf = authority.issue("leaf", 5).certificate
    chain = leaf.read_text() + authority.certificate.read_text()
    assert expiry_of_pem(chain) == end_by_openssl(leaf)
    assert expiry_of_pem(authority.certificate.read_text()) == end_by_openssl(authority.certificate)


@pytest.mark.parametrize("text", ["", "no certificate", "-----BEGIN CERTIFICATE-----"])
def test_a_file_without_certificate(text: str) -> None:
    with pytest.raises(ValueError, match="no certificate"):
        expiry_of_pem(text)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_certificate(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        expiry_of_der(data)


def test_a_certificate_that_breaks_off_anywhere(authority: Authority) -> None:
    whole = ssl.PEM_cert_to_DER_cert(authority.certificate.read_text())
    for length in range(len(whole)):
        with pytest.raises(ValueError, match=r"no X\.509 certificate"):
            expiry_of_der(whole[:length])
