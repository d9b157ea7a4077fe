"""The alert rules by Prometheus' own tool: valid; each fires when it should and not otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.sources import ROOT
from support.tools import promtool

RULES = ROOT / "etc" / "prometheus" / "alerts.yml"
GIB = 1 << 30
LONG = "+0x120"
"""Two hours of the same value, a sample a minute."""

CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "DicomnodeDown": ({"up": "0"}, {"up": "1"}),
    "DicomnodeNotWatched": (
        {"dicomnode_looked_at_timestamp_seconds": "3000+0x120"},
        {"dicomnode_looked_at_timestamp_seconds": "0+60x120"},
    ),
    "DicomnodeNotReady": ({"dicomnode_ready": "0"}, {"dicomnode_ready": "1"}),
    "DicomnodeDatabaseAway": ({"dicomnode_database_up": "0"}, {"dicomnode_database_up": "1"}),
    "DicomnodeSourceSilent": (
        {'dicomnode_troubles{kind="source_silent",severity="warning"}': "1"},
        {'dicomnode_troubles{kind="clock_set",severity="warning"}': "1"},
    ),
    "DicomnodeQueueLate": (
        {'dicomnode_job_oldest_due_seconds{kind="analyse"}': "1801"},
        {'dicomnode_job_oldest_due_seconds{kind="analyse"}': "1700"},
    ),
    "DicomnodeDeliveriesLate": (
        {'dicomnode_delivery_oldest_seconds{destination="pacs"}': "901"},
        {'dicomnode_delivery_oldest_seconds{destination="pacs"}': "0+5x120"},
    ),
    "DicomnodeDeliveriesParked": (
        {'dicomnode_deliveries{destination="pacs",state="refused"}': "1"},
        {'dicomnode_deliveries{destination="pacs",state="held"}': "1"},
    ),
    "DicomnodePromiseLate": (
        {'dicomnode_promise_oldest_seconds{destination="pacs"}': "14401"},
        {'dicomnode_promise_oldest_seconds{destination="pacs"}': "600"},
    ),
    "DicomnodeSealingLate": (
        {"dicomnode_unsealed_oldest_seconds": "1801"},
        {"dicomnode_unsealed_oldest_seconds": "0+5x120"},
    ),
    "DicomnodeCanaryFailed": ({"dicomnode_canary_passed": "0"}, {"dicomnode_canary_passed": "1"}),
    "DicomnodeCanaryLate": (
        {'dicomnode_troubles{kind="canary_late",severity="warning"}': "1"},
        {'dicomnode_troubles{kind="canary_failed",severity="error"}': "1"},
    ),
    "DicomnodeDiskNearFull": (
        {
            'dicomnode_disk_bytes{part="free"}': f"{100 * GIB}-{GIB // 10}x120",
            "dicomnode_disk_refuse_below_bytes": f"{GIB}",
        },
        {
            'dicomnode_disk_bytes{part="free"}': f"{100 * GIB}",
            "dicomnode_disk_refuse_below_bytes": f"{GIB}",
        },
    ),
    "DicomnodeDiskFull": (
        {
            'dicomnode_disk_bytes{part="free"}': f"{GIB - 1}",
            "dicomnode_disk_refuse_below_bytes": f"{GIB}",
        },
        {
            'dicomnode_disk_bytes{part="free"}': f"{2 * GIB}",
            "dicomnode_disk_refuse_below_bytes": f"{GIB}",
        },
    ),
    "DicomnodeCertificateEnding": (
        {'dicomnode_certificate_expiry_timestamp_seconds{certificate="receive.tls"}': "2000000"},
        {'dicomnode_certificate_expiry_timestamp_seconds{certificate="receive.tls"}': "9000000"},
    ),
    "DicomnodeCertificateEnded": (
        {'dicomnode_certificate_expiry_timestamp_seconds{certificate="receive.tls"}': "3000"},
        {'dicomnode_certificate_expiry_timestamp_seconds{certificate="receive.tls"}': "2000000"},
    ),
    "DicomnodeProcessDown": (
        {'dicomnode_process_up{role="worker-1"}': "0"},
        {'dicomnode_process_up{role="worker-1"}': "1"},
    ),
    "DicomnodeProcessLost": (
        {'dicomnode_process_restarts_total{role="worker-1"}': "0+0x110 1+0x20"},
        {'dicomnode_process_restarts_total{role="worker-1"}': "1"},
    ),
    "DicomnodeAnalysesFail": (
        {'dicomnode_analyses_total{outcome="failed"}': "0+0x110 1+0x20"},
        {'dicomnode_analyses_total{outcome="analysed"}': "0+1x120"},
    ),
    "DicomnodePeerRejected": (
        {'dicomnode_associations_rejected_total{reason="no_reason_given"}': "0+0x110 3+0x20"},
        {'dicomnode_associations_rejected_total{reason="no_reason_given"}': "3"},
    ),
    "DicomnodeInstancesRefused": (
        {'dicomnode_instances_refused_total{status="0xA700"}': "0+0x110 3+0x20"},
        {'dicomnode_instances_refused_total{status="0xA700"}': "3"},
    ),
    "DicomnodeTrouble": (
        {'dicomnode_troubles{kind="job_stuck",severity="error"}': "1"},
        {'dicomnode_troubles{kind="clock_set",severity="warning"}': "1"},
    ),
}
"""By alert: series with which it fires after two hours, and with which it does not."""


def inputs(series: dict[str, str], instance: str) -> list[dict[str, str]]:
    return [
        {"series": _of_node(name, instance), "values": values if "x" in values else values + LONG}
        for name, values in series.items()
    ]


def _of_node(name: str, instance: str) -> str:
    bare, _, labels = name.rstrip("}").partition("{")
    node = f'instance="{instance}",job="dicomnode"'
    return f"{bare}{{{node}{',' if labels else ''}{labels}}}"


def firing(alert: str, instance: str, times: int) -> dict[str, Any]:
    which = f'alertname="{alert}",alertstate="firing",instance="{instance}"'
    expected = [{"labels": "{}", "value": times}] if times else []
    return {"expr": f"count(ALERTS{{{which}}})", "eval_time": "2h", "exp_samples": expected}


def test_each_rule_fires_when_it_should_and_not_otherwise(tmp_path: Path) -> None:
    """Each on a node of its own, all at once."""
    series, asked = [], []
    for alert, (loud, quiet) in CASES.items():
        series += inputs(loud, alert) + inputs(quiet, f"{alert}, quiet")
        asked += [firing(alert, alert, 1), firing(alert, f"{alert}, quiet", 0)]
    tests = [{"interval": "1m", "input_series": series, "promql_expr_test": asked}]
    file = tmp_path / "tests.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "tests": tests}))
    assert promtool("test", "rules", str(file)) == ""


def test_the_rules_are_valid_and_each_is_tried() -> None:
    assert promtool("check", "rules", str(RULES)) == ""
    lines = RULES.read_text().splitlines()
    named = [line.partition("alert: ")[2] for line in lines if "- alert: " in line]
    assert named == list(CASES)


def test_the_example_of_a_scrape_is_valid() -> None:
    file = RULES.with_name("scrape.yml")
    assert promtool("check", "config", "--syntax-only", str(file)) == ""
