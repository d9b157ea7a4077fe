"""From where on something is a trouble: `[health]`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dicomnode.decisions.policy import AeTitle, NotNegative, Positive, policy


class Weekday(StrEnum):
    """In the order of `datetime.weekday`."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


@policy
class ExpectedSource:
    """A sender that is missed when it sends nothing for so many of its hours, in local time."""

    ae_title: AeTitle
    silent_hours: Positive
    from_hour: Annotated[int, Field(ge=0, le=23)] = 0
    to_hour: Annotated[int, Field(ge=1, le=24)] = 24
    days: tuple[Weekday, ...] = tuple(Weekday)

    def __post_init__(self) -> None:
        if self.from_hour >= self.to_hour:
            raise ValueError("from_hour must be less than to_hour")
        if not self.days:
            raise ValueError("days must name one day at least")


@policy
class HealthPolicy:
    """From where on something is a trouble that `dicomnode status` and the alerts tell."""

    look_seconds: Annotated[float, Field(ge=0.5, le=60)] = 10.0
    disk_warning_bytes: Annotated[int, Field(ge=0)] = 10 << 30
    certificate_days: NotNegative = 30.0
    queue_seconds: Positive = 1800.0
    delivery_seconds: Positive = 900.0
    commitment_seconds: Positive = 14400.0
    sealing_seconds: Positive = 1800.0
    event_hours: Positive = 24.0  # what happened, and does not last, is told for so long
    restarts: Annotated[int, Field(ge=1, le=10)] = 3  # within ten minutes
    clock_step_seconds: Positive = 5.0
    transaction_seconds: Positive = 600.0
    dead_rows: Annotated[int, Field(ge=1000)] = 100_000
    silent_studies: NotNegative = 10.0  # 0: nothing is learned of sources
    sources: tuple[ExpectedSource, ...] = ()
