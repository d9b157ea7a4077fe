"""What troubles the node: one sentence with figures, and the one step that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    WARNING = "warning"  # it works still, or mends itself; somebody should look by day
    ERROR = "error"  # patients' results are late, lost or refused until somebody acts


@dataclass(frozen=True)
class Trouble:
    """One trouble. None of its texts bears a patient's identity.

    `name`: `KIND`, or `KIND:ABOUT` (`destination_away:pacs`); the same for as long as it lasts.
    `remedy`: the one command or step that mends it. `since`: when it began, where that is known.
    """

    name: str
    severity: Severity
    text: str
    remedy: str
    since: datetime | None = None

    @property
    def kind(self) -> str:
        return self.name.partition(":")[0]

    @property
    def about(self) -> str:
        """Which destination, source, process or file; empty where there is one only."""
        return self.name.partition(":")[2]
