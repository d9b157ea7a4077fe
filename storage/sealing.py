"""Which files are sealed in the object store, and which objects no row names any more.

Before an object is written its name is noted as one to be removed, and the note is struck in the
transaction in which rows begin to name it: whoever is killed in between leaves a note, by which
the object goes after a while. An object whose rows retention takes away is noted in that
transaction. Who removes an object claims its note first; who seals the same bytes again at that
moment waits until it is gone. So no transaction is open while the store is spoken to, and no row
names an object that is being removed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import ColumnElement, bindparam, delete, func, null, or_, select, text, update
from sqlalchemy.orm import Session

from storage.database import Database
from storage.instances import series_folder
from storage.models import (
    COPY,
    IS_OPEN_DELIVERY,
    IS_OPEN_JOB,
    DeliveryRow,
    InstanceConflictRow,
    InstanceRow,
    JobRow,
    RemovalRow,
    ResultRow,
    SeriesRow,
)
from storage.object_store import ObjectStore
from storage.records import DeliveryState, FileKind, JobState, ResultRecord, StoredInstance
from storage.sealed import Member, Sealed, seal
from storage.statements import (
    Place,
    behind,
    in_batches,
    insert_into,
    lock_series,
    shared_fields,
    stored_instance,
)

NOTE_AGE = timedelta(hours=1)
"""A note on an object is carried out when it is so old: nobody writes one for so long."""

_CLAIMED = datetime(1, 1, 2, tzinfo=UTC)
_IS_COPY = text(COPY)  # with parameters a condition would not fit that of the partial index
_Sealable = type[InstanceRow | ResultRow]
_EVERYBODY = ""  # whose note it is: any node can remove an object


@dataclass(frozen=True)
class Evictable:
    """A series whose files lie sealed on the disk of a node: since when, and how many bytes."""

    series_key: str
    since: datetime
    size_bytes: int


def unsealed_series(
    session: Session, node_id: str, after: Place, before: datetime, limit: int
) -> tuple[Place, ...]:
    """Of the series of which nothing came since `before` those that have files on the disk of a
    node that are in no object, in the order in which they last came."""
    place = (SeriesRow.last_received_at, SeriesRow.series_key)
    open_here = select(InstanceRow.sop_instance_uid).where(
        InstanceRow.series_key == SeriesRow.series_key, *_unsealed(InstanceRow, node_id)
    )
    results = select(ResultRow.sop_instance_uid).where(
        ResultRow.series_key == SeriesRow.series_key, *_unsealed(ResultRow, node_id)
    )
    statement = (
        select(*place)
        .where(behind(after, *place), SeriesRow.last_received_at <= before)
        .where(or_(open_here.exists(), results.exists()))
        .order_by(*place)
        .limit(limit)
    )
    return tuple((at, key) for at, key in session.execute(statement))


def unsealed_instances(
    session: Session, series_key: str, node_id: str
) -> tuple[StoredInstance, ...]:
    """Those of a series that lie on the disk of a node alone."""
    own = (InstanceRow.series_key == series_key, *_unsealed(InstanceRow, node_id))
    return tuple(map(stored_instance, session.scalars(select(InstanceRow).where(*own))))


def unsealed_results(session: Session, series_key: str, node_id: str) -> tuple[ResultRecord, ...]:
    own = (ResultRow.series_key == series_key, *_unsealed(ResultRow, node_id))
    rows = session.scalars(select(ResultRow).where(*own))
    return tuple(ResultRecord(**shared_fields(ResultRecord, row)) for row in rows)


def _unsealed(table: _Sealable, node_id: str) -> tuple[ColumnElement[bool], ...]:
    return table.node_id.in_((_EVERYBODY, node_id)), table.object_name.is_(None)


def put_sealed(
    database: Database,
    store: ObjectStore,
    kind: str,
    members: Sequence[Member],
    work: Path,
    now: datetime,
) -> Sealed | None:
    """Put these files into the store as one object, of which no row speaks yet; None while an
    object of this name is being removed. It is written to the folder `work` first.

    Raises:
        OSError: there is no room; as an ObjectStoreError: the store is away.
        DamagedObjectError: a data set is not the one that was received.
        DatabaseUnavailableError
    """
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=work, suffix=".part") as file:
        sealed = seal(kind, members, Path(file.name))
        with database.write() as session:
            if not intend(session, sealed.name, now):
                return None
        store.put(sealed.name, Path(file.name))
    return sealed


def intend(session: Session, object_name: str, now: datetime) -> bool:
    """To be called before an object is written. False while one of this name is being removed."""
    note = {"node_id": _EVERYBODY, "kind": FileKind.OBJECT, "path": object_name}
    statement = insert_into(session, RemovalRow).values(**note, untouched_since=now)
    noted = statement.on_conflict_do_update(
        index_elements=["node_id", "kind", "path"],
        set_={"untouched_since": now},
        where=RemovalRow.untouched_since != _CLAIMED,
    ).returning(RemovalRow.path)
    return session.scalar(noted) is not None


def record_sealed(
    session: Session, series_key: str, sealed: Sealed, rows: Sequence[StoredInstance]
) -> int:
    """The object is durable, and these instances are in it: how many rows say so now. Those whose
    content is another by now stay as they are, as do all where the note on the object is gone or
    claimed: it was intended too long ago. What waited for this node may be done by any, once all
    instances of the series are sealed."""
    lock_series(session, series_key)
    if not strike(session, sealed.name):
        return 0
    table = InstanceRow.__table__
    statement = (
        update(table)  # type: ignore[arg-type]
        .where(
            table.c.sop_instance_uid == bindparam("uid"),
            table.c.path == bindparam("at"),
            table.c.sha256 == bindparam("digest"),
            table.c.object_name.is_(None),
        )
        .values(object_name=sealed.name, object_offset=bindparam("offset"))
    )
    values = [
        {
            "uid": each.sop_instance_uid,
            "at": each.path,
            "digest": each.sha256,
            "offset": sealed.offsets[each.path],
        }
        for each in rows
    ]
    session.execute(statement, values)
    named = session.scalar(
        select(func.count()).where(
            InstanceRow.series_key == series_key, InstanceRow.object_name == sealed.name
        )
    )
    _free_jobs(session, series_key)
    return named or 0


def _free_jobs(session: Session, series_key: str) -> None:
    left = select(InstanceRow.sop_instance_uid).where(
        InstanceRow.series_key == series_key, InstanceRow.object_name.is_(None)
    )
    bound = (IS_OPEN_JOB, JobRow.series_key == series_key, JobRow.node_id.is_not(None))
    session.execute(update(JobRow).where(*bound, ~left.exists()).values(node_id=None))


def note_single(session: Session, again: StoredInstance) -> None:
    """An instance that came again is an object by itself: that counts where it was in none."""
    if again.object_name is None:
        return
    place = {"object_name": again.object_name, "object_offset": 0, "size_bytes": again.size_bytes}
    unsealed = (
        InstanceRow.sop_instance_uid == again.sop_instance_uid,
        InstanceRow.sha256 == again.sha256,
        InstanceRow.object_name.is_(None),
    )
    named = update(InstanceRow).where(*unsealed).values(**place)
    if session.scalar(named.returning(InstanceRow.sop_instance_uid)) is None:
        intend(session, again.object_name, again.received_at)


def record_sealed_results(session: Session, sealed: Sealed, rows: Sequence[ResultRecord]) -> int:
    """As `record_sealed`: these results can be sent by any node."""
    if not strike(session, sealed.name):
        return 0
    for each in rows:
        unchanged = (
            ResultRow.sop_instance_uid == each.sop_instance_uid,
            ResultRow.path == each.path,
            ResultRow.size_bytes == each.size_bytes,
        )
        place = {"object_name": sealed.name, "object_offset": sealed.offsets[each.path]}
        session.execute(update(ResultRow).where(*unchanged).values(**place))
        waits = (IS_OPEN_DELIVERY, DeliveryRow.sop_instance_uid == each.sop_instance_uid)
        session.execute(update(DeliveryRow).where(*waits).values(node_id=None))
    return len(rows)


def strike(session: Session, object_name: str) -> bool:
    """Rows of this transaction name the object. False where it is being removed, or is gone."""
    noted = (RemovalRow.kind == FileKind.OBJECT, RemovalRow.path == object_name)
    struck = delete(RemovalRow).where(*noted, RemovalRow.untouched_since != _CLAIMED)
    return session.scalar(struck.returning(RemovalRow.path)) is not None


def note_objects(session: Session, series_key: str, now: datetime) -> None:
    """The rows of a series are about to go: the objects they name go after them."""
    names: set[str] = set()
    for table in (InstanceRow, ResultRow):
        of_series = (table.series_key == series_key, table.object_name.is_not(None))
        names |= set(session.scalars(select(table.object_name).where(*of_series).distinct()))
    for name in sorted(names):
        intend(session, name, now)


def claim_objects(session: Session, now: datetime, limit: int) -> tuple[str, ...]:
    """Objects that are to be removed from the store now, as no row names them. What a row names by
    now stays, and its note is struck."""
    old = (RemovalRow.kind == FileKind.OBJECT, RemovalRow.untouched_since <= now - NOTE_AGE)
    statement = select(RemovalRow.path).where(*old).order_by(RemovalRow.path).limit(limit)
    names = session.scalars(statement.with_for_update(skip_locked=True)).all()
    named: set[str] = set()
    for table in (InstanceRow, ResultRow):
        here = select(table.object_name).where(table.object_name.in_(names)).distinct()
        named |= {each for each in session.scalars(here) if each}
    strike_objects(session, named)
    doomed = tuple(each for each in names if each not in named)
    claimed = (RemovalRow.kind == FileKind.OBJECT, RemovalRow.path.in_(doomed))
    session.execute(update(RemovalRow).where(*claimed).values(untouched_since=_CLAIMED))
    return doomed


def strike_objects(session: Session, object_names: Collection[str]) -> None:
    """They are gone from the store."""
    gone = (RemovalRow.kind == FileKind.OBJECT, RemovalRow.path.in_(object_names))
    session.execute(delete(RemovalRow).where(*gone))


def evictable(session: Session, node_id: str) -> tuple[Evictable, ...]:
    """What lies sealed on the disk of a node, what came first before the rest."""
    since = func.max(InstanceRow.received_at)
    statement = (
        select(InstanceRow.series_key, since, func.sum(InstanceRow.size_bytes))
        .where(InstanceRow.node_id == node_id, _IS_COPY)
        .group_by(InstanceRow.series_key)
        .order_by(since)
    )
    return tuple(Evictable(key, at, int(size)) for key, at, size in session.execute(statement))


def sealed_here(session: Session, series_key: str, node_id: str) -> tuple[str, ...]:
    """The paths of a series whose files may go from the disk of a node."""
    own = (InstanceRow.series_key == series_key, InstanceRow.node_id == node_id, _IS_COPY)
    return tuple(session.scalars(select(InstanceRow.path).where(*own)))


def forget_evicted(session: Session, paths: Sequence[str], node_id: str) -> None:
    """These files are on no disk any more."""
    for batch in in_batches(paths):
        gone = (InstanceRow.path.in_(batch), InstanceRow.node_id == node_id, _IS_COPY)
        session.execute(update(InstanceRow).where(*gone).values(node_id=_EVERYBODY))


def folders_in_use(session: Session, node_id: str) -> set[str]:
    """The folders of the series that processes of a node work on now."""
    used: set[str] = set()
    states = ((JobRow, JobState.RUNNING), (DeliveryRow, DeliveryState.SENDING))
    for table, state in states:
        held = (table.state == state, table.owner.startswith(f"{node_id}/", autoescape=True))
        statement = select(SeriesRow.series_key, SeriesRow.series_instance_uid)
        of_these = select(table.series_key).where(*held)
        for row in session.execute(statement.where(SeriesRow.series_key.in_(of_these))):
            used |= {series_folder(row.series_key), series_folder(row.series_instance_uid)}
    return used


def named_files(session: Session, node_id: str) -> dict[str, str | None]:
    """All files of a node that rows name, or that are on no disk any more, below its data
    directory; each with the object it is in."""
    named: dict[str, str | None] = {}
    kinds = (("instances", InstanceRow), ("instances", InstanceConflictRow), ("results", ResultRow))
    for folder, table in kinds:
        columns = table.path, getattr(table, "object_name", null())
        own = select(*columns).where(table.node_id.in_((_EVERYBODY, node_id)))
        named |= {f"{folder}/{path}": sealed for path, sealed in session.execute(own)}
    return named


def is_known(session: Session, paths: Sequence[str]) -> bool:
    """Whether a row speaks of one of these stored paths."""
    return any(
        session.scalar(select(table.path).where(table.path.in_(batch)).limit(1))
        for batch in in_batches(paths)
        for table in (InstanceRow, ResultRow)
    )
