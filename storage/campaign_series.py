"""The series of a campaign: entered once, claimed under a lease, ended with what came of them.

As with jobs a claim draws a token, every later write asks for it, and nothing else holds a row: who
is killed loses the lease, and another goes on.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select, text, update
from sqlalchemy.orm import Session

from storage import retention
from storage.campaign_records import (
    FoundClaim,
    FoundRecord,
    FoundState,
    NewFound,
)
from storage.campaign_tables import HERE, OPEN_FOUND, CampaignSeriesRow
from storage.decided import Reason
from storage.errors import LeaseLostError
from storage.models import InstanceRow, SeriesRow
from storage.records import EndedSeries, SeriesState
from storage.statements import in_batches, insert_into, shared_fields

_ENDED = {
    SeriesState.ANALYSED: FoundState.ANALYSED,
    SeriesState.SKIPPED: FoundState.SKIPPED,
    SeriesState.FAILED: FoundState.FAILED,
}
_FREE: dict[str, Any] = {"lease_token": None, "lease_until": None}


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


def claim(
    session: Session,
    campaign_id: int,
    state: FoundState,
    now: datetime,
    lease: timedelta,
    after: int = 0,
) -> FoundClaim | None:
    """Take the first series in this state behind `after`, or one whose lease ran out.

    Who passes the last one it had looks at no row that it has done with: while a long query keeps
    PostgreSQL from clearing them away they would be looked at again with every claim.
    """
    table = CampaignSeriesRow
    free = or_(table.lease_until.is_(None), table.lease_until <= now)
    first = (
        select(table.found_id)
        .where(
            table.campaign_id == campaign_id,
            table.state == state,
            text(f"campaign_series.{OPEN_FOUND}"),  # as text, so that it fits the partial index
            table.found_id > after,
            table.not_before <= now,
            free,
        )
        .order_by(table.found_id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    columns = [getattr(table, name) for name in FoundClaim.__dataclass_fields__]
    taken = (
        update(table)
        .where(table.found_id == first)
        .values(
            lease_token=secrets.token_hex(16),
            lease_until=now + lease,
            attempt=table.attempt + 1,
        )
        .returning(*columns)
        .execution_options(synchronize_session=False)
    )
    row = session.execute(taken).one_or_none()
    return None if row is None else FoundClaim(*row)


def renew(session: Session, claimed: FoundClaim, now: datetime, lease: timedelta) -> bool:
    """Prolong the lease; False when it is lost."""
    statement = _held(claimed).values(lease_until=now + lease)
    return session.scalar(statement.returning(CampaignSeriesRow.found_id)) is not None


def judged(session: Session, claimed: FoundClaim, reasons: Sequence[Reason], now: datetime) -> None:
    """By its tags: it falls for these reasons, or with none it is wanted.

    Raises:
        LeaseLostError
    """
    if reasons:
        fallen = tuple(reasons)
        _write(session, claimed, state=FoundState.FALLEN, reasons=fallen, ended_at=now)
    else:
        _write(session, claimed, state=FoundState.WANTED, attempt=0)


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
        _write(session, claimed, state=FoundState.PULLED)
        return False
    _write(session, claimed, free=False, asked_at=func.coalesce(table.asked_at, now))
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
    _write(
        session,
        claimed,
        state=FoundState.PULLED,
        pulled_at=now,
        instances=instances,
        size_bytes=size.scalar_subquery(),
        error=problem,
    )


def put_back(session: Session, claimed: FoundClaim, due: datetime, error: str | None) -> None:
    """Later; without an error this attempt was none.

    Raises:
        LeaseLostError
    """
    attempt = claimed.attempt - (error is None)
    _write(session, claimed, not_before=due, error=error, attempt=attempt)


def failed(session: Session, claimed: FoundClaim, error: str, now: datetime) -> None:
    """Given up: it could not be had.

    Raises:
        LeaseLostError
    """
    _write(session, claimed, state=FoundState.FAILED, error=error, ended_at=now)


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


def _held(claimed: FoundClaim) -> Any:
    return (
        update(CampaignSeriesRow)
        .where(
            and_(
                CampaignSeriesRow.found_id == claimed.found_id,
                CampaignSeriesRow.lease_token == claimed.lease_token,
            )
        )
        .execution_options(synchronize_session=False)
    )


def _write(session: Session, claimed: FoundClaim, *, free: bool = True, **values: object) -> None:
    statement = _held(claimed).values(**((_FREE if free else {}) | values))
    if session.scalar(statement.returning(CampaignSeriesRow.found_id)) is None:
        raise LeaseLostError(f"series {claimed.series_instance_uid} of a campaign")
