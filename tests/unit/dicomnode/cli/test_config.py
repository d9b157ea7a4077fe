"""`dicomnode config`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command import dicomnode


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "dicomnode.toml"
    path.write_text("[receive]\nport = 104\n")
    return path


def test_what_holds_is_shown_with_where_it_comes_from(config: Path) -> None:
    done = dicomnode("config", "show", "--config", str(config))
    assert done.returncode == 0
    assert f"receive.port = 104  # {config}:2\n" in done.stdout
    assert 'node.ae_title = "DICOMNODE"  # default\n' in done.stdout


def test_the_same_in_json(config: Path) -> None:
    done = dicomnode("config", "show", "--json", "--config", str(config))
    rows = {each["key"]: each for each in json.loads(done.stdout)}
    assert rows["receive.port"] == {"key": "receive.port", "value": 104, "origin": f"{config}:2"}
