"""The plain records of campaigns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from storage.decided import JsonObject, Reason


class CampaignState(StrEnum):
    """A campaign that is done is not paused any more; resumed, it asks its source once more, which
    may have more by then."""

    READY = "ready"  # `run` works on it
    PAUSED = "paused"
    DONE = "done"


class WindowState(StrEnum):
    OPEN = "open"
    ASKED = "asked"
    HALVED = "halved"  # two others stand for it
    CAPPED = "capped"  # the smallest there is, and the archive still does not tell all


class FoundState(StrEnum):
    FOUND = "found"
    FALLEN = "fallen"  # by its tags, unmoved
    WANTED = "wanted"
    PULLED = "pulled"
    ANALYSED = "analysed"
    SKIPPED = "skipped"
    FAILED = "failed"


ENDED_FOUND = (FoundState.ANALYSED, FoundState.SKIPPED, FoundState.FAILED)
"""Of those that were had; FALLEN is the end of the others."""


@dataclass(frozen=True)
class Campaign:
    """A row of `CampaignRow`."""

    campaign_id: int
    name: str
    plan: JsonObject
    sender: str
    only_to: str
    state: CampaignState
    created_at: datetime
    heard_at: datetime | None
    waits_for: str


@dataclass(frozen=True)
class CampaignWindow:
    """A row of `CampaignWindowRow`."""

    window_id: int
    first: date
    last: date
    begin: int
    end: int
    state: WindowState
    answers: int
    note: str


@dataclass(frozen=True)
class NewFound:
    """A series that an archive, or a folder, has; FALLEN for `reasons`, or WANTED, where nothing
    more need be asked about it."""

    series_instance_uid: str
    study_instance_uid: str
    modality: str
    instances: int | None
    state: FoundState = FoundState.FOUND
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class FoundClaim:
    """A series of a campaign, claimed under a lease; the token fences."""

    found_id: int
    campaign_id: int
    series_instance_uid: str
    study_instance_uid: str
    modality: str
    instances: int | None
    state: FoundState
    attempt: int
    lease_token: str


@dataclass(frozen=True)
class FoundRecord:
    """What the table of a campaign tells of a series."""

    series_instance_uid: str
    study_instance_uid: str
    modality: str
    instances: int | None
    state: FoundState
    reasons: tuple[Reason, ...]
    analysis: JsonObject | None
    clinical: bool
    found_at: datetime
    pulled_at: datetime | None
    ended_at: datetime | None
    error: str | None
