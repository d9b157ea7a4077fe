"""Of a database that nodes share it is told who is lost, and what makes every claim slow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dicomnode.decisions.operating.database_troubles import (
    lost_node_troubles,
    strain_troubles,
    twice_troubles,
)
from dicomnode.decisions.operating.facts import Facts, Work
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.troubles import Severity
from storage.overview_records import DeadRows, Node, Strain

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
POLICY = HealthPolicy(transaction_seconds=60, dead_rows=1000)
HERE = Node("1", "host-1", NOW, NOW, None, shares=True)


def test_a_lost_node_is_an_error_until_it_is_heard_again() -> None:
    heard, lost = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    gone = replace(HERE, node_id="2", name="host-2", heard_at=heard, left_at=lost)
    (found,) = lost_node_troubles(Facts(NOW, work=Work(nodes=(HERE, gone))), POLICY, NOW)
    assert (found.name, found.severity, found.since) == ("node_lost:2", Severity.ERROR, lost)
    assert "host-2 has not been heard of for 2 h" in found.text
    assert found.remedy.endswith("dicomnode database forget 2")


def test_of_two_hosts_that_are_one_node_both_are_named_for_an_hour() -> None:
    twice = replace(HERE, twice_at=NOW - timedelta(minutes=9), twice_on="copy-1")
    (found,) = twice_troubles(Facts(NOW, work=Work(nodes=(HERE, twice))), POLICY, NOW)
    assert (found.name, found.severity) == ("node_twice:1", Severity.ERROR)
    assert "host-1, and copy-1, which has ended for it 9 min ago" in found.text
    assert "empty [node] data_directory" in found.remedy
    later = NOW + timedelta(minutes=52)
    assert not list(twice_troubles(Facts(later, work=Work(nodes=(twice,))), POLICY, later))


@pytest.mark.parametrize(
    ("strain", "names"),
    [
        (Strain(transaction_seconds=60.0), []),
        (Strain(transaction_seconds=61.0), ["transaction_old"]),
        (Strain((DeadRows("job", 1001, 10), DeadRows("series", 1000, 10))), ["dead_rows:job"]),
        (Strain((DeadRows("job", 1001, 1002),)), []),
    ],
)
def test_old_transactions_and_dead_rows_are_told(strain: Strain, names: list[str]) -> None:
    found = strain_troubles(Facts(NOW, work=Work(strain=strain)), POLICY, NOW)
    assert [each.name for each in found] == names
