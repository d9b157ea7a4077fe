"""The series of a campaign: entered once, asked for, ended with what came of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from storage import retention
from storage.campaign_claims import write
from storage.campaign_records import (
    FoundClaim,
    FoundRecord,
    FoundState,
    NewFound,
)
from storage.campaign_tables import HERE, CampaignSeriesRow
from storage.models import InstanceRow, SeriesRow
from storage.records import EndedSeries, SeriesState
from storage.statements import in_batches, insert_into, shared_fields

_ENDED = {
    SeriesState.ANALYSED: FoundState.ANALYSED,
    SeriesState.SKIPPED: FoundState.SKIPPED,
    SeriesState.FAILED: FoundState.FAILED,
}


def enter(session: Session, campaign_id: int, found: Sequence[NewFound], now: datetime) -> int:
    """Enter what an archive has; what is known already stays as it is. How many are new."""
    fixed = {
        "campaign_id": campaign_id,
        "size_bytes": 0,
        "clinical": False,
        "attempt": 0,
        "not_before": now,
        "found_at": now,
    }
    statement = (
        insert_into(session, CampaignSeriesRow)
        .on_conflict_do_nothing(index_elements=["campaign_id", "series_instance_uid"])
        .returning(CampaignSeriesRow.found_id)
    )
    rows = [
        fixed | shared_fields(NewFound, each) | {"ended_at": _ended_at(each, now)} for each in found
    ]
    return len(session.scalars(statement, rows).all()) if rows else 0


def _ended_at(found: NewFound, now: datetime) -> datetime | None:
    return now if found.state is FoundState.FALLEN else None


def known_studies(session: Session, campaign_id: int, uids: Collection[str]) -> set[str]:
    """Those of which series are entered."""
    known: set[str] = set()
    for batch in in_batches(uids):
        which = (
            CampaignSeriesRow.campaign_id == campaign_id,
            CampaignSeriesRow.study_instance_uid.in_(batch),
        )
        known |= set(session.scalars(select(CampaignSeriesRow.study_instance_uid).where(*which)))
    return known


def load(session: Session, campaign_id: int) -> tuple[int, int]:
    """How many series are here whose analysis has not ended, and the bytes of their files."""
    which = (
        CampaignSeriesRow.campaign_id == campaign_id,
        text(f"campaign_series.{HERE}"),
    )
    size = func.coalesce(func.sum(CampaignSeriesRow.size_bytes), 0)
    count, held = session.execute(select(func.count(), size).where(*which)).one()
    return count, int(held)


def asked(session: Session, claimed: FoundClaim, now: datetime) -> bool:
    """Noted before anything of it is sent: from now on what comes of it is the campaign's.

    False where the node has the series, or had it: it is another's, and only its end is awaited.

    Raises:
        LeaseLostError
    """
    table = CampaignSeriesRow
    mine = select(table.asked_at).where(table.found_id == claimed.found_id)
    if session.scalar(mine) is None and _is_here(session, claimed.series_instance_uid):
        write(session, claimed, state=FoundState.PULLED)
        return False
    write(session, claimed, free=False, asked_at=func.coalesce(table.asked_at, now))
    return True


def pulled(
    session: Session,
    claimed: FoundClaim,
    instances: int,
    now: datetime,
    problem: str | None = None,
) -> None:
    """It is here; with a `problem` not all of it, and no more comes.

    Raises:
        LeaseLostError
    """
    size = select(func.coalesce(func.sum(InstanceRow.size_bytes), 0)).where(
        InstanceRow.series_instance_uid == claimed.series_instance_uid
    )
    write(
        session,
        claimed,
        state=FoundState.PULLED,
        pulled_at=now,
        instances=instances,
        size_bytes=size.scalar_subquery(),
        error=problem,
    )


def failed(session: Session, claimed: FoundClaim, error: str, now: datetime) -> None:
    """Given up: it could not be had.

    Raises:
        LeaseLostError
    """
    write(session, claimed, state=FoundState.FAILED, error=error, ended_at=now)


def settle(session: Session, campaign_id: int, now: datetime, limit: int) -> int:
    """Copy what came of series that have ended, and have the files of the campaign's own removed;
    how many.

    Not while results of one are on their way, nor one that a person holds. A series that is of two
    patients has ended when each of its parts has.
    """
    table = CampaignSeriesRow
    still = select(SeriesRow.series_key).where(
        SeriesRow.series_instance_uid == table.series_instance_uid, SeriesRow.ended_at.is_(None)
    )
    ended = select(SeriesRow.series_key).where(
        SeriesRow.series_instance_uid == table.series_instance_uid,
        SeriesRow.ended_at.is_not(None),
    )
    due = (
        select(table)
        .where(
            table.campaign_id == campaign_id,
            text(f"campaign_series.{HERE}"),
            ended.exists(),
            ~still.exists(),
        )
        .order_by(table.found_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return sum(_settled(session, row, now) for row in session.scalars(due).all())


def table_of(session: Session, campaign_id: int, batch: int = 1000) -> Iterator[FoundRecord]:
    """Every series of a campaign, as it was found."""
    last = 0
    while True:
        which = (CampaignSeriesRow.campaign_id == campaign_id, CampaignSeriesRow.found_id > last)
        statement = select(CampaignSeriesRow).where(*which).order_by(CampaignSeriesRow.found_id)
        rows = session.scalars(statement.limit(batch)).all()
        yield from (FoundRecord(**shared_fields(FoundRecord, row)) for row in rows)
        if len(rows) < batch:
            return
        last = rows[-1].found_id
        session.expunge_all()


def _is_here(session: Session, series_instance_uid: str) -> bool:
    here = select(SeriesRow.series_key).where(SeriesRow.series_instance_uid == series_instance_uid)
    return session.scalar(here.limit(1)) is not None


def _settled(session: Session, row: CampaignSeriesRow, now: datetime) -> bool:
    which = SeriesRow.series_instance_uid == row.series_instance_uid
    parts = session.scalars(select(SeriesRow).where(which).order_by(SeriesRow.series_key)).all()
    own = [each for each in parts if each.only_to is not None and each.removed_at is None]
    if not _remove(session, own, now):
        return False
    best = next((each for each in parts if each.state is SeriesState.ANALYSED), parts[0])
    row.clinical = row.clinical or any(each.only_to is None for each in parts)
    row.state, row.reasons = _ENDED[best.state], best.reasons
    row.analysis, row.ended_at = best.analysis, best.ended_at
    session.flush()
    return True


def _remove(session: Session, parts: Iterable[SeriesRow], now: datetime) -> bool:
    """Whoever sent them has them. False where something of them is still under way."""

    def is_over(series: EndedSeries) -> bool:
        return not series.open_jobs and not series.open_deliveries

    gone = [retention.remove_series(session, each.series_key, is_over, now) for each in parts]
    return None not in gone
