"""The tables of campaigns: cohorts of an archive that are worked through beside the clinical work.

What a campaign found outlives the series themselves; nothing here names a patient.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.campaign_records import CampaignState, FoundState, WindowState
from storage.columns import Base, Records, partial_index
from storage.decided import Reason

OPEN_FOUND = "state IN ('found', 'wanted')"
ASKED = "asked_at IS NOT NULL"
HERE = "state = 'pulled'"
HAD = "pulled_at IS NOT NULL"


class CampaignRow(Base):
    """`plan`: what was wished, in JSON. `sender`: the calling AE title of what it has sent.

    `waits_for`: what its runner last said that it waits for, "" for nothing. `paced_until`: until
    then the archive sends what was asked for, at the rate of the plan.
    """

    __tablename__ = "campaign"

    campaign_id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    plan: Mapped[dict[str, Any]]
    sender: Mapped[str]
    only_to: Mapped[str]
    state: Mapped[CampaignState]
    created_at: Mapped[datetime]
    heard_at: Mapped[datetime | None]
    waits_for: Mapped[str] = mapped_column(server_default="")
    paced_until: Mapped[datetime | None]


class CampaignWindowRow(Base):
    """A span of days, of a single day of seconds, that is asked for as a whole.

    `answers`: how many studies came; `note`: why it was halved, or may lack something.
    """

    __tablename__ = "campaign_window"
    __table_args__ = (
        UniqueConstraint("campaign_id", "first", "last", "begin", "end", name="uq_campaign_window"),
        Index("ix_campaign_window_state", "campaign_id", "state", "first", "begin"),
    )

    window_id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int]
    first: Mapped[date]
    last: Mapped[date]
    begin: Mapped[int]
    end: Mapped[int]
    state: Mapped[WindowState]
    answers: Mapped[int]
    note: Mapped[str]


class CampaignSeriesRow(Base):
    """A series of the cohort, from what was found of it to what came of it.

    `instances`: as the archive told; `size_bytes`: of those that came. `asked_at`: when it was
    first asked to be sent; `pulled_at`: since when all of it is here. `clinical`: it came, or was
    here, without the campaign: its results go the way of all. `analysis`, `reasons`: copied when it
    ended.
    """

    __tablename__ = "campaign_series"
    __table_args__ = (
        UniqueConstraint("campaign_id", "series_instance_uid", name="uq_campaign_series"),
        partial_index(
            "ix_campaign_series_claim", "campaign_id", "state", "found_id", where=OPEN_FOUND
        ),
        partial_index("ix_campaign_series_asked", "series_instance_uid", where=ASKED),
        partial_index("ix_campaign_series_here", "campaign_id", "found_id", where=HERE),
        partial_index("ix_campaign_series_pulled", "campaign_id", "pulled_at", where=HAD),
        partial_index("ix_campaign_series_ended", "campaign_id", "ended_at", where=HAD),
        Index("ix_campaign_series_study", "campaign_id", "study_instance_uid"),
    )

    found_id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int]
    series_instance_uid: Mapped[str]
    study_instance_uid: Mapped[str]
    modality: Mapped[str]
    instances: Mapped[int | None]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[FoundState]
    reasons: Mapped[tuple[Reason, ...]] = mapped_column(Records(Reason.from_json))
    analysis: Mapped[dict[str, Any] | None]
    clinical: Mapped[bool]
    attempt: Mapped[int]
    not_before: Mapped[datetime]
    lease_token: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    found_at: Mapped[datetime]
    asked_at: Mapped[datetime | None]
    pulled_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    error: Mapped[str | None]
