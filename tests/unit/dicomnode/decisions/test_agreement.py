from __future__ import annotations

import itertools

import pytest

from dicomnode.decisions.agreement import Answer, Relation, compare
from dicomnode.results.common.codes import class_codes
from inference.covnet.network import CLASSES as COVNET_CLASSES
from inference.location_attention.findings import NO_INFECTION
from inference.location_attention.network import CLASSES as REGION_CLASSES

LI = ("COVID-19", "community-acquired pneumonia", "non-pneumonia")
XU = ("COVID-19", "influenza-A viral pneumonia")
UNTRAINED = "UNTRAINED WEIGHTS – no clinical meaning"


def agreement(lungs: str, regions: str) -> tuple[Relation, str]:
    found = compare(Answer(lungs, LI), Answer(regions, XU))
    return found.relation, found.sentence


@pytest.mark.parametrize(
    ("lungs", "regions", "relation"),
    [
        ("COVID-19", "COVID-19", Relation.AGREE),
        ("COVID-19", "influenza-A viral pneumonia", Relation.DIFFER),
        ("COVID-19", NO_INFECTION, Relation.DIFFER),
        ("community-acquired pneumonia", "COVID-19", Relation.DIFFER),
        (
            "community-acquired pneumonia",
            "influenza-A viral pneumonia",
            Relation.AS_FAR_AS_KNOWN,
        ),
        ("community-acquired pneumonia", NO_INFECTION, Relation.DIFFER),
        ("non-pneumonia", "COVID-19", Relation.DIFFER),
        ("non-pneumonia", "influenza-A viral pneumonia", Relation.DIFFER),
        ("non-pneumonia", NO_INFECTION, Relation.AGREE),
    ],
)
def test_every_pair_of_the_papers_classes(lungs: str, regions: str, relation: Relation) -> None:
    found, sentence = agreement(lungs, regions)
    assert found is relation
    assert lungs in sentence
    assert regions in sentence
    assert ("agree" in sentence) == (relation is not Relation.DIFFER)


def test_the_same_class_is_named_once() -> None:
    assert agreement("COVID-19", "COVID-19")[1] == "Both methods agree: COVID-19."


def test_two_names_of_another_pneumonia_are_not_called_one() -> None:
    _, sentence = agreement("community-acquired pneumonia", "influenza-A viral pneumonia")
    assert sentence == (
        "Both methods agree on another pneumonia than COVID-19, for which their class sets have "
        "different names: community-acquired pneumonia by the whole lungs, "
        "influenza-A viral pneumonia by regions."
    )


def test_a_difference_that_the_class_sets_explain_is_explained() -> None:
    _, sentence = agreement("community-acquired pneumonia", NO_INFECTION)
    assert sentence.endswith(
        "no infection found by regions, where community-acquired pneumonia is not looked for."
    )


@pytest.mark.parametrize(
    ("lungs", "regions"),
    [("COVID-19", NO_INFECTION), ("non-pneumonia", "influenza-A viral pneumonia")],
)
def test_a_difference_that_they_do_not_explain_is_not(lungs: str, regions: str) -> None:
    assert "not looked for" not in agreement(lungs, regions)[1]


def test_nothing_is_excused_where_the_regions_know_the_class() -> None:
    knows = Answer(NO_INFECTION, ("COVID-19", "community-acquired pneumonia"))
    found = compare(Answer("community-acquired pneumonia", LI), knows)
    assert found.relation is Relation.DIFFER
    assert "not looked for" not in found.sentence


@pytest.mark.parametrize("unknown", ["tuberculosis", "irrelevant to infection"])
def test_a_class_of_unknown_kind_is_not_compared(unknown: str) -> None:
    relation, sentence = agreement("COVID-19", unknown)
    assert relation is Relation.NOT_COMPARABLE
    assert sentence.startswith("The methods' answers cannot be compared: COVID-19 by")
    assert agreement(unknown, unknown)[0] is Relation.AGREE


@pytest.mark.parametrize(
    ("lungs", "regions", "said"),
    [
        (UNTRAINED, UNTRAINED, f" ({UNTRAINED})."),
        (None, UNTRAINED, f" ({UNTRAINED})."),
        (UNTRAINED, "DEMONSTRATION", f" ({UNTRAINED}; DEMONSTRATION)."),
        (None, None, "Both methods agree: COVID-19."),
    ],
)
def test_the_sentence_bears_the_warnings(lungs: str | None, regions: str | None, said: str) -> None:
    found = compare(Answer("COVID-19", LI, lungs), Answer("COVID-19", XU, regions))
    assert found.sentence.endswith(said)


def test_the_networks_own_classes_can_all_be_compared() -> None:
    """The words of the networks, through the words of the report, are those that are known."""
    of_lungs = [class_codes(name).name for name in COVNET_CLASSES]
    of_regions = [class_codes(name).name for name in REGION_CLASSES[:-1]] + [NO_INFECTION]
    pairs = [agreement(*pair)[0] for pair in itertools.product(of_lungs, of_regions)]
    assert Relation.NOT_COMPARABLE not in pairs
    assert pairs.count(Relation.DIFFER) == 6
