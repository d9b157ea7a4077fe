"""What was seen of a node, as metrics: right figures, no identity, in the form that is read."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from dicomnode.decisions.operating.facts import Facts
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.judge import judge
from dicomnode.metrics.looked_at import LookedAt
from storage.overview_records import Unsealed
from support.seen import AT, KEY, ago, quiet_node, troubled_node


def told(facts: Facts) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(LookedAt(facts, judge(facts, HealthPolicy(), AT)))
    return registry


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("ready", {}, 1),
        ("database_up", {}, 1),
        ("process_up", {"role": "worker-1"}, 1),
        ("process_restarts_total", {"role": "worker-1"}, 0),
        ("disk_bytes", {"part": "free"}, 420 << 30),
        ("series_of_last_day", {"state": "analysed"}, 148),
        ("jobs", {"kind": "assess", "state": "queued"}, 2),
        ("job_oldest_due_seconds", {"kind": "assess"}, 0),
        ("source_last_arrival_timestamp_seconds", {"calling_ae_title": "CT1"},
         ago(minutes=4).timestamp()),
        ("canary_passed", {}, 1),
        ("canary_last_passed_timestamp_seconds", {}, ago(hours=9).timestamp()),
    ],
)  # fmt: skip
def test_of_a_quiet_node(name: str, labels: dict[str, str], value: float) -> None:
    assert told(quiet_node()).get_sample_value(f"dicomnode_{name}", labels) == value


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("process_up", {"role": "worker-1"}, 0),
        ("process_restarts_total", {"role": "worker-1"}, 3),
        ("deliveries", {"destination": "pacs", "state": "on_the_way"}, 212),
        ("deliveries", {"destination": "archive", "state": "refused"}, 9),
        ("deliveries", {"destination": "pacs", "state": "awaits_promise"}, 40),
        ("delivery_oldest_seconds", {"destination": "pacs"}, 7200),
        ("promise_oldest_seconds", {"destination": "pacs"}, 18000),
        ("job_oldest_due_seconds", {"kind": "analyse"}, 3300),
        ("troubles", {"kind": "job_stuck", "severity": "error"}, 1),
        ("troubles", {"kind": "destination_away", "severity": "warning"}, 1),
        ("canary_passed", {}, 0),
        ("canary_last_passed_timestamp_seconds", {}, None),
    ],
)
def test_of_a_troubled_one(name: str, labels: dict[str, str], value: float | None) -> None:
    assert told(troubled_node()).get_sample_value(f"dicomnode_{name}", labels) == value


def test_what_is_not_sealed_yet_is_told_where_there_is_a_store() -> None:
    facts = replace(quiet_node(), unsealed=Unsealed(AT, 3, oldest_due_at=ago(hours=2)))
    assert told(facts).get_sample_value("dicomnode_unsealed_series") == 3
    assert told(facts).get_sample_value("dicomnode_unsealed_oldest_seconds") == 7200
    assert told(quiet_node()).get_sample_value("dicomnode_unsealed_series") is None


def test_a_node_that_is_not_ready_says_so() -> None:
    facts = replace(quiet_node(), database_fault="it is away", node=None, disk=None)
    assert told(facts).get_sample_value("dicomnode_ready") == 0
    assert told(facts).get_sample_value("dicomnode_database_up") == 0


def test_it_is_read_and_names_no_series_and_no_address() -> None:
    text = generate_latest(told(troubled_node())).decode()
    families = list(text_string_to_metric_families(text))
    assert all(re.fullmatch(r"[A-Z0-9].+\.", each.documentation) for each in families)
    assert all(each.name.startswith("dicomnode_") for each in families)
    assert KEY not in text
    assert "192.0.2" not in text
