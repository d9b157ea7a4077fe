from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from dicomnode.decisions.agreement import Answer, Concept, Relation, compare
from inference.bundles.class_codes import known_class
from inference.bundles.tasks import NO_INFECTION
from inference.covnet.network import CLASSES as COVNET_CLASSES
from inference.location_attention.network import CLASSES as REGION_CLASSES

LI = ("COVID-19", "community-acquired pneumonia", "non-pneumonia")
XU = ("COVID-19", "influenza-A viral pneumonia")
UNTRAINED = "UNTRAINED WEIGHTS – no clinical meaning"


LUNGS, REGIONS = "by the whole lungs", "by regions"


def concept(name: str) -> Concept:
    """The code of a usual class, and one of nobody's for any other name."""
    if name == NO_INFECTION:
        return ("99COVNET", "NO_INFECTION")
    known = known_class(name)
    return (known.scheme, known.value) if known else ("99X", name)


def answer(name: str, by: str, class_set: Sequence[str] = LI, warning: str | None = None) -> Answer:
    return Answer(name, concept(name), by, frozenset(map(concept, class_set)), warning)


def agreement(lungs: str, regions: str) -> tuple[Relation, str]:
    found = compare([answer(lungs, LUNGS), answer(regions, REGIONS, XU)])
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
    knows = answer(NO_INFECTION, REGIONS, ("COVID-19", "community-acquired pneumonia"))
    found = compare([answer("community-acquired pneumonia", LUNGS), knows])
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
    found = compare(
        [answer("COVID-19", LUNGS, LI, lungs), answer("COVID-19", REGIONS, XU, regions)]
    )
    assert found.sentence.endswith(said)


def test_the_networks_own_classes_can_all_be_compared() -> None:
    """The words of the networks, through the words of the report, are those that are known."""
    of_lungs = COVNET_CLASSES
    of_regions = [*REGION_CLASSES[:-1], NO_INFECTION]
    pairs = [agreement(*pair)[0] for pair in itertools.product(of_lungs, of_regions)]
    assert Relation.NOT_COMPARABLE not in pairs
    assert pairs.count(Relation.DIFFER) == 6


@pytest.mark.parametrize(
    ("names", "relation", "told"),
    [
        (("COVID-19", "COVID-19", "COVID-19"), Relation.AGREE, "3 of 3 methods agree: COVID-19."),
        (
            ("COVID-19", "COVID-19", "emphysema"),
            Relation.AGREE,
            "2 of 3 methods agree: COVID-19; beside them emphysema by texture.",
        ),
        (
            ("COVID-19", NO_INFECTION, "COVID-19"),
            Relation.DIFFER,
            "3 of 3 methods differ: COVID-19 by the whole lungs, no infection found by regions, "
            "COVID-19 by texture.",
        ),
        (
            ("COVID-19", "emphysema", "bronchiectasis"),
            Relation.NOT_COMPARABLE,
            "The methods' answers cannot be compared: COVID-19 by the whole lungs, "
            "emphysema by regions, bronchiectasis by texture.",
        ),
    ],
)
def test_three_methods(names: Sequence[str], relation: Relation, told: str) -> None:
    ways = (LUNGS, REGIONS, "by texture")
    found = compare([answer(*each) for each in zip(names, ways, strict=True)])
    assert (found.relation, found.sentence) == (relation, told)


def test_a_class_of_another_name_is_compared_by_its_code() -> None:
    other = Answer("SARS-CoV-2 pneumonia", concept("COVID-19"), REGIONS)
    assert compare([answer("COVID-19", LUNGS), other]).relation is Relation.AGREE
