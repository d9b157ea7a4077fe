"""What was looked at: plain values of processes, database, file system, configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dicomnode.decisions.arrival.admission import AdmissionPolicy
from dicomnode.decisions.arrival.disk import DiskPolicy, DiskSpace
from dicomnode.decisions.operating.processes import NodeState
from dicomnode.decisions.operating.troubles import Severity
from storage.overview_records import (
    AwaitedPromises,
    CanaryRun,
    DamagedObjects,
    FailedSeries,
    NeedsWaiting,
    Node,
    OpenDeliveries,
    OpenJobs,
    ParkedDeliveries,
    Refused,
    RunningJob,
    Source,
    Strain,
    TroubleRecord,
    Unsealed,
)
from storage.records import SeriesState


@dataclass(frozen=True)
class Blind:
    """What could not be looked at, and why, without values of patients. `remedy`: where it is known
    better than that something may not be read."""

    what: str
    why: str
    remedy: str = ""


@dataclass(frozen=True)
class CertificateFile:
    """A file of certificates. `what`: whose, as "receive.tls" or "destinations.pacs peer_ca".

    `ends_at`: of the one that ends first; of an authority's file with many, of the last. None where
    it cannot be read, for the reason `fault`.
    """

    what: str
    path: str
    ends_at: datetime | None
    fault: str = ""


@dataclass(frozen=True)
class ClockStep:
    """The clock was set. `seconds`: forwards, or backwards where it is less than 0."""

    at: datetime
    seconds: float


@dataclass(frozen=True)
class Setup:
    """What of the configuration the judgement asks for."""

    disk: DiskPolicy = field(default_factory=DiskPolicy)
    deadline_seconds: float = 900.0
    admission: AdmissionPolicy = field(default_factory=AdmissionPolicy)
    database_serves: bool = False  # a server has it, and no file of the data directory
    canary_seconds: float | None = None
    """A run of the canary that began longer ago is overdue; None: none runs by itself."""

    ways: tuple[str, ...] = ()
    """By which troubles are to be told, beside the log; of weight `least` or more."""

    least: Severity = Severity.WARNING
    told_within_seconds: float = 900.0


@dataclass(frozen=True)
class Work:
    """What the database tells."""

    deliveries: tuple[OpenDeliveries, ...] = ()
    parked: tuple[ParkedDeliveries, ...] = ()
    promises: tuple[AwaitedPromises, ...] = ()
    jobs: tuple[OpenJobs, ...] = ()
    running: tuple[RunningJob, ...] = ()
    failed: tuple[FailedSeries, ...] = ()
    series: Mapping[SeriesState, int] = field(default_factory=dict)  # of the last day
    sources: tuple[Source, ...] = ()
    newest_arrival_at: datetime | None = None
    refused: tuple[Refused, ...] = ()
    canary: tuple[CanaryRun, ...] = ()  # the last run, the last that ended, the last that passed
    noted: tuple[TroubleRecord, ...] = ()  # the troubles that last, as the monitor noted them
    nodes: tuple[Node, ...] = ()  # that share the database
    workers: tuple[Node, ...] | None = None  # nodes that live and have workers; None: not known
    waiting: tuple[NeedsWaiting, ...] = ()  # analyses that could be begun
    strain: Strain = field(default_factory=Strain)
    damaged: DamagedObjects | None = None  # objects of the store; None: none is known

    @property
    def last_ended(self) -> CanaryRun | None:
        return next((each for each in self.canary if each.ended_at is not None), None)

    @property
    def last_passed(self) -> CanaryRun | None:
        return next((each for each in self.canary if each.passed), None)


@dataclass(frozen=True)
class Facts:
    """A node at one moment. What could not be looked at is empty, and named in `blind`.

    `at`: in local time. `node`: None where no supervisor has written anything. `running`: whether a
    node holds the data directory; None where that cannot be told. `database_fault`: why it does not
    answer, or None.
    """

    at: datetime
    setup: Setup = Setup()
    node: NodeState | None = None
    running: bool | None = None
    database_fault: str | None = None
    disk: DiskSpace | None = None
    read_only: bool = False  # the file system of the data directory takes nothing
    certificates: tuple[CertificateFile, ...] = ()
    clock_step: ClockStep | None = None
    http_fault: str = ""  # why the status page is not served, though it should be
    work: Work = Work()
    blind: tuple[Blind, ...] = ()
    unsealed: Unsealed | None = None  # None: nothing is to be sealed, or nobody has told yet
    disk_of: str = ""  # where the folder of the instances is not there yet, the nearest around it
    refusing: bool = False  # instances are not taken, and not before there is more room again
