"""Failure reasons of storage commitment: what each means, and what follows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.delivery.commitment_status import (
    COMMITMENT_FAILURES,
    Follow,
    failure_row,
    failure_text,
    report_patience,
)


def test_the_reasons_are_those_of_the_standard() -> None:
    reasons = [row.reason for row in COMMITMENT_FAILURES]
    assert reasons == [0x0110, 0x0112, 0x0119, 0x0122, 0x0131, 0x0213]  # PS3.3 C.14.1.1


@pytest.mark.parametrize(
    ("reason", "follow"),
    [
        (0x0110, Follow.SEND_AGAIN),
        (0x0112, Follow.SEND_AGAIN),
        (0x0119, Follow.PARK),
        (0x0122, Follow.PARK),
        (0x0131, Follow.ASK_AGAIN),
        (0x0213, Follow.ASK_AGAIN),
    ],
)
def test_what_follows(reason: int, follow: Follow) -> None:
    assert failure_row(reason).follow is follow


def test_what_is_parked_says_what_to_change() -> None:
    parked = [row for row in COMMITMENT_FAILURES if row.follow is Follow.PARK]
    assert all(row.advice for row in parked)


@given(st.integers(0, 0xFFFF))
def test_every_reason_has_a_sentence(reason: int) -> None:
    text = failure_text(reason)
    assert text.startswith(f"no promise to keep it, 0x{reason:04X}, ")
    known = {row.reason for row in COMMITMENT_FAILURES}
    assert ("unknown to the standard" in text) == (reason not in known)


@given(st.integers(0, 1000))
def test_patience_grows_and_stays_finite(asked: int) -> None:
    assert report_patience(1.0, asked) <= report_patience(1.0, asked + 1) < report_patience(2.0, 99)
