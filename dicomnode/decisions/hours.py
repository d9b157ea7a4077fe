"""Hours of the day within which an archive may be asked: 22-6 is a night."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import Field

from dicomnode.decisions.policy import policy

Hour = Annotated[int, Field(ge=0, le=24)]

_DAY = 24
_SPAN = re.compile(r"(\d{1,2})-(\d{1,2})")


@policy
class Hours:
    """From one full hour to another, by the clock on the wall; from one to the same is the whole
    day."""

    first: Hour = 0
    last: Hour = 24

    @classmethod
    def parsed(cls, text: str) -> Self:
        """As a person gives them: "22-6".

        Raises:
            ValueError: they are none.
        """
        found = _SPAN.fullmatch(text.strip())
        if found is None or not all(int(each) <= _DAY for each in found.groups()):
            raise ValueError(f"{text!r} is no span of hours: two of 0 to 24, as 22-6")
        return cls(int(found[1]), int(found[2]))

    @property
    def count(self) -> int:
        """Of a day."""
        return (self.last - self.first) % _DAY or _DAY

    def has(self, local: datetime) -> bool:
        """`local`: by the clock on the wall."""
        return (local.hour - self.first) % _DAY < self.count

    def begin_after(self, local: datetime) -> datetime:
        """When they begin next."""
        at = local.replace(hour=self.first % _DAY, minute=0, second=0, microsecond=0)
        return at if at > local else at + timedelta(days=1)

    @property
    def text(self) -> str:
        """For a person."""
        return f"the archive is asked from {self.first} to {self.last} o'clock only"
