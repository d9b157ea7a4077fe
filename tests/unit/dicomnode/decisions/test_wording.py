"""Words for people."""

from __future__ import annotations

import pytest

from dicomnode.config.settings import Settings
from dicomnode.decisions.arrival.completeness import INCOMPLETE_RULE
from dicomnode.decisions.arrival.resend import RESENT
from dicomnode.decisions.eligibility.chest import ChestPolicy, judge_chest
from dicomnode.decisions.eligibility.eligibility import RULES
from dicomnode.decisions.eligibility.study_choice import CONTRAST_OF_ACQUISITION, STUDY_CHOICE
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.decisions.wording import KEYS, answer, how_many, in_words, severest_first
from inference.lungs.extent import LungExtent
from storage.jobs import DEADLINE, WORKER_LOST

FINE = Reason("modality", "CT", "CT", Verdict.PASS)
LOST = Reason("lost_slices", "2", "none", Verdict.WARNING)
THICK = Reason("slice_thickness", 5.0, 3.0, Verdict.FAIL)
FEW = Reason("slice_count", 2, "at least 10", Verdict.FAIL)


@pytest.mark.parametrize(
    ("number", "thing", "words"),
    [
        (0, "instance", "0 instances"),
        (1, "delivery", "1 delivery"),
        (2, "delivery", "2 deliveries"),
        (1, "series", "1 series"),
        (3, "series", "3 series"),
    ],
)
def test_one_of_a_thing_and_several(number: int, thing: str, words: str) -> None:
    assert how_many(number, thing) == words


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            Reason("study_choice", "a better one", None, Verdict.FAIL),
            "Choice in the study: a better one",
        ),
        (
            Reason("pixel_spacing", None, "equal", Verdict.FAIL),
            "Pixel spacing: nothing (asked for: equal)",
        ),
        (
            Reason("slice_spacing", 8.0, 2.5, Verdict.FAIL),
            "Slice spacing: 8 mm (asked for: at most 2.5 mm)",
        ),
        (
            Reason("gantry_tilt", 18.5, 1.0, Verdict.FAIL),
            "Gantry tilt: 18.5 degrees (asked for: at most 1 degrees)",
        ),
    ],
)
def test_rules_in_words(reason: Reason, words: str) -> None:
    assert in_words(reason) == words


def test_each_key_is_one_of_the_configuration_and_each_rule_is_one() -> None:
    for keys in KEYS.values():
        for key in keys:
            found: object = Settings()
            for part in key.split("."):
                found = getattr(found, part)
    chest = judge_chest(LungExtent(0.0, 0.0, 0, 0.0, 0.0, 0.0, 0.0), ChestPolicy())
    rules = {rule.__name__ for rule in RULES} | {reason.rule for reason in chest}
    rules |= {INCOMPLETE_RULE, RESENT, STUDY_CHOICE, CONTRAST_OF_ACQUISITION, DEADLINE}
    assert KEYS.keys() <= rules


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ([FINE], ""),
        (
            [FINE, THICK],
            "slices are 5.0 mm thick, the limit is 3.0: eligibility.max_slice_thickness_mm",
        ),
        (
            [FEW, THICK],
            "it has 2 slices, at least 10 are asked for: eligibility.min_slices; "
            "1 other rule fails, too",
        ),
        (
            [Reason("slice_spacing", "unknown: position_missing", 3.0, Verdict.FAIL)],
            "slice spacing: unknown: position_missing (asked for: at most 3 mm): "
            "eligibility.max_slice_spacing_mm",
        ),
        ([Reason(WORKER_LOST, 3, 3, Verdict.FAIL)], "the analysis ended its process 3 times"),
        ([Reason("cancelled", "by a person", None, Verdict.FAIL)], "cancelled: by a person"),
        (
            [
                Reason("contrast_attributes", "unknown: no value", None, Verdict.PASS),
                Reason("contrast_text", "yes: Series Description says 'art'", None, Verdict.PASS),
                Reason("contrast", "yes: text yes", "none given", Verdict.FAIL),
            ],
            "contrast was given: Series Description says 'art': eligibility.contrast_policy",
        ),
    ],
)
def test_the_answer_is_one_sentence_with_the_key_that_sets_the_limit(
    reasons: list[Reason], said: str
) -> None:
    assert answer(reasons) == said


def test_what_fails_comes_first() -> None:
    assert severest_first([FINE, LOST, THICK, FEW]) == [THICK, FEW, LOST, FINE]
