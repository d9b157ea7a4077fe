"""What a person does with series of the queue from the command line, and what it came to, in words.

The running node finds it in the rows: work that must not go on ends within seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from dicomnode.decisions.eligibility.study_choice import STUDY_CHOICE
from dicomnode.decisions.wording import how_many
from dicomnode.errors import DataError
from storage import by_hand, conflicts
from storage.by_hand import Cancelled, Held, Moved
from storage.database import Database
from storage.records import ConflictState, SeriesDetail, SeriesRecord, SeriesState


class Take(StrEnum):
    FIRST = "first"
    NEWEST = "newest"


@dataclass(frozen=True)
class Done:
    """What was done with one series: `facts` for a program, `text` for a person."""

    series_key: str
    facts: Mapping[str, object]
    text: str

    def as_json(self) -> dict[str, object]:
        return {"series_key": self.series_key, **self.facts}


_Act = Callable[[Session, SeriesDetail], Done | None]


def hold(database: Database, details: Sequence[SeriesDetail], now: datetime) -> tuple[Done, ...]:
    """Keep series from being assessed, analysed and sent until they are released.

    Raises:
        DataError: they are on hold already.
    """

    def act(session: Session, detail: SeriesDetail) -> Done | None:
        key = detail.series.series_key
        held = by_hand.hold(session, key, now)
        if held is None:
            return None
        return Done(key, {"on_hold_since": now.isoformat()} | asdict(held), _held(held))

    return _each(database, details, act, lambda _detail: "it is on hold already")


def cancel(database: Database, details: Sequence[SeriesDetail], now: datetime) -> tuple[Done, ...]:
    """Skip series that wait for their analysis, or are in it.

    Raises:
        DataError: none of them waits; says of each what it is.
    """

    def act(session: Session, detail: SeriesDetail) -> Done | None:
        key = detail.series.series_key
        done = by_hand.cancel(session, key, now, STUDY_CHOICE)
        if done is None:
            return None
        return Done(key, {"state": SeriesState.SKIPPED.value} | _ended(done), _told(done))

    return _each(database, details, act, _why_not_cancelled)


def put_first(database: Database, details: Sequence[SeriesDetail]) -> tuple[Done, ...]:
    """Put series at the head of the queue, with what they are to deliver.

    Raises:
        DataError: nothing of them waits.
    """

    def act(session: Session, detail: SeriesDetail) -> Done | None:
        key = detail.series.series_key
        moved = by_hand.put_first(session, key)
        if moved is None:
            return None
        return Done(key, asdict(moved), _moved(moved, detail.series))

    def why_not(detail: SeriesDetail) -> str:
        return f"{detail.series.state.value}: nothing waits"

    return _each(database, details, act, why_not)


def release(
    database: Database, details: Sequence[SeriesDetail], take: Take | None, now: datetime
) -> tuple[Done, ...]:
    """Let series go that are on hold; with `take`, decide which content of their instances stands.

    Raises:
        DataError: nothing of them is held, or a person has to say which content to take.
    """

    def act(session: Session, detail: SeriesDetail) -> Done | None:
        key = detail.series.series_key
        gone_on = by_hand.let_go(session, key, now)
        newest = take is Take.NEWEST
        count = 0 if take is None else conflicts.release(session, key, newest, now)
        facts: dict[str, object] = {"released": True} if gone_on else {}
        facts |= {"take": take, "instances": count} if count else {}
        texts = ["is on hold no more"] if gone_on else []
        texts += [f"the {take} of {how_many(count, 'instance')} will be taken"] if count else []
        return Done(key, facts, ", ".join(texts)) if facts else None

    return _each(database, details, act, _why_not_released)


def _each(
    database: Database,
    details: Sequence[SeriesDetail],
    act: _Act,
    why_not: Callable[[SeriesDetail], str],
) -> tuple[Done, ...]:
    """Each in a transaction of its own; those of which nothing was done are told if all are."""
    done, refused = [], []
    for detail in details:
        with database.write() as session:
            found = act(session, detail)
        if found is not None:
            done.append(found)
        else:
            refused.append(f"{detail.series.series_key}: {why_not(detail)}")
    if not done:
        raise DataError("series", "; ".join(refused))
    return tuple(done)


def _held(held: Held) -> str:
    parts = ["is on hold: not assessed, analysed or sent before `dicomnode queue release`"]
    parts += ["its analysis was stopped"] if held.analysis_stopped else []
    sending = how_many(held.being_sent, "object")
    parts += [f"{sending} just being sent will arrive"] if held.being_sent else []
    return "; ".join(parts)


def _ended(done: Cancelled) -> dict[str, object]:
    return asdict(done) | {"reconsidered": list(done.reconsidered)}


def _told(done: Cancelled) -> str:
    parts = ["is skipped: cancelled by a person"]
    parts += ["its analysis was stopped"] if done.analysis_stopped else []
    parts += [f"series {key} of its study is decided on anew" for key in done.reconsidered]
    return "; ".join(parts)


def _moved(moved: Moved, series: SeriesRecord) -> str:
    job = "its decision" if series.state is SeriesState.RECEIVING else "its analysis"
    what = [job] if moved.jobs else []
    what += [how_many(moved.deliveries, "delivery")] if moved.deliveries else []
    return f"goes first now: {' and '.join(what)}"


_ENDED = {
    SeriesState.ANALYSED: "it was analysed: `dicomnode results retract` withdraws its results",
    SeriesState.SKIPPED: "it was skipped: it is not analysed anyway",
    SeriesState.FAILED: "it failed: it is not analysed anyway",
}


def _why_not_cancelled(detail: SeriesDetail) -> str:
    return _ENDED.get(detail.series.state, "it has just been decided on: try again")


def _why_not_released(detail: SeriesDetail) -> str:
    if any(each.state is ConflictState.HELD for each in detail.conflicts):
        return "a person has to choose: give --take first, or --take newest"
    claimed = sorted({each.owner_key for each in detail.claims})
    known = f"; its instances are known under {', '.join(claimed)}" if claimed else ""
    return f"nothing of it is held{known}"
