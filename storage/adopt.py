"""What lies in a data directory becomes rows of a database that did not know it, and is held.

Nobody can tell from files alone why they are there and nothing else is: so nothing is analysed,
and nothing sent, until a person releases it, all (`release`) or one by one: a series by
`reopening.retry_failed`, a set of results by `result_sets.resend`. What is withdrawn stays so, and
what a destination has is not sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from storage.decided import Reason, Verdict
from storage.jobs import FREE
from storage.models import DeliveryRow, JobRow, NodeRow, ResultRow, SeriesRow
from storage.outbox import DestinationsOf, enter_results, to_each
from storage.placing import place_of_result
from storage.records import (
    NOTE_KIND,
    ON_THEIR_WAY,
    OPEN_SERIES,
    RETRACTION_KIND,
    DeliveryState,
    JobState,
    ResultRecord,
    SeriesState,
)
from storage.reopening import retry_failed
from storage.result_history import Sent
from storage.statements import insert_into, lock_series

HELD = "held"
"""Rule of the reason that an adopted or restored series fails by until it is released."""

HELD_DELIVERY = "held: adopted or restored; `dicomnode database release` sends it"
"""Error of a delivery that was adopted, or restored from a back-up."""

_HELD = Reason(HELD, "adopted or restored: until `dicomnode database release`", None, Verdict.FAIL)


@dataclass(frozen=True)
class ResultsFound:
    """The results of one CT series, from files; `study_instance_uid` as they name it."""

    series_key: str
    study_instance_uid: str
    accession_number: str
    results: tuple[ResultRecord, ...]
    sent: tuple[Sent, ...] = ()


def disown(session: Session) -> None:
    """Until `hold` has been, no node starts on this database."""
    session.execute(delete(NodeRow))


def enter_found(
    session: Session,
    found: ResultsFound,
    routes: Callable[[str], DestinationsOf],
    now: datetime,
) -> int:
    """Enter results and what became of them; how many there are that no row knew.

    `routes`: by the calling AE title of who sent the series. By them a delivery is entered, for
    `hold`, of the newest set alone; a set that withdraws another goes where
    `result_sets.enter_withdrawal` sends it.
    """
    _enter_series(session, found, now)
    series = lock_series(session, found.series_key)
    uids = [each.sop_instance_uid for each in found.results]
    wanted = select(ResultRow.sop_instance_uid).where(ResultRow.sop_instance_uid.in_(uids))
    known = set(session.scalars(wanted))
    new = [each for each in found.results if each.sop_instance_uid not in known]
    for made in sorted({each.created_at for each in new}):
        of_set = [each for each in new if each.created_at == made]
        enter_results(session, of_set, to_each(), series.priority, made)
    lasting = [each for each in new if each.kind != RETRACTION_KIND]
    newest = max((each.created_at for each in lasting), default=now)
    waiting = [each for each in lasting if each.created_at == newest]
    noted = {(each.sop_instance_uid, each.destination): each for each in found.sent}
    goes = routes(series.calling_ae_title)
    for each in new:
        named = {destination for uid, destination in noted if uid == each.sop_instance_uid}
        for destination in sorted(named.union(goes(each) if each in waiting else ())):
            sent = noted.get((each.sop_instance_uid, destination))
            _enter_delivery(session, each, destination, sent, series.priority, now)
    if any(each.kind != NOTE_KIND for each in lasting) and series.state in OPEN_SERIES:
        _end(session, series, SeriesState.ANALYSED, now)
    return len(new)


def hold(session: Session, now: datetime) -> tuple[int, int]:
    """Whatever waits to be analysed or sent is held; how many series, and how many deliveries."""
    keys = select(SeriesRow.series_key).where(SeriesRow.state.in_(OPEN_SERIES))
    held = session.scalars(keys.order_by(SeriesRow.series_key)).all()
    for key in held:
        series = lock_series(session, key)
        series.reasons = (_HELD,)
        _end(session, series, SeriesState.FAILED, now)
    statement = (
        update(DeliveryRow)
        .where(DeliveryRow.state.in_(ON_THEIR_WAY))
        .values(state=DeliveryState.FAILED, error=HELD_DELIVERY, not_before=now, owner=None, **FREE)
    )
    session.execute(statement)
    waiting = select(DeliveryRow.delivery_id).where(DeliveryRow.error == HELD_DELIVERY)
    return len(held), len(session.scalars(waiting).all())


def release(session: Session, now: datetime) -> tuple[int, int]:
    """What is held goes its way; how many series are decided on, and how many objects are sent."""
    statement = (
        update(DeliveryRow)
        .where(DeliveryRow.error == HELD_DELIVERY)
        .values(state=DeliveryState.WAITING, error=None, not_before=now)
        .returning(DeliveryRow.delivery_id)
    )
    sent = len(session.scalars(statement).all())
    failed = select(SeriesRow).where(SeriesRow.state == SeriesState.FAILED)
    keys = [row.series_key for row in session.scalars(failed) if _HELD in row.reasons]
    return sum(retry_failed(session, key, now) for key in sorted(keys)), sent


def _end(session: Session, series: SeriesRow, state: SeriesState, now: datetime) -> None:
    series.state, series.decided_at, series.ended_at = state, now, now
    open_jobs = update(JobRow).where(
        JobRow.series_key == series.series_key,
        JobRow.state.in_((JobState.QUEUED, JobState.RUNNING)),
    )
    session.execute(open_jobs.values(state=JobState.DONE, ended_at=now, error=HELD, **FREE))


def _enter_series(session: Session, found: ResultsFound, now: datetime) -> None:
    """Where its instances are gone, its results are all there is of it."""
    values = {
        "series_key": found.series_key,
        "series_instance_uid": found.series_key.partition("~")[0],
        "study_instance_uid": found.study_instance_uid,
        "accession_number": found.accession_number,
        "modality": "CT",
        "calling_ae_title": "",
        "state": SeriesState.ANALYSED,
        "instance_count": 0,
        "revision": 1,
        "priority": 1,
        "first_received_at": now,
        "last_received_at": now,
        "ended_at": now,
        "reasons": (),
        "history": (),
    }
    session.execute(insert_into(session, SeriesRow).values(values).on_conflict_do_nothing())


def _enter_delivery(
    session: Session,
    result: ResultRecord,
    destination: str,
    sent: Sent | None,
    priority: int,
    now: datetime,
) -> None:
    """One attempt is counted though nothing is noted: the destination may have the object."""
    state = DeliveryState.WAITING if sent is None else sent.state
    arrived = state in (DeliveryState.STORED, DeliveryState.COMMITTED)
    values: Mapping[str, object] = {
        "sop_instance_uid": result.sop_instance_uid,
        "series_key": result.series_key,
        "destination": destination,
        "state": state,
        "priority": priority,
        "attempt": 1,
        "node_id": place_of_result(result),
        "created_at": result.created_at,
        "not_before": now,
        "stored_at": sent.at if sent is not None and arrived else None,
        "committed_at": sent.at if sent and state is DeliveryState.COMMITTED else None,
        "error": sent and sent.error,
    }
    session.execute(insert_into(session, DeliveryRow).values(values).on_conflict_do_nothing())


def known_series(session: Session) -> dict[str, str]:
    """The identity digest of each series, by its key."""
    columns = select(SeriesRow.series_key, SeriesRow.identity_digest)
    return {row.series_key: row.identity_digest for row in session.execute(columns)}
