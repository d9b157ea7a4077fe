"""Whose an instance is that comes: the campaign's that has asked for its series, or the clinic's.

The campaign's is what comes from the archive that it asks, from the moment when it asked for the
series until all of it was here. Whatever else names the series makes it a clinical one, for good:
who sends by himself awaits an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from storage.campaign_tables import ASKED, CampaignRow, CampaignSeriesRow
from storage.models import IS_OPEN_JOB, OF_CAMPAIGN, JobRow, SeriesRow
from storage.records import JobKind, StoredInstance
from storage.reopening import reopen_ended
from storage.statements import in_batches

LAST = 3
"""Order of work of a campaign's series: behind whatever has a priority of DICOM (0 to 2)."""

_SLACK = timedelta(seconds=0.5)
"""By which the clocks of two nodes may differ."""


@dataclass(frozen=True)
class _Asked:
    sender: str
    only_to: str
    asked_at: datetime
    pulled_at: datetime | None

    def brought(self, instance: StoredInstance) -> bool:
        over = self.pulled_at is not None and instance.received_at > self.pulled_at + _SLACK
        after = instance.received_at >= self.asked_at - _SLACK
        return after and not over and instance.calling_ae_title == self.sender


def campaigns_keys(session: Session, instances: Iterable[StoredInstance]) -> set[str]:
    """The series of campaigns that these instances name."""
    keys: set[str] = set()
    condition = text(f"series.{OF_CAMPAIGN}")  # as text, so that it fits the partial index
    for uids in in_batches({each.series_instance_uid for each in instances}):
        which = SeriesRow.series_instance_uid.in_(uids)
        keys |= set(session.scalars(select(SeriesRow.series_key).where(which, condition)))
    return keys


def sort_out(
    session: Session, instances: Sequence[StoredInstance], locked: Mapping[str, SeriesRow]
) -> list[StoredInstance]:
    """Mark series that are new as those of a campaign, and those that are no more of one; the
    instances of a campaign's come back in the last place of the order of work.

    `locked`: all series that are new or of a campaign.
    """
    ours = [row for row in locked.values() if row.only_to is not None or row.revision == 0]
    again = _fetched_again(session, ours)
    ours = [row for row in ours if row.series_key not in again]
    asked = _asked(session, {row.series_instance_uid for row in ours}) if ours else {}
    for row in ours:
        named = asked.get(row.series_instance_uid)
        own = [each for each in instances if each.series_instance_uid == row.series_instance_uid]
        if named is not None and all(map(named.brought, own)):
            row.only_to = named.only_to if row.revision == 0 else row.only_to
            row.priority = LAST if row.revision == 0 else row.priority
        elif row.only_to is not None and own:
            _is_clinical(session, row, own)
    rows = locked.values()
    kept = {row.series_instance_uid for row in rows if row.only_to is not None}
    session.flush()
    return [
        replace(each, priority=LAST) if each.series_instance_uid in kept else each
        for each in instances
    ]


def _fetched_again(session: Session, rows: Iterable[SeriesRow]) -> set[str]:
    """Of those that are a campaign's the ones that this node asks for again, as another is lost."""
    keys = [row.series_key for row in rows if row.only_to is not None]
    if not keys:
        return set()
    fetched = JobRow.series_key.in_(keys), JobRow.kind == JobKind.FETCH, IS_OPEN_JOB
    return set(session.scalars(select(JobRow.series_key).where(*fetched)))


def _is_clinical(session: Session, row: SeriesRow, own: Sequence[StoredInstance]) -> None:
    """From now on; one that has ended is decided on anew, and its results go the way of all."""
    row.only_to = None
    row.priority = min(row.priority, *(each.priority for each in own))
    session.flush()
    of_series = JobRow.series_key == row.series_key
    session.execute(update(JobRow).where(of_series).values(priority=row.priority))
    found = CampaignSeriesRow.series_instance_uid == row.series_instance_uid
    session.execute(update(CampaignSeriesRow).where(found).values(clinical=True))
    reopen_ended(session, row.series_key, max(each.received_at for each in own))


def _asked(session: Session, uids: Iterable[str]) -> dict[str, _Asked]:
    found: dict[str, _Asked] = {}
    condition = text(f"campaign_series.{ASKED}")
    for batch in in_batches(uids):
        statement = (
            select(
                CampaignSeriesRow.series_instance_uid,
                CampaignRow.sender,
                CampaignRow.only_to,
                CampaignSeriesRow.asked_at,
                CampaignSeriesRow.pulled_at,
            )
            .join(CampaignRow, CampaignRow.campaign_id == CampaignSeriesRow.campaign_id)
            .where(
                CampaignSeriesRow.series_instance_uid.in_(batch),
                condition,
                CampaignSeriesRow.clinical.is_(False),
            )
        )
        for uid, sender, only_to, asked_at, pulled_at in session.execute(statement):
            if asked_at is not None:  # as the condition says
                found[uid] = _Asked(sender, only_to, asked_at, pulled_at)
    return found
