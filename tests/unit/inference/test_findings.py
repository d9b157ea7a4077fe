"""Findings that cannot be are refused where they are made, not in the results made of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inference.findings import MethodTitle
from support.region_samples import COVID, region, regions
from support.result_samples import findings


def test_heat_of_no_slice_and_noisy_or_of_no_regions_are_refused() -> None:
    with pytest.raises(ValueError, match="without a slice"):
        replace(findings(), heat=())
    with pytest.raises(ValueError, match="noisy-or joins regions"):
        replace(regions(region(COVID, 0.9)), regions=None)
    assert replace(findings(), heat=None).ranked == ()


@pytest.mark.parametrize("key", ["", "texture_2", "Lungs", "toolongs"])
def test_a_key_of_which_no_code_can_be_made_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        MethodTitle(key, "search", "by search")
