"""Is the whole series here? DICOM does not say, so we judge by how the sender behaved.

PS3.4 Annex B has no "end of series"; a sender that releases its association (PS3.8 section 7.2)
has sent what it meant to send in it. What is left is to wait whether it opens another one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from storage.records import AssociationEnd, SeriesArrival


class Basis(StrEnum):
    """On what a judgement of completeness rests."""

    RELEASED = "association_released"
    ABORTED = "association_aborted"
    LOST = "association_lost"
    OPEN = "association_open"


@dataclass(frozen=True)
class CompletenessPolicy:
    """How long a series must be quiet, in seconds, for each way its sender may have behaved."""

    quiet_seconds: float = 5.0  # after a release: time for a sender that opens one for each study
    aborted_quiet_seconds: float = 60.0  # an abort is an accident: the sender may try again
    lost_quiet_seconds: float = 120.0  # our receiver died under it: the sender has to notice first
    open_quiet_seconds: float = 60.0  # some senders keep an association open for hours

    def __post_init__(self) -> None:
        for name, seconds in vars(self).items():
            if not 0 <= seconds < math.inf:
                raise ValueError(f"{name} must be 0 or more seconds, not {seconds}")


@dataclass(frozen=True)
class Completeness:
    """`look_again_at` is when silence until then would make the series complete; None if it is."""

    complete: bool
    basis: Basis
    evidence: str
    look_again_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        look_again = None if self.look_again_at is None else self.look_again_at.isoformat()
        return {
            "complete": self.complete,
            "basis": self.basis.value,
            "evidence": self.evidence,
            "look_again_at": look_again,
        }


def judge_completeness(
    arrival: SeriesArrival, policy: CompletenessPolicy, now: datetime
) -> Completeness:
    """Whether `arrival` is all that will come, at `now` (aware time, as in the record)."""
    basis = _basis(arrival)
    quiet_since = _quiet_since(arrival, basis)
    asked_for = _asked_for(basis, policy)
    quiet_until = quiet_since + timedelta(seconds=asked_for)
    quiet_for = max(0.0, (now - quiet_since).total_seconds())
    complete = now >= quiet_until
    evidence = f"{_SENTENCE[basis]} {quiet_for:.1f} s without another instance"
    if not complete:
        evidence += f"; complete after {asked_for:.1f} s"
    return Completeness(complete, basis, evidence, None if complete else quiet_until)


_SENTENCE = {
    Basis.RELEASED: "association released, then",
    Basis.ABORTED: "association aborted, then",
    Basis.LOST: "association lost, then",
    Basis.OPEN: "association still open, but",
}

_BASIS_OF_END = {
    AssociationEnd.RELEASED: Basis.RELEASED,
    AssociationEnd.ABORTED: Basis.ABORTED,
    AssociationEnd.LOST: Basis.LOST,
}


def _basis(arrival: SeriesArrival) -> Basis:
    if arrival.open_associations > 0:
        return Basis.OPEN
    if arrival.last_association_end is None:
        return Basis.LOST  # nobody saw it end: the longest wait
    return _BASIS_OF_END[arrival.last_association_end]


def _quiet_since(arrival: SeriesArrival, basis: Basis) -> datetime:
    ended_at = arrival.last_association_ended_at
    if basis is Basis.OPEN or ended_at is None:
        return arrival.last_received_at
    return max(arrival.last_received_at, ended_at)


def _asked_for(basis: Basis, policy: CompletenessPolicy) -> float:
    return {
        Basis.RELEASED: policy.quiet_seconds,
        Basis.ABORTED: policy.aborted_quiet_seconds,
        Basis.LOST: policy.lost_quiet_seconds,
        Basis.OPEN: policy.open_quiet_seconds,
    }[basis]
