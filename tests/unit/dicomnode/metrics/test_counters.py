"""Names, words and labels of what is counted."""

from __future__ import annotations

import re

import pytest
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from dicomnode.decisions.arrival.admission import RejectReason
from dicomnode.metrics.counters import (
    LOCAL_LIMIT,
    OTHERS,
    REGISTRY,
    REJECT_REASONS,
    Bounded,
    count_received,
)
from storage.records import AssociationEnd
from support.counted import counted

ALL = {each.name: each for each in REGISTRY.collect()}


@pytest.mark.parametrize("name", ALL)
def test_each_has_a_name_of_the_product_and_a_sentence(name: str) -> None:
    metric: Metric = ALL[name]
    assert re.fullmatch("dicomnode_[a-z_]+[a-z]", name)
    assert re.fullmatch(r"[A-Z].+\.", metric.documentation)
    if metric.type == "histogram" and name != "dicomnode_class_score":
        assert name.endswith("_seconds")


def test_no_label_names_a_patient_or_an_object() -> None:
    labels = {label for each in ALL.values() for s in each.samples for label in s.labels}
    labels |= {
        label
        for each in REGISTRY._names_to_collectors.values()
        for label in getattr(each, "_labelnames", ())
    }
    assert not {label for label in labels if re.search("uid|patient|accession|study", label)}
    assert "calling_ae_title" in labels


def test_titles_of_strangers_are_bounded_in_number_and_in_length() -> None:
    bounded = Bounded(2, 16)
    assert bounded("CT1") == ("CT1",)
    assert bounded("A\nB\x1b" + "x" * 40) == ("A?B?" + "x" * 12,)
    assert bounded("CT2") == (OTHERS,)
    assert bounded("CT1") == ("CT1",)
    assert Bounded(0)("maker", "model") == (OTHERS, OTHERS)


def test_what_no_text_can_hold_is_told_all_the_same() -> None:
    before = counted("instances_received_total", calling_ae_title='?"\\x')
    count_received('\udcff"\\x', 10)
    assert counted("instances_received_total", calling_ae_title='?"\\x') == before + 1
    families = text_string_to_metric_families(generate_latest(REGISTRY).decode())
    assert {each.name for each in families} >= set(ALL)


def test_what_may_happen_is_told_as_0_before_it_does() -> None:
    """An event that is the first sample of its series is no increase, and no alert."""
    assert set(REJECT_REASONS) == {each.name.lower() for each in RejectReason} | {LOCAL_LIMIT}
    told = {
        (sample.name, value)
        for each in REGISTRY.collect()
        for sample in each.samples
        for value in sample.labels.values()
    }
    for ending in AssociationEnd:
        assert ("dicomnode_associations_ended_total", ending.value) in told
    for reason in REJECT_REASONS:
        assert ("dicomnode_associations_rejected_total", reason) in told
    assert ("dicomnode_instances_refused_total", "0xA700") in told
    assert ("dicomnode_analyses_total", "failed") in told
