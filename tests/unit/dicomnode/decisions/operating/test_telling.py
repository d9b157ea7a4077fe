"""A trouble is told once when it began and once when it is over, however it comes and goes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.operating.telling import (
    Damping,
    Records,
    follow,
    joined,
    to_begin,
    to_end,
    told,
    unfinished,
)
from dicomnode.decisions.operating.troubles import Severity, Trouble

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
DAMPING = Damping(stand_seconds=60, over_seconds=120)
AWAY = Trouble("destination_away:pacs", Severity.WARNING, "pacs is away", "mend it")
FULL = Trouble("disk_full", Severity.ERROR, "the disk is full", "free some")
ALL = frozenset(Severity)


class Story:
    """Looks one after the other, and what one way has told by then."""

    def __init__(self, severities: Iterable[str] = ALL) -> None:
        self.records: Records = ()
        self.told: list[str] = []
        self.severities = frozenset(severities)

    def look(self, seconds: float, *troubles: Trouble, reached: bool = True) -> list[str]:
        """What is told by a look at that time."""
        now = NOW + timedelta(seconds=seconds)
        self.records = follow(self.records, troubles, DAMPING, now)
        began = to_begin(self.records, "mail", self.severities, DAMPING, now)
        over = to_end(self.records, "mail")
        words = [f"+{each.name}" for each in began] + [f"-{each.name}" for each in over]
        if reached:
            self.records = told(self.records, "mail", (*began, *over))
        self.records = unfinished(self.records, ["mail"], now)
        return words


def test_what_stands_is_told_once_and_once_when_it_is_over() -> None:
    story = Story()
    assert story.look(0, AWAY) == []
    assert story.look(50, AWAY) == []
    assert story.look(60, AWAY, FULL) == ["+destination_away:pacs"]
    assert story.look(70, AWAY, FULL) == []
    assert story.look(130, FULL) == ["+disk_full"]
    assert story.look(189, FULL) == []
    assert story.look(190, FULL) == ["-destination_away:pacs"]
    assert story.look(200, FULL) == []
    assert [each.name for each in story.records] == ["disk_full"]


def test_what_passes_quickly_is_never_told() -> None:
    story = Story()
    assert story.look(0, AWAY) == []
    assert [story.look(seconds) for seconds in (50, 60, 119, 120, 130)] == [[]] * 5
    assert story.records == ()
    assert story.look(200, AWAY) == []


def test_what_happens_again_is_told_again_but_once_an_hour_at_most() -> None:
    story = Story()

    def look(seconds: float, lost_at: float) -> list[str]:
        at = NOW + timedelta(seconds=lost_at)
        lost = Trouble("process_lost:worker-1", Severity.WARNING, "lost", "look", at)
        return story.look(seconds, lost)

    assert look(0, 0) == []
    assert look(60, 0) == ["+process_lost:worker-1"]
    assert look(1210, 1200) == [], "so soon it is the same"
    assert look(7000, 6990) == ["+process_lost:worker-1"]
    assert look(7010, 6990) == []
    assert look(7020, 7015) == []
    assert [story.look(seconds) for seconds in (7100, 7140)] == [[], ["-process_lost:worker-1"]]


def test_what_comes_and_goes_for_a_while_is_one_trouble() -> None:
    story = Story()
    heard = [story.look(10 * n, *([AWAY] if n % 2 else [])) for n in range(30)]
    assert [each for each in heard if each] == [["+destination_away:pacs"]]
    assert [each for n in range(30, 60) if (each := story.look(10 * n))] == [
        ["-destination_away:pacs"]
    ]


def test_what_could_not_be_told_is_told_later_and_what_nobody_knows_is_not_told_to_be_over() -> (
    None
):
    story = Story()
    story.look(0, AWAY)
    assert story.look(60, AWAY, reached=False) == ["+destination_away:pacs"]
    assert story.look(70, AWAY, reached=False) == ["+destination_away:pacs"]
    assert story.look(200) == []
    assert story.look(300, FULL) == []
    assert story.look(360, FULL) == ["+disk_full"]
    assert story.look(490, reached=False) == ["-disk_full"]
    assert story.look(500) == ["-disk_full"]
    assert story.look(510) == []


def test_that_it_is_over_is_tried_to_be_told_for_a_day() -> None:
    story = Story()
    story.look(0, FULL)
    story.look(60, FULL)
    day = 86400
    assert story.look(day, reached=False) == ["-disk_full"]
    assert story.look(day + 70, reached=False) == ["-disk_full"]
    assert story.look(day + 80) == []


def test_only_the_weights_that_are_asked_for_are_told() -> None:
    story = Story([Severity.ERROR])
    story.look(0, AWAY, FULL)
    assert story.look(60, AWAY, FULL) == ["+disk_full"]


def test_a_clock_that_is_set_back_keeps_nothing_from_being_told() -> None:
    story = Story()
    story.look(0, AWAY)
    assert story.look(-86400, AWAY) == ["+destination_away:pacs"]
    assert story.look(-2 * 86400) == ["-destination_away:pacs"]


def test_a_monitor_that_is_started_again_repeats_nothing() -> None:
    before = Story()
    before.look(0, AWAY, FULL)
    before.look(60, AWAY, FULL)
    after = Story()
    after.look(100, AWAY)
    after.records = joined(before.records, after.records)
    assert after.look(160, AWAY) == []
    assert after.look(190, AWAY) == ["-disk_full"]
    (record,) = after.records
    assert record.first_seen_at == NOW


@given(st.lists(st.tuples(st.integers(1, 300), st.booleans(), st.booleans()), max_size=40))
def test_beginning_and_end_take_turns_whatever_happens(
    looks: list[tuple[int, bool, bool]],
) -> None:
    story, seconds = Story(), 0
    heard: list[str] = []
    for wait, stands, reached in looks:
        seconds += wait
        words = story.look(seconds, *([AWAY] if stands else []), reached=reached)
        heard += words if reached else []
    assert heard == ["+destination_away:pacs", "-destination_away:pacs"] * (len(heard) // 2) + (
        ["+destination_away:pacs"] * (len(heard) % 2)
    )
