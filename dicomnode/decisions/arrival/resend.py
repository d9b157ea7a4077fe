"""Instances that came again under their UIDs with other content: which copy stands?

A PACS that corrects a study (another patient, another order) sends it again under the same UIDs.
Where only attributes differ the newest are right; where pixels do, or where only a part came again
as another patient's, nobody can know, and a person decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

from dicomnode.decisions.reasons import Reason, Verdict

RESENT = "resent"
"""Rule of the reasons about such instances."""

KNOWN_ELSEWHERE = "known_elsewhere"
"""Rule of the reason that instances of a series are known as those of another."""

TAKEN_ELSEWHERE = "taken_elsewhere"
"""Rule of the reason that they came again as those of another, and are taken as such."""

_MOST_NAMED = 6


class ResendPolicy(StrEnum):
    """Which copy stands where only attributes differ; HOLD: a person decides."""

    NEWEST = "newest"
    HOLD = "hold"
    FIRST = "first"


class Pixels(Enum):
    """How the decoded pixels of two copies compare."""

    EQUAL = "equal"
    OTHER = "other"
    FIRST_UNREADABLE = "the first unreadable"
    LATER_UNREADABLE = "the later unreadable"


class Standing(Enum):
    """What becomes of a later copy."""

    SAME = "same"
    FIRST = "first"
    NEWEST = "newest"
    HELD = "held"


@dataclass(frozen=True)
class Copy:
    """One instance and its newest copy. `differs`: attributes, by keyword; no values.

    `same_owner`: whether both are of the same study and Patient ID. `owner`: what names whose the
    later one is. `at_once`: whether both came on one association, or on several that brought them
    at one time. An archive that keeps a corrected study beside the former one (Orthanc does) sends
    both in answer to one C-MOVE, in any order.
    """

    owner: str
    same_owner: bool
    differs: tuple[str, ...]
    pixels: Pixels
    at_once: bool = False

    @property
    def is_same(self) -> bool:
        return self.same_owner and not self.differs and self.pixels is Pixels.EQUAL

    @property
    def differences(self) -> tuple[str, ...]:
        """In what it differs, in words."""
        pixels = () if self.pixels is Pixels.EQUAL else ("pixels",)
        return (*self.differs, *pixels)


def judge_resend(copies: Sequence[Copy], instance_count: int, policy: ResendPolicy) -> Standing:
    """What becomes of the copies that are not the same, over a series of so many instances."""
    other = [copy for copy in copies if not copy.is_same]
    if not other:
        return Standing.SAME
    if policy is not ResendPolicy.NEWEST:
        return Standing.HELD if policy is ResendPolicy.HOLD else Standing.FIRST
    pixels = {copy.pixels for copy in other}
    if all(copy.same_owner for copy in other):
        if pixels == {Pixels.LATER_UNREADABLE}:
            return Standing.FIRST
        certain = pixels <= {Pixels.EQUAL, Pixels.FIRST_UNREADABLE}
    else:
        to_one_other = len({copy.owner for copy in other}) == 1 and len(other) == instance_count
        in_known_order = not any(copy.at_once for copy in other)
        certain = to_one_other and in_known_order and pixels == {Pixels.EQUAL}
    return Standing.NEWEST if certain else Standing.HELD


def held_reason(count: int, instance_count: int, differs: Collection[str], uid: str) -> Reason:
    """That nothing is analysed or sent of a series until a person has decided."""
    text = f"{_again(count, instance_count, differs)}: held"
    limit = f"a person decides: dicomnode queue release {uid} --take first (or newest)"
    return Reason(RESENT, text, limit, Verdict.FAIL)


def taken_reason(
    count: int, instance_count: int, differs: Collection[str], *, newest: bool
) -> Reason:
    """Which of several copies were taken: for the report, too."""
    which = "the newest were taken" if newest else "the first were taken"
    text = f"{_again(count, instance_count, differs)}; {which}"
    return Reason(RESENT, text, "one content for each instance", Verdict.WARNING)


@dataclass(frozen=True)
class Claim:
    """An instance that names a series and is known as that of another one.

    `named` and `known`: Series and Study Instance UID of either; where they are the same the
    patient is another. `taken`: whether the other one took it over.
    """

    named: tuple[str, str]
    known: tuple[str, str]
    taken: bool

    @property
    def place(self) -> str:
        other = " with another Patient ID" if self.known == self.named else ""
        return f"series {self.known[0]} of study {self.known[1]}{other}"


def elsewhere_reasons(claims: Sequence[Claim], instance_count: int) -> tuple[Reason, ...]:
    """That instances which name this series are known as those of others.

    `instance_count`: of all that came for this series.
    """
    reasons = []
    for taken, rule in ((True, TAKEN_ELSEWHERE), (False, KNOWN_ELSEWHERE)):
        found = Counter(claim.place for claim in claims if claim.taken is taken)
        if found:
            how = "came again and are" if taken else "are known"
            text = "; ".join(
                f"{_of(count, instance_count)} {how} under {place}"
                for place, count in sorted(found.items())
            )
            reasons.append(Reason(rule, text, "known under this series alone", Verdict.FAIL))
    return tuple(reasons)


def _again(count: int, instance_count: int, differs: Collection[str]) -> str:
    names = sorted(differs)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    what = ", ".join(names[:_MOST_NAMED]) + more
    return f"{_of(count, instance_count)} came again" + (f" with other {what}" if what else "")


def _of(count: int, instance_count: int) -> str:
    return f"{count} of its {instance_count} instances"
