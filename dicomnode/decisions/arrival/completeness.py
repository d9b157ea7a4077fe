"""Is the whole series here? DICOM does not say, so we weigh the evidence.

PS3.4 Annex B has no "end of series"; a sender that releases its association (PS3.8 section 7.2)
has sent what it meant to send in it. Whether it opens another one, the PACS's own count tells, or
a count in the headers, or a gap between slices; where nobody knows, only silence is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from dicomnode.decisions.arrival.arrival_evidence import (
    Evidence,
    HeaderEvidence,
    PacsCount,
    Source,
    Weight,
    announcement_evidence,
    lost_evidence,
    pacs_evidence,
    slices_evidence,
)
from dicomnode.decisions.policy import NotNegative, policy
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.decisions.wording import how_many
from storage.decided import SeriesEvidence
from storage.records import AssociationEnd, SeriesArrival

INCOMPLETE_RULE = "completeness"
"""Rule of the reason that a series is decided upon though instances are known to be missing."""


class Basis(StrEnum):
    """How the associations that brought the series ended."""

    RELEASED = "association_released"
    ABORTED = "association_aborted"
    LOST = "association_lost"
    OPEN = "association_open"


@policy
class CompletenessPolicy:
    """How long a series must be quiet, in seconds, for each way its sender may have behaved.

    `incomplete`: what becomes of a series that is known to be incomplete, and stays so. One with a
    gap between its slices is never analysed: the rule `evenly_spaced` has its own verdict.

    Raises:
        ValueError: a number is negative or not finite.
    """

    proven_quiet_seconds: NotNegative = 1.0  # a count says so: two counts may agree early
    quiet_seconds: NotNegative = 5.0  # after a release: some senders open one for each study
    doubted_quiet_seconds: NotNegative = 30.0  # a count that need not mean this series says more
    aborted_quiet_seconds: NotNegative = 60.0  # an abort is an accident: the sender may try again
    lost_quiet_seconds: NotNegative = 120.0  # our receiver died: the sender has to notice first
    open_quiet_seconds: NotNegative = 60.0  # some senders keep an association open for hours
    incomplete_after_seconds: NotNegative = 300.0  # instances are known to be missing
    incomplete: Literal["analyse", "skip"] = "analyse"


@dataclass(frozen=True)
class Completeness:
    """`look_again_at` is when silence until then would close the series; None if it is closed.

    A series that is closed is decided upon: it is complete, or it was waited for in vain.
    """

    complete: bool
    basis: Basis
    evidence: str
    look_again_at: datetime | None
    closed_by: Source | None = None
    witnesses: tuple[Evidence, ...] = ()
    quiet_seconds: float = 0.0

    @property
    def closed(self) -> bool:
        return self.look_again_at is None

    def noted(self, instances: int) -> SeriesEvidence:
        """What is kept of it; `instances`: how many had come."""
        return SeriesEvidence(
            complete=self.complete,
            evidence=self.evidence,
            basis=self.basis.value,
            look_again_at=self.look_again_at,
            closed_by=self.closed_by and self.closed_by.value,
            pieces=tuple(witness.noted() for witness in self.witnesses),
            instances=instances,
        )


def judge_completeness(
    arrival: SeriesArrival,
    policy: CompletenessPolicy,
    now: datetime,
    pacs: PacsCount | None = None,
    headers: HeaderEvidence | None = None,
) -> Completeness:
    """Whether `arrival` is all that will come, at `now` (aware time, as in the record).

    `pacs` and `headers` are None as long as nobody was asked; see `worth_asking`.
    """
    basis = _basis(arrival)
    witnesses = _witnesses(arrival, pacs, headers)
    closing, asked_for = _rule(basis, witnesses, policy)
    quiet_since = _quiet_since(arrival, basis)
    quiet_until = quiet_since + timedelta(seconds=asked_for)
    quiet_for = max(0.0, (now - quiet_since).total_seconds())
    closed = now >= quiet_until
    incomplete = closing is Source.TIME_OUT
    evidence = _sentence(basis, witnesses, quiet_for)
    if not closed:
        end = "given up" if incomplete else "complete"
        evidence += f"; {end} after {asked_for:.1f} s"
    return Completeness(
        complete=closed and not incomplete,
        basis=basis,
        evidence=evidence,
        look_again_at=None if closed else quiet_until,
        closed_by=closing if closed else None,
        witnesses=(_association(basis, arrival), *witnesses),
        quiet_seconds=asked_for,
    )


def worth_asking(arrival: SeriesArrival, policy: CompletenessPolicy) -> datetime:
    """From when on a count or the headers could close the series: to ask earlier is in vain."""
    basis = _basis(arrival)
    return _quiet_since(arrival, basis) + timedelta(seconds=_proven_wait(basis, policy))


def incomplete_reason(found: Completeness, policy: CompletenessPolicy) -> Reason | None:
    """Why a series is analysed with a warning, or skipped, though instances are missing."""
    if not found.closed or found.complete:
        return None
    parts = [f"{w.said_by}: {w.value}" for w in found.witnesses if w.weight is Weight.CONTRADICTS]
    verdict = Verdict.FAIL if policy.incomplete == "skip" else Verdict.WARNING
    limit = f"all instances within {found.quiet_seconds:g} s"
    return Reason(INCOMPLETE_RULE, "; ".join(parts), limit, verdict)


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


def _proven_wait(basis: Basis, policy: CompletenessPolicy) -> float:
    """On an open association instances may be on their way: as long as after a release."""
    proven = policy.quiet_seconds if basis is Basis.OPEN else policy.proven_quiet_seconds
    return min(proven, _asked_for(basis, policy))


def _association(basis: Basis, arrival: SeriesArrival) -> Evidence:
    weight = Weight.SUPPORTS if basis is Basis.RELEASED else Weight.NEUTRAL
    text = _SENTENCE[basis].partition(",")[0]
    value = f"{text} after {how_many(arrival.instance_count, 'instance')}"
    return Evidence(Source.ASSOCIATION, "sender", value, weight)


def _witnesses(
    arrival: SeriesArrival, pacs: PacsCount | None, headers: HeaderEvidence | None
) -> tuple[Evidence, ...]:
    found: list[Evidence] = []
    if pacs is not None:
        found.append(pacs_evidence(pacs, arrival.instance_count, arrival.last_received_at))
    if headers is not None:
        found.append(slices_evidence(headers))
        found.extend(lost_evidence(each) for each in headers.lost)
        found.extend(announcement_evidence(each) for each in headers.announced)
    return tuple(found)


def _rule(
    basis: Basis, witnesses: Sequence[Evidence], policy: CompletenessPolicy
) -> tuple[Source, float]:
    """What closes the series, and after how many seconds of silence.

    The PACS's count goes before the headers': it counts this series and nothing else. But with a
    gap in the slices it may itself be waiting for them, so both wait as if nothing were proven.
    """
    usual = _asked_for(basis, policy)
    by_source = {(each.source, each.weight) for each in witnesses}
    weights = {each.weight for each in witnesses}
    disputed = bool(weights & {Weight.CONTRADICTS, Weight.DOUBTS})
    if (Source.PACS_COUNT, Weight.PROVES) in by_source:
        wait = min(policy.quiet_seconds, usual) if disputed else _proven_wait(basis, policy)
        return Source.PACS_COUNT, wait
    if Weight.CONTRADICTS in weights:
        return Source.TIME_OUT, max(policy.incomplete_after_seconds, usual)
    if Weight.DOUBTS in weights:
        return Source.QUIET_PERIOD, max(policy.doubted_quiet_seconds, usual)
    if {(Source.HEADER_COUNT, Weight.PROVES), (Source.SLICES, Weight.SUPPORTS)} <= by_source:
        return Source.HEADER_COUNT, _proven_wait(basis, policy)
    return Source.QUIET_PERIOD, usual


_TELLING = (Weight.PROVES, Weight.DOUBTS, Weight.CONTRADICTS)


def _sentence(basis: Basis, witnesses: Sequence[Evidence], quiet_for: float) -> str:
    parts = [f"{each.said_by}: {each.value}" for each in witnesses if each.weight in _TELLING]
    silence = f"{_SENTENCE[basis]} {quiet_for:.1f} s without another instance"
    return "; ".join([*parts, silence])
