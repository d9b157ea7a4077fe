"""Whose series an instance belongs to.

A Series Instance UID ought to be unique, and is not always: exports and de-identification give one
to the slices of several patients or studies. Each patient's slices are a series by themselves. The
first that came bears the UID as its key; a further one also the beginning of its identity's digest,
so that its key is the same whenever and in whatever order it came.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storage.models import SeriesRow
from storage.records import SeriesArrival, SeriesState, StoredInstance
from storage.statements import insert_into, shared_fields

_DIGITS = 12

Identified = tuple[str, str]
"""Series Instance UID and identity digest."""


def identified(instance: StoredInstance) -> Identified:
    """What names the series of an instance."""
    return instance.series_instance_uid, instance.identity_digest


def series_keys(session: Session, instances: Iterable[StoredInstance]) -> dict[Identified, str]:
    """The key of the series of each instance; a series that is not there yet is entered.

    Two processes that bring the first instances of two patients at once agree: the row whose key
    is the UID alone is one patient's or the other's, and stays so.
    """
    in_order = sorted(instances, key=lambda each: (each.series_instance_uid, each.received_at))
    earliest = {identified(each): each for each in reversed(in_order)}
    keys: dict[Identified, str] = {}
    for uid in dict.fromkeys(each.series_instance_uid for each in in_order):
        own = [each for each in earliest.values() if each.series_instance_uid == uid]
        _enter(session, uid, min(own, key=lambda each: each.received_at))
        for each in sorted(own, key=lambda each: each.identity_digest):
            keys[identified(each)] = _key(session, each)
    return keys


def _key(session: Session, instance: StoredInstance) -> str:
    uid, digest = instance.series_instance_uid, instance.identity_digest
    wanted = select(SeriesRow.study_instance_uid, SeriesRow.identity_digest)
    study, known = session.execute(wanted.where(SeriesRow.series_key == uid)).one()
    if known == digest:
        return uid
    if not known and study == instance.study_instance_uid:  # entered by an earlier release
        row = update(SeriesRow).where(SeriesRow.series_key == uid)
        session.execute(row.values(identity_digest=digest))
        return uid
    key = f"{uid}~{digest[:_DIGITS]}"
    _enter(session, key, instance)
    return key


def _enter(session: Session, key: str, instance: StoredInstance) -> None:
    values = shared_fields(SeriesArrival, instance) | {
        "series_key": key,
        "identity_digest": instance.identity_digest,
        "accession_number": instance.accession_number,
        "modality": instance.modality,
        "calling_ae_title": instance.calling_ae_title,
        "state": SeriesState.RECEIVING,
        "instance_count": 0,
        "revision": 0,
        "priority": instance.priority,
        "first_received_at": instance.received_at,
        "last_received_at": instance.received_at,
        "reasons": [],
        "history": [],
    }
    session.execute(insert_into(session, SeriesRow).values(values).on_conflict_do_nothing())
