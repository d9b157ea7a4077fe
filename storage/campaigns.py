"""Campaigns: made, paused, taken up again, removed; their windows; how far they are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, text, update
from sqlalchemy.orm import Session

from storage.campaign_records import (
    Campaign,
    CampaignState,
    CampaignWindow,
    FoundState,
    WindowState,
)
from storage.campaign_tables import (
    HERE,
    OPEN_FOUND,
    CampaignRow,
    CampaignSeriesRow,
    CampaignWindowRow,
)
from storage.decided import JsonObject
from storage.statements import insert_into, shared_fields

Span = tuple[date, date, int, int]
"""First and last day, first and last second of the day."""


def create(
    session: Session,
    name: str,
    plan: JsonObject,
    sender: str,
    only_to: str,
    spans: Iterable[Span],
    now: datetime,
) -> bool:
    """Enter a campaign with its windows; False where one bears this name already."""
    values = {"plan": plan, "sender": sender, "only_to": only_to, "created_at": now}
    made = session.scalar(
        insert_into(session, CampaignRow)
        .values(name=name, state=CampaignState.READY, **values)
        .on_conflict_do_nothing(index_elements=["name"])
        .returning(CampaignRow.campaign_id)
    )
    if made is None:
        return False
    _add_windows(session, made, spans)
    return True


def find(session: Session, name: str) -> Campaign | None:
    row = session.scalar(select(CampaignRow).where(CampaignRow.name == name))
    return None if row is None else Campaign(**shared_fields(Campaign, row))


def every(session: Session) -> tuple[Campaign, ...]:
    rows = session.scalars(select(CampaignRow).order_by(CampaignRow.campaign_id))
    return tuple(Campaign(**shared_fields(Campaign, row)) for row in rows)


def pause(session: Session, campaign_id: int) -> CampaignState | None:
    """What it is now: one that is done stays so. None: it is removed."""
    return _turned(session, campaign_id, CampaignState.READY, CampaignState.PAUSED)


def resume(session: Session, campaign_id: int) -> bool:
    """Whether it was done: then all of its windows are asked for once more, as the archive may have
    more by now."""
    was = _lock(session, campaign_id)
    session.execute(_of(campaign_id).values(state=CampaignState.READY))
    if was is not CampaignState.DONE:
        return False
    window, over = CampaignWindowRow, (WindowState.ASKED, WindowState.CAPPED)
    again = update(window).where(window.campaign_id == campaign_id, window.state.in_(over))
    session.execute(again.values(state=WindowState.OPEN, answers=0, note=""))
    return True


def end(session: Session, campaign_id: int) -> bool:
    """That nothing is left; not of one that is paused, which a person lets go on first."""
    now = _turned(session, campaign_id, CampaignState.READY, CampaignState.DONE)
    return now is CampaignState.DONE


def state_of(session: Session, campaign: Campaign) -> CampaignState | None:
    """What a runner has to do; None where the campaign is removed, whichever bears its number or
    its name by now."""
    return session.scalar(select(CampaignRow.state).where(*_is(campaign)))


def keep(session: Session, campaign: Campaign) -> bool:
    """Until the transaction ends nobody removes it; False where somebody has."""
    kept = select(CampaignRow.campaign_id).where(*_is(campaign)).with_for_update(read=True)
    return session.scalar(kept) is not None


def say(session: Session, campaign_id: int, waits_for: str, now: datetime) -> None:
    """The runner lives, and waits for this."""
    session.execute(_of(campaign_id).values(waits_for=waits_for, heard_at=now))


def take_turn(session: Session, campaign_id: int, lasts: timedelta, now: datetime) -> datetime:
    """From when on its archive may be asked for what takes so long; `now` where the campaign is
    removed."""
    which = CampaignRow.campaign_id == campaign_id
    until = session.scalar(select(CampaignRow.paced_until).where(which).with_for_update())
    turn = now if until is None else max(until, now)
    session.execute(_of(campaign_id).values(paced_until=turn + lasts))
    return turn


def nothing_left(session: Session, campaign_id: int) -> bool:
    """Whether all windows are asked for, and every series has ended."""
    series, window = CampaignSeriesRow, CampaignWindowRow
    left = (
        *(  # as text, so that each fits its partial index: of a million series few are open
            select(series.found_id).where(
                series.campaign_id == campaign_id, text(f"campaign_series.{which}")
            )
            for which in (OPEN_FOUND, HERE)
        ),
        select(window.window_id).where(
            window.campaign_id == campaign_id, window.state == WindowState.OPEN
        ),
    )
    return all(session.scalar(each.limit(1)) is None for each in left)


def remove(session: Session, campaign_id: int) -> None:
    """All that is told of it. What it had sent stays, and what came of that.

    Its own row first: who enters something of it just now (`keep`) is waited for.
    """
    for table in (CampaignRow, CampaignSeriesRow, CampaignWindowRow):
        session.execute(delete(table).where(table.campaign_id == campaign_id))


def next_window(session: Session, campaign_id: int) -> CampaignWindow | None:
    """The earliest that is not asked for yet."""
    which = (
        CampaignWindowRow.campaign_id == campaign_id,
        CampaignWindowRow.state == WindowState.OPEN,
    )
    order = (CampaignWindowRow.first, CampaignWindowRow.begin)
    row = session.scalar(select(CampaignWindowRow).where(*which).order_by(*order).limit(1))
    return None if row is None else CampaignWindow(**shared_fields(CampaignWindow, row))


def end_window(
    session: Session,
    campaign_id: int,
    window_id: int,
    state: WindowState,
    answers: int,
    note: str = "",
    halves: Iterable[Span] = (),
) -> bool:
    """It was asked for, or is asked for in halves; False where another has done so before."""
    ended = session.scalar(
        update(CampaignWindowRow)
        .where(
            CampaignWindowRow.window_id == window_id,
            CampaignWindowRow.state == WindowState.OPEN,
        )
        .values(state=state, answers=answers, note=note)
        .returning(CampaignWindowRow.window_id)
    )
    if ended is not None:
        _add_windows(session, campaign_id, halves)
    return ended is not None


def windows_of(session: Session, campaign_id: int) -> tuple[CampaignWindow, ...]:
    """All, as they were entered."""
    which = CampaignWindowRow.campaign_id == campaign_id
    rows = session.scalars(
        select(CampaignWindowRow).where(which).order_by(CampaignWindowRow.window_id)
    )
    return tuple(CampaignWindow(**shared_fields(CampaignWindow, row)) for row in rows)


def series_by_state(session: Session, campaign_id: int) -> dict[FoundState, tuple[int, int, int]]:
    """How many series, how many images and how many bytes of them."""
    table = CampaignSeriesRow
    images, size = func.sum(table.instances), func.sum(table.size_bytes)
    rows = session.execute(
        select(table.state, func.count(), images, size)
        .where(table.campaign_id == campaign_id)
        .group_by(table.state)
    )
    return {state: (count, int(total or 0), int(held or 0)) for state, count, total, held in rows}


def pulled_since(
    session: Session, campaign_id: int, since: datetime
) -> tuple[int, datetime | None]:
    """Images of the series that came since then, and when the first of them did."""
    at = CampaignSeriesRow.pulled_at
    return _since(session, campaign_id, at, func.sum(CampaignSeriesRow.instances), since)


def ended_since(session: Session, campaign_id: int, since: datetime) -> tuple[int, datetime | None]:
    """Series that were had and ended since then, and when the first of them did."""
    at = CampaignSeriesRow.ended_at
    had = CampaignSeriesRow.pulled_at.is_not(None)
    return _since(session, campaign_id, at, func.count(), since, had)


def _since(
    session: Session,
    campaign_id: int,
    at: Any,
    counted: ColumnElement[Any],
    since: datetime,
    *where: ColumnElement[bool],
) -> tuple[int, datetime | None]:
    which = (CampaignSeriesRow.campaign_id == campaign_id, at > since, *where)
    found, first = session.execute(select(counted, func.min(at)).where(*which)).one()
    return int(found or 0), first


def _add_windows(session: Session, campaign_id: int, spans: Iterable[Span]) -> None:
    keys = ("first", "last", "begin", "end")
    rows = [
        {"campaign_id": campaign_id, "state": WindowState.OPEN, "answers": 0, "note": ""}
        | dict(zip(keys, span, strict=True))
        for span in spans
    ]
    if rows:
        session.execute(insert_into(session, CampaignWindowRow).on_conflict_do_nothing(), rows)


def _is(campaign: Campaign) -> tuple[ColumnElement[bool], ...]:
    """Not another that bears its number by now: SQLite gives that of a removed one again."""
    made = CampaignRow.created_at == campaign.created_at
    return CampaignRow.campaign_id == campaign.campaign_id, made


def _turned(
    session: Session, campaign_id: int, before: CampaignState, after: CampaignState
) -> CampaignState | None:
    was = _lock(session, campaign_id)
    if was is not before:
        return was
    session.execute(_of(campaign_id).values(state=after))
    return after


def _lock(session: Session, campaign_id: int) -> CampaignState | None:
    which = CampaignRow.campaign_id == campaign_id
    return session.scalar(select(CampaignRow.state).where(which).with_for_update())


def _of(campaign_id: int) -> Any:
    return update(CampaignRow).where(CampaignRow.campaign_id == campaign_id)
