"""Which node holds an instance that came to several, or whose holder is lost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.conflicts import lock_all, look_again, replace_content
from storage.models import InstanceRow
from storage.placing import LOST
from storage.records import SeriesState, StoredInstance
from storage.reopening import reopen
from storage.retention import call_off, note_copy
from storage.statements import in_batches


def lost_nodes(session: Session) -> Sequence[str]:
    """Ids of those that are not heard of."""
    return session.scalars(LOST).all()


def take_over(
    session: Session,
    instances: Iterable[StoredInstance],
    lost: Collection[str],
    is_there: Callable[[str], bool],
) -> tuple[str, ...]:
    """What a lost node alone had is that which came again, whatever its content was: nobody can
    read the former. The SOP Instance UIDs; their series are looked at again."""
    again = {each.sop_instance_uid: each for each in instances if each.node_id not in lost}
    taken: dict[str, str] = {}  # with the key of the series
    others: set[str] = set()
    for uids in in_batches(sorted(again)):
        found = select(InstanceRow).where(
            InstanceRow.sop_instance_uid.in_(uids),
            InstanceRow.object_name.is_(None),
            InstanceRow.node_id.in_(lost),
        )
        ordered = found.order_by(InstanceRow.sop_instance_uid).with_for_update()
        for row in session.scalars(ordered).all():
            instance = again[row.sop_instance_uid]
            same = (instance.study_instance_uid, instance.series_instance_uid)
            if same != (row.study_instance_uid, row.series_instance_uid):
                continue  # of another patient, perhaps: a conflict
            call_off(session, instance.node_id, [instance.path])
            if is_there(instance.path):
                others |= {row.series_key} if row.sha256 != instance.sha256 else set()
                replace_content(row, replace(instance, series_key=row.series_key))
                taken[row.sop_instance_uid] = row.series_key
    session.flush()
    for key, series in lock_all(session, set(taken.values())).items():
        at = max(again[uid].received_at for uid, of in taken.items() if of == key)
        if key in others and series.state is not SeriesState.RECEIVING:
            reopen(session, series, at)
        if series.state is SeriesState.RECEIVING:
            look_again(session, series, at)
    return tuple(taken)


def note_copies(session: Session, again: Iterable[StoredInstance]) -> None:
    """What another node has already is no arrival at the next start: its file here goes, as soon
    as what that node has is sealed. Until then it may be wanted: `lost_nodes`."""
    copies = {each.path: each for each in again if each.node_id}
    for paths in in_batches(copies):
        others = select(InstanceRow.path, InstanceRow.node_id, InstanceRow.object_name).where(
            InstanceRow.path.in_(paths)
        )
        for path, holder, sealed in session.execute(others).all():
            copy = copies[path]
            if holder != copy.node_id and (holder or sealed):
                note_copy(session, copy)
