"""The clock of a DICOMweb server, by the header Date of its answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dicomnode.commission.checks import Result
from dicomnode.commission.web_peer import clock_check
from dicomnode.network.web_connection import Answer

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "result"),
    [
        ("Sun, 01 Mar 2026 12:00:59 GMT", Result.PASSED),
        ("Sun, 01 Mar 2026 12:01:01 GMT", Result.FAILED),
        ("Sun, 01 Mar 2026 11:58:00 GMT", Result.FAILED),
        ("Sun, 01 Mar 2026 12:00:00", Result.NOT_TESTED),
        ("yesterday", Result.NOT_TESTED),
        ("", Result.NOT_TESTED),
    ],
)
def test_a_minute_is_too_much_and_what_is_no_date_is_not_judged(date: str, result: Result) -> None:
    assert clock_check(Answer(200, "", b"", date), NOON).result is result
