"""Claims of a campaign's series: under a lease, fenced by a token, several at once.

As with jobs a claim draws a token, every later write asks for it, and nothing else holds a row: who
is killed loses the lease, and another goes on.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select, text, update
from sqlalchemy.orm import Session

from storage.campaign_records import FoundClaim, FoundState
from storage.campaign_tables import OPEN_FOUND, CampaignSeriesRow
from storage.decided import Reason
from storage.errors import LeaseLostError

FREE: dict[str, Any] = {"lease_token": None, "lease_until": None}

Judged = tuple[FoundClaim, Sequence[Reason]]
"""A series, and why its tags reject it; nothing where they do not."""


def claim(
    session: Session,
    campaign_id: int,
    state: FoundState,
    now: datetime,
    lease: timedelta,
    after: int = 0,
) -> FoundClaim | None:
    """As `claim_some`, one."""
    return next(iter(claim_some(session, campaign_id, state, now, lease, after, 1)), None)


def claim_some(
    session: Session,
    campaign_id: int,
    state: FoundState,
    now: datetime,
    lease: timedelta,
    after: int,
    most: int,
    owner: str = "",
) -> list[FoundClaim]:
    """Take the first series in this state behind `after`, free or with a lease that ran out; in one
    statement, so in one journey to the database.

    Who passes the last one it had looks at no row that it has done with: while a long query keeps
    PostgreSQL from clearing them away they would be looked at again with every claim.

    May be in a transaction of `Database.write_lightly`: a claim that a crash of the database
    undoes is claimed by another, and what the first one then writes finds its token gone. So a
    series is looked at twice, at worst, and ends once.

    `owner`: stands before the token, for `hand_back`.
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
        .limit(most)
        .with_for_update(skip_locked=True)
        .cte("first")  # looked for once, as it locks what it finds
    )
    columns = [getattr(table, name) for name in FoundClaim.__dataclass_fields__]
    taken = (
        update(table)
        .where(table.found_id.in_(select(first.c.found_id)))
        .values(
            lease_token=f"{owner}{secrets.token_hex(16)}",
            lease_until=now + lease,
            attempt=table.attempt + 1,
        )
        .returning(*columns)
        .execution_options(synchronize_session=False)
    )
    rows = session.execute(taken).all()
    return sorted((FoundClaim(*row) for row in rows), key=lambda each: each.found_id)


def hand_back(session: Session, campaign_id: int, owner: str) -> int:
    """Make what a dead process held free at once; how many. The attempts stay counted."""
    table = CampaignSeriesRow
    held = func.substr(table.lease_token, 1, len(owner)) == owner
    statement = (
        update(table)
        .where(table.campaign_id == campaign_id, text(f"campaign_series.{OPEN_FOUND}"), held)
        .values(**FREE)
        .execution_options(synchronize_session=False)
    )
    return len(session.scalars(statement.returning(table.found_id)).all())


def renew(session: Session, claimed: FoundClaim, now: datetime, lease: timedelta) -> bool:
    """Prolong the lease; False when it is lost."""
    statement = _held(claimed).values(lease_until=now + lease)
    return session.scalar(statement.returning(CampaignSeriesRow.found_id)) is not None


def judged(session: Session, outcomes: Iterable[Judged], now: datetime) -> None:
    """By their tags: each falls for its reasons, or with none it is wanted. Those whose lease is
    lost stay as they are: another looks at them."""
    table = CampaignSeriesRow.__table__
    statement = (
        update(table)  # type: ignore[arg-type]
        .where(table.c.found_id == bindparam("found"), table.c.lease_token == bindparam("token"))
        .values(
            state=bindparam("judged"),
            reasons=bindparam("why"),
            ended_at=bindparam("ended"),
            attempt=bindparam("tries"),
            **FREE,
        )
    )
    values = [_judged(claimed, reasons, now) for claimed, reasons in outcomes]
    if values:
        session.execute(statement, sorted(values, key=lambda each: each["found"]))


def let_go(session: Session, claims: Iterable[FoundClaim]) -> None:
    """Those that were not come to: it was no attempt."""
    table = CampaignSeriesRow.__table__
    statement = (
        update(table)  # type: ignore[arg-type]
        .where(table.c.found_id == bindparam("found"), table.c.lease_token == bindparam("token"))
        .values(attempt=bindparam("tries"), **FREE)
    )
    values = [_key(each) | {"tries": each.attempt - 1} for each in claims]
    if values:
        session.execute(statement, sorted(values, key=lambda each: each["found"]))


def put_back(session: Session, claimed: FoundClaim, due: datetime, error: str | None) -> None:
    """Later; without an error this attempt was none.

    Raises:
        LeaseLostError
    """
    attempt = claimed.attempt - (error is None)
    write(session, claimed, not_before=due, error=error, attempt=attempt)


def write(session: Session, claimed: FoundClaim, *, free: bool = True, **values: object) -> None:
    """Values of a series that is claimed, whose lease ends with that.

    Raises:
        LeaseLostError
    """
    statement = _held(claimed).values(**((FREE if free else {}) | values))
    if session.scalar(statement.returning(CampaignSeriesRow.found_id)) is None:
        raise LeaseLostError(f"series {claimed.series_instance_uid} of a campaign")


def _key(claimed: FoundClaim) -> dict[str, Any]:
    return {"found": claimed.found_id, "token": claimed.lease_token}


def _judged(claimed: FoundClaim, reasons: Sequence[Reason], now: datetime) -> dict[str, Any]:
    if not reasons:
        wanted = {"judged": FoundState.WANTED, "why": (), "ended": None, "tries": 0}
        return _key(claimed) | wanted
    fallen = {"judged": FoundState.FALLEN, "why": tuple(reasons), "ended": now}
    return _key(claimed) | fallen | {"tries": claimed.attempt}


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
