"""Whose series an instance belongs to.

A Series Instance UID ought to be unique, and is not always: exports and de-identification give one
to the slices of several patients or studies. Each patient's slices are a series by themselves. The
first that came bears the UID as its key; a further one a number behind it, as in "1.2.3~2", which
tells nothing of the patient.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storage.models import SeriesRow
from storage.records import SeriesArrival, SeriesState, StoredInstance
from storage.statements import insert_into, shared_fields

Identified = tuple[str, str]
"""Series Instance UID and identity digest."""


def identified(instance: StoredInstance) -> Identified:
    """What names the series of an instance."""
    return instance.series_instance_uid, instance.identity_digest


def series_keys(session: Session, instances: Iterable[StoredInstance]) -> dict[Identified, str]:
    """The key of the series of each instance; a series that is not there yet is entered.

    Two processes that bring the first instances of two patients at once agree: under each key
    there is one row, and it is one patient's or the other's for good.
    """
    in_order = sorted(instances, key=lambda each: (each.series_instance_uid, each.received_at))
    keys: dict[Identified, str] = {}
    for each in in_order:
        if identified(each) not in keys:
            keys[identified(each)] = _key(session, each)
    return keys


def _key(session: Session, instance: StoredInstance) -> str:
    digest = instance.identity_digest
    known = _digests(session, instance)
    taken = len(known)
    while digest not in known.values():
        taken += 1
        key = instance.series_instance_uid + (f"~{taken}" if taken > 1 else "")
        _enter(session, key, instance)
        known = _digests(session, instance)
    return next(key for key, its in known.items() if its == digest)


def _digests(session: Session, instance: StoredInstance) -> dict[str, str]:
    """Whose each series with this UID is, by key."""
    wanted = select(SeriesRow.series_key, SeriesRow.identity_digest, SeriesRow.study_instance_uid)
    rows = session.execute(
        wanted.where(SeriesRow.series_instance_uid == instance.series_instance_uid)
    ).all()
    return {
        row.series_key: row.identity_digest or _adopted(session, row.series_key, instance)
        for row in rows
        if row.identity_digest or row.study_instance_uid == instance.study_instance_uid
    }


def _adopted(session: Session, key: str, instance: StoredInstance) -> str:
    """A series that an earlier release entered is the first patient's of whom more comes now.

    If that was another one, its headers tell, before it is analysed again.
    """
    row = update(SeriesRow).where(SeriesRow.series_key == key)
    session.execute(row.values(identity_digest=instance.identity_digest))
    return instance.identity_digest


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
        "reasons": (),
        "history": (),
    }
    session.execute(insert_into(session, SeriesRow).values(values).on_conflict_do_nothing())
