"""What fails in a method is told, and what is a fault of ours is raised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from dicomnode.cli.views.findings_view import failure_lines
from dicomnode.decisions.method_failure import MethodFailure
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.errors import DataError
from dicomnode.methods.run import attempt, run_methods
from inference.covnet.engine import Engine
from inference.errors import NetworkOutputError, NoLungsError, VolumeError
from inference.findings import Findings, FoundLungs, MethodTitle, ModelIdentity, Training
from inference.location_attention.engine import RegionEngine
from support.result_kinds import FAILED
from support.result_samples import SAMPLE, lungs, volume

MODEL = ModelIdentity("Location attention", "0.2.0", "cd" * 32, Training.UNTRAINED)
EXABYTE = 1 << 60


class Named:
    """A method that comes to what it is told."""

    identity = MODEL

    def __init__(self, title: MethodTitle, outcome: Findings | Exception | None = None) -> None:
        self.title = title
        self.outcome = outcome

    def analyse(self, *_: object) -> Findings:
        assert self.outcome is not None, "not asked for"
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


SEARCH, WHOLE = Named(RegionEngine.title), Named(Engine.title)


def raising(error: Exception) -> Callable[[], object]:
    def run() -> object:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "rule", "why"),
    [
        (VolumeError("lungs of 9 m"), "volume", "lungs of 9 m"),
        (NetworkOutputError("not finite"), "network_output", "not finite"),
        (
            NoLungsError("largest section of lung", 12.2, 500.0, "mm2"),
            "lungs",
            "largest section of lung: 12 mm2 (asked for: at least 500 mm2)",
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to"), "memory", "out of memory"),
    ],
)
def test_a_named_error_becomes_a_failure_with_its_reason(
    error: Exception, rule: str, why: str
) -> None:
    told = attempt(SEARCH, raising(error))
    assert isinstance(told, MethodFailure)
    assert (told.rule, told.why, told.model) == (rule, why, "Location attention 0.2.0")


@pytest.mark.parametrize(
    "allocate",
    [lambda: torch.empty(EXABYTE), lambda: np.empty(EXABYTE, np.uint8), lambda: bytearray(EXABYTE)],
    ids=["torch", "numpy", "python"],
)
def test_memory_that_there_is_not_is_a_failure_too(allocate: Callable[[], object]) -> None:
    told = attempt(WHOLE, allocate)
    assert isinstance(told, MethodFailure)
    assert told.rule == "memory"


@pytest.mark.parametrize("fault", [RuntimeError("shapes differ"), KeyError("x"), ValueError("y")])
def test_a_fault_of_ours_is_no_failure_of_the_method(fault: Exception) -> None:
    with pytest.raises(type(fault)):
        attempt(WHOLE, raising(fault))


def test_what_succeeds_is_handed_on() -> None:
    assert attempt(WHOLE, lambda: 42) == 42


def test_a_failure_is_a_warning_of_the_decision_and_a_sentence_for_a_person() -> None:
    failure = replace(FAILED["regions"], model="Net 1", rule="volume", value="9000 mm")
    failure = replace(failure, limit="at most 2000 mm")
    reason = failure.as_reason()
    assert (reason.rule, reason.verdict) == ("regions_method", Verdict.WARNING)
    assert failure_lines([failure.as_json()]) == [
        "The search for candidate regions (Net 1) failed: 9000 mm (asked for: at most 2000 mm). "
        "Nothing is known from it: this is no negative result."
    ]


def test_a_failure_kept_by_an_earlier_version_is_still_told() -> None:
    kept = FAILED["lungs"].as_json()
    del kept["words"]
    assert failure_lines([kept]) == [FAILED["lungs"].sentence]


LOST, SHORT = NetworkOutputError("not finite"), NoLungsError("lungs", 12.0, 500.0, "ml")
THIRD = MethodTitle("texture", "classification of the texture", "by texture", "by texture")


def outcomes(*each: Findings | Exception) -> tuple[Findings | MethodFailure, ...] | Reason:
    titles = (Engine.title, RegionEngine.title, THIRD)
    methods = [Named(title, outcome) for title, outcome in zip(titles, each, strict=True)]
    return run_methods(methods, volume(), FoundLungs(lungs()))


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_one_of_three_that_fails_costs_no_other_its_answer(failing: int) -> None:
    given: list[Findings | Exception] = [SAMPLE, SAMPLE, SAMPLE]
    given[failing] = LOST
    found = outcomes(*given)
    assert isinstance(found, tuple)
    assert [isinstance(each, Findings) for each in found] == [at != failing for at in range(3)]
    failed = found[failing]
    assert isinstance(failed, MethodFailure)
    assert failed.method == ("lungs", "regions", "texture")[failing]


def test_where_all_fail_each_says_why_and_too_little_lung_alone_is_a_reason_to_skip() -> None:
    with pytest.raises(DataError) as told:
        outcomes(SHORT, LOST, VolumeError("lungs of 9 m"))
    assert told.value.rule == "network_output"
    for words in ("whole lungs: lungs: 12 ml", "regions: not finite", "texture: lungs of 9 m"):
        assert words in told.value.value
    skipped = outcomes(SHORT, SHORT, SHORT)
    assert isinstance(skipped, Reason)
    assert (skipped.rule, skipped.verdict) == ("lungs", Verdict.FAIL)
