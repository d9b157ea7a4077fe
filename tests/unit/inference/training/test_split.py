"""The split by patient."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from inference.training.scan import Split
from inference.training.split import draw_splits

patients = st.dictionaries(
    st.text("abcdefgh0123", min_size=1, max_size=6), st.sampled_from([None, None, None, *Split])
)


def test_a_thousand_patients_are_split_nine_to_one_and_a_tenth_of_the_nine_validates() -> None:
    drawn = draw_splits(dict.fromkeys(map(str, range(1000))), 0)
    assert Counter(drawn.values()) == {
        Split.TRAINING: 810,
        Split.VALIDATION: 90,
        Split.TEST: 100,
    }


@given(patients, st.integers(0, 2**32))
def test_every_patient_is_in_one_part_and_the_given_ones_where_they_were_put(
    given: dict[str, Split | None], seed: int
) -> None:
    drawn = draw_splits(given, seed)
    assert drawn.keys() == given.keys()
    assert {name: drawn[name] for name, part in given.items() if part is not None} == {
        name: part for name, part in given.items() if part is not None
    }


@given(patients, st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_the_order_of_the_manifest_does_not_matter(
    given: dict[str, Split | None], seed: int, random: object
) -> None:
    names = list(given)
    random.shuffle(names)  # type: ignore[attr-defined]
    assert draw_splits({name: given[name] for name in names}, seed) == draw_splits(given, seed)


@given(st.integers(1, 300), st.integers(0, 9))
def test_free_patients_fill_test_and_validation_to_their_tenths(count: int, seed: int) -> None:
    drawn = Counter(draw_splits(dict.fromkeys(map(str, range(count))), seed).values())
    assert drawn[Split.TRAINING] >= 1
    assert drawn[Split.VALIDATION] >= (1 if count >= 2 else 0)
    assert drawn[Split.TEST] >= (1 if count >= 3 else 0)
    assert abs(drawn[Split.TEST] - count / 10) <= 1


def test_given_tests_count_towards_the_tenth() -> None:
    given: dict[str, Split | None] = dict.fromkeys(map(str, range(20)))
    given |= {"0": Split.TEST, "1": Split.TEST, "2": Split.TEST}
    drawn = Counter(draw_splits(given, 1).values())
    assert (drawn[Split.TEST], drawn[Split.VALIDATION]) == (3, 2)


def test_another_seed_is_another_split() -> None:
    names: dict[str, Split | None] = dict.fromkeys(map(str, range(40)))
    assert draw_splits(names, 0) != draw_splits(names, 1)
    assert draw_splits(names, 0) == draw_splits(names, 0)
