"""A restart while peers send: nothing that was answered is lost, and how long they are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.instances import InstanceFiles
from support.node import Node, sop_instance_uids
from support.restarts import HeldNode, StorescuLoop, restarted


@pytest.mark.long
def test_peers_lose_nothing_by_a_restart(tmp_path: Path, shared_models: Path) -> None:
    node = Node(tmp_path / "node", models=shared_models)
    try:
        node.start()
        loop, watch = restarted(node, tmp_path / "sent")
        print(f"the port was closed for {watch.closed_seconds:.1f} s")
        assert watch.closed_seconds > 0.0, "or the watch sees nothing"
        check_that_nothing_is_lost(node, loop)
    finally:
        node.close()


@pytest.mark.long
def test_a_port_that_is_held_refuses_nobody_meanwhile(tmp_path: Path, shared_models: Path) -> None:
    node = HeldNode(tmp_path / "node", models=shared_models)
    try:
        node.start()
        loop, watch = restarted(node, tmp_path / "sent")
        print(f"a peer waited for {loop.longest_seconds:.1f} s")
        assert watch.closed_seconds == 0.0
        check_that_nothing_is_lost(node, loop)
    finally:
        node.close()


def check_that_nothing_is_lost(node: Node, loop: StorescuLoop) -> None:
    files = InstanceFiles(node.settings.instances)
    assert loop.answered
    assert loop.answered <= sop_instance_uids([files.open_path(p) for p in files.iter_paths()])
