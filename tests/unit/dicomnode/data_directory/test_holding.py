"""Who holds a data directory, and whose it stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dicomnode.data_directory.holding import only_one


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away: needs root")
def test_a_command_of_root_locks_out_no_node(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12346)
    with only_one(tmp_path):
        pass
    made = list(tmp_path.iterdir())
    assert {each.name for each in made} == {"node.id", "node.lock", "starts.json", "incoming"}
    assert {(each.stat().st_uid, each.stat().st_gid) for each in made} == {(12345, 12346)}
