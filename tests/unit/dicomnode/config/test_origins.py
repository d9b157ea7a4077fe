"""Where each value comes from, and that no secret is among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.config.origins import DEFAULT, HIDDEN, Shown, shown_settings
from dicomnode.config.reading import read_configuration

FILE = """\
[node]
ae_title = "X"
[inference]
bundle = "own"
[query]
peer = { name = "p", ae_title = "P", address = "h", port = 104 }
[[destinations]]
name = "archive"
url = "https://h/very-secret"
tls = { peer_ca = "ca.pem" }
credentials = { variable = "VERY_SECRET" }
"""


@pytest.fixture
def found(tmp_path: Path) -> dict[str, Shown]:
    path = tmp_path / "dicomnode.toml"
    path.write_text(FILE)
    environment = {
        "DICOMNODE_NODE__DATABASE_URL": "postgresql+psycopg://node:very-secret@host/name",
        "DICOMNODE_RECEIVE__ADMISSION__PEERS": '[{ ae_title = "A", networks = ["*"] }]',
    }
    return {each.key: each for each in shown_settings(read_configuration(path, environment))}


def test_each_value_tells_where_it_comes_from(found: dict[str, Shown], tmp_path: Path) -> None:
    file = tmp_path / "dicomnode.toml"
    assert found["node.ae_title"] == Shown(("node", "ae_title"), "X", f"{file}:2")
    assert found["receive.port"].value == 11112
    assert found["receive.port"].origin == DEFAULT
    assert found["query.peer.port"].origin == f"{file}:6"
    assert found["destinations.0.name"].origin == f"{file}:8"
    assert found["destinations.0.associations"].origin == DEFAULT
    assert found["inference.methods.0.bundle"].origin == f"{file}:4", "by its former key"
    peers = found["receive.admission.peers.0.ae_title"]
    assert (peers.value, peers.origin) == ("A", "DICOMNODE_RECEIVE__ADMISSION__PEERS")


def test_no_secret_is_among_them(found: dict[str, Shown]) -> None:
    url = found["node.database_url"]
    assert url.value == "postgresql+psycopg://node:***@host/name"
    assert url.origin == "DICOMNODE_NODE__DATABASE_URL"
    assert found["destinations.0.url"].value == HIDDEN
    shown = str([each.value for each in found.values()]).lower()
    assert "very-secret" not in shown
    assert "very_secret" not in shown
