"""`dicomnode status`: also of a node that is down, or whose database is away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dicomnode.config.reading import load_settings
from dicomnode.data_directory.own_data import take_database
from support.command import dicomnode


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "dicomnode.toml"
    path.write_text('[node]\ndata_directory = "data"\n')
    return path


def test_a_node_that_never_ran_is_told_and_nothing_is_made(config: Path) -> None:
    done = dicomnode("status", "--config", str(config))
    assert done.returncode == 3
    assert "ERROR: no node has run on this data directory yet\n" in done.stdout
    assert "  what to do: systemctl start dicomnode" in done.stdout
    assert list(config.parent.iterdir()) == [config]


def test_the_same_in_json_with_the_database_away(config: Path) -> None:
    (config.parent / "data").mkdir()
    take_database(load_settings(config), "node")
    (config.parent / "data" / "processes.json").write_text("{")
    with config.open("a") as file:
        file.write('database_url = "postgresql://node:secret@127.0.0.1:1/name"\n')
    done = dicomnode("status", "--json", "--config", str(config))
    told = json.loads(done.stdout)
    assert (done.returncode, told["exit_status"]) == (3, 3)
    kinds = {each["name"] for each in told["troubles"]}
    assert {"node_down", "unseen:the processes"} <= kinds
    assert "Connection refused" in told["database_fault"]
    assert told["database"] == "postgresql+psycopg://node:***@127.0.0.1:1/name"
    assert "secret" not in done.stdout + done.stderr
    assert any(each.startswith("the database does not answer") for each in told["not_ready"])


def test_a_wrong_configuration_is_another_exit_status(config: Path) -> None:
    config.write_text("[node]\nae_titel = 'X'\n")
    assert dicomnode("status", "--config", str(config)).returncode == 2
