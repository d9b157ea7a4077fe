"""What is next with a series: who does what, when and why, and what helps where nothing goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

NODE = "node"
PERSON = "a person"


@dataclass(frozen=True)
class Step:
    """`who`: NODE, PERSON, or the name of a destination. `at`: as `what` ends ("until"); None where
    no time is known. `remedy`: a command."""

    who: str
    what: str
    at: datetime | None = None
    why: str = ""
    remedy: str = ""

    def text(self, now: datetime) -> str:
        """In one sentence; the day is left out where it is that of `now`."""
        at = "" if self.at is None else f" {clock_time(self.at, now)} UTC"
        why = f" ({self.why})" if self.why else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self._who}{self.what}{at}{why}{remedy}"

    def short(self, now: datetime) -> str:
        """For a column of a table."""
        at = "" if self.at is None else f" {clock_time(self.at, now, seconds=False)}"
        return f"{self._who}{self.what}{at}"

    @property
    def _who(self) -> str:
        return "" if self.who == NODE else f"{self.who}: "

    def as_json(self) -> dict[str, Any]:
        at = None if self.at is None else self.at.isoformat()
        return {
            "who": self.who,
            "what": self.what,
            "at": at,
            "why": self.why,
            "remedy": self.remedy,
        }


def clock_time(moment: datetime, now: datetime, *, seconds: bool = True) -> str:
    """The time of a day of `now`, else with its date; in UTC."""
    time = "%H:%M:%S" if seconds else "%H:%M"
    return moment.strftime(time if moment.date() == now.date() else f"%Y-%m-%d {time}")
