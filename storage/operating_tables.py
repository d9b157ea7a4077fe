"""The tables of operating a node: what was refused, what troubles it, and what must outlive all.

None refers to another table: what they tell outlives retention.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.columns import Base, OfOneNode


class RefusalRow(Base):
    """What a receiver refused: alike in all of the constraint's columns, counted in one row.

    `kind`: "association", or "instance" of an association that was accepted. `status`: as answered,
    0xNNNN, or how the association was rejected. `reason`: the same words for what is refused alike.
    `sop_instance_uid`: of the last one. UIDs are empty where nothing had named them yet.
    """

    __tablename__ = "refusal"
    __table_args__ = (
        UniqueConstraint(
            "kind",
            "calling_ae_title",
            "called_ae_title",
            "peer_address",
            "status",
            "reason",
            "study_instance_uid",
            "series_instance_uid",
            name="uq_refusal_alike",
        ),
    )

    refusal_id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    calling_ae_title: Mapped[str]
    called_ae_title: Mapped[str]
    peer_address: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str]
    study_instance_uid: Mapped[str] = mapped_column(index=True)
    series_instance_uid: Mapped[str] = mapped_column(index=True)
    sop_instance_uid: Mapped[str] = mapped_column(index=True)
    accession_number: Mapped[str] = mapped_column(index=True)
    count: Mapped[int]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime] = mapped_column(index=True)


class TroubleRow(OfOneNode, Base):
    """A trouble of a node, from when it was first seen until it was over.

    `name`: what it is and about what, the same for as long as it lasts. `since`: when it began, as
    far as is known. `told`, `told_over`: by which ways somebody was told that it had begun, and
    that it was over; parted by spaces.
    """

    __tablename__ = "trouble"

    trouble_id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(index=True)
    severity: Mapped[str]
    text: Mapped[str]
    remedy: Mapped[str]
    since: Mapped[datetime]
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    over_at: Mapped[datetime | None] = mapped_column(index=True)
    told: Mapped[str]
    told_over: Mapped[str]


class CanaryRunRow(OfOneNode, Base):
    """A synthetic patient on its way through a node. `stage`: how far it has come, in a word.

    `passed`: None while it is under way. `text`: what was wrong, or what was measured. `version`,
    `configuration`, `models`: with which it ran, the last two as digests; `scores`: what the
    methods said, in JSON, to which later runs of the same are compared.
    """

    __tablename__ = "canary_run"

    run_id: Mapped[int] = mapped_column(primary_key=True)
    series_instance_uid: Mapped[str] = mapped_column(unique=True)
    study_instance_uid: Mapped[str]
    occasion: Mapped[str]
    stage: Mapped[str]
    version: Mapped[str]
    configuration: Mapped[str]
    models: Mapped[str]
    scores: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]
    passed: Mapped[bool | None]
    text: Mapped[str]


class FlightRecordRow(Base):
    """What an analysis was made of and led to. Each row's digest covers that of the row before.

    `record`: JSON, the very text that `digest` was made of, behind `previous`.
    """

    __tablename__ = "flight_record"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    recorded_at: Mapped[datetime] = mapped_column(index=True)
    series_key: Mapped[str] = mapped_column(index=True)
    study_instance_uid: Mapped[str] = mapped_column(index=True)
    record: Mapped[str]
    previous: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
