"""What the answer to a STOW-RS request with one instance means, and what to do about it.

PS3.18 table 10.5.3-1 and annex I; RFC 9110 section 15. Reasons of single instances are the statuses
of a C-STORE response, so their meanings are those of `store_status`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from dicomnode.decisions.delivery.outcome import Ending, Outcome
from dicomnode.decisions.delivery.store_status import StatusRow, shown, status_row
from dicomnode.decisions.delivery.stow_response import StoreReport

_STORED, _AGAIN, _HOPELESS = Ending.STORED, Ending.AGAIN, Ending.HOPELESS

LONGEST_WAIT_SECONDS = 3600.0
"""A server that asks for more patience is tried earlier: a slip of its clock costs no days."""

_THERE_ALREADY = {0x0111, 0xB00E}
"""Failure Reasons that say so; the second is 45070 of Microsoft's server, as its conformance
statement has it. What we sent was sent by us before, so it is where it shall be."""

_PROCESSING_FAILURE = 0x0110


@dataclass(frozen=True)
class HttpRow(StatusRow):
    """`of_all`: the answer is about the destination, not about this object: it holds for all."""

    of_all: bool = False


def _row(
    status: int,
    ending: Ending,
    meaning: str,
    advice: str = "",
    *,
    last: int | None = None,
    of_all: bool = False,
) -> HttpRow:
    return HttpRow(status, last or status, ending, meaning, advice, of_all)


_URL = "see whether url is the address of its DICOMweb service, without /studies"
_CREDENTIALS = "see the credentials of this destination, and when they expire"
_REPORT = "compare its log, and report it with this status: the object may be at fault"
_LIMIT = "raise its limit for the size of a request (or that of the proxy before it)"
_ITS_LOG = "see its log"

HTTP_STATUSES = (
    _row(200, _AGAIN, "but does not name the object among those that it stored", _URL, last=299),
    _row(
        300, _AGAIN, "it is at another address, which is not followed", _URL, last=399, of_all=True
    ),
    _row(400, _HOPELESS, "the request is not understood", _REPORT),
    _row(401, _AGAIN, "it does not know who we are", _CREDENTIALS, of_all=True),
    _row(403, _AGAIN, "not allowed to store there", _CREDENTIALS, of_all=True),
    _row(404, _AGAIN, "nothing is at this address", _URL, of_all=True),
    _row(405, _AGAIN, "nothing can be stored at this address", _URL, of_all=True),
    _row(406, _HOPELESS, "it answers neither in JSON nor in XML", "see whether it is DICOMweb"),
    _row(407, _AGAIN, "a proxy before it wants to know who we are", _URL, of_all=True),
    _row(408, _AGAIN, "it waited too long for the object", "see whether the network is slow"),
    _row(409, _HOPELESS, "it stored nothing, and does not say why", _ITS_LOG),
    _row(411, _HOPELESS, "it misses the length of the request", "see the proxy before it"),
    _row(413, _HOPELESS, "the object is too large for it", _LIMIT),
    _row(415, _HOPELESS, "it does not take DICOM objects in this encoding", "see all_slices, url"),
    _row(421, _AGAIN, "it is not the server of this address", _URL, of_all=True),
    _row(423, _AGAIN, "what it would write to is locked"),
    _row(425, _AGAIN, "too early for it"),
    _row(429, _AGAIN, "too many requests for it", "ask for a higher limit", of_all=True),
    _row(400, _HOPELESS, "it refuses the object", _ITS_LOG, last=499),
    _row(501, _HOPELESS, "nothing can be stored there by STOW-RS", _URL),
    _row(502, _AGAIN, "the proxy before it gets no answer", "see whether it runs", of_all=True),
    _row(503, _AGAIN, "it cannot serve just now", _ITS_LOG, of_all=True),
    _row(504, _AGAIN, "the proxy before it gets no answer in time", "see whether it runs"),
    _row(505, _HOPELESS, "it does not speak HTTP/1.1", _URL),
    _row(507, _AGAIN, "out of storage", "see whether its disk is full", of_all=True),
    _row(500, _AGAIN, "a fault there", _ITS_LOG, last=599),
)
"""What an HTTP status means where the body does not tell of the instance; the first row holds."""

_UNKNOWN = _row(0, _AGAIN, "a status that HTTP does not know", _URL, last=999, of_all=True)


def http_row(status: int) -> HttpRow:
    """The row of a status; one that says to try again where HTTP knows none."""
    return next((row for row in HTTP_STATUSES if row.first <= status <= row.last), _UNKNOWN)


def stow_outcome(
    status: int, uid: str, report: StoreReport | None, wait_seconds: float = 0.0
) -> Outcome:
    """What the answer means for the instance `uid`, the only one of the request.

    `wait_seconds`: how long the server asks to be left alone.
    """
    reason = _failure(report, uid)
    if reason is not None:
        return _failed(status, reason)
    if 200 <= status <= 299 and report is not None and uid in report.stored:
        return _stored(status, report.stored[uid])
    row = http_row(status)
    asked = f"; it asks for {wait_seconds:.0f} s" if wait_seconds else ""
    text = f"STOW-RS answered HTTP {status}, {row.meaning}{asked}: {row.advice or _ITS_LOG}"
    return Outcome(row.ending, f"HTTP {status}", text, wait_seconds=wait_seconds)


def holds_for_all(status: int) -> bool:
    """Whether the next object would be answered the same, whatever it is."""
    return http_row(status).of_all


def leaves_open(status: int, uid: str, report: StoreReport | None) -> bool:
    """Whether the object may be there all the same: the answer does not tell.

    There are servers that answer an object which they hold already as any other fault.
    """
    reason = _failure(report, uid)
    if reason is None:
        return stow_outcome(status, uid, report).ending is not _STORED and (
            200 <= status <= 299 or status == HTTPStatus.CONFLICT
        )
    return reason in (0x0000, _PROCESSING_FAILURE)


def listed_there(outcome: Outcome) -> Outcome:
    """What an answer that left it open means where the server lists the object when asked."""
    text = f"it lists the object, though {outcome.text}"
    return Outcome(_STORED, outcome.status, text, warning=True)


def _failure(report: StoreReport | None, uid: str) -> int | None:
    """The Failure Reason of the instance; of one without UID it can only be ours."""
    failed = report.failed if report else {}
    return failed.get(uid, failed.get(""))


def _failed(status: int, reason: int) -> Outcome:
    words = f"HTTP {status} {shown(reason)}"
    if reason in _THERE_ALREADY:
        return Outcome(_STORED, words)
    row = status_row(reason)
    # a reason that means "stored" contradicts the sequence that it stands in
    again = row.ending is _STORED
    meaning = "not stored, without a reason" if again else row.meaning
    text = f"STOW-RS answered {words}, {meaning}: {(not again and row.advice) or _ITS_LOG}"
    return Outcome(_AGAIN if again else row.ending, words, text)


def _stored(status: int, reason: int) -> Outcome:
    """With a Warning Reason it was stored, but not just as it was."""
    if reason == 0:
        return Outcome(_STORED, f"HTTP {status}")
    row, words = status_row(reason), f"HTTP {status} {shown(reason)}"
    meaning = row.meaning if row.warning else "stored with a warning"
    text = f"STOW-RS answered {words}, {meaning}: {row.advice or _ITS_LOG}"
    return Outcome(_STORED, words, text, warning=True)


def wait_of(retry_after: str, now: datetime) -> float:
    """Retry-After (RFC 9110 section 10.2.3) in seconds from `now`: a number of them, or a date.

    0 for one that is neither; never more than `LONGEST_WAIT_SECONDS`.
    """
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), LONGEST_WAIT_SECONDS)
    try:
        at = parsedate_to_datetime(text)
        wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    return min(max(wait.total_seconds(), 0.0), LONGEST_WAIT_SECONDS)
