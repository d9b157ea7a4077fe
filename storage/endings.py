"""Endings of UIDs by which a person, or a row on a screen, names a series: as short as they mean
one alone. Each is found by an index, however many series there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, aliased

from storage.columns import LONGEST_ENDING, Ending
from storage.models import SeriesRow
from storage.statements import in_batches

_LENGTHS = (6, 8, 10, 12, 16, LONGEST_ENDING)
"""That are tried, in characters."""

_AT_ONCE = 200
"""Series of one statement."""

_BEHIND = "\x7f"
"""Comes behind every character of a key."""


def unique_endings(session: Session, series_keys: Sequence[str]) -> dict[str, str]:
    """The shortest ending of each key (of a few lengths) by which `queries.find_series` finds that
    series alone; the whole key where none is."""
    found: dict[str, str] = {}
    for keys in in_batches(series_keys, _AT_ONCE):
        possible = {key: _lengths(key, shared) for key, shared in _shared(session, keys)}
        whole = _found_before(session, {key[-n:] for key, all_ in possible.items() for n in all_})
        for key, lengths in possible.items():
            endings = (key[-n:] for n in lengths if key[-n:] not in whole)
            found[key] = next(endings, key)
    return {key: found.get(key, key) for key in series_keys}


def _lengths(key: str, shared: int) -> list[int]:
    return [length for length in _LENGTHS if shared < length < len(key)]


def _shared(session: Session, keys: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Each key with how many characters of its ending another series has too: in the order of their
    endings that is the one before it or the one behind it."""
    one, other = aliased(SeriesRow), aliased(SeriesRow)
    own, its = Ending(one.series_key), Ending(other.series_key)
    before = select(its).where(its < own).order_by(its.desc()).limit(1).scalar_subquery()
    behind = select(its).where(its > own).order_by(its).limit(1).scalar_subquery()
    same = select(other.series_key).where(its == own, other.series_key != one.series_key).exists()
    # the parts of a series bear its UID, under keys of their own
    part = aliased(SeriesRow)
    parted = select(part.series_key).where(
        part.series_instance_uid == one.series_key, part.series_key != one.series_key
    )
    statement = select(one.series_key, before, behind, same | parted.exists())
    for key, *beside, is_shared in session.execute(statement.where(one.series_key.in_(keys))):
        backwards = key[: -LONGEST_ENDING - 1 : -1]
        alike = (_alike(backwards, each) for each in beside if each)
        yield key, len(key) if is_shared else max(alike, default=0)


def _alike(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def ends_with(text: str) -> tuple[ColumnElement[bool], ...]:
    """Series whose key ends so, by the index."""
    backwards = text[: -LONGEST_ENDING - 1 : -1]
    ending = Ending(SeriesRow.series_key)
    inside = (ending >= backwards, ending < backwards + _BEHIND)
    return (*inside, SeriesRow.series_key.endswith(text, autoescape=True))


def _found_before(session: Session, endings: set[str]) -> set[str]:
    """Those that are a whole Study Instance UID or accession number: these are looked for first."""
    found: set[str] = set()
    for column in (SeriesRow.study_instance_uid, SeriesRow.accession_number):
        for some in in_batches(sorted(endings)):
            found |= set(session.scalars(select(column).where(column.in_(some)).distinct()))
    return found
