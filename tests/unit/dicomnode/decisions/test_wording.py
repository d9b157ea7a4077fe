"""Words for people."""

from __future__ import annotations

import pytest

from dicomnode.decisions.wording import how_many


@pytest.mark.parametrize(
    ("number", "thing", "words"),
    [
        (0, "instance", "0 instances"),
        (1, "delivery", "1 delivery"),
        (2, "delivery", "2 deliveries"),
        (1, "series", "1 series"),
        (3, "series", "3 series"),
    ],
)
def test_one_of_a_thing_and_several(number: int, thing: str, words: str) -> None:
    assert how_many(number, thing) == words
