"""Whether the two methods agree on a series, whose class sets are not the same.

Li et al. 2020 tell apart COVID-19, community-acquired pneumonia and non-pneumonia, on the whole
lungs. Xu et al. 2020 look for COVID-19 and influenza-A viral pneumonia in candidate regions, and
find no infection where they see neither. So "another pneumonia" is a different class in each, and
a pneumonia that is neither COVID-19 nor influenza A is nothing that the second method knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class Kind(Enum):
    """What classes of both methods can be compared as."""

    COVID_19 = auto()
    OTHER_PNEUMONIA = auto()
    NO_PNEUMONIA = auto()


_KINDS = {
    "COVID-19": Kind.COVID_19,
    "community-acquired pneumonia": Kind.OTHER_PNEUMONIA,
    "influenza-A viral pneumonia": Kind.OTHER_PNEUMONIA,
    "non-pneumonia": Kind.NO_PNEUMONIA,
    "no infection found": Kind.NO_PNEUMONIA,
}


class Relation(StrEnum):
    """AGREE: the same class, or no pneumonia by either. AS_FAR_AS_KNOWN: each says another
    pneumonia than COVID-19, by another name. NOT_COMPARABLE: a class of unknown kind."""

    AGREE = "agree"
    AS_FAR_AS_KNOWN = "agree as far as their class sets go"
    DIFFER = "differ"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Answer:
    """One method's answer: `answer` and its `class_set` in the words of the report.

    `warning`: the sentence about its weights, None for weights trained on patients.
    """

    answer: str
    class_set: tuple[str, ...]
    warning: str | None = None


@dataclass(frozen=True)
class Agreement:
    """`sentence`: for a person, with the warnings about the weights of either."""

    relation: Relation
    sentence: str


def compare(lungs: Answer, regions: Answer) -> Agreement:
    """The answer on the whole lungs (Li et al.) beside that by regions (Xu et al.)."""
    relation = _relation(lungs, regions)
    warnings = dict.fromkeys(filter(None, (lungs.warning, regions.warning)))
    caution = f" ({'; '.join(warnings)})" if warnings else ""
    return Agreement(relation, f"{_told(relation, lungs, regions)}{caution}.")


def _relation(lungs: Answer, regions: Answer) -> Relation:
    if lungs.answer == regions.answer:
        return Relation.AGREE
    kinds = _KINDS.get(lungs.answer), _KINDS.get(regions.answer)
    if None in kinds:
        return Relation.NOT_COMPARABLE
    if kinds[0] is not kinds[1]:
        return Relation.DIFFER
    same_other = kinds[0] is Kind.OTHER_PNEUMONIA
    return Relation.AS_FAR_AS_KNOWN if same_other else Relation.AGREE


def _told(relation: Relation, lungs: Answer, regions: Answer) -> str:
    both = f"{lungs.answer} by the whole lungs, {regions.answer} by regions"
    if relation is Relation.AGREE and lungs.answer == regions.answer:
        return f"Both methods agree: {lungs.answer}"
    if relation is Relation.AGREE:
        return f"Both methods agree on no pneumonia: {both}"
    if relation is Relation.AS_FAR_AS_KNOWN:
        return (
            "Both methods agree on another pneumonia than COVID-19, for which their class sets "
            f"have different names: {both}"
        )
    if relation is Relation.NOT_COMPARABLE:
        return f"The methods' answers cannot be compared: {both}"
    return f"The two methods differ: {both}{_why(lungs, regions)}"


def _why(lungs: Answer, regions: Answer) -> str:
    """What a class set does not know it cannot find: that much of a difference is no surprise."""
    missed = _KINDS[lungs.answer] is Kind.OTHER_PNEUMONIA and lungs.answer not in regions.class_set
    if missed and _KINDS[regions.answer] is Kind.NO_PNEUMONIA:
        return f", where {lungs.answer} is not looked for"
    return ""
