"""The attribute witness of contrast."""

from __future__ import annotations

from typing import Any

import pytest

from dicomnode.decisions.contrast import Contrast, attribute_witness
from support.ct_headers import ct_header, ct_series


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"contrast_bolus_agent": "NON IONIC"}, "yes"),  # a kind of agent, no denial
        ({"contrast_bolus_agent": "& NON IONIC"}, "yes"),
        ({"contrast_bolus_agent": "CE"}, "yes"),
        ({"contrast_bolus_agent": "Omnipaque 350"}, "yes"),
        ({"contrast_bolus_agent": "APPLIED"}, "yes"),
        ({"contrast_bolus_agent": "NONE"}, "no"),
        ({"contrast_bolus_agent": " No "}, "no"),
        ({"contrast_bolus_agent": "w/o"}, "no"),
        ({"contrast_bolus_agent": "without  contrast"}, "no"),
        ({"contrast_bolus_agent": "平扫"}, "no"),
        ({"contrast_bolus_agent": "unknown"}, "unknown"),
        ({"contrast_bolus_agent": ""}, "unknown"),
        ({"contrast_bolus_route": "IV"}, "yes"),
        ({"contrast_bolus_route": "NONE"}, "unknown"),
        ({"contrast_bolus_volume": "80"}, "yes"),
        ({"contrast_bolus_volume": "0"}, "unknown"),
        ({"contrast_flow_rate": "3.5\\2"}, "yes"),
        ({"contrast_bolus_start_time": "101500"}, "yes"),
        ({"contrast_bolus_start_time": "000000.000"}, "unknown"),
        ({"contrast_bolus_agent_sequence": True}, "yes"),
        ({"contrast_bolus_agent": "NONE", "contrast_bolus_volume": "0"}, "no"),
    ],
)
def test_what_an_attribute_says(changes: dict[str, Any], verdict: str) -> None:
    assert attribute_witness([ct_header(**changes)]).verdict == verdict


def test_one_instance_is_enough_and_is_counted() -> None:
    witness = attribute_witness([*ct_series(9), ct_header(contrast_bolus_agent="CE")])
    assert witness.as_json() == {
        "verdict": "yes",
        "evidence": "Contrast/Bolus Agent 'CE' in 1 of 10 instances",
    }


def test_a_sign_outweighs_a_denial_and_both_are_told() -> None:
    header = ct_header(contrast_bolus_agent="NONE", contrast_bolus_route="IV")
    witness = attribute_witness([header])
    assert witness.verdict is Contrast.YES
    assert witness.evidence.startswith("Contrast/Bolus Route 'IV', against Contrast/Bolus Agent")


def test_no_instances_say_nothing() -> None:
    assert attribute_witness([]).verdict is Contrast.UNKNOWN
