"""What the failure of an object in a storage commitment report means, and what follows: the table.

Failure Reason (0008,1197), PS3.3 C.14.1.1; the statuses of N-ACTION are those of PS3.7 10.1.4.1.10.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Follow(StrEnum):
    """What is done with an object for which no promise was given."""

    SEND_AGAIN = "send again"  # it is not there, or not whole
    ASK_AGAIN = "ask again"  # under a new Transaction UID
    PARK = "park"  # a person has to change something


@dataclass(frozen=True)
class FailureRow:
    """`advice`: what an administrator can do, empty for nothing."""

    reason: int
    follow: Follow
    meaning: str
    advice: str = ""


NO_SUCH_INSTANCE, CLASS_CONFLICT = 0x0112, 0x0119

COMMITMENT_FAILURES = (
    FailureRow(0x0110, Follow.SEND_AGAIN, "it could not be looked for there", "see its log"),
    FailureRow(NO_SUCH_INSTANCE, Follow.SEND_AGAIN, "it is not there"),
    FailureRow(
        CLASS_CONFLICT,
        Follow.PARK,
        "the same UID is there with another SOP class",
        "compare its log, and report it with this reason: the object may be at fault",
    ),
    FailureRow(
        0x0122,
        Follow.PARK,
        "it keeps no object of this SOP class",
        "choose another class for this destination (sr_class, segmentation), or set its"
        " storage_commitment = false",
    ),
    FailureRow(0x0131, Follow.ASK_AGAIN, "the Transaction UID is in use there"),
    FailureRow(
        0x0213, Follow.ASK_AGAIN, "a resource is short there", "see whether its disk is full"
    ),
)

NO_SERVICE = frozenset({0x0118, 0x0122, 0x0123, 0x0211})
"""Statuses of an N-ACTION response by which a peer says that it gives no commitment at all."""


def failure_row(reason: int) -> FailureRow:
    """The row of a reason; one that says to send again where the standard knows none."""
    unknown = FailureRow(reason, Follow.SEND_AGAIN, "for a reason unknown to the standard")
    return next((row for row in COMMITMENT_FAILURES if row.reason == reason), unknown)


def failure_text(reason: int) -> str:
    """One sentence for the administrator."""
    row = failure_row(reason)
    advice = f": {row.advice}" if row.advice else ""
    return f"no promise to keep it, 0x{reason:04X}, {row.meaning}{advice}"


def report_patience(timeout_seconds: float, asked: int) -> timedelta:
    """How long the report is waited for that was asked for the `asked`th time: twice as long each
    time, as the peer may be slow and not silent."""
    return timedelta(seconds=timeout_seconds * 2.0 ** min(max(asked - 1, 0), 16))
