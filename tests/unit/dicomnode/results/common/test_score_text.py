from __future__ import annotations

import pytest

from dicomnode.results.common.score_text import score_text


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (0.0, "0.00"),
        (1e-9, "< 0.01"),
        (0.0049, "< 0.01"),
        (0.006, "0.01"),
        (0.875, "0.88"),
        (0.994, "0.99"),
        (0.996, "> 0.99"),
        (1.0, "> 0.99"),
    ],
)
def test_two_decimals_and_never_a_certainty(score: float, text: str) -> None:
    assert score_text(score) == text
