from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bundles.bundle import load_card
from inference.bundles.card import Card, Metric, read_card
from inference.bundles.proof import PrecisionProof
from inference.bundles.tasks import EngineOptions
from inference.covnet.preprocess import Preprocessing
from inference.demonstration import shipped_bundles
from inference.errors import BundleError
from inference.findings import FindingClass, IntendedUse, Training

CARD = Card(
    name="COVNet",
    version="1.2",
    task="covnet",
    classes=("a", "b", "c"),
    training=Training.DEMONSTRATION,
    intended_use='Says "nothing"\nof a patient – ü.',
    licence="CC0-1.0",
    weights="weights.safetensors",
    weights_sha256="0" * 64,
    preprocessing=Preprocessing(hu_low=-1000.0, size=256),
    use=IntendedUse.RESEARCH,
    training_data="400 patients of three hospitals – 2020.",
    metrics=(Metric("AUC, a", 0.96, 0.94, 0.99, "independent test set", 353),),
)
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
    weights_sha256=CARD.weights_sha256,
)


def _problems(text: str) -> tuple[str, ...]:
    with pytest.raises(BundleError) as caught:
        read_card(text, "bundle-7")
    assert str(caught.value).startswith("bundle bundle-7: ")
    return caught.value.problems


def test_a_card_is_read_as_it_was_written() -> None:
    assert read_card(CARD.as_toml(), "x") == CARD


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_survives(text: str) -> None:
    card = replace(CARD, intended_use=text)
    assert read_card(card.as_toml(), "x") == card


def test_preprocessing_has_defaults() -> None:
    text = CARD.as_toml().split("[preprocessing]")[0]
    assert read_card(text, "x").metrics == ()
    assert read_card(text, "x").preprocessing == Preprocessing()


def test_the_identity_goes_with_the_results() -> None:
    assert CARD.identity.training is Training.DEMONSTRATION
    assert (CARD.identity.name, CARD.identity.weights_sha256) == ("COVNet", "0" * 64)
    assert CARD.identity.warning is not None


def test_every_missing_and_unknown_entry_is_named() -> None:
    problems = _problems('name = "x"\nlicense = "MIT"\n')
    assert "card.toml: license: is unknown, the nearest known one is licence" in problems
    assert "card.toml: licence: is missing and must be text" in problems
    assert (
        "card.toml: weights_sha256: is missing and must be 64 lower-case hexadecimal digits"
        in problems
    )


def test_what_is_no_toml_is_refused() -> None:
    assert "not TOML" in _problems("name =")[0]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (
            'name = "COVNet"',
            "name = 3",
            "name: 3 is given, but it must be text of 1 to 64 characters",
        ),
        (
            'name = "COVNet"',
            f'name = "{"x" * 65}"',
            "xxx…' is given, but it must be text of 1 to 64 characters",
        ),
        (
            'task = "covnet"',
            'task = "detector"',
            "task: 'detector' is given, but it must be one of 'covnet', 'lungs', 'regions'",
        ),
        (
            'training = "demonstration"',
            'training = "some"',
            "training: 'some' is given, but it must be one of 'untrained'",
        ),
        ('"a",', '"b",', "not two or more different names"),
        ('"a",', "1,", "classes.0: 1 is given, but it must be text that is not empty"),
        ('"weights.safetensors"', '"../w.safetensors"', "must be a plain file name"),
        ('"weights.safetensors"', '".."', "must be a plain file name"),
        ("0" * 64, "0" * 63, "is given, but it must be 64"),
        (
            "size = 256",
            "size = 256.0",
            "preprocessing.size: 256.0 is given, but it must be a whole",
        ),
        ("size = 256", "size = true", "preprocessing.size: true is given, but it must be a whole"),
        ("size = 256", "size = 250", "size 250 is not a multiple of 32"),
        ("size = 256", "spacing = 1", "preprocessing.spacing: is unknown, known are hu_low"),
        (
            'use = "research"',
            'use = "sale"',
            "use: 'sale' is given, but it must be one of 'none', 'demonstration'",
        ),
        ("low = 0.94", "low = 0.97", "0.96 is not within its interval 0.97 to 0.99"),
        ("confidence = 0.95", "confidence = 95", "confidence 95.0 is not within 0 to 1"),
        ("low = 0.94\n", "", "metrics.0.low: is missing and must be a number"),
        (
            "cases = 353",
            "cases = 353.5",
            "metrics.0.cases: 353.5 is given, but it must be a whole number",
        ),
        ("cases = 353", "cases = 0", "0 cases"),
        (
            "[[metrics]]",
            "[metrics]",
            "metrics: a table is given, but it must be a list, each a table",
        ),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, named: str) -> None:
    text = CARD.as_toml()
    assert old in text
    assert any(named in problem for problem in _problems(text.replace(old, new)))


CODES = tuple(FindingClass(name, f"{name}-1", "99X", name, name.upper()) for name in "abc")


def test_codes_of_classes_stand_on_the_card() -> None:
    card = replace(CARD, codes=CODES)
    assert read_card(card.as_toml(), "x").finding_classes == CODES
    assert card.digest != CARD.digest


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('name = "b"', 'name = "d"', "code of 'd', which is no class"),
        ('name = "b"', 'name = "a"', "two codes of one class"),
        ('short = "B"', 'short = "b"', "code of 'b': short 'b' is not [A-Z0-9_]{1,9}"),
        ('value = "b-1"', f'value = "{"1" * 17}"', "value '11111111111111111' is not"),
        ('meaning = "b"', f'meaning = "{"m" * 65}"', "is not text of 1 to 64 characters"),
        ('meaning = "b"', 'meaning = "b\\\\c"', "without backslash"),
        ('meaning = "b"', 'meaning = "  "', "a space at either end"),
        ('value = "b-1"', 'value = "b-1 "', "a space at either end"),
        (', short = "B"', "", "codes.1.short: is missing and must be text"),
        ('scheme = "99X"', "scheme = 99", "codes.0.scheme: 99 is given, but it must be text"),
    ],
)
def test_what_is_wrong_with_codes_is_named(old: str, new: str, named: str) -> None:
    text = replace(CARD, codes=CODES).as_toml()
    assert old in text
    assert any(named in problem for problem in _problems(text.replace(old, new)))


def test_usual_classes_need_no_code_on_the_card() -> None:
    card = replace(CARD, classes=("covid19", "CAP", "Non-Pneumonia"))
    assert [each.short for each in card.finding_classes] == ["COVID19", "CAP", "NON_PNEUM"]
    assert tuple(each.name for each in card.finding_classes) == card.classes  # as the card has them


def test_classes_without_code_are_all_named() -> None:
    with pytest.raises(BundleError, match=r"'a' has no code .*'c' has no code"):
        _ = replace(CARD, codes=CODES[1:2]).finding_classes


def test_two_classes_of_one_short_are_refused() -> None:
    alike = tuple(replace(each, short="X") for each in CODES)
    with pytest.raises(BundleError, match="same short"):
        _ = replace(CARD, codes=alike).finding_classes


def test_two_classes_of_one_code_are_refused() -> None:
    alike = tuple(replace(each, value="1") for each in CODES)
    with pytest.raises(BundleError, match="two classes have the same code"):
        _ = replace(CARD, codes=alike).finding_classes


@pytest.mark.parametrize(
    ("card_use", "site", "warning"),
    [
        (IntendedUse.CLINICAL, IntendedUse.CLINICAL, None),
        (IntendedUse.CLINICAL, IntendedUse.RESEARCH, None),
        (IntendedUse.RESEARCH, IntendedUse.CLINICAL, None),
        (IntendedUse.CLINICAL, IntendedUse.NONE, "NO INTENDED USE DECLARED"),
        (IntendedUse.NONE, IntendedUse.CLINICAL, "NO INTENDED USE DECLARED"),
        (IntendedUse.DEMONSTRATION, IntendedUse.CLINICAL, "DEMONSTRATION"),
        (IntendedUse.RESEARCH, IntendedUse.DEMONSTRATION, "DEMONSTRATION"),
    ],
)
def test_results_name_what_is_neither_for_research_nor_clinical(
    card_use: IntendedUse, site: IntendedUse, warning: str | None
) -> None:
    card = replace(CARD, training=Training.PATIENTS, use=card_use)
    identity = card.identity_at(site)
    assert identity.use is min(card_use, site, key=lambda use: use.rank)
    assert (identity.warning or "").startswith(warning or "")
    assert (identity.warning is None) == (warning is None)


def test_the_warning_of_untrained_weights_comes_first() -> None:
    card = replace(CARD, training=Training.UNTRAINED, use=IntendedUse.NONE)
    assert str(card.identity.warning).startswith("UNTRAINED")


def test_a_card_that_says_nothing_of_its_use_is_for_none() -> None:
    text = CARD.as_toml().replace('use = "research"\n', "")
    assert read_card(text, "x").use is IntendedUse.NONE


def test_proofs_are_read_as_they_were_written() -> None:
    card = replace(CARD, precision=(PROOF, replace(PROOF, engine="cuda")), tolerated_change=0.005)
    assert read_card(card.as_toml(), "x") == card
    assert (CARD.tolerance, card.tolerance) == (0.01, 0.005)
    assert "precision" not in CARD.as_toml()


def test_bf16_is_proven_by_engine_and_by_all_proofs_of_it() -> None:
    elsewhere = replace(PROOF, engine="cuda", native=False)
    assert CARD.proven == frozenset()
    assert replace(CARD, precision=(PROOF, elsewhere)).proven == {"openvino"}
    assert replace(CARD, precision=(PROOF,), tolerated_change=0.003).proven == frozenset()
    worse = replace(PROOF, classes_changed=2)
    assert replace(CARD, precision=(PROOF, worse)).proven == frozenset()


def test_a_proof_of_other_weights_proves_nothing() -> None:
    """As on the card of one bundle that was copied for the next."""
    others = replace(CARD, precision=(PROOF,), weights_sha256="cd" * 32)
    assert others.proven == frozenset()


def test_what_is_being_proven_needs_no_proof() -> None:
    assert CARD.wish(EngineOptions()).proven == frozenset()
    assert CARD.wish(EngineOptions(unproven=True)).proven == {"openvino", "cuda"}


@pytest.mark.parametrize("changes", [{"precision": (PROOF,)}, {"tolerated_change": 0.5}])
def test_the_digest_is_that_of_a_card_without_proofs(changes: dict[str, Any]) -> None:
    """What was analysed in float32 before it was proven is not to be analysed anew for it."""
    assert replace(CARD, **changes).digest == CARD.digest


def test_the_digests_of_the_bundles_of_the_product_stay() -> None:
    """By them an analysis of an earlier release is known to have been made by the same."""
    found = {task: load_card(folder).digest[:12] for task, folder in shipped_bundles().items()}
    assert found == {"covnet": "9af9d9171c2b", "lungs": "10897ce89ced", "regions": "82b570a8a114"}


def test_an_impossible_proof_is_told_with_the_others() -> None:
    card = replace(CARD, precision=(replace(PROOF, cases=0),))
    assert _problems(card.as_toml()) == ("card.toml: precision on openvino: 0 of 0 cases",)
