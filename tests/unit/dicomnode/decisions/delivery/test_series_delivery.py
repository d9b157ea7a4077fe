"""How far the results of a series have got, in a word."""

from __future__ import annotations

import pytest

from dicomnode.decisions.delivery.series_delivery import DeliveryCounts, delivery_word


@pytest.mark.parametrize(
    ("counts", "word"),
    [
        (DeliveryCounts(), ""),
        (DeliveryCounts(arrived=4), "delivered"),
        (DeliveryCounts(arrived=3, open=1), ""),
        (DeliveryCounts(arrived=3, refused=1), "partly refused"),
        (DeliveryCounts(open=3, refused=1), "partly refused"),
        (DeliveryCounts(refused=4), "all refused"),
        (DeliveryCounts(arrived=3, failed=1), "partly failed"),
        (DeliveryCounts(failed=2), "all failed"),
        (DeliveryCounts(refused=1, failed=2), "partly refused"),
    ],
)
def test_only_what_arrived_whole_is_delivered(counts: DeliveryCounts, word: str) -> None:
    assert delivery_word(counts) == word
