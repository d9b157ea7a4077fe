"""What an analysis adds to the metrics."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from dicomnode.analyse.measured import measure
from dicomnode.decisions.instance_header import InstanceHeader
from inference.findings import (
    Answer,
    FindingClass,
    Findings,
    MethodTitle,
    ModelIdentity,
    Training,
)
from storage.canary_runs import CANARY_AE_TITLE
from support.counted import counted, stage_seconds
from support.storage_samples import NOW, a_series

COVID = FindingClass("COVID-19", "840539006", "SCT", "Disease caused by SARS-CoV-2", "COVID19")
OTHER = FindingClass("other", "49601007", "SCT", "Other", "OTHER")
FOUND = Findings(
    MethodTitle("lungs", "whole lungs", "by the lungs"),
    ModelIdentity("covnet", "1.2", "ab" * 32, Training.PATIENTS),
    Answer.of_probabilities((COVID, OTHER), (0.62, 0.38)),
    {"lungs": 1.0},
)


def measured(manufacturer: str, model_name: str, sender: str = "SCANNER") -> None:
    header = InstanceHeader(
        sop_instance_uid="1.2.3.1",
        sop_class_uid="1.2",
        series_instance_uid="1.2.3",
        study_instance_uid="1.2.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        manufacturer=manufacturer,
        manufacturer_model_name=model_name,
    )
    began = NOW + timedelta(seconds=3)
    series = replace(a_series(), calling_ae_title=sender)
    measure(series, header, [FOUND], began, began + timedelta(seconds=20))


def test_scores_are_counted_by_scanner_and_bundle_and_times_by_stage() -> None:
    labels = {"manufacturer": "ACME", "model_name": "Speed 64", "method": "lungs"}
    labels |= {"bundle": "covnet", "version": "1.2"}
    before = stage_seconds("analysis")
    analysed = counted("analyses_total", outcome="analysed")
    measured("ACME", "Speed 64")
    assert counted("class_score_sum", **labels, finding="COVID-19") == pytest.approx(0.62)
    assert counted("class_score_bucket", **labels, finding="COVID-19", le="0.6") == 0
    assert counted("class_score_bucket", **labels, finding="COVID-19", le="0.7") == 1
    assert counted("class_score_count", **labels, finding="other") == 1
    assert stage_seconds("analysis") == (before[0] + 1, before[1] + 20)
    assert counted("analyses_total", outcome="analysed") == analysed + 1


def test_the_canary_is_no_patient_and_is_not_counted() -> None:
    before, analysed = stage_seconds("analysis"), counted("analyses_total", outcome="analysed")
    measured("drawn", "canary", CANARY_AE_TITLE)
    assert stage_seconds("analysis") == before
    assert counted("analyses_total", outcome="analysed") == analysed


def test_a_gpu_is_asked_only_where_this_process_uses_one(monkeypatch: pytest.MonkeyPatch) -> None:
    used = SimpleNamespace(
        is_initialized=lambda: False,
        get_device_name=lambda: "GPU 1",
        mem_get_info=lambda: (30 << 30, 80 << 30),
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=used))
    measured("ACME", "Speed 64")
    assert counted("gpu_memory_bytes", device="GPU 1", part="used") == 0
    used.is_initialized = lambda: True
    measured("ACME", "Speed 64")
    assert counted("gpu_memory_bytes", device="GPU 1", part="used") == 50 << 30
    assert counted("gpu_memory_bytes", device="GPU 1", part="free") == 30 << 30
