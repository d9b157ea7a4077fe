"""Why results are withdrawn."""

from __future__ import annotations

from enum import StrEnum


class RejectionReason(StrEnum):
    """What is wrong with the results.

    SAFETY: they may mislead, nobody shall see them. WORKLIST: the study bears the wrong patient
    or order. OUTDATED: what they say held when they were made, and no longer does.
    """

    SAFETY = "safety"
    WORKLIST = "worklist"
    OUTDATED = "outdated"
