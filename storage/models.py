"""The tables. Rows of series and instances are the truth; a job says that someone must look.

Wherever rows are locked, the order is series (by key) before jobs, and the end of the flight
records (`statements.lock_flight_records`) last, so that no two transactions can wait for each
other.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    UniqueConstraint,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from storage.columns import Base, Ending, OfOneNode, Records, Sealable, partial_index
from storage.decided import HistoryEntry, Reason, SeriesEvidence, history_entry
from storage.records import (
    AssociationEnd,
    ConflictState,
    DeliveryState,
    FileKind,
    JobKind,
    JobState,
    SeriesState,
)

SCHEMA_REVISION = "0011"
"""The newest Alembic revision, kept here so that opening a current database costs no import."""

OPEN_ASSESS = "kind = 'assess' AND state IN ('queued', 'running')"
OPEN_FETCH = "kind = 'fetch' AND state IN ('queued', 'running')"
ANY_ANALYSE = "kind = 'analyse'"
OPEN_JOB = "state IN ('queued', 'running')"
OPEN_DELIVERY = "state IN ('waiting', 'sending')"
PARKED_DELIVERY = "state IN ('refused', 'failed')"
COPY = "object_name IS NOT NULL AND node_id <> ''"
REMOVABLE = "ended_at IS NOT NULL AND removed_at IS NULL"
OF_CAMPAIGN = "only_to IS NOT NULL"
FIRST_OF_SET = "ordinal = 0"


# as text: with parameters a condition would not fit that of the partial index
IS_OPEN_JOB = text(f"job.{OPEN_JOB}")
IS_OPEN_DELIVERY = text(f"delivery.{OPEN_DELIVERY}")


def _of_series(table: str) -> ForeignKey:
    """To a series; the constraint bears the name that the first schema gave it."""
    return ForeignKey("series.series_key", name=f"fk_{table}_series_instance_uid")


class NodeRow(Base):
    """A node that works on this database. `name`: of its machine. Times are the database's.

    `left_at`: since when it is not heard of any more. `shares`: whether it leaves room for others;
    of one that does not, this is the only row, or it is lost and forgotten. `receives`: not a host
    of workers alone, which keeps nothing. `workers`: how many it has; `capabilities`, parted by
    spaces, and `memory_bytes`: what each of them has, as the last that began told; NULL: nobody has
    told yet. `mark`: the start of the node that is heard of, and its last word; empty: none said.
    `twice_at`, `twice_on`: when another host wanted to be this node too, and its name. `equipment`:
    what it decides with, or its workers have where it does not, by part; `equipment_digest` of all.
    """

    __tablename__ = "node"

    node_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    joined_at: Mapped[datetime]
    heard_at: Mapped[datetime]
    left_at: Mapped[datetime | None]
    shares: Mapped[bool]
    receives: Mapped[bool] = mapped_column(server_default=true())
    workers: Mapped[int] = mapped_column(server_default="1")
    capabilities: Mapped[str] = mapped_column(server_default="")
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    mark: Mapped[str] = mapped_column(server_default="")
    twice_at: Mapped[datetime | None]
    twice_on: Mapped[str] = mapped_column(server_default="")
    equipment: Mapped[dict[str, Any] | None]
    equipment_digest: Mapped[str] = mapped_column(server_default="")


class AssociationRow(Base):
    __tablename__ = "association"
    __table_args__ = (
        CheckConstraint("(ended_at IS NULL) = (ending IS NULL)", name="ended"),
        partial_index("ix_association_open", "node_id", where="ended_at IS NULL"),
    )

    association_id: Mapped[str] = mapped_column(primary_key=True)
    node_id: Mapped[str]
    calling_ae_title: Mapped[str]
    called_ae_title: Mapped[str]
    peer_address: Mapped[str]
    opened_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ending: Mapped[AssociationEnd | None]


class SeriesRow(Base):
    """One patient's part of a series, as its identity is not sure to be the only one under its UID.

    `series_key`: the Series Instance UID; of a further part with a number behind it.
    `identity_digest`: whose it is; empty where an earlier release did not ask.
    `revision` counts the arrivals, so that a decision on an older input can be told.
    With `removed_at` this row is all that retention has left of the series; with `on_hold_since` a
    person keeps it from going on; with `cancelled_at` a person does not want it analysed.
    `only_to`: of a series that a campaign had sent, the one destination of its results, "" for
    none; NULL of all others, whose results go by the routes.
    """

    __tablename__ = "series"
    __table_args__ = (
        Index("ix_series_state", "state", "last_received_at"),
        partial_index("ix_series_removable", "ended_at", "series_key", where=REMOVABLE),
        partial_index("ix_series_of_campaign", "series_instance_uid", where=OF_CAMPAIGN),
    )

    series_key: Mapped[str] = mapped_column(primary_key=True)
    series_instance_uid: Mapped[str] = mapped_column(index=True, server_default="")
    study_instance_uid: Mapped[str] = mapped_column(index=True)
    identity_digest: Mapped[str] = mapped_column(server_default="")
    accession_number: Mapped[str] = mapped_column(index=True)
    modality: Mapped[str]
    calling_ae_title: Mapped[str]
    state: Mapped[SeriesState]
    instance_count: Mapped[int]
    revision: Mapped[int]
    priority: Mapped[int]
    first_received_at: Mapped[datetime]
    last_received_at: Mapped[datetime] = mapped_column(index=True)
    decided_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    input_digest: Mapped[str | None]
    completeness: Mapped[SeriesEvidence | None] = mapped_column(Records(SeriesEvidence.from_json))
    reasons: Mapped[tuple[Reason, ...]] = mapped_column(Records(Reason.from_json))
    analysis: Mapped[dict[str, Any] | None]
    history: Mapped[tuple[HistoryEntry, ...]] = mapped_column(Records(history_entry))
    removed_at: Mapped[datetime | None]
    on_hold_since: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    only_to: Mapped[str | None]


Index("ix_series_ending", Ending(SeriesRow.series_key))


class InstanceRow(Sealable, Base):
    __tablename__ = "instance"
    __table_args__ = (
        Index(None, "series_key", "association_id"),
        partial_index("ix_instance_copy", "node_id", "received_at", where=COPY),
    )

    sop_instance_uid: Mapped[str] = mapped_column(primary_key=True)
    sop_class_uid: Mapped[str]
    series_key: Mapped[str] = mapped_column(_of_series("instance"))
    series_instance_uid: Mapped[str] = mapped_column(server_default="")
    study_instance_uid: Mapped[str]
    transfer_syntax_uid: Mapped[str]
    accession_number: Mapped[str]
    modality: Mapped[str]
    path: Mapped[str] = mapped_column(unique=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    association_id: Mapped[str | None] = mapped_column(
        ForeignKey("association.association_id"), index=True
    )
    calling_ae_title: Mapped[str]
    received_at: Mapped[datetime]
    priority: Mapped[int]


class InstanceConflictRow(OfOneNode, Base):
    """Another content under the UID of an instance. `series_key`: the series that it names.

    `differs`: in what it differs from the instance, in words without values.
    """

    __tablename__ = "instance_conflict"

    sop_instance_uid: Mapped[str] = mapped_column(
        ForeignKey("instance.sop_instance_uid"), primary_key=True
    )
    sha256: Mapped[str] = mapped_column(primary_key=True)
    series_key: Mapped[str] = mapped_column(ForeignKey("series.series_key"), index=True)
    series_instance_uid: Mapped[str]
    association_id: Mapped[str]
    state: Mapped[ConflictState]
    differs: Mapped[str]
    path: Mapped[str] = mapped_column(index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[datetime]
    calling_ae_title: Mapped[str]


class Leased:
    """Columns of work that is claimed under a lease. `node_id`: the one that alone may, if any."""

    node_id: Mapped[str | None]
    priority: Mapped[int]
    attempt: Mapped[int]
    created_at: Mapped[datetime]
    not_before: Mapped[datetime]
    owner: Mapped[str | None]
    lease_token: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    error: Mapped[str | None]


class JobRow(Leased, Base):
    """`series_revision` is the series' revision when the job was claimed. `capability`: what a
    worker must have to claim it; empty: nothing beyond the usual. `memory_bytes`: so much it must
    have of memory, as was estimated. `model_digest`: of the equipment that it was decided with."""

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint("(state = 'running') = (lease_token IS NOT NULL)", name="token"),
        CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease"),
        partial_index("uq_job_open_assess", "series_key", where=OPEN_ASSESS, unique=True),
        partial_index(
            "uq_job_analyse",
            "series_key",
            "input_digest",
            "model_digest",
            where=ANY_ANALYSE,
            unique=True,
        ),
        partial_index("uq_job_open_fetch", "series_key", where=OPEN_FETCH, unique=True),
        partial_index("ix_job_claim", "kind", "priority", "created_at", "job_id", where=OPEN_JOB),
        partial_index("ix_job_attempt", "kind", "attempt", where=OPEN_JOB),
        partial_index(
            *("ix_job_able", "kind", "capability", "priority", "created_at", "job_id"),
            "memory_bytes",
            where=OPEN_JOB,
        ),
    )

    job_id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[JobKind]
    state: Mapped[JobState]
    series_key: Mapped[str] = mapped_column(_of_series("job"), index=True)
    input_digest: Mapped[str]
    model_digest: Mapped[str]
    capability: Mapped[str] = mapped_column(server_default="")
    memory_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    series_revision: Mapped[int | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class ResultRow(Sealable, Base):
    """`ordinal` is the order of sending within one set of a CT series, from 0."""

    __tablename__ = "result"
    __table_args__ = (
        partial_index("ix_result_set", "created_at", "series_key", where=FIRST_OF_SET),
    )

    sop_instance_uid: Mapped[str] = mapped_column(primary_key=True)
    sop_class_uid: Mapped[str]
    result_series_instance_uid: Mapped[str]
    series_key: Mapped[str] = mapped_column(_of_series("result"), index=True)
    kind: Mapped[str]
    path: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    ordinal: Mapped[int]
    choices: Mapped[str] = mapped_column(server_default="")


class DeliveryRow(Leased, Base):
    """`transaction_uid`: of the last request for storage commitment that names the object."""

    __tablename__ = "delivery"
    __table_args__ = (
        CheckConstraint("(state = 'sending') = (lease_token IS NOT NULL)", name="token"),
        CheckConstraint("(state = 'sending') = (lease_until IS NOT NULL)", name="lease"),
        UniqueConstraint("sop_instance_uid", "destination"),
        partial_index(
            "ix_delivery_claim",
            "destination",
            "priority",
            "created_at",
            "delivery_id",
            where=OPEN_DELIVERY,
        ),
        partial_index("ix_delivery_parked", "destination", "state", where=PARKED_DELIVERY),
        partial_index(
            "ix_delivery_confirm", "destination", "confirm_at", where="confirm_at IS NOT NULL"
        ),
        CheckConstraint("confirm_at IS NULL OR state = 'stored'", name="confirm"),
    )

    delivery_id: Mapped[int] = mapped_column(primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(ForeignKey("result.sop_instance_uid"))
    series_key: Mapped[str] = mapped_column(_of_series("delivery"), index=True)
    destination: Mapped[str]
    state: Mapped[DeliveryState]
    first_tried_at: Mapped[datetime | None]
    stored_at: Mapped[datetime | None]
    committed_at: Mapped[datetime | None]
    status: Mapped[str | None]
    confirm_at: Mapped[datetime | None]
    transaction_uid: Mapped[str | None] = mapped_column(index=True)


class RemovalRow(Base):
    """A file that no other row speaks of any more, and that retention has still to unlink.

    `untouched_since` is when the decision was prepared: a file written later is another one.
    """

    __tablename__ = "removal"

    node_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[FileKind] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    untouched_since: Mapped[datetime]
