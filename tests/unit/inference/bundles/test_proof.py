"""A proof allows bfloat16 where it changes next to nothing, measured where it is computed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from inference.bundles.proof import PrecisionProof

PROOF = PrecisionProof(
    engine="openvino",
    version="2026.4.1",
    processor="Any CPU",
    native=True,
    data="60 scans of 20 patient(s)",
    cases=60,
    largest_change=0.0031,
    mean_change=0.0009,
    classes_changed=0,
    heat_moved_mm=9.6,
    heat_correlation=0.997,
)


@pytest.mark.parametrize(
    ("changes", "shortfall"),
    [
        ({"native": False}, "it was measured where bfloat16 is emulated"),
        ({"largest_change": 0.0101}, "it changes 0.01, tolerated is 0.01"),
        ({"classes_changed": 1}, "1 of 60 scans are called otherwise"),
    ],
)
def test_a_proof_may_prove_that_bf16_is_not_for_these_weights(
    changes: dict[str, Any], shortfall: str
) -> None:
    assert PROOF.shortfalls(0.01) == ()
    assert replace(PROOF, **changes).shortfalls(0.01) == (shortfall,)


def test_what_is_changed_as_much_as_is_tolerated_is_tolerated() -> None:
    assert PROOF.shortfalls(0.0031) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"cases": 0},
        {"classes_changed": 61},
        {"classes_changed": -1},
        {"mean_change": 0.004},
        {"largest_change": 1.5},
        {"heat_moved_mm": -1.0},
        {"heat_correlation": 1.1},
    ],
)
def test_what_cannot_be_is_told(changes: dict[str, Any]) -> None:
    assert PROOF.problems() == ()
    (problem,) = replace(PROOF, **changes).problems()
    assert problem.startswith("precision on openvino: ")
