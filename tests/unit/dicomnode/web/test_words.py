"""Words of the page: times, sizes, and no UID as a whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.web.words import ago, clock, label, size, span, within, without_uids

NOW = datetime(2026, 3, 2, 11, 30, tzinfo=UTC)
UID = "1.2.826.0.1.3680043.10.777.20260302.113000.4711"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"the last, of series {UID}: refused", "the last, of series …000.4711: refused"),
        (f"dicomnode queue retry {UID}", "dicomnode queue retry …000.4711"),
        (f"two: {UID}, {UID}-2.", "two: …000.4711, …0.4711-2"),
        ("192.0.2.7 sent 12 of 1.0.0, 3.00 GiB", "192.0.2.7 sent 12 of 1.0.0, 3.00 GiB"),
        ("at 2026-03-02 11:30 UTC", "at 2026-03-02 11:30 UTC"),
    ],
)
def test_a_uid_is_shown_by_its_ending(text: str, shown: str) -> None:
    assert without_uids(text) == shown


def test_a_command_can_be_copied() -> None:
    """`queue` finds a series by the ending of its UID."""
    shown = without_uids(f"dicomnode queue retry {UID}", sign="")
    assert UID.endswith(shown.split()[-1])


@given(st.lists(st.integers(0, 10**9), min_size=6, max_size=12), st.text(max_size=20))
def test_no_uid_is_left_whole(numbers: list[int], around: str) -> None:
    uid = ".".join(map(str, numbers))
    assert uid not in without_uids(f"{around} {uid} {around}") or len(uid) <= 12


def test_times_are_told_as_a_person_would() -> None:
    assert ago(NOW - timedelta(minutes=4), NOW) == "4 min ago"
    assert ago(NOW - timedelta(seconds=80), NOW) == "1 min ago"
    assert span(NOW - timedelta(seconds=7280), NOW) == "2 h 1 min"
    assert (ago(None, NOW), span(None, NOW)) == ("–", "–")
    assert clock(NOW - timedelta(hours=2), NOW) == "09:30"
    assert clock(NOW - timedelta(hours=12), NOW) == "Mar 01, 23:30"
    assert clock(NOW - timedelta(days=90), NOW) == "2025-12-02"
    assert (within(30), within(inf)) == ("30 s", "longer")


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (420 << 30, "420 GiB"),
        (3 << 40, "3.0 TiB"),
        (30 << 40, "30 TiB"),
    ],
)
def test_sizes(count: int, shown: str) -> None:
    assert size(count) == shown


def test_what_a_peer_calls_itself_stays_on_its_line() -> None:
    assert label("CT\n1\x1b[31m") == "CT?1?[31m"
    assert label("") == "(no name)"
