"""Phantoms and quality control are told apart from people whose names look like them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy, judge_eligibility
from dicomnode.decisions.image_kind.phantom_terms import PHANTOM_TERMS, PhantomWord
from dicomnode.decisions.image_kind.phantoms import is_phantom, is_phantom_series, phantom_signs
from dicomnode.decisions.reasons import Reason, Verdict
from support.ct_headers import ct_series

PHANTOMS = """
ACR^PHANTOM | ACR PHANTOM | ACR CT PHANTOM 464 | CATPHAN | CATPHAN 600 | Catphan600 | GAMMEX 464
PHANTOM | PHANTOM^^^ | Phantom 20240101 | PHANTOM-0001 | PHANTOM^QA | QA_PHANTOM | Chest Phantom
Water phantom | WATER^PHANTOM | Testphantom | Wasserphantom | Body Phantom 32cm | Lungman
QA | QC | Daily QA | DAILY^QA | QA^DAILY | QC_DAILY | Daily QC 2024-01-02 | weekly qa | DAILYQA
Quality Control | QUALITY^ASSURANCE | Kalibrierung | Konstanzprüfung | Air Calibration
contrôle qualité quotidien | fantôme eau | control de calidad | controllo qualità | Fantom^QA
Service^Phantom | Mercury Phantom | Alderson Phantom | QRM Phantom | Phantom^LungScreen | ZZPHANTOM
Quality^QualityDaily (Adult) | Konstanzprüfung^Woche | CONTROLLO QUALITA GIORNALIERO
водный фантом | fantom wodny | 水模 | 质控 | ファントム | 팬텀
"""
PEOPLE = """
PHAN^TOMMY | PHAN^TOM | Phan^Tom^Van | Fantom | Fantom^Jan | FANTOM 1 | Fantom^A | Phantom^A
Konstanz | Fantoma | Qasim | Qasim^QA
TEST | TEST^PATIENT | Testa^Maria | QA123 | QA-0001 | QC 12 | QC12345 | QA^PATIENT | QA^Chen
PHANTOM^JOHN | Phantom^Jane | Daily^John | DAILY | Morning^Ann | Water | Waters^Anna | Chest | Lung
Mercury^F | Service^Anna | Alderson^Jane | Quality^Woche | Screen^Low
Body^Head | Rando^Maria | Catphan^Li | ACR | ACR123 | Head^A | Small^Lung | Philips^Ge | Dose
Calibration 5 | Noise^Anna | 12345678 | 0 | Mustermann^Erika | Kalibr | Quality | Control^John
Doe^Phantom | Phantomas^G | P | C | PHANTOM PAIN | Trauma^Phantom | 체 | Constancy
"""
PATIENTS_DESCRIPTIONS = """
QC | QA | Calibration | CHEST QC | GSI QC | QC 140 kVp | QA CHEST | ROUTINE CHEST | CHEST ROUTINE
Thorax 1.0 | Low dose lung | Lung Test | Adult Chest | ACR Lung Screening | test bolus | CT Chest
CHEST ROUTINE QC | QC low noise | Phantom pain | Air trapping | Chest 1.0 noise reduction | Daily CT
"""


def _texts(block: str) -> list[str]:
    return [text.strip() for line in block.strip().splitlines() for text in line.split(" | ")]


def phantom_reason(**changes: Any) -> Reason:
    reasons = judge_eligibility(ct_series(**changes), EligibilityPolicy()).reasons
    return next(reason for reason in reasons if reason.rule == "phantom")


def test_phantoms_are_told() -> None:
    assert [text for text in _texts(PHANTOMS) if not is_phantom(text)] == []


def test_people_are_no_phantoms() -> None:
    assert [text for text in _texts(PEOPLE) if is_phantom(text)] == []


def test_series_of_patients_are_no_phantoms() -> None:
    found = [text for text in _texts(PATIENTS_DESCRIPTIONS) if is_phantom_series(text)]
    assert found == []
    kinds = ("ACR PHANTOM", "Daily QA", "Body Phantom 32cm")
    assert all(map(is_phantom_series, kinds))


@given(st.from_regex(r"[A-Z][a-z]{2,12}\^[A-Z][a-z]{2,12}", fullmatch=True))
def test_a_name_with_any_word_beside_is_a_person(name: str) -> None:
    words = {term for table in PHANTOM_TERMS.values() for terms in table.values() for term in terms}
    if not {part.lower() for part in name.split("^")} <= words:
        joined = name.replace("^", " ").lower()
        assert not is_phantom(name) or joined in words


def test_no_word_has_two_meanings() -> None:
    known: dict[str, PhantomWord] = {}
    for table in PHANTOM_TERMS.values():
        for meaning, terms in table.items():
            for term in terms:
                assert known.setdefault(term, meaning) is meaning, term


def test_only_names_of_attributes_are_told() -> None:
    signs = phantom_signs(
        name="ACR^PHANTOM",
        patient_id="CATPHAN 600",
        body_part="Phantom",
        flags={"Quality Control Image": "YES", "Quality Control Subject": "NO"},
    )
    assert signs == ("Patient's Name", "Patient ID", "Body Part Examined", "Quality Control Image")
    nobody = phantom_signs(name="Doe^Jane", patient_id="QA123", body_part="CHEST", flags={"X": ""})
    assert nobody == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"phantom_signs": ("Patient's Name",)}, "told by Patient's Name"),
        ({"study_description": "Daily QA"}, "told by Study Description"),
        ({"study_description": "QA"}, "told by Study Description"),
        ({"protocol_name": "ACR PHANTOM"}, "told by Protocol Name"),
        ({"series_description": "Water Phantom"}, "told by Series Description"),
    ],
)
def test_a_phantom_is_not_analysed(changes: dict[str, Any], told: str) -> None:
    reason = phantom_reason(**changes)
    assert (reason.verdict, reason.value) == (Verdict.FAIL, told)


def test_a_patient_is_one() -> None:
    reason = phantom_reason(series_description="QC", study_description="CT CHEST", protocol_name="")
    assert (reason.verdict, reason.value) == (Verdict.PASS, "no sign of one")
