"""What the processes have counted, for a page that shows some of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector


@dataclass(frozen=True)
class StageTimes:
    """How long a stage took: `half_within`, `most_within` seconds half and 95 % of the series, each
    the limit of a bucket; infinite beyond the last one."""

    count: int
    half_within: float
    most_within: float


@dataclass(frozen=True)
class Counted:
    """`models`: bundles that a worker has loaded: name, version, what it was trained on."""

    stages: dict[str, StageTimes] = field(default_factory=dict)
    models: tuple[tuple[str, str, str], ...] = ()


def read_back(folder: Path) -> Counted:
    """Since the start of the node.

    Raises:
        RuntimeError: a file there holds something else.
    """
    if not folder.is_dir():
        return Counted()
    collector = MultiProcessCollector(None, str(folder))  # type: ignore[no-untyped-call]
    collected = collector.collect()  # type: ignore[no-untyped-call]
    found: dict[str, Metric] = {each.name: each for each in collected}
    stages, models = found.get("dicomnode_stage_seconds"), found.get("dicomnode_model_info")
    return Counted(_stages(stages) if stages else {}, _models(models) if models else ())


def _stages(metric: Metric) -> dict[str, StageTimes]:
    buckets: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for sample in metric.samples:
        if sample.name.endswith("_bucket"):
            buckets[sample.labels["stage"]].append((float(sample.labels["le"]), sample.value))
    return {stage: _times(sorted(found)) for stage, found in buckets.items() if max(found)[1]}


def _times(buckets: list[tuple[float, float]]) -> StageTimes:
    count = buckets[-1][1]
    return StageTimes(int(count), _within(buckets, count / 2), _within(buckets, count * 0.95))


def _within(buckets: Iterable[tuple[float, float]], count: float) -> float:
    return next(limit for limit, reached in buckets if reached >= count)


def _models(metric: Metric) -> tuple[tuple[str, str, str], ...]:
    labels = (sample.labels for sample in metric.samples)
    return tuple(sorted({(each["bundle"], each["version"], each["training"]) for each in labels}))
