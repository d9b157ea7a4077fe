"""Of which series a note is expected."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.decisions.arrival.resend import TAKEN_ELSEWHERE
from dicomnode.decisions.reasons import Reason, failed_rules
from storage.adopt import HELD
from storage.decided import OWN_RESULT

MODALITY = "CT"
"""Of the series that notes tell of: nobody expects an answer on others."""

_NOT_TOLD = frozenset({OWN_RESULT, TAKEN_ELSEWHERE, HELD})


def needs_no_note(reasons: Sequence[Reason]) -> bool:
    """Whether a series was skipped since this product made it, or since it came again as another
    patient's, or is held: nobody waits for an answer on it."""
    return not _NOT_TOLD.isdisjoint(failed_rules(reasons))
