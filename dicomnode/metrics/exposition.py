"""All of it in the text format that Prometheus reads."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


def exposition(folder: Path, *looked_at: Collector) -> bytes:
    """What all processes have counted into `folder`, and what was looked at besides.

    Raises:
        RuntimeError: a file there holds something else.
    """
    registry = CollectorRegistry()
    if folder.is_dir():
        MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    for each in looked_at:
        registry.register(each)
    return generate_latest(registry)
