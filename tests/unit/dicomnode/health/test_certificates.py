"""Each certificate that the configuration names, with its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicomnode.config.reading import load_settings
from dicomnode.decisions.operating.facts import CertificateFile
from dicomnode.health.certificates import certificate_files
from support.certificates import Authority

CONFIGURATION = """
[receive.tls]
certificate = "node.pem"
private_key = "node.key"
peer_ca = "ca.pem"
[alerts]
webhook = { url = "https://alerts.example/hook", tls = { peer_ca = "all.pem" } }
mail = { server = "mail", peer_ca = "missing.pem", sender = "a@b", to = ["a@b"] }
[[destinations]]
name = "pacs"
ae_title = "PACS"
address = "10.0.0.1"
port = 104
tls = { peer_ca = "ca.pem", certificate = "damaged.pem", private_key = "node.key" }
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CertificateFile]:
    """By what they are of."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder / "ca", "Hospital CA")
    node = authority.issue("node", days=20).certificate.read_text()
    ended = authority.issue("ended", days=-1).certificate.read_text()
    ca = authority.certificate.read_text()
    (folder / "node.pem").write_text(node + ca)
    (folder / "ca.pem").write_text(ca)
    (folder / "damaged.pem").write_text(ca[:100])
    (folder / "all.pem").write_text(ended + ca * 20)
    (folder / "c.toml").write_text(CONFIGURATION)
    found = certificate_files(load_settings(folder / "c.toml"))
    return {each.what: each for each in found}


def days_left(file: CertificateFile) -> int:
    assert file.ends_at is not None
    return round((file.ends_at - datetime.now(UTC)) / timedelta(days=1))


def test_the_first_end_of_a_chain_counts(files: dict[str, CertificateFile]) -> None:
    assert days_left(files["receive.tls certificate"]) == 20


def test_a_file_that_several_name_is_told_once(files: dict[str, CertificateFile]) -> None:
    assert days_left(files["receive.tls peer_ca"]) == 3650
    assert "pacs peer_ca" not in files


def test_of_a_collection_of_authorities_one_may_end(files: dict[str, CertificateFile]) -> None:
    assert days_left(files["alerts.webhook peer_ca"]) == 3650


def test_what_cannot_be_read_is_told_with_why(files: dict[str, CertificateFile]) -> None:
    damaged, missing = files["pacs certificate"], files["alerts.mail peer_ca"]
    assert damaged.ends_at is None
    assert damaged.fault == "no X.509 certificate in it that can be read"
    assert missing.fault == "No such file or directory"
    assert Path(missing.path).name == "missing.pem"
    assert len(files) == 5
