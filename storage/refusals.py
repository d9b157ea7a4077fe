"""What receivers refused: alike counted in one row, kept for a while, found by UID or number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.orm import Session

from storage.operating_tables import RefusalRow
from storage.statements import insert_into, shared_fields

ASSOCIATION = "association"
INSTANCE = "instance"
"""`kind` of a refusal."""

_ALIKE = (
    "kind",
    "calling_ae_title",
    "called_ae_title",
    "peer_address",
    "status",
    "reason",
    "study_instance_uid",
    "series_instance_uid",
)
_UIDS = (
    RefusalRow.study_instance_uid,
    RefusalRow.series_instance_uid,
    RefusalRow.sop_instance_uid,
)


@dataclass(frozen=True)
class Refusal:
    """See `RefusalRow`; of one peer, for one reason."""

    kind: str
    calling_ae_title: str
    called_ae_title: str
    peer_address: str
    status: str
    reason: str
    first_at: datetime
    last_at: datetime
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_instance_uid: str = ""
    accession_number: str = ""
    count: int = 1

    @property
    def alike(self) -> tuple[str, ...]:
        """What is the same of all that are counted in one row."""
        return tuple(getattr(self, name) for name in _ALIKE)

    def with_(self, other: Refusal) -> Refusal:
        """Both in one, where they are alike."""
        later = max(self, other, key=lambda each: each.last_at)
        first_at = min(self.first_at, other.first_at)
        return replace(later, first_at=first_at, count=self.count + other.count)


def enter(session: Session, refusals: Iterable[Refusal]) -> None:
    """Add to what is there; in one order, so that no two receivers wait for each other."""
    for each in sorted(refusals, key=lambda refusal: refusal.alike):
        statement = insert_into(session, RefusalRow).values(asdict(each))
        new = statement.excluded
        later: dict[str, Any] = {
            "last_at": new.last_at,
            "sop_instance_uid": new.sop_instance_uid,
        }
        later |= {"accession_number": new.accession_number, "count": RefusalRow.count + new.count}
        session.execute(statement.on_conflict_do_update(index_elements=list(_ALIKE), set_=later))


def find(session: Session, text: str) -> tuple[Refusal, ...]:
    """Those of a UID, a unique ending of one, or an accession number; the newest first."""
    wanted = text.strip().removeprefix("…")
    if not wanted:
        return ()
    whole = [column == wanted for column in (*_UIDS, RefusalRow.accession_number)]
    ending = [column.endswith(wanted, autoescape=True) for column in _UIDS]
    return _newest(session, or_(*whole)) or _newest(session, or_(*ending))


def of_series(
    session: Session, series_instance_uid: str, study_instance_uid: str
) -> tuple[Refusal, ...]:
    """Those of a series, and of its study where no series was named; the newest first."""
    of_study = (RefusalRow.study_instance_uid == study_instance_uid) & (
        RefusalRow.series_instance_uid == ""
    )
    return _newest(session, (RefusalRow.series_instance_uid == series_instance_uid) | of_study)


def recent(
    session: Session, since: datetime | None, source: str | None, limit: int
) -> tuple[Refusal, ...]:
    """The newest first; of one calling AE title if given."""
    which: list[ColumnElement[bool]] = []
    if since is not None:
        which.append(RefusalRow.last_at >= since)
    if source is not None:
        which.append(RefusalRow.calling_ae_title == source)
    return _newest(session, *which, limit=limit)


def forget(session: Session, before: datetime, most: int) -> None:
    """Remove what was refused for the last time before then, and all but the newest so many of
    each kind: who knocks under ever other AE titles pushes out no trace of an instance."""
    newest = select(RefusalRow.refusal_id).order_by(RefusalRow.last_at.desc()).limit(most)
    for kind in (ASSOCIATION, INSTANCE):
        of_kind = RefusalRow.kind == kind
        kept = newest.where(of_kind, RefusalRow.last_at >= before).subquery()
        forgotten = RefusalRow.refusal_id.not_in(select(kept))
        session.execute(delete(RefusalRow).where(of_kind, forgotten))


def _newest(session: Session, *which: ColumnElement[bool], limit: int = 100) -> tuple[Refusal, ...]:
    order = (RefusalRow.last_at.desc(), RefusalRow.refusal_id.desc())
    rows = session.scalars(select(RefusalRow).where(*which).order_by(*order).limit(limit))
    return tuple(Refusal(**shared_fields(Refusal, row)) for row in rows)
