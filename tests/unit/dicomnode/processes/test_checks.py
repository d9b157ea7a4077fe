"""What a configuration is told to lack on this machine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicomnode.config.reading import load_settings
from dicomnode.data_directory.holding import keep_settings, only_one
from dicomnode.errors import ConfigurationError
from dicomnode.network.listeners import bind_listener
from dicomnode.processes.checks import check_all, check_start
from dicomnode.tls import expiry_of_pem
from support.certificates import Authority
from support.node import free_port

NOW = datetime.now(UTC)
Found = dict[str, tuple[str, bool]]
Check = Callable[..., Found]
ALLOWED = "[inference]\nallow_demonstration_model = true\n"


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """What is found in a configuration, by key: the text, and whether it is a warning."""

    def check(text: str, now: datetime = NOW) -> Found:
        path = tmp_path / "dicomnode.toml"
        path.write_text(text)
        return {e.key: (e.text, e.is_warning) for e in check_all(load_settings(path), now)}

    return check


def receiving(port: int) -> str:
    return f"[receive]\nport = {port}\n[http]\nport = 0\n{ALLOWED}"


def test_all_that_is_wrong_is_told_at_once(check: Check, tmp_path: Path) -> None:
    held = bind_listener(("127.0.0.1", 0))
    port = held.getsockname()[1]
    found = check(f"""
[node]
data_directory = "dicomnode.toml/data"
database_url = "postgresql://node@127.0.0.1:1/name?connect_timeout=1"
[receive]
port = {port}
[receive.tls]
certificate = "node.pem"
private_key = "node.key"
require_peer_certificate = false
[inference]
methods = [{{ bundle = "mine" }}]
[[destinations]]
name = "archive"
url = "https://h/dicom-web"
tls = {{ peer_ca = "ca.pem" }}
credentials = {{ file = "token" }}
[http]
port = {port}
token = {{ variable = "NO_SUCH_VARIABLE" }}
""")
    held.close()
    assert set(found) == {
        "node.data_directory",
        "node.database_url",
        "audit.file",
        "receive.port",
        "receive.tls.certificate",
        "receive.tls.private_key",
        "inference.methods.0.bundle",
        "destinations.0.tls.peer_ca",
        "destinations.0.credentials",
        "http.port",
        "http.token",
    }
    assert [key for key, (_, warns) in found.items() if warns] == ["node.database_url"]
    assert found["inference.methods.0.bundle"][0] == f"there is no folder {tmp_path / 'mine'}"
    missing = f"{tmp_path / 'ca.pem'}: No such file or directory"
    assert found["destinations.0.tls.peer_ca"][0] == missing
    assert "cannot be read: No such file" in found["destinations.0.credentials"][0]
    assert f"127.0.0.1:{port}" in found["receive.port"][0]


def test_nothing_is_found_in_what_works_and_nothing_is_made(check: Check, tmp_path: Path) -> None:
    assert check(receiving(free_port())) == {}
    assert [each.name for each in tmp_path.iterdir()] == ["dicomnode.toml"]


def test_the_port_of_the_node_that_runs_here_is_ours(check: Check, tmp_path: Path) -> None:
    held = bind_listener(("127.0.0.1", 0))
    text = receiving(held.getsockname()[1])
    assert set(check(text)) == {"receive.port"}
    settings = load_settings(tmp_path / "dicomnode.toml")
    with only_one(settings.node.data_directory):
        keep_settings(settings)
        assert check(text) == {}
    assert set(check(text)) == {"receive.port"}, "it has ended, and somebody else holds the port"
    held.close()


def test_a_certificate_that_ends_is_told_with_its_day(check: Check, tmp_path: Path) -> None:
    own = Authority(tmp_path / "ca", "hospital").issue("node")
    end = expiry_of_pem(own.certificate.read_bytes())
    text = f"""[receive.tls]
certificate = "{own.certificate}"
private_key = "{own.private_key}"
require_peer_certificate = false
port = {free_port()}
""" + receiving(free_port())
    key, day = "receive.tls.certificate", end.date().isoformat()
    assert check(text, end - timedelta(days=31)) == {}
    assert check(text, end - timedelta(days=1)) == {
        key: (f"{own.certificate}: ends on {day}", True)
    }
    assert check(text, end) == {key: (f"{own.certificate}: has ended on {day}", False)}


def test_a_key_that_is_not_of_the_certificate_is_told(check: Check, tmp_path: Path) -> None:
    hospital = Authority(tmp_path / "ca", "hospital")
    own, other = hospital.issue("node"), hospital.issue("other")
    text = f"""[receive.tls]
certificate = "{own.certificate}"
private_key = "{other.private_key}"
require_peer_certificate = false
""" + receiving(free_port())
    assert "key values mismatch" in check(text)["receive.tls"][0]
    with pytest.raises(ConfigurationError, match=r"receive\.tls: .*key values mismatch"):
        check_start(load_settings(tmp_path / "dicomnode.toml"))


def test_demonstration_weights_without_permission_are_told(check: Check) -> None:
    found = check(receiving(free_port()).replace("true", "false"))
    assert list(found) == ["inference.allow_demonstration_model"]


def test_bf16_without_a_proof_is_told_before_a_node_starts(check: Check) -> None:
    found = check(receiving(free_port()) + 'precision = "bf16"\n')
    assert list(found) == ["inference.precision"]
    assert any("its card has no proof" in str(each) for each in found["inference.precision"])


def test_a_bundle_that_is_not_whole_is_told_with_key_and_folder(
    check: Check, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    key, bundle = "inference.methods.0.bundle", tmp_path / "mine"
    text = receiving(free_port()) + 'methods = [{ bundle = "mine" }]\n'
    assert check(text)[key][0] == f"{bundle}: card.toml: No such file or directory"
