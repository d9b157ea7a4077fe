"""Hosts that analyse with different models or settings are told, and in what they differ."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from dicomnode.decisions.operating.equipment_troubles import equipment_troubles
from dicomnode.decisions.operating.facts import Facts, Work
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.troubles import Trouble
from dicomnode.decisions.operating.worker_troubles import unlike
from storage.overview_records import Node

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
OLD = {"release": "1.0", "model covnet": "c 1 aa", "[results]": "00"}
NEW = OLD | {"model covnet": "c 2 bb", "[results]": "11"}
NODE = Node("1", "ct-1", NOW, NOW, None, True, equipment=OLD, equipment_digest="old")
OTHER = replace(NODE, node_id="2", name="ct-2", equipment=NEW, equipment_digest="new")
WORKERS = replace(OTHER, node_id="3", name="gpu-1", receives=False)
UNTOLD = replace(NODE, node_id="4", name="ct-4", equipment=None, equipment_digest="")


def troubles(*nodes: Node) -> list[Trouble]:
    facts = Facts(NOW, work=Work(nodes=nodes))
    return list(equipment_troubles(facts, HealthPolicy(), NOW))


def test_workers_with_what_no_node_has_analyse_nothing_and_it_is_told_in_what() -> None:
    (found,) = troubles(NODE, WORKERS, UNTOLD)
    assert found.name == "other_equipment:3"
    assert found.text == (
        "the workers of gpu-1 analyse nothing: they have other than the nodes have "
        "([results]; model covnet: c 2 bb on gpu-1, c 1 aa on ct-1)"
    )
    assert "same release, bundles and configuration" in found.remedy
    assert troubles(NODE, replace(WORKERS, equipment=OLD, equipment_digest="old")) == []
    assert troubles(WORKERS, UNTOLD) == [], "no node has told yet"
    assert troubles(NODE, replace(WORKERS, left_at=NOW)) == []


def test_nodes_that_differ_are_told_and_workers_of_either_are_right() -> None:
    (found,) = troubles(NODE, OTHER, WORKERS)
    assert found.name == "other_equipment:2"
    assert found.text.startswith("the nodes ct-1 and ct-2 do not analyse with the same: the")


def test_a_part_that_one_has_not_is_named() -> None:
    more = replace(WORKERS, equipment=OLD | {"model lungs": "l 1 cc"}, equipment_digest="more")
    (found,) = troubles(NODE, more)
    assert "(model lungs: l 1 cc on gpu-1, none on ct-1)" in found.text


def test_an_analysis_waits_for_a_worker_with_what_it_was_decided_with() -> None:
    idle = replace(NODE, workers=0)
    lack = unlike("old", (idle, OTHER))
    assert lack is not None
    assert lack.about == "equipment"
    assert unlike("old", (NODE, OTHER)) is None
    assert unlike("old", (idle, UNTOLD)) is None, "it may have it"
    assert unlike("gone", (idle, OTHER)) is None, "whoever has newer models takes it"
    assert unlike("old", ()) is None
