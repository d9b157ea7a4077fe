"""A plan is checked where it is made, and read back as it was."""

from __future__ import annotations

from datetime import date

import pytest
from pydantic import ValidationError

from dicomnode.decisions.campaign.plan import Plan

DAY = date(2026, 3, 1)


def test_it_is_read_back_as_it_was() -> None:
    plan = Plan("pacs", "archive", DAY, DAY, from_hour=22, to_hour=6, to="research", key="0af1")
    assert Plan.from_json(plan.as_json()) == plan


@pytest.mark.parametrize(
    "wrong",
    [
        {"first": None},
        {"last": date(2026, 2, 28)},
        {"images_per_second": 0},
        {"from_hour": 25},
        {"modality": "ct*"},
        {"source": "tape"},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    given = {"source": "pacs", "place": "archive", "first": DAY, "last": DAY} | wrong
    with pytest.raises(ValidationError):
        Plan(**given)  # type: ignore[arg-type]
