"""What each status of a C-STORE response means, and what to do about it.

PS3.4 table B.2-1 (Storage Service Class) and PS3.7 annex C (the general ones). The first row that
a status lies in holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from dicomnode.decisions.delivery.outcome import Ending, Outcome

_STORED, _AGAIN, _HOPELESS = Ending.STORED, Ending.AGAIN, Ending.HOPELESS


@dataclass(frozen=True)
class StatusRow:
    """Statuses `first` to `last`; `advice`: what an administrator can do, empty for nothing."""

    first: int
    last: int
    ending: Ending
    meaning: str
    advice: str = ""

    @property
    def warning(self) -> bool:
        return self.ending is _STORED and self.first not in (0x0000, 0x0111)


def _row(
    status: int, ending: Ending, meaning: str, advice: str = "", *, last: int | None = None
) -> StatusRow:
    return StatusRow(status, status if last is None else last, ending, meaning, advice)


_LET_IN = "let this node's AE title store there"
_OTHER_CLASS = "choose another class for this destination (sr_class, segmentation)"
_REPORT = "compare its log, and report it with this status: the object may be at fault"

STORE_STATUSES = (
    _row(0x0000, _STORED, "stored"),
    _row(0x0111, _STORED, "there already"),
    _row(0x0001, _STORED, "stored with a warning", "look at the object there"),
    _row(0x0107, _STORED, "stored; some attributes were not taken over"),
    _row(0x0116, _STORED, "stored; the value of an attribute was out of range there"),
    _row(0xB000, _STORED, "stored; the values of some attributes were changed", "see its rules"),
    _row(0xB006, _STORED, "stored; some attributes were discarded", "see its rules"),
    _row(0xB007, _STORED, "stored; it does not see its class in the object", _REPORT),
    _row(0xB000, _STORED, "stored with a warning", "see its log", last=0xBFFF),
    _row(0xA700, _AGAIN, "out of resources", "see whether its disk is full", last=0xA7FF),
    _row(0xA900, _HOPELESS, "the object does not match its SOP class", _REPORT, last=0xA9FF),
    _row(0xC000, _HOPELESS, "the object is not understood", _REPORT, last=0xCFFF),
    _row(0x0105, _HOPELESS, "an attribute is not known there", _REPORT),
    _row(0x0106, _HOPELESS, "the value of an attribute is not valid there", _REPORT),
    _row(0x0110, _AGAIN, "processing failed there", "see its log"),
    _row(0x0112, _HOPELESS, "what the object refers to is not there", _REPORT),
    _row(0x0115, _HOPELESS, "an argument is not valid there", _REPORT),
    _row(0x0117, _HOPELESS, "the SOP Instance UID is not valid there", _REPORT),
    _row(0x0118, _HOPELESS, "the SOP class is not known there", _OTHER_CLASS),
    _row(0x0119, _HOPELESS, "the same UID is there with another SOP class", _REPORT),
    _row(0x0120, _HOPELESS, "an attribute is missing", _REPORT),
    _row(0x0121, _HOPELESS, "an attribute has no value", _REPORT),
    _row(0x0122, _HOPELESS, "the SOP class is not supported there", _OTHER_CLASS),
    _row(0x0124, _AGAIN, "not authorized", _LET_IN),
    _row(0x0210, _AGAIN, "a message with this number is under way"),
    _row(0x0211, _HOPELESS, "C-STORE is not known there", "see whether it takes objects at all"),
    _row(0x0212, _HOPELESS, "an argument of the message is not known there", _REPORT),
    _row(0x0213, _AGAIN, "a resource is short there", "see its log"),
    _row(0xFE00, _AGAIN, "cancelled there"),
)
"""The meanings are the standard's in plain words; 0xFE00 and 0x0210 are no answer to a C-STORE,
but peers were seen to give what they have."""

_UNKNOWN = _row(0, _AGAIN, "a status that the standard does not know", "see its log", last=0xFFFF)


def status_row(status: int) -> StatusRow:
    """The row of a status; one that says to try again where the standard knows none."""
    return next((row for row in STORE_STATUSES if row.first <= status <= row.last), _UNKNOWN)


def store_outcome(status: int, comment: str = "") -> Outcome:
    """What a C-STORE response means. `comment`: Error Comment (0000,0902), the peer's own words."""
    row = status_row(status)
    if row.ending is Ending.STORED and not row.warning:
        return Outcome(row.ending, shown(status))
    advice = f": {row.advice}" if row.advice else ""
    text = f"C-STORE answered {shown(status)}, {row.meaning}{advice}"
    return Outcome(row.ending, shown(status), text, row.warning, comment=comment)


def shown(status: int) -> str:
    return f"0x{status:04X}"
