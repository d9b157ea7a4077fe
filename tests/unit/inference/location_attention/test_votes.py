from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.location_attention.votes import noisy_or, softmax, verdict, vote
from inference.regions import RegionVote

COVID, INFLUENZA, IRRELEVANT = 0, 1, 2
probability = st.floats(0.0, 1.0)
patch = st.tuples(probability, probability, probability)
three_patches = st.tuples(patch, patch, patch)
region_votes = st.lists(st.builds(RegionVote, st.integers(0, 2), probability), max_size=12)


def test_two_of_one_class_outvote_a_more_confident_patch() -> None:
    patches = ((0.6, 0.3, 0.1), (0.05, 0.9, 0.05), (0.7, 0.2, 0.1))
    assert vote(patches) == RegionVote(COVID, 0.7)


def test_three_of_one_class_have_its_highest_confidence() -> None:
    patches = ((0.1, 0.1, 0.8), (0.2, 0.1, 0.7), (0.0, 0.1, 0.9))
    assert vote(patches) == RegionVote(IRRELEVANT, 0.9)


def test_three_different_classes_leave_it_to_the_most_confident() -> None:
    patches = ((0.5, 0.3, 0.2), (0.2, 0.6, 0.2), (0.2, 0.25, 0.55))
    assert vote(patches) == RegionVote(INFLUENZA, 0.6)


def test_equal_confidence_goes_to_the_earlier_class() -> None:
    patches = ((0.2, 0.2, 0.6), (0.2, 0.6, 0.2), (0.6, 0.2, 0.2))
    assert vote(patches) == RegionVote(COVID, 0.6)


@pytest.mark.parametrize(
    "patches",
    [
        [],
        [(0.5, 0.5)] * 2,
        [(0.5, 0.5)] * 4,
        [(0.5, 0.5), (0.5, 0.5), (0.2, 0.3, 0.5)],
        [(1.0,)] * 3,
        [(0.5, 0.5), (0.5, 0.5), (math.nan, 0.5)],
        [(0.5, 0.5), (0.5, 0.5), (1.5, -0.5)],
    ],
)
def test_patches_that_cannot_vote_are_refused(patches: list[tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match=r"probabilit|patches"):
        vote(patches)


@given(three_patches, st.permutations(range(3)))
def test_the_order_of_the_patches_does_not_count(
    patches: tuple[tuple[float, ...], ...], order: list[int]
) -> None:
    assert vote([patches[index] for index in order]) == vote(patches)


@given(three_patches)
def test_the_voted_class_and_confidence_are_those_of_a_patch(
    patches: tuple[tuple[float, ...], ...],
) -> None:
    found = vote(patches)
    winners = [max(range(3), key=each.__getitem__) for each in patches]
    assert found.class_index in winners
    assert any(each[found.class_index] == found.confidence == max(each) for each in patches)
    for index in range(3):
        if winners.count(index) >= 2:
            assert found.class_index == index


def test_noisy_or_of_the_papers_own_example() -> None:
    """Two regions of 50 % each are "much larger than 50 %"."""
    assert noisy_or([0.5, 0.5]) == pytest.approx(0.75, rel=1e-15)


def test_noisy_or_by_hand() -> None:
    assert noisy_or([]) == 0.0
    assert noisy_or([0.3]) == pytest.approx(0.3, rel=1e-15)
    assert noisy_or([0.9, 0.8, 0.5]) == pytest.approx(1 - 0.1 * 0.2 * 0.5, rel=1e-15)
    assert noisy_or([0.2, 1.0]) == 1.0
    assert noisy_or([1e-300]) > 0.0


@given(st.lists(probability, max_size=40), st.randoms(use_true_random=False))
def test_noisy_or_knows_no_order(values: list[float], random: Random) -> None:
    shuffled = random.sample(values, len(values))
    assert noisy_or(shuffled) == noisy_or(values)


@given(st.lists(probability, min_size=1, max_size=20), probability)
def test_noisy_or_is_bounded_and_grows(values: list[float], more: float) -> None:
    found = noisy_or(values)
    assert max(values) - 1e-15 <= found <= 1.0
    assert noisy_or([*values, more]) >= found
    assert noisy_or([max(values[0], more), *values[1:]]) >= found


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan, math.inf])
def test_noisy_or_refuses_what_is_no_probability(wrong: float) -> None:
    with pytest.raises(ValueError, match="not all probabilities"):
        noisy_or([0.5, wrong])


def test_softmax_by_hand() -> None:
    first, second = softmax([0.96, 0.5])
    assert first == pytest.approx(1 / (1 + math.exp(-0.46)), rel=1e-14)
    assert first + second == pytest.approx(1.0, abs=1e-15)


def test_rule_1_no_infection_found() -> None:
    assert verdict([], 3).class_index is None
    found = verdict([RegionVote(IRRELEVANT, 0.99), RegionVote(COVID, 0.0)], 3)
    assert (found.noisy_or, found.confidences, found.class_index) == ((0, 0), (0, 0), None)


def test_rule_2_the_only_infection_has_its_p_as_confidence() -> None:
    found = verdict([RegionVote(INFLUENZA, 0.6), RegionVote(IRRELEVANT, 0.9)], 3)
    assert found.noisy_or == found.confidences
    assert list(found.noisy_or) == pytest.approx([0.0, 0.6])
    assert found.class_index == INFLUENZA


def test_rule_3_softmax_of_both() -> None:
    votes = [RegionVote(COVID, 0.5), RegionVote(COVID, 0.5), RegionVote(INFLUENZA, 0.6)]
    found = verdict(votes, 3)
    assert list(found.noisy_or) == pytest.approx([0.75, 0.6])
    assert found.confidences[0] == pytest.approx(math.exp(0.75) / (math.exp(0.75) + math.exp(0.6)))
    assert found.class_index == COVID


def test_more_than_two_infections_share_among_those_found() -> None:
    votes = [RegionVote(0, 0.4), RegionVote(2, 0.8), RegionVote(3, 0.9)]
    found = verdict(votes, 4)
    assert found.confidences[1] == 0.0
    assert sum(found.confidences) == pytest.approx(1.0)
    assert found.class_index == 2


def test_a_vote_for_an_unknown_class_is_refused() -> None:
    with pytest.raises(ValueError, match="none of the 3 classes"):
        verdict([RegionVote(3, 0.5)], 3)


@given(region_votes)
def test_the_verdict_follows_its_rules(votes: list[RegionVote]) -> None:
    found = verdict(votes, 3)
    positive = [p for p in found.noisy_or if p > 0]
    assert (found.class_index is None) == (not positive)
    if found.class_index is not None:
        assert found.noisy_or[found.class_index] == max(found.noisy_or)
        assert found.confidences[found.class_index] == max(found.confidences)  # S alters no answer
    if len(positive) == 2:
        assert sum(found.confidences) == pytest.approx(1.0)
    else:
        assert found.confidences == found.noisy_or


@given(region_votes)
def test_irrelevant_regions_change_nothing(votes: list[RegionVote]) -> None:
    relevant = [each for each in votes if each.class_index != IRRELEVANT]
    assert verdict(votes, 3) == verdict(relevant, 3)
