"""A DICOMweb server: its clock, and what it took before it took no more."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dicomnode.commission.checks import Result
from dicomnode.commission.dicom_peer import send_all
from dicomnode.commission.web_peer import clock_check
from dicomnode.decisions.delivery.outcome import Ending, Outcome
from dicomnode.deliver.sender import NoneTakenError
from dicomnode.errors import PeerCause
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


class _Overloaded:
    """Takes `left` objects, and no more."""

    def __init__(self, left: int) -> None:
        self._left = left

    def send(self, _path: Path) -> Outcome:
        self._left -= 1
        if self._left < 0:
            again = Outcome(Ending.AGAIN, "HTTP 503", "overloaded")
            raise NoneTakenError(again, PeerCause.STATUS)
        return Outcome(Ending.STORED, "HTTP 200", "")


def test_what_was_stored_before_it_took_no_more_is_known_and_will_be_withdrawn() -> None:
    objects: Any = [
        (SimpleNamespace(kind="sr", sop_class_uid="1.2", sop_instance_uid=f"1.{n}"), Path("x"))
        for n in range(3)
    ]
    sender: Any = _Overloaded(1)
    checks, stored = send_all(sender, objects)
    assert stored == {"1.0"}
    assert [each.result for each in checks] == [Result.FAILED]
    nothing: Any = _Overloaded(0)
    with pytest.raises(NoneTakenError):
        send_all(nothing, objects)
