"""The files in which the processes count, each in its own, so that one can tell of all.

It is the multiprocess mode of prometheus_client, whose files bear the process id. Here they bear
the role: a process that is started again counts on where the one before it died, and a node that
restarts its processes for a year leaves no more files than it has roles. Only one process at a time
plays a role (`dicomnode.processes`).
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

KINDS = ("counter", "histogram", "gauge_livesum", "gauge_livemostrecent")
"""Of the values that are counted: a file each (`multiprocess_mode` of a gauge)."""

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # environment variable of prometheus_client
_SIZE_BYTES = 1 << 20
"""Reserved for each file: about 4000 values. prometheus_client would make it sparse, and a process
that writes into such a file while the disk is full is killed by SIGBUS."""


def folder_in(data_directory: Path) -> Path:
    return data_directory / "metrics"


def begin_anew(folder: Path) -> None:
    """At the start of a node: the counters begin at 0, as Prometheus expects it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for file in folder.glob("*.db"):
            file.unlink()
    except OSError as error:
        log.warning("the former metrics cannot be removed: %s", error.strerror)


def count_as(role: str, folder: Path) -> None:
    """What this process counts from now on, others can read.

    To be called before `dicomnode.metrics.counters` is imported: a value is made where it stays.
    Where there is no room for the files it counts for itself alone: metrics end no receiver.
    """
    from prometheus_client import values

    try:
        for kind in KINDS:
            _reserve(folder / f"{kind}_{role}.db")
    except OSError as error:
        log.warning("metrics of this process are not told: %s", error.strerror)
        return
    os.environ[_FOLDER] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: role)  # type: ignore[no-untyped-call]


def _reserve(file: Path) -> None:
    with file.open("ab") as opened:
        os.posix_fallocate(opened.fileno(), 0, _SIZE_BYTES)


def forget(role: str, folder: Path) -> None:
    """The process that played this role is dead: what it measured of itself holds no more."""
    try:
        for file in folder.glob(f"gauge_live*_{role}.db"):
            file.unlink(missing_ok=True)
    except OSError as error:  # a disk that takes nothing must not end the supervisor
        log.warning("what %s measured is told still: %s", role, error.strerror)
