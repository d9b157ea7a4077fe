"""A campaign in a database, and an archive that a test writes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import event

from dicomnode.campaign.cohort import Studies
from dicomnode.campaign.sources import Told
from dicomnode.decisions.campaign.plan import Plan
from dicomnode.decisions.campaign.windows import Window, windows
from dicomnode.decisions.reasons import Reason
from dicomnode.errors import PeerCause, PeerError
from dicomnode.pull.steps import SeriesPulled
from storage import campaign_claims, campaign_series, campaigns
from storage.campaign_records import Campaign, FoundClaim, FoundState, NewFound
from storage.database import Database
from support.storage_samples import NOW, seconds

ARCHIVE = "ARCHIVE"
DAY = date(2025, 2, 3)


def plan(**more: Any) -> Plan:
    return replace(Plan("pacs", "archive", DAY, DAY, key="0a"), **more)


def campaign(database: Database, only_to: str = "", name: str = "c1", **more: Any) -> Campaign:
    """One of an archive; by default of a single day."""
    made = plan(to=only_to, **more)
    assert made.first is not None
    assert made.last is not None
    spans = [(w.first, w.last, w.begin, w.end) for w in windows(made.first, made.last)]
    with database.write() as session:
        assert campaigns.create(session, name, made.as_json(), ARCHIVE, only_to, spans, NOW)
        found = campaigns.find(session, name)
    assert found is not None
    return found


def find(database: Database, of: Campaign, *uids: str, state: FoundState = FoundState.FOUND) -> int:
    """Enter series of the study that `storage_samples` know."""
    from support.storage_samples import STUDY

    new = [NewFound(uid, STUDY, "CT", 2, state) for uid in uids]
    with database.write() as session:
        return campaign_series.enter(session, of.campaign_id, new, NOW)


def take(
    database: Database,
    of: Campaign,
    state: FoundState = FoundState.WANTED,
    now: datetime = NOW,
    after: int = 0,
) -> FoundClaim | None:
    with database.write() as session:
        return campaign_claims.claim(session, of.campaign_id, state, now, seconds(60), after)


def ask_for(database: Database, of: Campaign, uid: str, now: datetime = NOW) -> FoundClaim:
    """A series that is wanted, claimed, and asked for at `now`."""
    find(database, of, uid, state=FoundState.WANTED)
    claimed = take(database, of)
    assert claimed is not None
    with database.write() as session:
        assert campaign_series.asked(session, claimed, now)
    return claimed


def unsynced(database: Database) -> Database:
    """The same, of which nobody awaits that it outlives a power cut: a hundred steps are quick."""

    def set_up(connection: Any, *_rest: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(database._engine, "checkout", set_up)
    return database


class ScriptedArchive:
    """Studies at moments of one day, each with one series of ten images, that caps its answers.

    `silent`: it does not say that there are more. `fallen`: series that fall when looked at.
    `broken`: how many calls fail before it answers. What was asked for is in `asked`, `pulled`.
    """

    def __init__(
        self, moments: dict[str, datetime], cap: int = 1000, *, silent: bool = False
    ) -> None:
        self.moments, self.cap, self.silent = moments, cap, silent
        self.fallen: dict[str, tuple[Reason, ...]] = {}
        self.broken = 0
        self.refusing = False
        self.asked: list[str] = []
        self.queried: list[Window] = []
        self.looked: list[str] = []
        self.pulled: list[str] = []

    def everything(self) -> list[NewFound]:
        return []

    def studies(self, window: Window) -> Studies:
        self._answers()
        self.queried.append(window)
        inside = [uid for uid, at in self.moments.items() if _has(window, at)]
        if self.refusing and len(inside) > self.cap:
            return Studies((), refused="C-FIND answered 0xA700")
        capped = len(inside) > self.cap and not self.silent
        return Studies(tuple(inside[: self.cap]), capped=capped)

    def series(self, study_instance_uid: str) -> list[NewFound]:
        self._answers()
        self.asked.append(study_instance_uid)
        return [NewFound(f"{study_instance_uid}.1", study_instance_uid, "CT", 10)]

    def look(self, claimed: FoundClaim) -> tuple[Reason, ...]:
        self._answers()
        self.looked.append(claimed.series_instance_uid)
        return self.fallen.get(claimed.series_instance_uid, ())

    def pull(self, claimed: FoundClaim, told: Told) -> SeriesPulled:
        self._answers()
        told()
        self.pulled.append(claimed.series_instance_uid)
        return SeriesPulled(claimed.study_instance_uid, claimed.series_instance_uid, 10, 0, 10, 0)

    def close(self) -> None:
        pass

    def _answers(self) -> None:
        if self.broken:
            self.broken -= 1
            raise PeerError("the archive is away", PeerCause.UNREACHABLE)


def _has(window: Window, at: datetime) -> bool:
    second = at.hour * 3600 + at.minute * 60 + at.second
    inside = window.first <= at.date() <= window.last
    return inside and window.begin <= second <= window.end
