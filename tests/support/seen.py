"""A node in the middle of a working day, with a bit of everything that can be seen of one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dicomnode.decisions.arrival.disk import DiskSpace
from dicomnode.decisions.operating.facts import CertificateFile, Facts, Setup, Work
from dicomnode.decisions.operating.processes import NodeState, ProcessEnd, ProcessState
from storage.overview_records import (
    AwaitedPromises,
    CanaryRun,
    FailedSeries,
    OpenDeliveries,
    OpenJobs,
    ParkedDeliveries,
    Refused,
    RunningJob,
    Source,
)
from storage.records import JobKind, SeriesState

AT = datetime(2026, 3, 2, 11, 30, tzinfo=UTC)
KEY = "1.2.826.0.1.3680043.10.777.20260302.113000.4711"
"""Of a series."""


def ago(**span: float) -> datetime:
    return AT - timedelta(**span)


def _process(role: str, pid: int | None = 700, ends: tuple[ProcessEnd, ...] = ()) -> ProcessState:
    return ProcessState(role, pid, ago(hours=3), 1 + len(ends), ends)


def quiet_node() -> Facts:
    """Nothing troubles it."""
    roles = ("receiver-1", "receiver-2", "monitor", "assessor", "deliverer", "cleaner", "worker-1")
    return Facts(
        at=AT,
        setup=Setup(canary_seconds=93600.0),
        node=NodeState("1.0.0", "node", 640, ago(days=4), None, tuple(map(_process, roles))),
        running=True,
        disk=DiskSpace(420 << 30, 930 << 30),
        certificates=(CertificateFile("receive.tls", "/etc/dicomnode/node.pem", ago(days=-200)),),
        work=Work(
            jobs=(OpenJobs(JobKind.ASSESS, 2, 0, None),),
            series={
                SeriesState.RECEIVING: 2,
                SeriesState.ANALYSED: 148,
                SeriesState.SKIPPED: 391,
            },
            sources=(
                Source("CT1", ago(minutes=4), ((ago(hours=2), 7),)),
                Source("CT2", ago(minutes=11), ((ago(hours=2), 5),)),
            ),
            newest_arrival_at=ago(minutes=4),
            canary=(
                CanaryRun("nightly", "committed", ago(hours=9), ago(hours=8.9), True, "took 41 s"),
            ),
        ),
    )


def troubled_node() -> Facts:
    """Hardly anything works."""
    killed = ProcessEnd(ago(minutes=3), -9, "killed by the kernel: out of memory")
    return Facts(
        at=AT,
        setup=Setup(canary_seconds=93600.0),
        node=NodeState(
            "1.0.0",
            "node",
            640,
            ago(days=4),
            None,
            (_process("receiver-1"), _process("worker-1", None, (killed, killed, killed))),
        ),
        running=True,
        disk=DiskSpace(3 << 30, 930 << 30),
        certificates=(CertificateFile("receive.tls", "/etc/dicomnode/node.pem", ago(days=-6)),),
        http_fault="",
        work=Work(
            deliveries=(OpenDeliveries("pacs", 212, ago(hours=2), 212, "no answer to C-STORE"),),
            parked=(
                ParkedDeliveries("archive", "refused", "report", 9, "0x0122 class refused", KEY),
            ),
            promises=(AwaitedPromises("pacs", 40, ago(hours=5)),),
            jobs=(OpenJobs(JobKind.ANALYSE, 61, 1, ago(minutes=55)),),
            running=(RunningJob(KEY, JobKind.ANALYSE, 2, ago(hours=1), ago(minutes=30)),),
            failed=(FailedSeries(KEY, ("pixels",), ago(hours=1)),),
            series={SeriesState.QUEUED: 61, SeriesState.ANALYSED: 12, SeriesState.FAILED: 3},
            sources=(Source("CT1", ago(hours=7), ((ago(days=7, hours=2), 9),)),),
            newest_arrival_at=ago(hours=7),
            refused=(
                Refused(
                    "association",
                    "MR9",
                    "192.0.2.9",
                    "calling AE title not recognized",
                    "MR9 is not known",
                    14,
                    ago(hours=1),
                    ago(minutes=2),
                ),
                Refused(
                    "instance", "CT1", "192.0.2.1", "0xA900", "UIDs differ", 3, AT, ago(minutes=9)
                ),
            ),
            canary=(CanaryRun("nightly", "deliver", ago(hours=9), ago(hours=8), False, "refused"),),
        ),
    )
