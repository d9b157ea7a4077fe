"""`dicomnode config`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command import dicomnode
from support.node import free_port


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


def test_what_is_wrong_is_told_with_its_line_and_an_exit_status(config: Path) -> None:
    config.write_text("""[node]
database_url = "postgresql://node@127.0.0.1:1/name"
[http]
port = 0
[inference]
allow_demonstration_model = true
methods = [
    { bundle = "mine" },
]
""")
    done = dicomnode("config", "check", "--config", str(config))
    assert done.returncode == 2
    folder = config.parent / "mine"
    told = f"inference.methods.0.bundle: there is no folder {folder} (line 8)\n"
    assert told in done.stdout
    assert "warning: node.database_url: " in done.stdout
    assert done.stdout.endswith(f"{config}: 1 problem, 1 warning\n")


def test_what_works_is_told_too(config: Path) -> None:
    quiet = "[http]\nport = 0\n[inference]\nallow_demonstration_model = true\n"
    config.write_text(f"[receive]\nport = {free_port()}\n{quiet}")
    done = dicomnode("config", "check", "--config", str(config))
    assert (done.returncode, done.stdout) == (0, f"{config}: 0 problems, 0 warnings\n")


def test_a_wrong_key_is_told_in_the_same_way(config: Path) -> None:
    config.write_text("[receive]\nports = 1\n")
    done = dicomnode("config", "check", "--config", str(config))
    assert done.returncode == 2
    assert "nearest known one is receive.port (line 2)" in done.stderr
