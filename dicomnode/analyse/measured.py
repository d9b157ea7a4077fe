"""What an analysis that was kept adds to the metrics: times, scores, and the memory of the GPU."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime

from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.metrics.counters import ANALYSES, CLASS_SCORE, GPU_MEMORY, Bounded
from dicomnode.metrics.stages import observe_analysed
from inference.findings import Findings
from storage.canary_runs import CANARY_AE_TITLE
from storage.records import SeriesRecord

_scanner = Bounded(20)


def measure(
    decided: SeriesRecord,
    header: InstanceHeader,
    findings: Sequence[Findings],
    began_at: datetime,
    ended_at: datetime,
) -> None:
    """`decided`: the series as it was decided; `header`: of one of its slices."""
    if decided.calling_ae_title == CANARY_AE_TITLE:  # no patient
        return
    ANALYSES.labels("analysed").inc()
    observe_analysed(decided, began_at, ended_at)
    scanner = _scanner(header.manufacturer, header.manufacturer_model_name)
    for found in findings:
        by = (found.title.key, found.model.name, found.model.version)
        for name, score in zip(found.answer.names, found.answer.scores, strict=True):
            CLASS_SCORE.labels(*scanner, *by, name).observe(score)
    _measure_gpu()


def _measure_gpu() -> None:
    """Only where this process computes on one: to ask otherwise would begin to use it."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return
    name = torch.cuda.get_device_name()
    free, total = torch.cuda.mem_get_info()
    GPU_MEMORY.labels(name, "used").set(total - free)
    GPU_MEMORY.labels(name, "free").set(free)
