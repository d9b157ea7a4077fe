"""What was decided on a series, and on which evidence: records, each with one form in JSON.

`as_json` is what a row keeps, `from_json` reads it back. What former releases kept may lack what
came later: it has a default here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Self, final

JsonObject = dict[str, Any]

RETRACTED = "retracted"
"""`state` of an entry in the history of a series, and error of a delivery that it stopped."""

NODE_LOST = "node_lost"
"""`state` of an entry in the history of a series."""

REINSTATED = "reinstated"
"""`state` of an entry in the history of a series."""

OWN_RESULT = "own_result"
"""Rule that a series fails by, and by it alone, which this product made: lists leave it out."""

ReasonValue = str | float | int | bool | None


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict, no password
    WARNING = "warning"  # told, but does not stop the analysis
    FAIL = "fail"


@dataclass(frozen=True)
class Reason:
    """One rule, the value it met, the limit it has, and the verdict.

    `rule` is a stable snake_case name; `value` what was found; `limit` what was asked for.
    """

    rule: str
    value: ReasonValue
    limit: ReasonValue
    verdict: Verdict

    @classmethod
    def from_json(cls, found: JsonObject) -> Self:
        return cls(found["rule"], found["value"], found["limit"], Verdict(found["verdict"]))

    def as_json(self) -> JsonObject:
        return asdict(self) | {"verdict": self.verdict.value}

    def __str__(self) -> str:
        limit = "" if self.limit is None else f" (asked for: {self.limit})"
        return f"{self.rule}: {self.value}{limit} – {self.verdict.value}"


def failed_rules(reasons: Iterable[Reason]) -> list[str]:
    """The rules that a series does not pass."""
    return [reason.rule for reason in reasons if reason.verdict is Verdict.FAIL]


def with_later(reasons: Sequence[Reason], later: Sequence[Reason]) -> tuple[Reason, ...]:
    """All reasons; a rule that was judged again counts as it was judged last."""
    again = {reason.rule for reason in later}
    return (*(reason for reason in reasons if reason.rule not in again), *later)


@dataclass(frozen=True)
class SeriesQuality:
    """What eligible series of a study are put in order by. Lengths in mm."""

    slice_spacing_mm: float
    coverage_mm: float
    kernel: str
    slice_count: int

    @classmethod
    def from_json(cls, found: JsonObject) -> Self:
        return cls(**{name: found[name] for name in cls.__dataclass_fields__})

    def as_json(self) -> JsonObject:
        return asdict(self)

    def __str__(self) -> str:
        kernel = f", kernel {self.kernel}" if self.kernel else ""
        return (
            f"{self.slice_count} slices every {self.slice_spacing_mm:g} mm, "
            f"{self.coverage_mm:.0f} mm in all{kernel}"
        )


@dataclass(frozen=True)
class Witness:
    """What one witness said of whether a series is all here; `says`: how much that weighs."""

    witness: str
    says: str
    evidence: str

    @classmethod
    def from_json(cls, found: JsonObject) -> Self:
        return cls(found["witness"], found["says"], found["evidence"])

    def as_json(self) -> JsonObject:
        return asdict(self)


@final
@dataclass(frozen=True)
class SeriesEvidence:
    """What the last look saw of whether a series is all here, and of its place in its study.

    `evidence`: a sentence; `pieces`: what it is made of. `look_again_at`: None if it is closed, by
    what `closed_by` names. `instances`: how many had come.

    `quality`: of a series that is eligible, and `eligible_since` when it was first seen to be:
    its wait for others of the study begins then. `acquisitions`: of which it is made, once that
    is known.
    """

    complete: bool
    evidence: str
    basis: str = ""
    look_again_at: datetime | None = None
    closed_by: str | None = None
    pieces: tuple[Witness, ...] = ()
    instances: int | None = None
    quality: SeriesQuality | None = None
    eligible_since: datetime | None = None
    acquisitions: tuple[str, ...] | None = None

    @classmethod
    def from_json(cls, found: JsonObject) -> Self:
        quality = found.get("quality")
        acquisitions = found.get("acquisitions")
        return cls(
            complete=found.get("complete", True),
            evidence=found.get("evidence", ""),
            basis=found.get("basis", ""),
            look_again_at=_moment(found.get("look_again_at")),
            closed_by=found.get("closed_by"),
            pieces=tuple(Witness.from_json(each) for each in found.get("pieces", ())),
            instances=found.get("instances"),
            quality=None if quality is None else SeriesQuality.from_json(quality),
            eligible_since=_moment(found.get("eligible_since")),
            acquisitions=None if acquisitions is None else tuple(acquisitions),
        )

    def as_json(self) -> JsonObject:
        """What is not known of a series is left out."""
        known = {
            "instances": self.instances,
            "quality": self.quality and self.quality.as_json(),
            "eligible_since": _iso(self.eligible_since),
            "acquisitions": None if self.acquisitions is None else list(self.acquisitions),
        }
        return {
            "complete": self.complete,
            "basis": self.basis,
            "evidence": self.evidence,
            "look_again_at": _iso(self.look_again_at),
            "closed_by": self.closed_by,
            "pieces": [each.as_json() for each in self.pieces],
        } | {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True)
class AnalysisMarks:
    """What of an analysis later decisions ask for; the rest that is kept of it is for readers.

    `made_with`: digest of its settings and models, empty where an earlier release kept none.
    `answered`, `failed`: how many methods came to findings, and how many did not.
    """

    made_with: str
    answered: int
    failed: int

    @classmethod
    def from_json(cls, found: JsonObject) -> Self:
        former = sum(bool(found.get(key)) for key in ("probabilities", "regions"))
        return cls(
            made_with=found.get("made_with", ""),
            answered=len(found["findings"]) if "findings" in found else former,
            failed=len(found.get("failures", ())),
        )


@dataclass(frozen=True)
class FormerDecision:
    """A decision on a series that was undone, as it stood; `removed_at`: its files were removed."""

    state: str  # a SeriesState
    decided_at: datetime | None
    ended_at: datetime | None
    instance_count: int
    input_digest: str | None
    completeness: SeriesEvidence | None
    reasons: tuple[Reason, ...]
    analysis: JsonObject | None
    removed_at: datetime | None = None

    @classmethod
    def from_json(cls, found: JsonObject) -> Self:
        noted = found.get("completeness")
        return cls(
            state=found["state"],
            decided_at=_moment(found["decided_at"]),
            ended_at=_moment(found.get("ended_at")),
            instance_count=found["instance_count"],
            input_digest=found.get("input_digest"),
            completeness=None if noted is None else SeriesEvidence.from_json(noted),
            reasons=tuple(Reason.from_json(each) for each in found["reasons"]),
            analysis=found.get("analysis"),
            removed_at=_moment(found.get("removed_at")),
        )

    def as_json(self) -> JsonObject:
        removed = {} if self.removed_at is None else {"removed_at": _iso(self.removed_at)}
        return removed | {
            "state": str(self.state),
            "decided_at": _iso(self.decided_at),
            "ended_at": _iso(self.ended_at),
            "instance_count": self.instance_count,
            "input_digest": self.input_digest,
            "completeness": self.completeness and self.completeness.as_json(),
            "reasons": [each.as_json() for each in self.reasons],
            "analysis": self.analysis,
        }


@dataclass(frozen=True)
class Withdrawal:
    """That a set of results was withdrawn: `retracted`, by SOP Instance UID.

    `notified`: destinations that get word; `why`, `title`: the reason, by its name and in words.
    """

    decided_at: datetime
    retracted: tuple[str, ...]
    instance_count: int
    notified: tuple[str, ...]
    why: str
    title: str
    state: ClassVar[str] = RETRACTED
    reasons: ClassVar[tuple[Reason, ...]] = ()

    @classmethod
    def from_json(cls, found: JsonObject) -> Self:
        return cls(
            decided_at=datetime.fromisoformat(found["decided_at"]),
            retracted=tuple(found["retracted"]),
            instance_count=found["instance_count"],
            notified=tuple(found.get("told", ())),
            why=found.get("why", ""),
            title=found.get("title", ""),
        )

    def as_json(self) -> JsonObject:
        return {
            "why": self.why,
            "title": self.title,
            "reasons": [],
            "instance_count": self.instance_count,
            "told": list(self.notified),
            "state": RETRACTED,
            "decided_at": self.decided_at.isoformat(),
            "retracted": list(self.retracted),
        }


@dataclass(frozen=True)
class Reinstatement:
    """That a withdrawal was undone: `results`, by SOP Instance UID, stand for `withdrawn`."""

    decided_at: datetime
    withdrawn: tuple[str, ...]
    results: tuple[str, ...]
    instance_count: int
    state: ClassVar[str] = REINSTATED
    reasons: ClassVar[tuple[Reason, ...]] = ()

    @classmethod
    def from_json(cls, found: JsonObject) -> Self:
        return cls(
            decided_at=datetime.fromisoformat(found["decided_at"]),
            withdrawn=tuple(found["withdrawn"]),
            results=tuple(found["results"]),
            instance_count=found["instance_count"],
        )

    def as_json(self) -> JsonObject:
        return asdict(self) | {
            "state": REINSTATED,
            "reasons": [],
            "decided_at": self.decided_at.isoformat(),
            "withdrawn": list(self.withdrawn),
            "results": list(self.results),
        }


@dataclass(frozen=True)
class NodeLost:
    """That the node is not heard of any more which alone had so many instances of the series:
    another has them sent again; or, where it is none, its results: they are made anew. `name`: of
    its machine."""

    decided_at: datetime
    node_id: str
    name: str
    instance_count: int
    state: ClassVar[str] = NODE_LOST
    reasons: ClassVar[tuple[Reason, ...]] = ()

    @classmethod
    def from_json(cls, found: JsonObject) -> Self:
        names = found["node_id"], found["name"]
        return cls(datetime.fromisoformat(found["decided_at"]), *names, found["instance_count"])

    def as_json(self) -> JsonObject:
        told = {"state": NODE_LOST, "reasons": [], "decided_at": self.decided_at.isoformat()}
        return asdict(self) | told


HistoryEntry = FormerDecision | Withdrawal | Reinstatement | NodeLost
"""What a series was before, or what became of its results."""


def history_entry(found: JsonObject) -> HistoryEntry:
    """Reads back what `as_json` of any of them gave."""
    if found["state"] == RETRACTED:
        return Withdrawal.from_json(found)
    if found["state"] == REINSTATED:
        return Reinstatement.from_json(found)
    if found["state"] == NODE_LOST:
        return NodeLost.from_json(found)
    return FormerDecision.from_json(found)


def retractions(history: Sequence[HistoryEntry]) -> dict[str, datetime]:
    """Since when each SOP Instance UID is withdrawn."""
    return {
        uid: entry.decided_at
        for entry in history
        if isinstance(entry, Withdrawal)
        for uid in entry.retracted
    }


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
