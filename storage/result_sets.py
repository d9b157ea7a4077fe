"""What becomes of results after they were made: found again, sent again, withdrawn.

The results of one analysis, or of one note, are one set: they were made at one moment for one CT
series, and are withdrawn together. A withdrawal stands in the history of the series.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import String, cast, select, text, update
from sqlalchemy.orm import Session

from storage.database import Database
from storage.decided import RETRACTED, Reinstatement, Withdrawal, retractions
from storage.jobs import FREE
from storage.models import FIRST_OF_SET, DeliveryRow, ResultRow, SeriesRow
from storage.outbox import NOT_TRIED, DestinationsOf, enter_results, to_each
from storage.placing import place_of_result
from storage.queries import (
    details_of,
    find_exactly,
    find_series,
    series_detail,
    series_record,
)
from storage.records import (
    ON_THEIR_WAY,
    RETRACTION_KIND,
    DeliveryState,
    ResultRecord,
    ResultSet,
    SeriesDetail,
)
from storage.result_history import KeptWithdrawal
from storage.statements import in_batches, insert_into, lock_series


def recent_sets(session: Session, limit: int) -> tuple[ResultSet, ...]:
    """The sets made last, newest first."""
    statement = (
        select(ResultRow.series_key, ResultRow.created_at)
        .distinct()  # what withdraws a set may be entered in several turns
        .where(text(f"result.{FIRST_OF_SET}"))  # as text, so that it fits the partial index
        .order_by(ResultRow.created_at.desc(), ResultRow.series_key.desc())
        .limit(limit)
    )
    found = session.execute(statement).all()
    records = [
        series_record(row)
        for keys in in_batches({key for key, _ in found})
        for row in session.scalars(select(SeriesRow).where(SeriesRow.series_key.in_(keys)))
    ]
    details = details_of(session, records)
    sets = {each.series.series_key: _sets_of(each) for each in details}
    return tuple(
        each for uid, created_at in found for each in sets[uid] if each.created_at == created_at
    )


def find_sets(session: Session, named: str) -> tuple[ResultSet, ...]:
    """The sets that `named` may mean, newest first.

    A SOP Instance UID of a result, its Series Instance UID, or the ending of its SOP Instance UID
    means the set that it is of; whatever `find_series` finds means all sets of these series.
    """
    wanted = named.strip().removeprefix("…")
    if not wanted:
        return ()
    if keys := find_exactly(session, wanted):
        return _newest_first(each for key in keys for each in sets_of_series(session, key))
    sop, series = ResultRow.sop_instance_uid, ResultRow.result_series_instance_uid
    for way in (sop == wanted, series == wanted, sop.endswith(wanted, autoescape=True)):
        rows = session.scalars(select(ResultRow).where(way).limit(1000)).all()
        if rows:
            made = {(row.series_key, row.created_at) for row in rows}
            return _newest_first(
                each
                for uid in {uid for uid, _ in made}
                for each in sets_of_series(session, uid)
                if (uid, each.created_at) in made
            )
    return _newest_first(
        each for uid in find_series(session, wanted) for each in sets_of_series(session, uid)
    )


def sets_of_series(session: Session, series_key: str) -> tuple[ResultSet, ...]:
    """The sets of one CT series, oldest first."""
    detail = series_detail(session, series_key)
    return () if detail is None else _sets_of(detail)


def _sets_of(detail: SeriesDetail) -> tuple[ResultSet, ...]:
    made = sorted({each.created_at for each in detail.results})
    lasting = [each.created_at for each in detail.results if each.kind != RETRACTION_KIND]
    newest = max(lasting, default=None)
    return tuple(_set(detail, moment, newest) for moment in made)


def _set(detail: SeriesDetail, created_at: datetime, newest: datetime | None) -> ResultSet:
    """`newest`: when the last set was made that is no retraction."""
    results = tuple(each for each in detail.results if each.created_at == created_at)
    uids = {each.sop_instance_uid for each in results}
    deliveries = (each for each in detail.deliveries if each.result.sop_instance_uid in uids)
    retracted = retractions(detail.series.history)
    moments = [moment for uid, moment in retracted.items() if uid in uids]
    retraction = all(each.kind == RETRACTION_KIND for each in results)
    return ResultSet(
        series=detail.series,
        created_at=created_at,
        results=results,
        deliveries=tuple(deliveries),
        superseded=created_at != newest and not retraction,
        retracted_at=min(moments, default=None),
    )


def _newest_first(sets: Iterable[ResultSet]) -> tuple[ResultSet, ...]:
    return tuple(sorted(sets, key=lambda each: each.created_at, reverse=True))


def resend(session: Session, chosen: ResultSet, destinations: DestinationsOf, now: datetime) -> int:
    """Put every delivery of a set back to waiting, as if never tried; how many there are.

    A destination that is new since gets the set too. What is being sent just now goes on, and
    nothing of a withdrawn set is sent: its count is 0.
    """
    series = lock_series(session, chosen.series.series_key)
    uids = {each.sop_instance_uid for each in chosen.results}
    if uids & retractions(series.history).keys():
        return 0
    return sum(
        _wait_again(session, result, destination, series.priority, now)
        for result in chosen.results
        for destination in destinations(result)
    )


def _wait_again(
    session: Session, result: ResultRecord, destination: str, priority: int, now: datetime
) -> bool:
    fresh = {
        "state": DeliveryState.WAITING,
        "priority": priority,
        "created_at": now,
        "not_before": now,
        "node_id": place_of_result(result),
        **NOT_TRIED,
    }  # `attempt` stays: it tells that the destination may have the object
    key = {
        "sop_instance_uid": result.sop_instance_uid,
        "series_key": result.series_key,
        "destination": destination,
    }
    statement = (
        insert_into(session, DeliveryRow)
        .values(key | fresh | {"attempt": 0})
        .on_conflict_do_update(
            index_elements=["sop_instance_uid", "destination"],
            set_=fresh,
            where=DeliveryRow.state != DeliveryState.SENDING,
        )
        .returning(DeliveryRow.delivery_id)
    )
    return session.scalar(statement) is not None


def enter_withdrawals(database: Database, kept: Iterable[KeptWithdrawal]) -> int:
    """Bring the database up to date with what is withdrawn; how many sets it did not know.

    Raises:
        DatabaseUnavailableError: and whatever reading `kept` does.
    """
    with database.read() as session:
        unknown = [each for each in kept if not _is_entered(session, each)]
    entered = 0
    for each in unknown:
        with database.write() as session:
            entered += enter_withdrawal(session, each) is not None
    return entered


def entered_withdrawals(session: Session) -> tuple[KeptWithdrawal, ...]:
    """What the histories of all series tell: of a former release, nothing was kept elsewhere."""
    told = cast(SeriesRow.history, String).contains(f'"{RETRACTED}"')
    rows = session.execute(select(SeriesRow.series_key, SeriesRow.history).where(told))
    return tuple(
        KeptWithdrawal(row.series_key, entry)
        for row in rows
        for entry in row.history
        if isinstance(entry, Withdrawal)
    )


def _is_entered(session: Session, kept: KeptWithdrawal) -> bool:
    series = session.get(SeriesRow, kept.series_key)
    known = {} if series is None else retractions(series.history)
    return bool(set(kept.withdrawal.retracted) & known.keys())


def enter_withdrawal(session: Session, kept: KeptWithdrawal) -> tuple[str, ...] | None:
    """Withdraw a set, as is written beside the result files: what waits is given up, and its note
    goes to each destination of `kept.notes` that may have an object of the set; returns these.

    One transaction with the entry in the history. None, and nothing changes, when the set is
    withdrawn already, or no row tells of its series. A deliverer that is sending an object of the
    set loses its lease: it cannot put it back to waiting. The note waits as long as that lease ran,
    so that it never arrives before what it withdraws.
    """
    uids = kept.withdrawal.retracted
    if session.get(SeriesRow, kept.series_key) is None:
        return None
    series = lock_series(session, kept.series_key)
    if set(uids) & retractions(series.history).keys():
        return None
    reached = tuple(sorted(kept.notes.keys() & _tried(session, uids)))
    entry = replace(kept.withdrawal, instance_count=series.instance_count, notified=reached)
    series.history = (*series.history, entry)
    leases = _leases(session, uids)
    _stop(session, uids)
    for destination in reached:
        note, to = kept.notes[destination], to_each(destination)
        due = max(entry.decided_at, leases.get(destination, entry.decided_at))
        enter_results(session, [note], to, series.priority, due)
    return reached


def record_reinstatement(
    session: Session,
    chosen: ResultSet,
    results: Sequence[ResultRecord],
    destinations: DestinationsOf,
    now: datetime,
) -> bool:
    """A set that is withdrawn is sent anew as `results`; False when that was done before.

    One transaction with the entry in the history.
    """
    series = lock_series(session, chosen.series.series_key)
    withdrawn = tuple(each.sop_instance_uid for each in chosen.results)
    before = (each.withdrawn for each in series.history if isinstance(each, Reinstatement))
    if withdrawn in before:
        return False
    uids = tuple(each.sop_instance_uid for each in results)
    entry = Reinstatement(now, withdrawn, uids, series.instance_count)
    series.history = (*series.history, entry)
    enter_results(session, results, destinations, series.priority, now)
    return True


def _tried(session: Session, sop_instance_uids: Sequence[str]) -> set[str]:
    """Destinations that have, or may have, one of the objects: a try without answer counts."""
    statement = select(DeliveryRow.destination).where(
        DeliveryRow.sop_instance_uid.in_(sop_instance_uids), DeliveryRow.attempt > 0
    )
    return set(session.scalars(statement))


def _leases(session: Session, sop_instance_uids: Sequence[str]) -> dict[str, datetime]:
    """Destinations to which one of the objects may just be going out, and until when at most."""
    statement = select(DeliveryRow.destination, DeliveryRow.lease_until).where(
        DeliveryRow.sop_instance_uid.in_(sop_instance_uids),
        DeliveryRow.state == DeliveryState.SENDING,
    )
    leases: dict[str, datetime] = {}
    for destination, until in session.execute(statement):
        if until is not None:
            leases[destination] = max(until, leases.get(destination, until))
    return leases


def _stop(session: Session, sop_instance_uids: Sequence[str]) -> None:
    statement = update(DeliveryRow).where(
        DeliveryRow.sop_instance_uid.in_(sop_instance_uids),
        DeliveryRow.state.in_(ON_THEIR_WAY),
    )
    session.execute(statement.values(state=DeliveryState.ABANDONED, error=RETRACTED, **FREE))
