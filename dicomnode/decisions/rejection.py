"""Why results are withdrawn."""

from __future__ import annotations

from enum import StrEnum


class RejectionReason(StrEnum):
    """The two reasons of CID 7010 for which a machine's results are withdrawn.

    SAFETY: they may mislead, nobody shall see them. WORKLIST: the study bears the wrong patient
    or order.
    """

    SAFETY = "safety"
    WORKLIST = "worklist"
