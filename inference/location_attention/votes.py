"""From the probabilities of patches to one answer (Xu et al. 2020, section 2.6); pure functions.

Classes are indices; the last class is "irrelevant to infection", those before it are infections.
The paper has two infections. Rule 3 is written for any number: the softmax is over those whose P
is not 0, which for two is the paper's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inference.regions import RegionVote

PATCHES = 3
"""The centre image of a candidate and its two neighbours."""


@dataclass(frozen=True)
class CaseVerdict:
    """The overall report of section 2.6.2, by infection class.

    `noisy_or`: P of equation 1; `confidences`: what the output rules give, S of equation 2 where
    more than one P is not 0; `class_index`: the infection that dominates, None when none was
    found. Of equal P the earlier class is taken: the paper does not say.
    """

    noisy_or: tuple[float, ...]
    confidences: tuple[float, ...]
    class_index: int | None


def vote(patches: Sequence[Sequence[float]]) -> RegionVote:
    """The vote of section 2.6.1; each patch's class is the one with its highest probability.

    `patches`: probabilities (3, classes). Two or three of one class: that class, with the highest
    confidence among them (strategy 1). Three different ones: the most confident patch (2). Equal
    confidence: the earlier class.

    Raises:
        ValueError: another number of patches, patches of different length, or numbers that are no
            probabilities.
    """
    _check(patches)
    ballots = [max((p, -index) for index, p in enumerate(patch)) for patch in patches]
    classes = [-negative for _, negative in ballots]
    of_most = [ballot for ballot in ballots if classes.count(-ballot[1]) >= 2]
    confidence, negative = max(of_most or ballots)
    return RegionVote(-negative, confidence)


def _check(patches: Sequence[Sequence[float]]) -> None:
    if len(patches) != PATCHES or len({len(patch) for patch in patches}) != 1:
        raise ValueError(f"{len(patches)} patches, or patches with different classes")
    if len(patches[0]) < 2:
        raise ValueError("a patch has a probability for two classes at least")
    _check_probabilities([p for patch in patches for p in patch])


def _check_probabilities(values: Sequence[float]) -> None:
    if not all(0 <= value <= 1 for value in values):  # NaN is neither
        raise ValueError(f"{list(values)} are not all probabilities")


def noisy_or(confidences: Sequence[float]) -> float:
    """Equation 1: P = 1 - prod(1 - P_i); 0 without a region.

    As logarithms, summed exactly: the order of the regions changes no bit of it, and a very small
    confidence does not become the 0 that the output rules ask for.

    Raises:
        ValueError: what is no probability.
    """
    _check_probabilities(confidences)
    if 1.0 in confidences:
        return 1.0
    return 0.0 - math.expm1(math.fsum(math.log1p(-p) for p in confidences))


def softmax(values: Sequence[float]) -> tuple[float, ...]:
    """Equation 2: S_i = exp(P_i) / sum_j exp(P_j)."""
    raised = [math.exp(value) for value in values]
    total = math.fsum(raised)
    return tuple(value / total for value in raised)


def verdict(votes: Sequence[RegionVote], classes: int) -> CaseVerdict:
    """Noisy-or by infection and the three output rules of section 2.6.2.

    `classes`: with the irrelevant one, whose regions count for nothing.

    Raises:
        ValueError: a vote for a class that does not exist.
    """
    if any(not 0 <= each.class_index < classes for each in votes):
        raise ValueError(f"a vote for none of the {classes} classes")
    noisy = tuple(
        noisy_or([each.confidence for each in votes if each.class_index == infection])
        for infection in range(classes - 1)
    )
    found = [index for index, p in enumerate(noisy) if p > 0]
    if not found:  # rule 1
        return CaseVerdict(noisy, noisy, None)
    return CaseVerdict(noisy, _confidences(noisy, found), max(found, key=noisy.__getitem__))


def _confidences(noisy: tuple[float, ...], found: list[int]) -> tuple[float, ...]:
    if len(found) == 1:  # rule 2: the P itself
        return noisy
    shares = dict(zip(found, softmax([noisy[index] for index in found]), strict=True))  # rule 3
    return tuple(shares.get(index, 0.0) for index in range(len(noisy)))
