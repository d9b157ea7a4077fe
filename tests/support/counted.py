"""What this process has counted so far."""

from __future__ import annotations

from dicomnode.metrics.counters import REGISTRY


def counted(name: str, **labels: str) -> float:
    """The value of a sample of `dicomnode.metrics.counters`; 0 where none was counted."""
    return REGISTRY.get_sample_value(f"dicomnode_{name}", labels) or 0.0


def stage_seconds(stage: str) -> tuple[float, float]:
    """How often a stage was observed, and for how many seconds in sum."""
    count = counted("stage_seconds_count", stage=stage)
    return count, counted("stage_seconds_sum", stage=stage)
