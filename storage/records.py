"""The plain records that storage takes and returns.

All times are aware (UTC). Paths are relative to the folder of their kind and in POSIX form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from storage.decided import FormerDecision, HistoryEntry, JsonObject, Reason, SeriesEvidence

NOTE_KIND = "note"
"""`kind` of results that tell that a series was not analysed."""

RETRACTION_KIND = "retraction"
"""`kind` of results that withdraw others."""


class AssociationEnd(StrEnum):
    """How an association ended (PS3.8 section 7); LOST when the receiver died under it."""

    RELEASED = "released"
    ABORTED = "aborted"
    LOST = "lost"


class SeriesState(StrEnum):
    """Where a series is. Every series ends in SKIPPED, ANALYSED or FAILED, with reasons."""

    RECEIVING = "receiving"  # instances may still come
    QUEUED = "queued"  # decided: to be analysed; its job waits or runs
    ANALYSED = "analysed"  # results are in the outbox
    SKIPPED = "skipped"  # not eligible, with reasons
    FAILED = "failed"  # eligible, but could not be analysed, with reasons


OPEN_SERIES = (SeriesState.RECEIVING, SeriesState.QUEUED)
"""All others have ended."""


class JobKind(StrEnum):
    ASSESS = "assess"  # is the series complete, and may we analyse it?
    ANALYSE = "analyse"
    FETCH = "fetch"  # have its instances sent again: the node that had them is lost


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # ended by an error that another attempt would repeat
    PARKED = "parked"  # lost its worker too often; nobody takes it again by itself


class DeliveryState(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    STORED = "stored"  # the destination answered that it has it
    COMMITTED = "committed"  # it has promised to keep it (PS3.4 annex J)
    REFUSED = "refused"  # its answer is final: the same object would be refused again
    FAILED = "failed"  # given up after many attempts, or by a fault on our side
    ABANDONED = "abandoned"  # not wanted any more, or its destination is configured no more


ON_THEIR_WAY = (DeliveryState.WAITING, DeliveryState.SENDING)
ENDED_WITHOUT_ARRIVAL = frozenset(
    {DeliveryState.REFUSED, DeliveryState.FAILED, DeliveryState.ABANDONED}
)


class FileKind(StrEnum):
    """In which folder of the node a file lies."""

    INSTANCE = "instance"
    RESULT = "result"
    OBJECT = "object"  # in the object store


class ConflictState(StrEnum):
    """What is held of a further content under the UID of an instance."""

    OPEN = "open"  # not compared yet
    SAME = "same"  # the same in all that is read of it, and in its pixels
    FIRST = "first"  # other, and the one that came first stands
    REPLACED = "replaced"  # other, and this one gave way to one that came later
    HELD = "held"  # other, and a person has to choose
    TAKE_FIRST = "take_first"  # a person chose; done by the next look at the series
    TAKE_NEWEST = "take_newest"
    ELSEWHERE = "elsewhere"  # it names another series than the instance does


class Arrival(StrEnum):
    """What the index found when an instance was recorded."""

    NEW = "new"
    DUPLICATE = "duplicate"  # the same SOP Instance UID with the same content
    CONFLICT = "conflict"  # the same SOP Instance UID with other content: kept apart
    REMOVED = "removed"  # its file is gone by retention: it came before, and too late to count


@dataclass(frozen=True)
class Association:
    """An association that a peer opened with this node."""

    association_id: str
    node_id: str
    calling_ae_title: str
    called_ae_title: str
    peer_address: str
    opened_at: datetime
    ended_at: datetime | None = None
    end: AssociationEnd | None = None


@dataclass(frozen=True)
class StoredInstance:
    """One instance whose file is durable on disk. `sha256` is over the data set as received.

    `identity_digest`: whose it is; it is compared, and tells nobody. `series_key`: given by the
    index, empty before. `node_id`: on whose disk it lies. `object_name`, `object_offset`: where it
    is in the object store; None: not there.
    """

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    accession_number: str
    modality: str
    path: str
    size_bytes: int
    sha256: str
    association_id: str
    calling_ae_title: str
    received_at: datetime
    priority: int = 1  # Priority (0000,0700) as order of work: 0 high, 1 medium, 2 low
    identity_digest: str = ""
    series_key: str = ""
    node_id: str = ""
    object_name: str | None = None
    object_offset: int | None = None


@dataclass(frozen=True)
class SeriesArrival:
    """What has come for one series so far.

    `instance_count`: of all that named it, though known as instances of another series.
    `revision`: another number whenever anything came.
    """

    series_key: str
    series_instance_uid: str
    study_instance_uid: str
    instance_count: int
    first_received_at: datetime
    last_received_at: datetime
    open_associations: int  # associations that brought instances of it and have not ended
    last_association_ended_at: datetime | None
    last_association_end: AssociationEnd | None
    revision: int = 0


@dataclass(frozen=True)
class SeriesRecord:
    """One series as `queue` shows it, or one patient's part of it: see `series_key` of its row."""

    series_key: str
    series_instance_uid: str
    study_instance_uid: str
    accession_number: str
    modality: str
    calling_ae_title: str
    state: SeriesState
    instance_count: int
    priority: int
    first_received_at: datetime
    last_received_at: datetime
    decided_at: datetime | None
    ended_at: datetime | None
    input_digest: str | None  # of the sorted (SOP Instance UID, sha256) pairs decided upon
    completeness: SeriesEvidence | None  # the evidence that closed the series
    reasons: tuple[Reason, ...] = ()
    analysis: JsonObject | None = None  # probabilities, model, seconds by stage
    history: tuple[HistoryEntry, ...] = ()
    removed_at: datetime | None = None  # since when retention keeps of it this record alone
    on_hold_since: datetime | None = None  # a person keeps it from going on
    cancelled_at: datetime | None = None  # a person does not want it analysed
    only_to: str | None = None  # of a campaign's: the one destination of its results, "" for none

    @property
    def former_decisions(self) -> list[FormerDecision]:
        """Those in its history, oldest first."""
        return [each for each in self.history if isinstance(each, FormerDecision)]


@dataclass(frozen=True)
class Job:
    """One claimed job. `lease_token` fences: who no longer holds it can write nothing."""

    job_id: int
    kind: JobKind
    series_key: str
    input_digest: str  # empty for ASSESS
    model_digest: str  # of the equipment that it asks for; empty for ASSESS
    priority: int
    attempt: int  # 1 at the first claim
    created_at: datetime
    lease_token: str
    lease_until: datetime


@dataclass(frozen=True)
class Needs:
    """What a worker must have to claim a job: a capability by its name, "" for none, and memory."""

    capability: str = ""
    memory_bytes: int = 0


NO_NEEDS = Needs()


@dataclass(frozen=True)
class JobRecord:
    """One job as `queue` shows it. `capability`, `memory_bytes`, `model_digest` (of the equipment):
    what it asks of a worker."""

    job_id: int
    kind: JobKind
    state: JobState
    series_key: str
    priority: int
    attempt: int
    created_at: datetime
    not_before: datetime
    started_at: datetime | None
    ended_at: datetime | None
    owner: str | None
    lease_until: datetime | None
    error: str | None
    capability: str = ""
    memory_bytes: int = 0
    model_digest: str = ""

    @property
    def needs(self) -> Needs:
        return Needs(self.capability, self.memory_bytes)


@dataclass(frozen=True)
class ResultRecord:
    """One result object whose file is durable on disk; where it lies as of `StoredInstance`."""

    sop_instance_uid: str
    sop_class_uid: str
    result_series_instance_uid: str
    series_key: str  # of the CT series it is about
    kind: str
    path: str
    size_bytes: int
    created_at: datetime
    choices: str = ""  # of several ways to write it, parted by spaces: which it was made in
    node_id: str = ""
    object_name: str | None = None
    object_offset: int | None = None


@dataclass(frozen=True)
class Delivery:
    """One result object on its way to one destination, claimed under a lease."""

    delivery_id: int
    destination: str
    attempt: int
    lease_token: str
    first_tried_at: datetime | None
    result: ResultRecord


@dataclass(frozen=True)
class DeliveryRecord:
    """One delivery as `queue` shows it."""

    delivery_id: int
    destination: str
    state: DeliveryState
    attempt: int
    not_before: datetime
    stored_at: datetime | None
    committed_at: datetime | None
    status: str | None  # of the last answer: "0xA700", "HTTP 409", or the name of a cause
    confirm_at: datetime | None  # when the promise to keep it is asked for next; None: no more
    error: str | None
    result: ResultRecord

    @property
    def arrived(self) -> bool:
        """Committed, or stored where no promise is awaited."""
        stored = self.state is DeliveryState.STORED and self.confirm_at is None
        return stored or self.state is DeliveryState.COMMITTED

    @property
    def open(self) -> bool:
        """Whether it goes on by itself."""
        return not self.arrived and self.state not in ENDED_WITHOUT_ARRIVAL


@dataclass(frozen=True)
class Superseded:
    """What a worker brought is about an input that has changed since; nothing of it was kept.

    A value, not a fault: instances may come at any time. An ASSESS job is queued again, an
    ANALYSE job has ended, as the series is on its way to a new decision.
    """

    series_key: str
    state: SeriesState  # of the series now


@dataclass(frozen=True)
class EndedSeries:
    """A series that has ended, and what of it is still going on."""

    series_key: str
    state: SeriesState
    ended_at: datetime
    open_jobs: int  # queued or running
    open_deliveries: int  # waiting or sending


@dataclass(frozen=True)
class ResultSet:
    """What one analysis of a CT series, or one note, left: results of one kind of origin.

    `deliveries`: of these results. `superseded`: a later set of the series took their place.
    `retracted_at`: since when they are withdrawn.
    """

    series: SeriesRecord
    created_at: datetime
    results: tuple[ResultRecord, ...]
    deliveries: tuple[DeliveryRecord, ...]
    superseded: bool = False
    retracted_at: datetime | None = None

    @property
    def is_retraction(self) -> bool:
        """Whether these are the words that withdraw another set."""
        return all(each.kind == RETRACTION_KIND for each in self.results)

    @property
    def stands(self) -> bool:
        return self.retracted_at is None and not self.superseded


@dataclass(frozen=True)
class Conflict:
    """An instance that came again under the same UID with other content.

    `series_key`: the series that this content names, with its UIDs. `owner_key`: the series that
    the instance is of, with its UIDs. `differs`: in what, in words without values.
    """

    sop_instance_uid: str
    sha256: str
    series_key: str
    series_instance_uid: str
    study_instance_uid: str
    owner_key: str
    owner_series_uid: str
    owner_study_uid: str
    association_id: str
    state: ConflictState
    differs: str
    path: str
    received_at: datetime
    calling_ae_title: str
    node_id: str = ""


@dataclass(frozen=True)
class SeriesDetail:
    """All that `queue show` and `queue why` tell about a series.

    `conflicts`: other contents of its instances. `claims`: what names this series, and is known as
    instances of another.
    """

    series: SeriesRecord
    associations: tuple[Association, ...] = ()
    jobs: tuple[JobRecord, ...] = ()
    deliveries: tuple[DeliveryRecord, ...] = ()
    results: tuple[ResultRecord, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    claims: tuple[Conflict, ...] = field(default=())
