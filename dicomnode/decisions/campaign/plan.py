"""What a person wishes of a campaign, and within which limits."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal, cast

from pydantic import Field, TypeAdapter

from dicomnode.decisions.hours import Hour, Hours
from dicomnode.decisions.policy import Positive, policy

_NAME = re.compile(r"[^\W_][\w.\-]{0,63}")


@policy
class Plan:
    """`place`: the name of the archive or of the server, the folder, or
    the address of the bucket. `first`, `last`: the days
    that are asked for, both among them.

    `from_hour` to `to_hour`, by the clock of this machine: then the archive is asked, and at no
    other time; 22 to 6 is a night. `disk_gib`: files of series whose analysis has not ended.
    `ahead`: series that may wait for a worker. `most_answers`: what the archive caps its answers
    at; 0: not known. `to`: the one destination of the results; "": none. `key`: of the pseudonyms
    in its table, hexadecimal.
    """

    source: Literal["pacs", "folder", "dicomweb", "bucket"]
    place: str
    first: date | None = None
    last: date | None = None
    modality: Annotated[str, Field(pattern=r"^[A-Z]{1,16}$")] = "CT"
    images_per_second: Positive = 10.0
    from_hour: Hour = 0
    to_hour: Hour = 24
    disk_gib: Positive = 20.0
    ahead: Annotated[int, Field(ge=1, le=10_000)] = 20
    most_answers: Annotated[int, Field(ge=0)] = 0
    to: str = ""
    key: Annotated[str, Field(pattern=r"^[0-9a-f]*$")] = ""

    def __post_init__(self) -> None:
        if not self.by_days:
            return
        if self.first is None or self.last is None or self.first > self.last:
            raise ValueError("from and to must be days, the first one not after the last")

    @property
    def by_days(self) -> bool:
        """Whether the source is asked for days, and at some hours only."""
        return self.source in ("pacs", "dicomweb")

    @property
    def hours(self) -> Hours:
        """When the archive may be asked."""
        return Hours(self.from_hour, self.to_hour)

    def as_json(self) -> dict[str, Any]:
        return cast("dict[str, Any]", _PLAN.dump_python(self, mode="json"))

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Plan:
        return _PLAN.validate_python(found)


_PLAN = TypeAdapter(Plan)


def checked_name(name: str) -> str:
    """The name of a campaign: people type it, and call files by it.

    Raises:
        ValueError: it is none.
    """
    if not _NAME.fullmatch(name):
        rule = "letters, digits, . _ and -, at most 64, a letter or digit first"
        raise ValueError(f"{name!r} is no name of a campaign: {rule}")
    return name
