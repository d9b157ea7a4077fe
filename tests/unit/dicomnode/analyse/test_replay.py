"""When two findings are the same."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from dicomnode.analyse.replay import ELSEWHERE, Difference, _on_the_same_device, differing
from inference.location_attention.torch_backend import HALF_TOLERANCE
from inference.ties import HALF_TIE, TIE

FOUND: list[dict[str, Any]] = [
    {
        "method": "regions",
        "outcome": "COVID_19",
        "scores": {"COVID-19": 0.75, "no infection": 0.25},
        "infections": 2,
        "candidates": [{"class": "COVID-19", "score": 0.5, "lesion_ml": 2.0, "side": None}],
    }
]


def _differences(change: Any, tolerance: float = 1e-5) -> list[Difference]:
    now = deepcopy(FOUND)
    change(now[0])
    return list(differing(FOUND, now, tolerance))


def test_the_tolerance_of_another_device_is_the_one_that_its_engine_promises() -> None:
    assert ELSEWHERE == HALF_TOLERANCE


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (dict, []),
        (lambda now: now["scores"].update({"COVID-19": 0.750009}), []),
        (
            lambda now: now["scores"].update({"COVID-19": 0.7501}),
            [Difference("regions.scores.COVID-19", "0.75", "0.7501")],
        ),
        (lambda now: now["candidates"][0].update(lesion_ml=2.02), []),
        (
            lambda now: now["candidates"][0].update(lesion_ml=2.1),
            [Difference("regions.candidates.0.lesion_ml", "2.0", "2.1")],
        ),
        (lambda now: now.update(infections=3), [Difference("regions.infections", "2", "3")]),
        (
            lambda now: now.update(outcome="CAP"),
            [Difference("regions.outcome", "COVID_19", "CAP")],
        ),
        (
            lambda now: now.update(candidates=[]),
            [Difference("regions.candidates", "1 of them", "0 of them")],
        ),
        (
            lambda now: now["scores"].pop("no infection"),
            [Difference("regions.scores.no infection", "0.25", "nothing")],
        ),
    ],
)
def test_scores_may_differ_by_the_tolerance_and_what_is_counted_by_nothing(
    change: Any, expected: list[Difference]
) -> None:
    assert _differences(change) == expected


def test_a_method_more_is_a_difference() -> None:
    assert list(differing(FOUND, FOUND * 2, 1e-5)) == [Difference("", "1 of them", "2 of them")]


def test_another_precision_is_told_once_and_is_no_difference_of_its_own() -> None:
    model = {"name": "COVNet", "precision": "bf16"}
    then = [FOUND[0] | {"model": model}]
    now = [FOUND[0] | {"model": {"name": "COVNet"}}]
    assert list(differing(then, now, 1e-5)) == []


@pytest.mark.parametrize(
    ("computed", "tolerance"),
    [
        ({"device": {"lungs": "cpu"}}, TIE),  # of an earlier release
        ({"device": {"lungs": "cuda"}}, HALF_TIE),
        ({"device": {"lungs": "cpu"}, "precision": {"COVNet": "f32", "U-net": "f32"}}, TIE),
        ({"device": {"lungs": "cpu"}, "precision": {"COVNet": "f32", "U-net": "bf16"}}, 0.032),
        ({"device": {"lungs": "cuda"}, "precision": {"COVNet": "f32"}}, TIE),
    ],
)
def test_the_tolerance_on_the_same_device_is_that_of_the_coarsest_precision(
    computed: Any, tolerance: float
) -> None:
    assert _on_the_same_device({"computed": computed}) == pytest.approx(tolerance)
