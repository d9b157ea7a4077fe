"""What the answer to a STOW-RS request means: every status, and what the body says besides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.delivery.outcome import Ending
from dicomnode.decisions.delivery.store_status import STORE_STATUSES, status_row
from dicomnode.decisions.delivery.stow_response import StoreReport
from dicomnode.decisions.delivery.stow_status import (
    HTTP_STATUSES,
    LONGEST_WAIT_SECONDS,
    holds_for_all,
    http_row,
    leaves_open,
    listed_there,
    stow_outcome,
    wait_of,
)

UID = "1.2.3"
NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
STORED = StoreReport({UID: 0}, {})
statuses = st.integers(100, 999)
reports = st.none() | st.builds(
    StoreReport,
    st.dictionaries(st.sampled_from([UID, "1.2.4"]), st.integers(0, 0xFFFF)),
    st.dictionaries(st.sampled_from([UID, "1.2.4", ""]), st.integers(0, 0xFFFF)),
)


def test_stored_is_what_the_response_names() -> None:
    outcome = stow_outcome(200, UID, STORED)
    assert (outcome.ending, outcome.status, outcome.text) == (Ending.STORED, "HTTP 200", "")


def test_stored_with_a_warning_is_told() -> None:
    outcome = stow_outcome(202, UID, StoreReport({UID: 0xB006}, {}))
    assert (outcome.ending, outcome.warning) == (Ending.STORED, True)
    assert outcome.text == (
        "STOW-RS answered HTTP 202 0xB006, stored; some attributes were discarded: see its rules"
    )


@given(st.integers(1, 0xFFFF))
def test_any_warning_reason_is_a_warning(reason: int) -> None:
    outcome = stow_outcome(200, UID, StoreReport({UID: reason}, {}))
    assert outcome.ending is Ending.STORED
    assert outcome.warning
    assert f"0x{reason:04X}" in outcome.text


@pytest.mark.parametrize("status", [200, 202, 409, 500])
def test_an_instance_that_failed_failed_whatever_the_status(status: int) -> None:
    both = StoreReport({UID: 0}, {UID: 0x0122})
    outcome = stow_outcome(status, UID, both)
    assert outcome.ending is Ending.HOPELESS
    assert outcome.status == f"HTTP {status} 0x0122"
    assert "the SOP class is not supported there: choose another class" in outcome.text


@given(st.integers(0, 0xFFFF), statuses)
def test_a_failure_reason_means_what_it_means_to_c_store(reason: int, status: int) -> None:
    """But for success and warnings, which a failure cannot be."""
    row = status_row(reason)
    outcome = stow_outcome(status, UID, StoreReport({}, {UID: reason}))
    if reason in {0x0111, 0xB00E}:
        assert outcome.ending is Ending.STORED
    elif row.ending is Ending.STORED:
        assert outcome.ending is Ending.AGAIN
    else:
        assert outcome.ending is row.ending
        assert row.meaning in outcome.text


def test_a_failure_without_uid_is_ours() -> None:
    outcome = stow_outcome(202, UID, StoreReport({}, {"": 0xC000}))
    assert outcome.ending is Ending.HOPELESS


@pytest.mark.parametrize(
    "report", [None, StoreReport({"1.2.4": 0}, {}), StoreReport({}, {"1.2.4": 1})]
)
def test_success_that_does_not_name_the_object_is_none(report: StoreReport | None) -> None:
    outcome = stow_outcome(200, UID, report)
    assert outcome.ending is Ending.AGAIN
    assert "does not name the object" in outcome.text


@pytest.mark.parametrize("status", [301, 401, 409, 500, 503])
def test_a_failure_that_names_the_object_as_stored_is_a_failure(status: int) -> None:
    assert stow_outcome(status, UID, STORED).ending is not Ending.STORED


@pytest.mark.parametrize(
    ("status", "ending", "of_all"),
    [
        (100, Ending.AGAIN, True),
        (204, Ending.AGAIN, False),
        (302, Ending.AGAIN, True),
        (307, Ending.AGAIN, True),
        (400, Ending.HOPELESS, False),
        (401, Ending.AGAIN, True),
        (403, Ending.AGAIN, True),
        (404, Ending.AGAIN, True),
        (405, Ending.AGAIN, True),
        (406, Ending.HOPELESS, False),
        (409, Ending.HOPELESS, False),
        (413, Ending.HOPELESS, False),
        (415, Ending.HOPELESS, False),
        (418, Ending.HOPELESS, False),
        (429, Ending.AGAIN, True),
        (500, Ending.AGAIN, False),
        (501, Ending.HOPELESS, False),
        (503, Ending.AGAIN, True),
        (599, Ending.AGAIN, False),
        (999, Ending.AGAIN, True),
    ],
)
def test_what_a_status_leads_to(status: int, ending: Ending, of_all: bool) -> None:
    assert stow_outcome(status, UID, None).ending is ending
    assert holds_for_all(status) is of_all


@pytest.mark.parametrize(
    ("status", "report", "is_open"),
    [
        (200, STORED, False),
        (200, None, True),
        (202, StoreReport({"1.2.4": 0}, {}), True),
        (409, None, True),
        (409, StoreReport({}, {UID: 0x0110}), True),
        (409, StoreReport({}, {UID: 0}), True),
        (409, StoreReport({}, {UID: 0xC000}), False),
        (409, StoreReport({}, {UID: 0x0111}), False),
        (413, None, False),
        (503, None, False),
    ],
)
def test_which_answers_leave_it_open(
    status: int, report: StoreReport | None, is_open: bool
) -> None:
    assert leaves_open(status, UID, report) is is_open


@given(statuses, reports)
def test_what_is_listed_is_stored_with_a_word(status: int, report: StoreReport | None) -> None:
    if leaves_open(status, UID, report):
        outcome = listed_there(stow_outcome(status, UID, report))
        assert (outcome.ending, outcome.warning) == (Ending.STORED, True)
        assert outcome.text.startswith("it lists the object, though STOW-RS answered HTTP ")


@given(statuses, reports)
def test_every_answer_has_one_sentence_or_is_success(
    status: int, report: StoreReport | None
) -> None:
    outcome = stow_outcome(status, UID, report)
    assert outcome.status.startswith(f"HTTP {status}")
    if outcome.text:
        assert outcome.text.startswith(f"STOW-RS answered HTTP {status}")
    else:
        assert outcome.ending is Ending.STORED


def test_what_is_hopeless_says_what_to_change() -> None:
    rows = (*HTTP_STATUSES, *STORE_STATUSES)
    assert all(row.advice for row in rows if row.ending is Ending.HOPELESS)


def test_no_row_is_hidden_by_one_before_it() -> None:
    assert all(http_row(row.last) is row for row in HTTP_STATUSES)


def test_a_wait_that_is_asked_for_is_kept_and_told() -> None:
    outcome = stow_outcome(503, UID, None, 120.0)
    assert outcome.wait_seconds == 120.0
    assert "it asks for 120 s" in outcome.text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("999999999999999999999", LONGEST_WAIT_SECONDS),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        ("Monday, 05-Jan-26 08:01:00 GMT", 60),
        ("Mon Jan  5 08:01:00 2026", 60),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT_SECONDS),
        ("", 0),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("Mon, 99 Jan 2026 08:00:00 GMT", 0),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(text: str, seconds: float) -> None:
    assert wait_of(text, NOW) == seconds


@given(st.text(max_size=40))
def test_a_wait_is_bounded_whatever_is_asked_for(text: str) -> None:
    assert 0 <= wait_of(text, NOW) <= LONGEST_WAIT_SECONDS
