"""The dashboard and the alert rules ask for metrics that there are, in PromQL that is valid."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.judge import judge
from dicomnode.metrics.counters import REGISTRY
from dicomnode.metrics.looked_at import LookedAt
from storage.overview_records import Unsealed
from support.seen import AT, quiet_node, troubled_node
from support.sources import ROOT
from support.tools import promtool

DASHBOARD = json.loads((ROOT / "etc" / "grafana" / "dicomnode.json").read_text())
ALERTS = (ROOT / "etc" / "prometheus" / "alerts.yml").read_text()
_NAME = re.compile(r"\bdicomnode_[a-z_]+")
_LABELS = re.compile(r"\{([^{}]*)\}")


def known() -> dict[str, set[str]]:
    """The names of all samples, each with the labels that it may have."""
    found: dict[str, set[str]] = {}
    for metric in REGISTRY._names_to_collectors.values():
        name, labels = str(getattr(metric, "_name", "")), set(getattr(metric, "_labelnames", ()))
        kind = getattr(metric, "_type", "")
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        for ending in endings.get(kind, ("",)):
            found[name + ending] = labels | ({"le"} if ending == "_bucket" else set())
    shares = replace(quiet_node(), unsealed=Unsealed(AT, 1, oldest_due_at=AT))
    for facts in (quiet_node(), troubled_node(), shares):
        for each in LookedAt(facts, judge(facts, HealthPolicy(), AT)).collect():
            for sample in each.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


KNOWN = known()
SCRAPED = {"instance", "job"}
"""Labels that Prometheus itself adds."""


def panels() -> Iterator[dict[str, Any]]:
    yield from (each for each in DASHBOARD["panels"] if each["type"] != "row")


def expressions() -> list[str]:
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return asked + re.findall(r"expr: (.*)", ALERTS)


@pytest.mark.parametrize("expression", expressions())
def test_each_expression_asks_for_what_is_there(expression: str) -> None:
    names = set(_NAME.findall(expression))
    assert names or "up{" in expression
    assert names <= KNOWN.keys()
    allowed = SCRAPED.union(*(KNOWN[name] for name in names))
    for selector in _LABELS.findall(expression):
        assert set(re.findall(r"([a-z_]+)\s*[=!]", selector)) <= allowed
    for grouping in re.findall(r"by \(([^)]*)\)", expression):
        assert {each.strip() for each in grouping.split(",")} <= allowed
    assert (
        len(names) == 1 or not names or "or" in expression or "<" in expression or "/" in expression
    )


def test_every_metric_that_is_told_is_shown() -> None:
    shown = {name for each in expressions() for name in _NAME.findall(each)}
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in KNOWN}
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in shown} == families


def test_promtool_reads_every_expression(tmp_path: Path) -> None:
    asked = [each.replace('"$node"', '".*"') for each in expressions()]
    rules = [{"record": f"shown:{n}", "expr": each} for n, each in enumerate(asked)]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "shown", "rules": rules}]}))
    assert promtool("check", "rules", str(file)) == ""


def test_panels_overlap_nowhere_and_have_numbers_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        here = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not here & taken
        taken |= here
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
