"""The index of what has come: associations, instances, and the series they add up to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from storage.campaign_arrivals import campaigns_keys, sort_out
from storage.columns import of_node
from storage.conflicts import (
    claims_of,
    conflicts_of,
    contested,
    lock_all,
    note_again,
    note_conflict,
)
from storage.enqueue import ensure_assess, wake_assess
from storage.errors import UnknownAssociationError
from storage.holders import lost_nodes, note_copies, take_over
from storage.models import AssociationRow, InstanceConflictRow, InstanceRow, SeriesRow
from storage.parts import identified, series_keys
from storage.placing import place_anew
from storage.records import (
    Arrival,
    Association,
    AssociationEnd,
    SeriesArrival,
    SeriesState,
    StoredInstance,
)
from storage.reopening import reopen
from storage.retention import call_off
from storage.sealing import note_single
from storage.statements import in_batches, insert_into, shared_fields, stored_instance

IsThere = Callable[[str], bool]
"""Whether the file of a stored path lies on the disk."""


def open_association(session: Session, association: Association) -> None:
    """Note that a peer opened an association; again, it changes nothing.

    A row that was only guessed from a file (without `node_id`, as LOST) gives way: the process
    that holds the association is alive, and speaks later than the one that found the file.
    """
    values = shared_fields(Association, association)
    values["ending"] = values.pop("end")
    statement = insert_into(session, AssociationRow).values(values)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["association_id"], set_=values, where=AssociationRow.node_id == ""
        )
    )


def end_association(
    session: Session, association_id: str, ended_at: datetime, end: AssociationEnd
) -> None:
    """Note how an association ended, once: a second end changes nothing.

    ASSESS jobs of the series it brought become due at once.

    Raises:
        UnknownAssociationError
    """
    if session.get(AssociationRow, association_id) is None:
        raise UnknownAssociationError(association_id)
    _end(session, [association_id], ended_at, end)


def end_lost_associations(
    session: Session,
    node_id: str,
    ended_at: datetime,
    opened_before: datetime | None = None,
    but: Collection[str] = (),
) -> int:
    """End as LOST whatever a dead receiver of `node_id` left open; returns how many.

    `opened_before`: what opened later is not lost. "node" stands for "node/receiver-1" too, and
    "node/receiver-1" not for "node/receiver-10". `but`: ids of those that are open.
    """
    below = AssociationRow.node_id.startswith(f"{node_id}/", autoescape=True)
    still_open = select(AssociationRow.association_id).where(
        or_(AssociationRow.node_id == node_id, below), AssociationRow.ended_at.is_(None)
    )
    if opened_before is not None:
        still_open = still_open.where(AssociationRow.opened_at < opened_before)
    if but:
        still_open = still_open.where(AssociationRow.association_id.not_in(but))
    return _end(session, session.scalars(still_open).all(), ended_at, AssociationEnd.LOST)


def record_instances(
    session: Session, instances: Sequence[StoredInstance], is_there: IsThere = lambda _path: True
) -> list[Arrival]:
    """Enter instances whose files are durable; tells for each, in order, what it was.

    A new instance makes its series, or adds to it and opens it again if it was decided already;
    exactly one ASSESS job is open for it then. The same content again changes nothing at all, but
    where it is not settled which content stands: then it is the newest. Other content under the
    same SOP Instance UID is kept apart (`storage.conflicts`), and looked at by the ASSESS job of
    the series. An association that has no row, as when files are entered after a crash, is added as
    LOST; an empty `association_id` stands for none. What a node alone had that is lost by now lies
    where it came again. A file that retention took away since (`is_there` says so) is not entered.
    """
    taken_over: tuple[str, ...] = ()
    if lost := lost_nodes(session):
        _insert_missing_associations(session, instances)
        taken_over = take_over(session, instances, lost, is_there)
    known = _contents(session, instances)
    # before any series is locked: two that bring the same association wait in one order only
    _insert_missing_associations(session, instances)
    other = [each for each in instances if known.get(each.sop_instance_uid) != each.sha256]
    keys = series_keys(session, other)
    doubted = contested(session, known.keys()) | {each.sop_instance_uid for each in other}
    of_campaigns = campaigns_keys(session, instances)
    locked = lock_all(session, {*keys.values(), *_owners(session, doubted), *of_campaigns})
    instances = sort_out(session, instances, locked)
    keyed = [replace(each, series_key=keys.get(identified(each), "")) for each in instances]
    inserted = _insert_new(
        session, [each for each in keyed if each.sop_instance_uid not in known], locked, is_there
    )
    raced = [each for each in keyed if each.sop_instance_uid not in known | inserted]
    known |= inserted | _contents(session, raced)
    first = {each.sop_instance_uid: each for each in reversed(keyed)}
    arrivals = [
        Arrival.NEW
        if each.sop_instance_uid in inserted and first[each.sop_instance_uid] is each
        else _again(session, each, known.get(each.sop_instance_uid), is_there)
        for each in keyed
    ]
    for each, arrival in zip(keyed, arrivals, strict=True):
        if arrival is Arrival.DUPLICATE and each.sop_instance_uid in doubted:
            note_again(session, each)
    again = [e for e, arrival in zip(keyed, arrivals, strict=True) if arrival is Arrival.DUPLICATE]
    note_copies(session, again)
    place_anew(session, taken_over)
    _remove_unused(session, keys.values())
    return arrivals


def _owners(session: Session, sop_instance_uids: Collection[str]) -> set[str]:
    """The series of those that are known."""
    owners: set[str] = set()
    for uids in in_batches(sop_instance_uids):
        wanted = select(InstanceRow.series_key).where(InstanceRow.sop_instance_uid.in_(uids))
        owners |= set(session.scalars(wanted.distinct()))
    return owners


def _remove_unused(session: Session, series_keys: Iterable[str]) -> None:
    """Series that were entered a moment ago, and for nothing."""
    for key in set(series_keys):
        series = session.get_one(SeriesRow, key)
        if series.revision == 0:
            session.delete(series)


def series_arrival(session: Session, series_key: str) -> SeriesArrival | None:
    """What has come for one series, and the state of the associations that brought it."""
    series = session.get(SeriesRow, series_key)
    if series is None:
        return None
    bringing = select(InstanceRow.association_id).where(InstanceRow.series_key == series_key)
    again = conflicts_of(session, series_key)
    claims = claims_of(session, series_key)
    statement = select(AssociationRow).where(
        or_(
            AssociationRow.association_id.in_(bringing),
            AssociationRow.association_id.in_({each.association_id for each in (*again, *claims)}),
        )
    )
    rows = session.scalars(statement).all()
    ended = [(row.ended_at, row.ending) for row in rows if row.ended_at is not None]
    last = max(ended, key=lambda each: each[0], default=(None, None))
    return SeriesArrival(
        series_key=series.series_key,
        series_instance_uid=series.series_instance_uid,
        study_instance_uid=series.study_instance_uid,
        instance_count=series.instance_count + len({each.sop_instance_uid for each in claims}),
        first_received_at=series.first_received_at,
        last_received_at=series.last_received_at,
        open_associations=len(rows) - len(ended),
        last_association_ended_at=last[0],
        last_association_end=last[1],
        revision=series.revision,
    )


def instances_of_series(session: Session, series_key: str) -> tuple[StoredInstance, ...]:
    """The instances of a series, by SOP Instance UID."""
    statement = select(InstanceRow).where(InstanceRow.series_key == series_key)
    found = (stored_instance(row) for row in session.scalars(statement))
    return tuple(sorted(found, key=lambda each: each.sop_instance_uid))


def known_paths(session: Session, paths: Sequence[str], node_id: str = "") -> set[str]:
    """Which of these files of a node the index knows, as an instance or as a conflicting copy."""
    known: set[str] = set()
    tables: tuple[Any, ...] = (InstanceRow, InstanceConflictRow)
    for batch in in_batches(paths):
        for table in tables:
            here = (table.path.in_(batch), of_node(table.node_id, node_id))
            known |= set(session.scalars(select(table.path).where(*here)))
    return known


def known_instances(session: Session, sop_instance_uids: Collection[str]) -> set[str]:
    """Which of these instances the index has."""
    known: set[str] = set()
    for uids in in_batches(sop_instance_uids):
        wanted = select(InstanceRow.sop_instance_uid).where(InstanceRow.sop_instance_uid.in_(uids))
        known |= set(session.scalars(wanted))
    return known


def _end(
    session: Session, association_ids: Sequence[str], ended_at: datetime, end: AssociationEnd
) -> int:
    statement = (
        update(AssociationRow)
        .where(
            AssociationRow.association_id.in_(association_ids), AssociationRow.ended_at.is_(None)
        )
        .values(ended_at=ended_at, ending=end)
        .returning(AssociationRow.association_id)
    )
    ended = session.scalars(statement).all()
    brought = select(InstanceRow.series_key).where(InstanceRow.association_id.in_(ended))
    wake_assess(session, session.scalars(brought.distinct()).all(), ended_at)
    return len(ended)


def _contents(session: Session, instances: Iterable[StoredInstance]) -> dict[str, str]:
    """SHA-256 by SOP Instance UID, of those of `instances` that the index has.

    FOR KEY SHARE on PostgreSQL: none of them is removed before this transaction ends.
    """
    known: dict[str, str] = {}
    statement = select(InstanceRow.sop_instance_uid, InstanceRow.sha256)
    for uids in in_batches({each.sop_instance_uid for each in instances}):
        wanted = statement.where(InstanceRow.sop_instance_uid.in_(uids))
        rows = session.execute(wanted.with_for_update(read=True, key_share=True))
        known |= {row.sop_instance_uid: row.sha256 for row in rows}
    return known


def _insert_new(
    session: Session,
    candidates: Sequence[StoredInstance],
    locked: Mapping[str, SeriesRow],
    is_there: IsThere,
) -> dict[str, str]:
    """Insert one row for each SOP Instance UID; the SHA-256 of those that were not there."""
    once = {each.sop_instance_uid: each for each in reversed(candidates)}
    by_series = sorted(once.values(), key=lambda each: (each.series_key, each.received_at))
    inserted: dict[str, str] = {}
    for key, group in groupby(by_series, key=lambda each: each.series_key):
        inserted |= _insert_into_series(session, locked[key], list(group), is_there)
    return inserted


def _insert_into_series(
    session: Session, series: SeriesRow, candidates: list[StoredInstance], is_there: IsThere
) -> dict[str, str]:
    instances = _staying(session, candidates, is_there)
    if not instances:
        return {}
    statement = (
        insert_into(session, InstanceRow)
        .on_conflict_do_nothing(index_elements=["sop_instance_uid"])
        .returning(InstanceRow.sop_instance_uid)
    )
    in_order = sorted(instances, key=lambda each: each.sop_instance_uid)
    uids = set(session.scalars(statement, [_values(each) for each in in_order]))
    new = [each for each in instances if each.sop_instance_uid in uids]
    _add_to_series(session, series, new)
    return {each.sop_instance_uid: each.sha256 for each in new}


def _staying(
    session: Session, candidates: Sequence[StoredInstance], is_there: IsThere
) -> list[StoredInstance]:
    """Once its removal is called off, a file that is there stays: in this order."""
    for node_id in {each.node_id for each in candidates}:
        call_off(session, node_id, [each.path for each in candidates if each.node_id == node_id])
    return [each for each in candidates if is_there(each.path)]


def _insert_missing_associations(session: Session, instances: Sequence[StoredInstance]) -> None:
    rows = {each.association_id: _lost(each) for each in instances if each.association_id}
    if rows:
        statement = insert_into(session, AssociationRow).on_conflict_do_nothing()
        session.execute(statement, [rows[key] for key in sorted(rows)])  # compiled once for all


def _lost(instance: StoredInstance) -> dict[str, Any]:
    return {
        "association_id": instance.association_id,
        "node_id": "",
        "calling_ae_title": instance.calling_ae_title,
        "called_ae_title": "",
        "peer_address": "",
        "opened_at": instance.received_at,
        "ended_at": instance.received_at,
        "ending": AssociationEnd.LOST,
    }


def _add_to_series(session: Session, series: SeriesRow, new: Sequence[StoredInstance]) -> None:
    if not new:
        return
    if series.state is not SeriesState.RECEIVING:
        reopen(session, series, max(each.received_at for each in new))
    if series.removed_at is not None:
        _begin_anew(series, min(each.received_at for each in new))
    series.completeness = None  # what was noted of fewer instances
    series.instance_count += len(new)
    series.revision += 1
    series.priority = min(series.priority, *(each.priority for each in new))
    times = [each.received_at for each in new]
    series.first_received_at = min(series.first_received_at, *times)
    series.last_received_at = max(series.last_received_at, *times)
    session.flush()
    ensure_assess(session, series.series_key, series.priority, max(times))


def _begin_anew(series: SeriesRow, now: datetime) -> None:
    """What came after the removal is all there is: a new arrival, with the old one as history."""
    series.removed_at = None
    series.instance_count = 0
    series.first_received_at = now


def _again(
    session: Session, instance: StoredInstance, known_sha256: str | None, is_there: IsThere
) -> Arrival:
    if known_sha256 is None:
        return Arrival.REMOVED
    if instance.sha256 == known_sha256:
        note_single(session, instance)
        return Arrival.DUPLICATE
    if not _staying(session, [instance], is_there):
        return Arrival.REMOVED
    note_conflict(session, instance)
    return Arrival.CONFLICT


def _values(instance: StoredInstance) -> dict[str, Any]:
    values = {column.key: getattr(instance, column.key) for column in InstanceRow.__table__.c}
    return values | {"association_id": instance.association_id or None}
