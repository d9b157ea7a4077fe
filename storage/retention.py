"""Removing what is finished: first its rows, in one transaction, then its files.

`remove_series` takes the rows of instances, conflicts, results, deliveries and jobs away and notes
each file in the table `removal`; the series' own row stays and tells what was decided and when.
From then on no row speaks of these files. `remove_files` unlinks them, a batch at a time, and
strikes a batch from the table only when its names are gone from the disk durably. A process that
is killed anywhere between loses nothing: what is in the table is unlinked by the next pass, and is
no arrival for whoever indexes the files that no row knows.

A resend may come at any of these moments. `RemovableFiles` leaves a file alone that was touched
meanwhile, and whoever records an instance calls its removal off first (`call_off`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, literal, select
from sqlalchemy.orm import Session

from storage.columns import of_node
from storage.jobs import OPEN_JOBS
from storage.models import (
    AssociationRow,
    DeliveryRow,
    InstanceConflictRow,
    InstanceRow,
    JobRow,
    RemovalRow,
    ResultRow,
    SeriesRow,
)
from storage.outbox import arrived
from storage.records import ENDED_WITHOUT_ARRIVAL, EndedSeries, FileKind, StoredInstance
from storage.removable_files import CLOCK_SLACK_SECONDS, RemovableFiles
from storage.sealing import note_objects
from storage.statements import Place, behind, in_batches, insert_into, lock_series

StoredPath = tuple[FileKind, str]


def ended_series(
    session: Session, before: datetime, after: Place | None, limit: int
) -> tuple[EndedSeries, ...]:
    """Up to `limit` series that ended before a time, oldest first, from `after` on.

    Those whose files were removed already are left out, and those that a person holds.
    """
    where = [
        SeriesRow.ended_at < before,
        SeriesRow.removed_at.is_(None),
        SeriesRow.on_hold_since.is_(None),
    ]
    if after is not None:
        where.append(behind(after, SeriesRow.ended_at, SeriesRow.series_key))
    statement = (
        select(SeriesRow)
        .where(*where)
        .order_by(SeriesRow.ended_at, SeriesRow.series_key)
        .limit(limit)
    )
    found = (_ended(session, row) for row in session.scalars(statement).all())
    return tuple(each for each in found if each is not None)


def stored_paths(session: Session, series_key: str, node_id: str = "") -> tuple[StoredPath, ...]:
    """Every file on the disk of a node that a row of the series names: instances, conflicting
    copies, results."""
    found = _stored(session, series_key)
    return tuple(
        (kind, path) for kind, path, whose in found if not node_id or whose in ("", node_id)
    )


def _stored(session: Session, series_key: str) -> list[tuple[FileKind, str, str]]:
    """On whichever disks, instances before results: kind, path, and whose disk."""
    instances = select(InstanceRow.sop_instance_uid).where(InstanceRow.series_key == series_key)
    copies = InstanceConflictRow.sop_instance_uid.in_(instances)
    named: tuple[tuple[FileKind, Any, ColumnElement[bool]], ...] = (
        (FileKind.INSTANCE, InstanceRow, InstanceRow.series_key == series_key),
        (FileKind.INSTANCE, InstanceConflictRow, copies),
        (FileKind.RESULT, ResultRow, ResultRow.series_key == series_key),
    )
    return sorted(
        {
            (kind, row.path, row.node_id)
            for kind, table, which in named
            for row in session.execute(select(table.path, table.node_id).where(which))
        }
    )


def remove_series(
    session: Session,
    series_key: str,
    may_go: Callable[[EndedSeries], bool],
    looked_at: datetime,
) -> int | None:
    """Remove the rows of a series and note its files to be unlinked; returns how many files.

    None when it may not go. `may_go` judges once more, with the series locked. `looked_at` is when
    the caller began, before it looked at the files: one that is touched later stays.
    """
    series = lock_series(session, series_key)
    ended = None if series.removed_at is not None else _ended(session, series)
    if ended is None or not may_go(ended):
        return None
    stored = _stored(session, series_key)
    for batch in in_batches(stored):
        _note(session, [(*each, looked_at) for each in batch])
    note_objects(session, series_key, looked_at)
    _delete_rows(session, series_key)
    series.removed_at = looked_at
    return len(stored)


_COPY_AGE = timedelta(minutes=1)
"""What is touched later is another copy, which is noted by itself."""


def note_copy(session: Session, copy: StoredInstance) -> None:
    """A file of which another node has the content is unlinked when that is sealed or gone."""
    untouched_since = copy.received_at + _COPY_AGE
    _note(session, [(FileKind.INSTANCE, copy.path, copy.node_id, untouched_since)])


def _note(session: Session, files: Sequence[tuple[FileKind, str, str, datetime]]) -> None:
    """`files`: kind, path, whose disk, and since when nobody has touched it."""
    names = ("kind", "path", "node_id", "untouched_since")
    values = [dict(zip(names, each, strict=True)) for each in files]
    statement = insert_into(session, RemovalRow).values(values)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["node_id", "kind", "path"],
            set_={"untouched_since": statement.excluded.untouched_since},
        )
    )


def remove_files(
    session: Session, kind: FileKind, files: RemovableFiles, after: str | None, limit: int
) -> tuple[str | None, int]:
    """Unlink up to `limit` noted files of one kind, those after path `after`.

    Returns the last path, None at the end, and how many were unlinked. Names are gone durably
    before a file is struck from the table; one that could not be unlinked stays noted.
    """
    noted = _noted(session, kind, files.node_id, after, limit)
    outcome = files.remove_untouched({row.path: row.untouched_since for row in noted})
    done = [row.path for row in noted if row.path not in outcome.failed]
    for batch in in_batches(done):
        struck = (
            of_node(RemovalRow.node_id, files.node_id),
            RemovalRow.kind == kind,
            RemovalRow.path.in_(batch),
        )
        session.execute(delete(RemovalRow).where(*struck))
    last = noted[-1].path if len(noted) == limit else None
    return last, len(outcome.removed)


def call_off(session: Session, node_id: str, paths: Iterable[str]) -> None:
    """These instances came again to a node: their files there stay. Waits for a removal that is
    under way."""
    for batch in in_batches(sorted(paths)):
        noted = (RemovalRow.kind == FileKind.INSTANCE, RemovalRow.path.in_(batch))
        session.execute(delete(RemovalRow).where(of_node(RemovalRow.node_id, node_id), *noted))


def noted_for_removal(
    session: Session, paths: Sequence[str], node_id: str = ""
) -> dict[str, datetime]:
    """Of these instance files of a node those that will be unlinked, if not touched since that
    time."""
    noted: dict[str, datetime] = {}
    for batch in in_batches(paths):
        statement = select(RemovalRow.path, RemovalRow.untouched_since).where(
            of_node(RemovalRow.node_id, node_id),
            RemovalRow.kind == FileKind.INSTANCE,
            RemovalRow.path.in_(batch),
        )
        noted |= {row.path: row.untouched_since for row in session.execute(statement)}
    return noted


def touched_since(file: Path, moment: datetime) -> bool:
    """Whether a file was written or sent again after a removal of it was prepared."""
    try:
        return file.stat().st_mtime >= moment.timestamp() - CLOCK_SLACK_SECONDS
    except FileNotFoundError:
        return False


def remove_associations(session: Session, ended_before: datetime, limit: int) -> int:
    """Remove the rows of associations that nothing here came over any more; returns how many."""
    brought = select(InstanceRow.association_id).where(
        InstanceRow.association_id == AssociationRow.association_id
    )
    unused = (
        select(AssociationRow.association_id)
        .where(AssociationRow.ended_at < ended_before, ~brought.exists())
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    uids = session.scalars(unused).all()
    session.execute(delete(AssociationRow).where(AssociationRow.association_id.in_(uids)))
    return len(uids)


def _ended(session: Session, series: SeriesRow) -> EndedSeries | None:
    if series.ended_at is None or series.on_hold_since is not None:
        return None
    uid = series.series_key
    jobs = select(func.count()).where(JobRow.series_key == uid, JobRow.state.in_(OPEN_JOBS))
    deliveries = select(func.count()).where(
        DeliveryRow.series_key == uid,
        ~arrived(),
        DeliveryRow.state.not_in(ENDED_WITHOUT_ARRIVAL),
    )
    return EndedSeries(
        series_key=uid,
        state=series.state,
        ended_at=series.ended_at,
        open_jobs=session.scalar(jobs) or 0,
        open_deliveries=session.scalar(deliveries) or 0,
    )


def _delete_rows(session: Session, series_key: str) -> None:
    """Children first, as the foreign keys ask for."""
    instances = select(InstanceRow.sop_instance_uid).where(InstanceRow.series_key == series_key)
    conflicts = delete(InstanceConflictRow)
    session.execute(conflicts.where(InstanceConflictRow.sop_instance_uid.in_(instances)))
    for table in (DeliveryRow, ResultRow, JobRow, InstanceRow):
        session.execute(delete(table).where(table.series_key == series_key))


def _alone_elsewhere(node_id: str) -> Select[Any]:
    """The instance whose one other copy, not sealed, lies on the disk of another node."""
    return select(InstanceRow.sop_instance_uid).where(
        InstanceRow.path == RemovalRow.path,
        InstanceRow.object_name.is_(None),
        InstanceRow.node_id.not_in(("", node_id)),
        literal(node_id) != "",
    )


def _noted(
    session: Session, kind: FileKind, node_id: str, after: str | None, limit: int
) -> Sequence[RemovalRow]:
    statement = (
        select(RemovalRow)
        .where(
            of_node(RemovalRow.node_id, node_id),
            RemovalRow.kind == kind,
            RemovalRow.path > (after or ""),
            ~_alone_elsewhere(node_id).exists(),
        )
        .order_by(RemovalRow.path)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return session.scalars(statement).all()
