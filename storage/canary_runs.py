"""The runs of the canary: which studies are its own, how far each came, and how it ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Update, delete, or_, select, update
from sqlalchemy.orm import Session

from storage.columns import of_node
from storage.operating_tables import CanaryRunRow
from storage.statements import shared_fields

CANARY_AE_TITLE = "DICOMNODE_CANARY"
"""The calling AE title of the canary, and of nobody else: see `is_registered`."""


@dataclass(frozen=True)
class CanaryRecord:
    """One run. `passed`, `ended_at`: None while it is under way; the rest as in its row."""

    series_instance_uid: str
    study_instance_uid: str
    occasion: str
    stage: str
    version: str
    configuration: str
    models: str
    started_at: datetime
    ended_at: datetime | None = None
    passed: bool | None = None
    text: str = ""
    scores: str = ""
    node_id: str = ""  # that it is sent to


def register(session: Session, record: CanaryRecord) -> None:
    """Before its first instance is sent: from now on its study is known as a canary's."""
    session.add(CanaryRunRow(**asdict(record)))


def is_registered(session: Session, study_instance_uid: str, series_instance_uid: str) -> bool:
    """Whether a run of this series is under way. A PACS that has its results tells the UIDs of its
    study: no other series may be named a canary's by them, for it would go to no destination."""
    which = (
        CanaryRunRow.ended_at.is_(None),
        CanaryRunRow.study_instance_uid == study_instance_uid,
        CanaryRunRow.series_instance_uid == series_instance_uid,
    )
    return session.scalar(select(CanaryRunRow.run_id).where(*which)) is not None


def enter_stage(session: Session, series_instance_uid: str, stage: str) -> None:
    """How far it has come."""
    session.execute(_of(series_instance_uid).values(stage=stage))


def end_run(
    session: Session,
    series_instance_uid: str,
    now: datetime,
    *,
    passed: bool,
    text: str,
    scores: str = "",
) -> None:
    """It has ended; one that ended before stays as it is."""
    values = {"ended_at": now, "passed": passed, "text": text, "scores": scores}
    open_one = _of(series_instance_uid).where(CanaryRunRow.ended_at.is_(None))
    session.execute(open_one.values(**values))


def forget_run(session: Session, series_instance_uid: str) -> None:
    """It was broken off from outside, and says nothing about the node."""
    which = CanaryRunRow.series_instance_uid == series_instance_uid
    session.execute(delete(CanaryRunRow).where(which))


def end_lost_runs(session: Session, began_before: datetime, now: datetime) -> tuple[str, ...]:
    """Runs whose process died: nobody would end them. Their series.

    One that began after `now` did so by a clock that was wrong.
    """
    began = CanaryRunRow.started_at
    lost = CanaryRunRow.ended_at.is_(None), or_(began < began_before, began > now)
    text = "it was never ended: the process that ran it died"
    ended = update(CanaryRunRow).where(*lost).values(ended_at=now, passed=False, text=text)
    return tuple(session.scalars(ended.returning(CanaryRunRow.series_instance_uid)))


def last_run(session: Session, node_id: str = "") -> CanaryRecord | None:
    """The newest of a node, whatever the clock said then; also one that is under way."""
    own = select(CanaryRunRow).where(of_node(CanaryRunRow.node_id, node_id))
    row = session.scalar(own.order_by(CanaryRunRow.run_id.desc()).limit(1))
    return None if row is None else _record(row)


def find_run(session: Session, series_instance_uid: str) -> CanaryRecord | None:
    which = CanaryRunRow.series_instance_uid == series_instance_uid
    row = session.scalar(select(CanaryRunRow).where(which))
    return None if row is None else _record(row)


def first_scores(session: Session, version: str, models: str) -> str:
    """Of the first run that passed with this version and these models; "" where there is none."""
    same = CanaryRunRow.version == version, CanaryRunRow.models == models
    found = select(CanaryRunRow.scores).where(*same, CanaryRunRow.passed.is_(True))
    return session.scalar(found.order_by(CanaryRunRow.started_at).limit(1)) or ""


def _of(series_instance_uid: str) -> Update:
    which = CanaryRunRow.series_instance_uid == series_instance_uid
    return update(CanaryRunRow).where(which)


def _record(row: CanaryRunRow) -> CanaryRecord:
    return CanaryRecord(**shared_fields(CanaryRecord, row))
