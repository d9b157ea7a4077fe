"""Whether the methods agree on a series, whose class sets are not the same.

Li et al. 2020 tell apart COVID-19, community-acquired pneumonia and non-pneumonia, on the whole
lungs. Xu et al. 2020 look for COVID-19 and influenza-A viral pneumonia in candidate regions, and
find no infection where they see neither. So "another pneumonia" is a different class in each, and
a pneumonia that is neither COVID-19 nor influenza A is nothing that the second method knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

Concept = tuple[str, str]
"""Coding scheme designator and code value."""


class Kind(Enum):
    """What classes of all methods can be compared as."""

    COVID_19 = auto()
    OTHER_PNEUMONIA = auto()
    NO_PNEUMONIA = auto()


_KINDS: Mapping[Concept, Kind] = {
    ("SCT", "840539006"): Kind.COVID_19,
    ("SCT", "385093006"): Kind.OTHER_PNEUMONIA,  # community-acquired pneumonia
    ("99COVNET", "FLU_A_PNEUMONIA"): Kind.OTHER_PNEUMONIA,
    ("99COVNET", "NON_PNEUMONIA"): Kind.NO_PNEUMONIA,
    ("99COVNET", "NO_INFECTION"): Kind.NO_PNEUMONIA,
}


class Relation(StrEnum):
    """AGREE: the same class, or no pneumonia by any. AS_FAR_AS_KNOWN: each says another
    pneumonia than COVID-19, by another name. NOT_COMPARABLE: a class of unknown kind."""

    AGREE = "agree"
    AS_FAR_AS_KNOWN = "agree as far as their class sets go"
    DIFFER = "differ"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Answer:
    """One method's answer in the words of the report, and its code.

    `by`: how it was come to; `class_set`: all that the method can find; `warning`: the sentence
    about its weights, None for weights trained on patients.
    """

    text: str
    concept: Concept
    by: str
    class_set: frozenset[Concept] = frozenset()
    warning: str | None = None

    @property
    def kind(self) -> Kind | None:
        return _KINDS.get(self.concept)

    def __str__(self) -> str:
        return f"{self.text} {self.by}"


@dataclass(frozen=True)
class Agreement:
    """`sentence`: for a person, with the warnings about the weights of each."""

    relation: Relation
    sentence: str


def compare(answers: Sequence[Answer]) -> Agreement:
    """Two answers or more, in the order of the methods.

    Where some are of unknown kind, the others are compared, if there are two, and these named
    beside them.
    """
    known = [each for each in answers if each.kind is not None]
    alike = len({each.concept for each in answers}) == 1
    compared = answers if alike or len(known) < 2 else known
    relation = _relation(compared)
    beside = ", ".join(str(each) for each in answers if each not in compared)
    warnings = dict.fromkeys(filter(None, (each.warning for each in answers)))
    caution = f" ({'; '.join(warnings)})" if warnings else ""
    sentence = _compared(relation, compared, len(answers)) + (
        f"; beside them {beside}" if beside else ""
    )
    return Agreement(relation, f"{sentence}{caution}.")


def _relation(answers: Sequence[Answer]) -> Relation:
    if len({each.concept for each in answers}) == 1:
        return Relation.AGREE
    kinds = {each.kind for each in answers}
    if None in kinds:
        return Relation.NOT_COMPARABLE
    if len(kinds) > 1:
        return Relation.DIFFER
    return Relation.AS_FAR_AS_KNOWN if Kind.OTHER_PNEUMONIA in kinds else Relation.AGREE


def _compared(relation: Relation, answers: Sequence[Answer], methods: int) -> str:
    each = ", ".join(map(str, answers))
    two = methods == 2
    agree = "Both methods agree" if two else f"{len(answers)} of {methods} methods agree"
    if relation is Relation.AGREE and len({answer.concept for answer in answers}) == 1:
        return f"{agree}: {answers[0].text}"
    if relation is Relation.AGREE:
        return f"{agree} on no pneumonia: {each}"
    if relation is Relation.AS_FAR_AS_KNOWN:
        return (
            f"{agree} on another pneumonia than COVID-19, for which their class sets "
            f"have different names: {each}"
        )
    if relation is Relation.NOT_COMPARABLE:
        return f"The methods' answers cannot be compared: {each}"
    differ = "The two methods" if two else f"{len(answers)} of {methods} methods"
    return f"{differ} differ: {each}{_why(answers)}"


def _why(answers: Sequence[Answer]) -> str:
    """What a class set does not know it cannot find: that much of a difference is no surprise."""
    first, *later = answers
    if first.kind is not Kind.OTHER_PNEUMONIA or len(later) != 1:
        return ""
    if later[0].kind is Kind.NO_PNEUMONIA and first.concept not in later[0].class_set:
        return f", where {first.text} is not looked for"
    return ""
