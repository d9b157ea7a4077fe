"""`dicomnode backup` and `restore`: a node that was lost goes on elsewhere, and sends what it had
not sent once a person lets it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dicomnode.data_directory.holding import only_one
from storage.nodes import join
from support.command import dicomnode
from support.pipeline import databases_closed
from support.postgresql import PostgresqlServer
from support.result_site import OBJECTS, Site, write_config
from support.storage_samples import NOW

pytestmark = pytest.mark.long


def test_a_lost_node_goes_on_from_its_backup_on_postgresql(
    unsent: Site, postgresql: PostgresqlServer, tmp_path: Path
) -> None:
    here = unsent.node.settings.node.data_directory
    with only_one(here) as node_id, unsent.node.database.write() as session:
        join(session, node_id, "host", shares=False, now=NOW)
    done = dicomnode("backup", str(tmp_path / "backups"), "--config", str(unsent.config), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["missing"] == []
    backup = told["folder"]
    assert "is whole" in dicomnode("restore", backup, "--check").stdout
    refused = dicomnode("restore", backup, "--config", str(unsent.config))
    assert refused.returncode == 2
    assert "is not empty" in refused.stderr

    before = unsent.json("list")
    unsent.node.database.close()
    shutil.rmtree(here)
    with postgresql.empty_database() as url, databases_closed():
        write_config(unsent.config, unsent.node.settings.destinations, url)
        done = dicomnode("restore", backup, "--config", str(unsent.config))
        assert done.returncode == 0, done.stderr
        assert f"held: 0 series, {2 * OBJECTS} deliveries" in done.stdout
        unsent.take(url)
        assert unsent.deliver() == 0
        unsent.run("release", group="database")
        assert unsent.deliver() == 2 * OBJECTS
        shown = [
            [each["series_key"] for each in listed] for listed in (before, unsent.json("list"))
        ]
        assert shown[0] == shown[1]
        unsent.node.database.close()


def test_a_damaged_backup_is_told_with_its_files(unsent: Site, tmp_path: Path) -> None:
    with only_one(unsent.node.settings.node.data_directory):
        pass
    done = dicomnode("backup", str(tmp_path / "backups"), "--config", str(unsent.config), "--json")
    folder = Path(json.loads(done.stdout)["folder"])
    hurt = next((folder / "instances").rglob("*.dcm"))
    hurt.write_bytes(b"")
    checked = dicomnode("restore", str(folder), "--check")
    assert checked.returncode == 1
    assert checked.stdout == f"damaged: {hurt.relative_to(folder)}\n"
