"""Spans of time that an archive is asked for, halved where it caps its answers.

By date first, then by time of day: Study Date (0008,0020) and Study Time (0008,0030) are matched
each by itself (PS3.4 C.2.2.2.5), so a time tells something of a single day alone. Halves share no
moment and leave none out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

LAST_SECOND = 24 * 3600 - 1
_DAYS_AT_ONCE = 7
_ROUND = (50, 64)
_LEAST_ROUND = 50


@dataclass(frozen=True, order=True)
class Window:
    """Days from `first` to `last`, both among them; of a single one seconds from `begin` to `end`,
    both among them."""

    first: date
    last: date
    begin: int = 0
    end: int = LAST_SECOND

    @property
    def study_date(self) -> str:
        """Key of the query: a date or a range (PS3.4 C.2.2.2.5.1)."""
        first, last = f"{self.first:%Y%m%d}", f"{self.last:%Y%m%d}"
        return first if first == last else f"{first}-{last}"

    @property
    def study_time(self) -> str:
        """Key of the query; "" for whole days. The last second with all its fractions."""
        if self.by_days:
            return ""
        return f"{_time(self.begin)}-{_time(self.end)}.999999"

    @property
    def by_days(self) -> bool:
        return (self.begin, self.end) == (0, LAST_SECOND)

    @property
    def days(self) -> float:
        """How many days it spans."""
        seconds = (self.end + 1 - self.begin) / (LAST_SECOND + 1)
        return ((self.last - self.first).days + 1) * seconds

    def __str__(self) -> str:
        return f"{self.study_date} {self.study_time}".strip()


def windows(first: date, last: date) -> Iterator[Window]:
    """All days from `first` to `last`, a week at a time."""
    while first <= last:
        end = min(last, first + timedelta(days=_DAYS_AT_ONCE - 1))
        yield Window(first, end)
        first = end + timedelta(days=1)


def halves(window: Window) -> tuple[Window, ...]:
    """Two that are that window together; none where it is a single second."""
    if window.first < window.last:
        middle = window.first + (window.last - window.first) // 2
        after = middle + timedelta(days=1)
        return replace(window, last=middle), replace(window, first=after)
    if window.begin < window.end:
        second = (window.begin + window.end) // 2
        return replace(window, end=second), replace(window, begin=second + 1)
    return ()


def seems_capped(answers: int, most_answers: int) -> bool:
    """Whether there may be more than was answered, though the archive says that this is all.

    `most_answers`: the cap of this archive, where it is known; 0: a cap is a round number, and who
    is answered one has to ask in halves whether there is more.
    """
    if most_answers:
        return answers >= most_answers
    return answers >= _LEAST_ROUND and any(answers % each == 0 for each in _ROUND)


def _time(second: int) -> str:
    return f"{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}"
