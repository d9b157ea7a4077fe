"""One series of an archive that a test plays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from dicomnode.decisions.pulling import Answered, Counts, Follow, FoundSeries
from dicomnode.errors import PeerCause, PeerError
from dicomnode.pull.steps import Pull, SeriesPulled
from support.clock import ClockMoving, StandingClock

SERIES = FoundSeries("1.2", "1.2.3", "CT")
UIDS = {f"1.2.3.{number}" for number in range(10)}
Play = Callable[["Archive", Sequence[str]], Answered]


def sends(archive: Archive, uids: Sequence[str]) -> Answered:
    archive.here |= set(uids or archive.there)
    count = len(uids or archive.there)
    return Answered(Follow.DONE, counts=Counts(0, count, 0, 0))


class Archive:
    """`plays` are its answers, then it sends; `here` is what came so far."""

    name = "archive"

    def __init__(self, there: Collection[str] = UIDS, here: Collection[str] = ()) -> None:
        self.there, self.here = set(there), set(here)
        self.plays: list[Play] = []
        self.asked: list[tuple[str, ...]] = []

    def instances(self, _series: FoundSeries) -> set[str]:
        return set(self.there)

    def retrieve(
        self, _series: FoundSeries, uids: Sequence[str], told: Callable[[Counts], object]
    ) -> Answered:
        self.asked.append(tuple(uids))
        told(Counts(completed=1))
        return (self.plays.pop(0) if self.plays else sends)(self, uids)


class Bench:
    def __init__(self, archive: Archive, rate: float = 2.0) -> None:
        self.archive = archive
        self.clock = StandingClock(datetime(2026, 1, 2, tzinfo=UTC))
        self.stop = ClockMoving(self.clock)
        self.told: list[tuple[int, int]] = []
        self.pull = Pull(
            cast("Any", archive),
            archive.here.intersection,
            rate,
            self.stop,
            lambda _series, here, of: self.told.append((here, of)),
            self.clock,
        )

    def series(self) -> SeriesPulled:
        return self.pull.series(SERIES)


def fails(follow: Follow, text: str = "no") -> Play:
    return lambda _archive, _uids: Answered(follow, text)


def breaks_off(archive: Archive, uids: Sequence[str]) -> Answered:
    raise PeerError("archive: the connection broke off", PeerCause.LOST)


def test_a_series_comes_in_portions_and_as_slowly_as_it_may() -> None:
    bench = Bench(Archive())
    assert bench.series() == SeriesPulled("1.2", "1.2.3", 10, 0, 10, 0)
    assert [len(each) for each in bench.archive.asked] == [4, 4, 2]
    assert bench.clock.seconds() == 10 / 2.0
    assert (bench.told[0], bench.told[-1]) == ((1, 10), (10, 10))


def test_what_is_here_is_not_asked_for_again() -> None:
    here = set(sorted(UIDS)[:7])
    bench = Bench(Archive(here=here), rate=0)
    assert bench.series() == SeriesPulled("1.2", "1.2.3", 10, 7, 3, 0)
    assert set(*bench.archive.asked) == UIDS - here
    assert bench.series() == SeriesPulled("1.2", "1.2.3", 10, 10, 0, 0)
    assert len(bench.archive.asked) == 1


def test_a_whole_series_is_asked_for_at_once_where_nothing_limits() -> None:
    bench = Bench(Archive(), rate=0)
    assert bench.series().came == 10
    assert bench.archive.asked == [()]


def test_an_archive_without_resources_or_connection_is_asked_again_later() -> None:
    bench = Bench(Archive(), rate=0)
    bench.archive.plays = [fails(Follow.AGAIN), breaks_off]
    assert bench.series().came == 10
    assert bench.clock.seconds() == 2 + 4


def test_an_archive_that_sends_no_single_instances_is_asked_for_the_series() -> None:
    bench = Bench(Archive(here=sorted(UIDS)[:1]))
    bench.archive.plays = [fails(Follow.OTHERWISE)]
    assert bench.series().came == 9
    assert [len(each) for each in bench.archive.asked] == [4, 0]


def test_an_archive_that_names_no_instances_is_asked_for_the_series() -> None:
    bench = Bench(Archive(there=()))
    bench.archive.plays = [fails(Follow.AGAIN), sends]
    pulled = bench.series()
    assert (pulled.came, pulled.lacking) == (1, 0)
    assert bench.archive.asked == [(), ()]


def test_what_does_not_come_is_told_with_the_words_of_the_archive() -> None:
    bench = Bench(Archive(), rate=0)
    bench.archive.plays = [fails(Follow.PARTLY, "answered 0xB000")] * 3
    assert bench.series() == SeriesPulled("1.2", "1.2.3", 10, 0, 0, 10, "answered 0xB000")


def test_what_is_said_to_be_sent_and_does_not_come_is_told() -> None:
    bench = Bench(Archive(), rate=0)
    says: Play = lambda _a, _u: Answered(Follow.DONE, counts=Counts(0, 10, 0, 0))  # noqa: E731
    bench.archive.plays = [says] * 3
    pulled = bench.series()
    assert pulled.lacking == 10
    assert "says that it sent 10, and nothing came here" in pulled.problem


def test_where_nothing_more_can_be_had_it_ends_and_says_why() -> None:
    bench = Bench(Archive())
    bench.archive.plays = [sends, fails(Follow.STOP, "answered 0xA801, move destination unknown")]
    with pytest.raises(PeerError, match="archive answered 0xA801"):
        bench.series()
    assert len(bench.archive.here) == 4


def test_an_archive_that_is_away_is_left_alone_after_a_while() -> None:
    bench = Bench(Archive())
    bench.archive.plays = [breaks_off] * 9
    with pytest.raises(PeerError, match="broke off"):
        bench.series()
    assert len(bench.archive.asked) == 3


def test_it_is_broken_off_between_two_portions() -> None:
    bench = Bench(Archive())

    def stops(archive: Archive, uids: Sequence[str]) -> Answered:
        bench.stop.set()
        sends(archive, uids)
        return Answered(Follow.CANCELLED, "broken off")

    bench.archive.plays = [sends, stops]
    pulled = bench.series()
    assert (pulled.came, pulled.lacking, len(bench.archive.asked)) == (8, 2, 2)
