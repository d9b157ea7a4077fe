"""Nodes for the integration tests, stopped at the end whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from dicomnode.config import Destination
from support.node import Node

QUICK = """
[completeness]
quiet_seconds = 0.5
aborted_quiet_seconds = 1.0
lost_quiet_seconds = 1.0
open_quiet_seconds = 20.0
[delivery.retry]
first_delay_seconds = 0.2
longest_delay_seconds = 1.0
"""

NodeMaker = Callable[..., Node]


@pytest.fixture
def make_node(tmp_path: Path) -> Iterator[NodeMaker]:
    """Makes nodes that are not started yet."""
    made: list[Node] = []

    def make(destinations: Sequence[Destination] = (), toml: str = QUICK) -> Node:
        made.append(Node(tmp_path / f"node{len(made)}", destinations, toml))
        return made[-1]

    yield make
    for node in made:
        node.close()
