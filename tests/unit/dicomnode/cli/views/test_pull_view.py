"""A series that was pulled, in a line."""

from __future__ import annotations

import pytest

from dicomnode.cli.views.pull_view import as_line
from dicomnode.pull.steps import SeriesPulled


@pytest.mark.parametrize(
    ("pulled", "line"),
    [
        (SeriesPulled("1", "1.2", 120, 0, 120, 0), "series 1.2: 120 instances, 120 came"),
        (SeriesPulled("1", "1.2", 9, 9, 0, 0), "series 1.2: 9 instances, 9 were here, 0 came"),
        (
            SeriesPulled("1", "1.2", 9, 1, 7, 1, "answered 0xB000"),
            "series 1.2: 9 instances, 1 were here, 7 came, 1 did not: answered 0xB000",
        ),
    ],
)
def test_what_became_of_a_series_is_one_line(pulled: SeriesPulled, line: str) -> None:
    assert as_line(pulled) == line
