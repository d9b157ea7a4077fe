"""What was seen of the node at the last look at it, as metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dicomnode.decisions.operating.facts import Facts
from dicomnode.decisions.operating.judge import not_ready
from dicomnode.decisions.operating.troubles import Trouble
from dicomnode.version import VERSION

_Row = tuple[tuple[str, ...], float]


class LookedAt(Collector):
    """`troubles`: what was judged of these facts."""

    def __init__(self, facts: Facts, troubles: Iterable[Trouble]) -> None:
        self._facts, self._troubles = facts, tuple(troubles)

    def collect(self) -> Iterator[Metric]:
        yield from self._of_the_node()
        yield from self._of_processes()
        yield from self._of_the_machine()
        yield from self._of_the_queue()
        yield from self._of_deliveries()
        yield from self._of_peers()

    def _of_the_node(self) -> Iterator[Metric]:
        facts = self._facts
        kinds: dict[tuple[str, ...], float] = {}
        for each in self._troubles:
            key = (each.kind, each.severity.value)
            kinds[key] = kinds.get(key, 0) + 1
        yield _gauge("build_info", "Version of the product; 1.", [((VERSION,), 1)], "version")
        yield _gauge(
            "looked_at_timestamp_seconds",
            "When the monitor last looked at the node; what is told of its state is as old.",
            [((), facts.at.timestamp())],
        )
        yield _gauge(
            "ready",
            "1 where instances are taken and all that is needed for it is there.",
            [((), not not_ready(facts))],
        )
        yield _gauge(
            "troubles",
            "What troubles the node now, as `dicomnode status` tells it, by kind.",
            kinds.items(),
            "kind",
            "severity",
        )
        yield _gauge(
            "database_up", "1 where the database answers.", [((), facts.database_fault is None)]
        )

    def _of_processes(self) -> Iterator[Metric]:
        node = self._facts.node
        if node is None:
            return
        yield _gauge(
            "start_timestamp_seconds",
            "When the node was started.",
            [((), node.started_at.timestamp())],
        )
        yield _gauge(
            "process_up",
            "1 while the process of this role runs.",
            [((each.role,), each.pid is not None) for each in node.processes],
            "role",
        )
        restarts = CounterMetricFamily(
            "dicomnode_process_restarts",
            "How often the process of this role died and was started again.",
            labels=["role"],
        )
        for each in node.processes:
            restarts.add_metric([each.role], each.starts - 1)
        yield restarts

    def _of_the_machine(self) -> Iterator[Metric]:
        facts, disk = self._facts, self._facts.disk
        if disk is not None:
            sizes = [(("free",), disk.free_bytes), (("used",), disk.total_bytes - disk.free_bytes)]
            yield _gauge("disk_bytes", "Disk of the data directory.", sizes, "part")
            yield _gauge(
                "disk_refuse_below_bytes",
                "With less free space instances are refused (0xA700).",
                [((), facts.setup.disk.refuse_below_bytes)],
            )
        if facts.unsealed is not None:
            unsealed = facts.unsealed
            yield _gauge(
                "unsealed_series",
                "Series that came to rest and are not in the object store yet, 1000 at most.",
                [((), unsealed.series)],
            )
            yield _gauge(
                "unsealed_oldest_seconds",
                "How long the oldest of them could have been sealed; 0 where none is left.",
                [((), _age(unsealed.oldest_due_at, facts.at))],
            )
        yield _gauge(
            "certificate_expiry_timestamp_seconds",
            "When the certificate in a file of the configuration ends.",
            [
                ((each.what,), each.ends_at.timestamp())
                for each in facts.certificates
                if each.ends_at is not None
            ],
            "certificate",
        )

    def _of_the_queue(self) -> Iterator[Metric]:
        facts, work = self._facts, self._facts.work
        yield _gauge(
            "series_of_last_day",
            "Series that received an instance in the last 24 hours, by their state.",
            [((state.value,), count) for state, count in work.series.items()],
            "state",
        )
        jobs = [
            ((each.kind.value, state), count)
            for each in work.jobs
            for state, count in (("queued", each.queued), ("running", each.running))
        ]
        yield _gauge("jobs", "Jobs that wait or run, by kind.", jobs, "kind", "state")
        yield _gauge(
            "job_oldest_due_seconds",
            "How long the job waits that could have been begun first; 0 where none does.",
            [((each.kind.value,), _age(each.oldest_due_at, facts.at)) for each in work.jobs],
            "kind",
        )

    def _of_deliveries(self) -> Iterator[Metric]:
        facts, work = self._facts, self._facts.work
        objects: dict[tuple[str, ...], float] = {}
        for each in work.deliveries:
            objects[each.destination, "on_the_way"] = each.count
            objects[each.destination, "held"] = each.held
        for parked in work.parked:
            key = (parked.destination, parked.state)
            objects[key] = objects.get(key, 0) + parked.count
        for promise in work.promises:
            objects[promise.destination, "awaits_promise"] = promise.count
        yield _gauge(
            "deliveries",
            "Objects for a destination that have not arrived for good: on_the_way, of these held "
            "as it is away; refused; failed; stored and awaits_promise to be kept.",
            objects.items(),
            "destination",
            "state",
        )
        yield _gauge(
            "delivery_oldest_seconds",
            "How long the oldest object on its way to a destination has waited.",
            [((each.destination,), _age(each.oldest_at, facts.at)) for each in work.deliveries],
            "destination",
        )
        yield _gauge(
            "promise_oldest_seconds",
            "How long the oldest object is stored whose promise to be kept is awaited.",
            [
                ((each.destination,), _age(each.oldest_stored_at, facts.at))
                for each in work.promises
            ],
            "destination",
        )

    def _of_peers(self) -> Iterator[Metric]:
        work = self._facts.work
        yield _gauge(
            "source_last_arrival_timestamp_seconds",
            "When the last instance of a sender came.",
            [((_shown(each.ae_title),), each.last_at.timestamp()) for each in work.sources],
            "calling_ae_title",
        )
        ended, passed = work.last_ended, work.last_passed
        yield _gauge(
            "canary_passed",
            "1 where the last run of the canary that ended has passed.",
            [((), bool(ended.passed))] if ended else [],
        )
        yield _gauge(
            "canary_last_passed_timestamp_seconds",
            "When the last run of the canary began that passed.",
            [((), passed.started_at.timestamp())] if passed else [],
        )


def _gauge(name: str, words: str, rows: Iterable[_Row], *labels: str) -> Metric:
    metric = GaugeMetricFamily(f"dicomnode_{name}", words, labels=labels)
    for values, number in rows:
        metric.add_metric(values, float(number))
    return metric


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


def _shown(title: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in title)
