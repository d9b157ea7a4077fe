"""The flight recorder: of each analysis one record, chained to the one before; it is not removed.

A record's digest is the SHA-256 of the digest before it and of its own text, so that a record that
is changed, removed or put in between breaks the chain. Records cut off at its end do not: the
number and digest of the last one (`head`) are told in the log each day, and `check` compares the
chain with one of these. Whoever can write the database and the log can write another chain: the log
has to be kept elsewhere, too.

Records are appended last in a transaction, after rows of series and jobs are locked (`models`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, or_, select, true
from sqlalchemy.orm import Session

from storage.decided import JsonObject
from storage.operating_tables import FlightRecordRow
from storage.queries import find_series
from storage.statements import lock_flight_records, shared_fields

BEGINNING = "0" * 64
"""What stands for a digest before the first record."""

_BATCH = 500


@dataclass(frozen=True)
class FlightRecord:
    """`record`: the text that was written, JSON; `content`: what it says."""

    number: int
    recorded_at: datetime
    series_key: str
    study_instance_uid: str
    record: str
    previous: str
    digest: str

    @property
    def content(self) -> JsonObject:
        """
        Raises:
            ValueError: somebody has changed it into what is no JSON.
        """
        content: JsonObject = json.loads(self.record)
        return content


@dataclass(frozen=True)
class Anchor:
    """The last record as it was told once."""

    number: int
    digest: str


@dataclass(frozen=True)
class Break:
    """Where the chain is broken, and how, in one sentence."""

    number: int
    text: str


def append(
    session: Session,
    recorded_at: datetime,
    series_key: str,
    study_instance_uid: str,
    content: JsonObject,
) -> Anchor:
    """Write the next record; others wait from here on until the transaction ends."""
    lock_flight_records(session)
    recorded_at, last = recorded_at.astimezone(UTC), head(session)
    number = last.number + 1
    record = canonical(content | _named(number, recorded_at, series_key, study_instance_uid))
    digest = digest_of(last.digest, record)
    session.add(
        FlightRecordRow(
            number=number,
            recorded_at=recorded_at,
            series_key=series_key,
            study_instance_uid=study_instance_uid,
            record=record,
            previous=last.digest,
            digest=digest,
        )
    )
    session.flush()
    return Anchor(number, digest)


def _named(number: int, recorded_at: datetime, series_key: str, study: str) -> JsonObject:
    """What the text of a record and its columns both tell."""
    return {
        "number": number,
        "recorded_at": recorded_at.isoformat(),
        "series_key": series_key,
        "study_instance_uid": study,
    }


def head(session: Session) -> Anchor:
    """The last record; number 0 where there is none."""
    columns = (FlightRecordRow.number, FlightRecordRow.digest)
    last = session.execute(select(*columns).order_by(FlightRecordRow.number.desc()).limit(1))
    row = last.first()
    return Anchor(0, BEGINNING) if row is None else Anchor(row.number, row.digest)


def records(session: Session, uid: str = "") -> Iterator[FlightRecord]:
    """All in their order; with `uid` those of a study or series, by a UID or what else names it in
    the queue."""
    after = 0
    of = FlightRecordRow
    same = _meant_by(session, uid) if uid else true()
    while True:
        statement = select(of).where(of.number > after, same).order_by(of.number).limit(_BATCH)
        rows = session.scalars(statement).all()
        if not rows:
            return
        yield from (FlightRecord(**shared_fields(FlightRecord, row)) for row in rows)
        after = rows[-1].number
        session.expunge_all()


def _meant_by(session: Session, text: str) -> ColumnElement[bool]:
    """By an ending only where it is no whole UID: of a series that is gone, too."""
    wanted = text.strip().removeprefix("…")
    key, study = FlightRecordRow.series_key, FlightRecordRow.study_instance_uid
    in_queue = key.in_(find_series(session, wanted))
    whole = or_(key == wanted, key.startswith(f"{wanted}~"), study == wanted, in_queue)
    if session.scalar(select(FlightRecordRow.number).where(whole).limit(1)) is not None:
        return whole
    return or_(*(each.endswith(wanted, autoescape=True) for each in (key, study)))


def check(chain: Iterable[FlightRecord], anchor: Anchor | None = None) -> Iterator[Break]:
    """Where a whole chain is broken; nothing where it is not. `anchor`: what the log once told."""
    last, reached = Anchor(0, BEGINNING), anchor is None
    for each in chain:
        if each.number != last.number + 1:
            yield Break(each.number, f"{_between(last.number + 1, each.number - 1)} removed")
        elif each.previous != last.digest:
            yield Break(each.number, f"record {each.number} does not follow the one before it")
        if not _is_as_written(each):
            yield Break(each.number, f"record {each.number} was changed")
        if anchor is not None and each.number == anchor.number:
            reached = True
            if each.digest != anchor.digest:
                text = f"record {each.number} is not the one that the log told of"
                yield Break(each.number, text)
        last = Anchor(each.number, each.digest)
    if anchor is not None and not reached:
        cut = _between(last.number + 1, anchor.number)
        yield Break(anchor.number, f"{cut} removed at the end")


def _between(first: int, last: int) -> str:
    return f"record {first} was" if first == last else f"records {first} to {last} were"


def _is_as_written(each: FlightRecord) -> bool:
    if digest_of(each.previous, each.record) != each.digest:
        return False
    try:
        content = each.content
        named = _named(each.number, each.recorded_at, each.series_key, each.study_instance_uid)
        return all(content.get(key) == value for key, value in named.items())
    except (ValueError, AttributeError):  # no JSON, or no object, under a digest of its own
        return False


def canonical(content: JsonObject) -> str:
    """The one text of a content."""
    return json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest_of(previous: str, record: str) -> str:
    return hashlib.sha256(f"{previous}\n{record}".encode()).hexdigest()
