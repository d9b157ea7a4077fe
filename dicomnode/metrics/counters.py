"""What is counted where it happens: in receivers, assessor, workers and deliverer.

What the database can tell is read there when somebody asks, and not counted here. The values begin
at 0 with each start of the node. Labels are words of the configuration and of this product; the
others, which come from outside, are bounded in number.
"""

from __future__ import annotations

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()
"""All of them. What other processes have counted is not in it: see `dicomnode.metrics.files`."""

OTHERS = "(others)"


class Bounded:
    """Label values that come from outside: the first `most`; all further ones are `OTHERS`."""

    def __init__(self, most: int, longest: int = 64) -> None:
        self._most, self._longest = most, longest
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}

    def __call__(self, *values: str) -> tuple[str, ...]:
        """As they may be shown: printable, no longer than `longest` characters."""
        fit = self._known.get(values)
        if fit is None:
            if len(self._known) >= self._most:
                return (OTHERS,) * len(values)
            fit = self._known[values] = tuple(self._fit(each) for each in values)
        return fit

    def _fit(self, value: str) -> str:
        return "".join(c if c.isprintable() else "?" for c in value)[: self._longest]


LOCAL_LIMIT = "local_limit_exceeded"
REJECT_REASONS = (
    "no_reason_given",
    "calling_ae_title_not_recognized",
    "called_ae_title_not_recognized",
    LOCAL_LIMIT,
)

_caller = Bounded(100, 16)

ASSOCIATIONS_ACCEPTED = Counter(
    "dicomnode_associations_accepted",
    "Associations that were accepted, C-ECHO among them.",
    ["calling_ae_title"],
    registry=REGISTRY,
)
ASSOCIATIONS_REJECTED = Counter(
    "dicomnode_associations_rejected",
    "Associations that were rejected, by what the peer was told (PS3.8 table 9-21).",
    ["reason"],
    registry=REGISTRY,
)
ASSOCIATIONS_ENDED = Counter(
    "dicomnode_associations_ended",
    "Associations that brought instances, by how they ended.",
    ["ending"],
    registry=REGISTRY,
)
ASSOCIATIONS_OPEN = Gauge(
    "dicomnode_associations_open",
    "Associations that have brought instances and have not ended.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
INSTANCES_RECEIVED = Counter(
    "dicomnode_instances_received",
    "Instances that were stored and answered 0x0000, repeated ones among them.",
    ["calling_ae_title"],
    registry=REGISTRY,
)
RECEIVED_BYTES = Counter(
    "dicomnode_received_bytes",
    "Bytes of the files of received instances.",
    ["calling_ae_title"],
    registry=REGISTRY,
)
INSTANCES_REFUSED = Counter(
    "dicomnode_instances_refused",
    "C-STORE requests that were answered with a failure, by status (PS3.4 table B.2-1).",
    ["status"],
    registry=REGISTRY,
)
INSTANCES_NOT_INDEXED = Gauge(
    "dicomnode_instances_not_indexed",
    "Arrivals that are durable as files and wait in memory for the index in the database.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
SERIES_DECIDED = Counter(
    "dicomnode_series_decided",
    "Decisions on complete series: to be analysed (queued), or not (skipped).",
    ["decision"],
    registry=REGISTRY,
)
SERIES_SKIPPED = Counter(
    "dicomnode_series_skipped",
    "Series that were not analysed, once for each rule that spoke against it.",
    ["rule"],
    registry=REGISTRY,
)
ANALYSES = Counter(
    "dicomnode_analyses",
    "Attempts at an analysis, by how they ended; put_back ones are tried again.",
    ["outcome"],
    registry=REGISTRY,
)
STAGE_SECONDS = Histogram(
    "dicomnode_stage_seconds",
    "Time of a series in a stage, once a series: completeness (last slice to decision), queue, "
    "analysis, delivery (to the last object stored), commitment; total from last slice to the last "
    "stage that its destination has.",
    ["stage"],
    buckets=(1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400),
    registry=REGISTRY,
)
CLASS_SCORE = Histogram(
    "dicomnode_class_score",
    "Score of a class in an analysed series, by scanner, method and version of its model bundle.",
    ["manufacturer", "model_name", "method", "bundle", "version", "finding"],
    buckets=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    registry=REGISTRY,
)
DELIVERY_ATTEMPTS = Counter(
    "dicomnode_delivery_attempts",
    "Objects that were sent to a destination, by what came of it: stored; again, tried later; "
    "hopeless, refused for good; ours, a fault on this side.",
    ["destination", "outcome"],
    registry=REGISTRY,
)
DELIVERED_BYTES = Counter(
    "dicomnode_delivered_bytes",
    "Bytes of the objects that a destination stored.",
    ["destination"],
    registry=REGISTRY,
)
DESTINATION_AWAY = Counter(
    "dicomnode_destination_away",
    "How often a destination was found away as a whole; what waits for it is held.",
    ["destination"],
    registry=REGISTRY,
)
OBJECTS_COMMITTED = Counter(
    "dicomnode_objects_committed",
    "Objects that a destination promised to keep (storage commitment).",
    ["destination"],
    registry=REGISTRY,
)
OBJECTS_NOT_COMMITTED = Counter(
    "dicomnode_objects_not_committed",
    "Objects for which a destination reported a failure of storage commitment.",
    ["destination"],
    registry=REGISTRY,
)
MODEL_INFO = Gauge(
    "dicomnode_model_info",
    "Model bundle that a worker has loaded; 1.",
    ["bundle", "version", "training"],
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
GPU_MEMORY = Gauge(
    "dicomnode_gpu_memory_bytes",
    "Memory of the GPU that a worker computes on, of all programs, after its last analysis.",
    ["device", "part"],
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)

_KNOWN: tuple[tuple[Counter, tuple[str, ...]], ...] = (
    (ASSOCIATIONS_REJECTED, REJECT_REASONS),
    (ASSOCIATIONS_ENDED, ("released", "aborted", "lost")),
    (INSTANCES_REFUSED, ("0xA700", "0xA900", "0xC000")),
    (SERIES_DECIDED, ("queued", "skipped")),
    (ANALYSES, ("analysed", "skipped", "failed", "superseded", "put_back")),
)
for _counter, _values in _KNOWN:
    for _value in _values:
        _counter.labels(_value)  # told as 0 from the start: else the first event is no increase


def count_accepted(calling_ae_title: str) -> None:
    """An association."""
    ASSOCIATIONS_ACCEPTED.labels(*_caller(calling_ae_title)).inc()


def count_received(calling_ae_title: str, size_bytes: int) -> None:
    """An instance, with the size of its file."""
    caller = _caller(calling_ae_title)
    INSTANCES_RECEIVED.labels(*caller).inc()
    RECEIVED_BYTES.labels(*caller).inc(size_bytes)


def count_decided(failed_rules: Collection[str]) -> None:
    """A decision on a complete series."""
    SERIES_DECIDED.labels("skipped" if failed_rules else "queued").inc()
    for rule in failed_rules:
        SERIES_SKIPPED.labels(rule).inc()


def expect_destination(name: str, outcomes: Collection[str]) -> None:
    """Told as 0 from the start, as the others."""
    for outcome in outcomes:
        DELIVERY_ATTEMPTS.labels(name, outcome)
    for each in (DESTINATION_AWAY, OBJECTS_COMMITTED, OBJECTS_NOT_COMMITTED, DELIVERED_BYTES):
        each.labels(name)
