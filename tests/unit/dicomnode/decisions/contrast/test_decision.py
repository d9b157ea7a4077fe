"""The decision about contrast from its three witnesses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.contrast.contrast import Contrast, ContrastWitness
from dicomnode.decisions.contrast.decision import ContrastPolicy, decide_contrast
from dicomnode.decisions.eligibility.contrast_rules import judge_contrast
from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy, judge_eligibility
from dicomnode.decisions.reasons import Verdict
from support.ct_headers import ct_header, ct_series

SHORT = {"y": Contrast.YES, "n": Contrast.NO, "?": Contrast.UNKNOWN}

# attributes, text, pixels ("-" not read yet): verdict and rule under any_sign, under pixels_decide
TABLE = """
y y y   yes fail         yes fail
y ? -   yes fail         unknown warning
? y -   yes fail         unknown warning
n y -   yes fail         unknown warning
? n -   no pass          unknown pass
? ? -   unknown pass     unknown pass
? ? ?   unknown warning  unknown warning
? ? y   yes fail         yes fail
? ? n   no pass          no pass
n n y   yes fail         yes fail
? n y   yes fail         yes fail
y ? n   yes fail         no warning
? y n   yes fail         no warning
y y ?   yes fail         yes fail
? y ?   yes fail         yes fail
n ? ?   no pass          no pass
n n n   no pass          no pass
"""
LINES = [line.split() for line in TABLE.strip().splitlines()]


def witness(letter: str) -> ContrastWitness:
    return ContrastWitness(SHORT[letter], f"evidence {letter}")


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_the_table(line: list[str]) -> None:
    attributes, text, pixels = line[:3]
    third = None if pixels == "-" else witness(pixels)
    for policy, expected in zip(ContrastPolicy, (line[3:5], line[5:7]), strict=True):
        decision = decide_contrast(witness(attributes), witness(text), third, policy)
        assert [decision.verdict, decision.final.verdict] == expected, policy


def test_each_witness_has_its_reason_and_the_dissenter_a_warning() -> None:
    decision = decide_contrast(witness("n"), witness("?"), witness("y"))
    assert {r.rule: (r.value, r.verdict) for r in decision.reasons} == {
        "contrast_attributes": ("no: evidence n", "warning"),
        "contrast_text": ("unknown: evidence ?", "pass"),
        "contrast_pixels": ("yes: evidence y", "pass"),
        "contrast": ("yes: attributes no, text unknown, pixels yes, they disagree", "fail"),
    }


def test_a_site_that_allows_contrast_gets_a_warning() -> None:
    decision = decide_contrast(witness("y"), witness("?"), None, allow_contrast=True)
    assert decision.verdict is Contrast.YES
    assert decision.final.verdict is Verdict.WARNING
    assert decision.final.limit is None


letters = st.sampled_from(sorted(SHORT))


@given(letters, letters, st.none() | letters, st.sampled_from(ContrastPolicy), st.booleans())
def test_only_the_last_rule_fails_and_only_for_contrast(
    attributes: str, text: str, pixels: str | None, policy: ContrastPolicy, allowed: bool
) -> None:
    third = None if pixels is None else witness(pixels)
    decision = decide_contrast(
        witness(attributes), witness(text), third, policy, allow_contrast=allowed
    )
    failed = [reason.rule for reason in decision.reasons if reason.verdict is Verdict.FAIL]
    stops = decision.verdict is Contrast.YES and not allowed
    assert failed == (["contrast"] if stops else [])
    assert decision.as_json()["reasons"][-1]["rule"] == "contrast"


def test_eligibility_asks_both_witnesses_of_the_header() -> None:
    described = judge_eligibility(ct_series(series_description="CTA"), EligibilityPolicy())
    assert [reason.rule for reason in described.failures] == ["contrast"]
    denied = judge_eligibility(
        ct_series(contrast_bolus_agent="NONE", series_description="Thorax nativ"),
        EligibilityPolicy(),
    )
    assert denied.eligible


def test_the_pixels_are_asked_when_the_headers_are_silent() -> None:
    policy = EligibilityPolicy()
    headers = [ct_header()]
    assert judge_contrast(headers, policy).final.verdict is Verdict.PASS
    assert judge_contrast(headers, policy, witness("y")).final.verdict is Verdict.FAIL


def test_a_site_may_let_the_pixels_decide() -> None:
    policy = EligibilityPolicy(contrast_policy=ContrastPolicy.PIXELS_DECIDE)
    headers = ct_series(study_description="CT CHEST WITH CONTRAST")
    assert judge_eligibility(headers, policy).eligible
    assert not judge_eligibility(headers, EligibilityPolicy()).eligible
    assert judge_contrast(headers, policy, witness("n")).final.verdict is Verdict.WARNING
    assert judge_contrast(headers, policy, witness("?")).final.verdict is Verdict.FAIL
