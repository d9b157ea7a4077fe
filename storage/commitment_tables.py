"""The tables of storage commitment (PS3.4 annex J): the requests in either direction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from storage.columns import JSON_VALUE, Base, partial_index


class CommitmentRequestRow(Base):
    """A request for storage commitment that we made, or were about to make.

    `attempt`: how often its objects had been asked for by then, this time included; 0 of a trial,
    whose objects no delivery knows. `failed`: how many of a trial's the report does not promise.
    """

    __tablename__ = "commitment_request"

    transaction_uid: Mapped[str] = mapped_column(primary_key=True)
    destination: Mapped[str]
    attempt: Mapped[int]
    asked_at: Mapped[datetime] = mapped_column(index=True)
    reported_at: Mapped[datetime | None]
    failed: Mapped[int | None]


class CommitmentAnswerRow(Base):
    """A request for storage commitment that a peer made of us, and the report that it is owed.

    `objects`: SOP Class UID and SOP Instance UID of each. `not_before`: None when it has ended.
    """

    __tablename__ = "commitment_answer"
    __table_args__ = (
        partial_index("ix_commitment_answer_due", "not_before", where="not_before IS NOT NULL"),
    )

    ae_title: Mapped[str] = mapped_column(primary_key=True)
    transaction_uid: Mapped[str] = mapped_column(primary_key=True)
    objects: Mapped[list[Any]] = mapped_column(JSON_VALUE)
    requested_at: Mapped[datetime] = mapped_column(index=True)
    attempt: Mapped[int]
    not_before: Mapped[datetime | None]
    reported_at: Mapped[datetime | None]
    failed: Mapped[int | None]
    error: Mapped[str | None]
