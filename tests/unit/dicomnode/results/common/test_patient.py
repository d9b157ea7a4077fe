"""Whose slices are they? Names that are one, names that are not, and the rule over a series."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy, judge_eligibility
from dicomnode.decisions.patient_attributes import (
    PatientAttributes,
    contradictions,
    differences,
    one_name,
)
from dicomnode.decisions.reasons import Reason, Verdict
from support.ct_headers import ct_series

JANE = PatientAttributes("P1", "HOSPITAL", "DOE^JANE", "19500102", "F", "A1")


@pytest.mark.parametrize(
    "other",
    [
        "Doe^Jane",
        "DOE^JANE^^^",
        " doe ^ jane ",
        "DOE^JANE^MARY",
        "DOE",
        "DOE^J",
        "DOE, JANE",
        "JANE^DOE",
        "DOE^JANE=山田^花子",
        "=山田^花子",
        "D?E^JANE",
    ],
)
def test_spellings_of_one_name(other: str) -> None:
    assert one_name("DOE^JANE", other)
    assert one_name(other, "DOE^JANE")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("MÜLLER^ÖZGE", "Mueller^Oezge"),
        ("MÜLLER^ÖZGE", "MULLER^OZGE"),
        ("ŠMÍD^JIŘÍ", "smid^jiri"),
        ("GROSS^A", "GROß^A"),
        ("山田^太郎=やまだ^たろう", "山田^太郎"),
    ],
)
def test_accents_are_no_other_name(first: str, second: str) -> None:
    assert one_name(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("DOE^JANE", "DOE^JOHN"),
        ("DOE^JANE", "ROE^JANE"),
        ("DOE^JANE", "ANON"),
        ("DOE^JANE=山田^花子", "DOE^JANE=山田^太郎"),
    ],
)
def test_two_names(first: str, second: str) -> None:
    assert not one_name(first, second)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"patient_name": "Doe^Jane"}, ()),
        ({"issuer_of_patient_id": ""}, ()),
        ({"accession_number": "A2", "patient_sex": "M"}, ()),
        ({"patient_birth_date": "1950.01.02"}, ()),
        ({"patient_name": "ROE^RICHARD"}, ("2 Patient's Names",)),
        ({"patient_birth_date": "19500103"}, ("2 Patient's Birth Dates",)),
        ({"issuer_of_patient_id": "OTHER"}, ("2 Issuers of Patient ID",)),
        ({"patient_id": ""}, ("2 Patient IDs",)),
    ],
)
def test_what_cannot_be_one_patient(changes: dict[str, str], told: tuple[str, ...]) -> None:
    assert contradictions([JANE, replace(JANE, **changes)]) == told


def test_an_absent_issuer_between_two_does_not_make_them_one() -> None:
    issuers = [replace(JANE, issuer_of_patient_id=each) for each in ("A", "", "B")]
    assert contradictions(issuers) == ("2 Issuers of Patient ID",)


def test_two_names_are_found_whatever_lies_between_them() -> None:
    names = ["DOE^JANE", "DOE", "DOE^JOHN"]
    assert contradictions([replace(JANE, patient_name=each) for each in names]) == (
        "3 Patient's Names",
    )


def test_what_differs_is_named_and_no_value_is() -> None:
    other = replace(JANE, patient_name="Doe^Jane", accession_number="A2")
    assert differences([JANE, other]) == ("Patient's Name", "Accession Number")
    assert "DOE" not in repr(JANE)
    assert "A1" not in repr(JANE)


def rule_over(*patients: PatientAttributes, studies: tuple[str, ...] = ("1.2",)) -> Reason:
    series = ct_series()
    headers = [
        replace(
            header,
            patient=patients[i % len(patients)],
            study_instance_uid=studies[i % len(studies)],
        )
        for i, header in enumerate(series)
    ]
    (reason,) = [
        each
        for each in judge_eligibility(headers, EligibilityPolicy()).reasons
        if each.rule == "patient"
    ]
    return reason


def test_one_patient_passes() -> None:
    assert rule_over(JANE).verdict is Verdict.PASS


def test_another_spelling_is_a_warning_that_the_report_can_tell() -> None:
    found = rule_over(JANE, replace(JANE, patient_name="Doe^Jane", issuer_of_patient_id=""))
    assert found.verdict is Verdict.WARNING
    assert found.value == "not the same in all instances: Issuer of Patient ID, Patient's Name"


def test_two_patients_are_never_one_volume() -> None:
    found = rule_over(JANE, replace(JANE, patient_name="ROE^RICHARD", patient_id="P2"))
    assert (found.verdict, found.value) == (Verdict.FAIL, "2 Patient IDs; 2 Patient's Names")


def test_two_studies_are_named() -> None:
    found = rule_over(JANE, studies=("1.2", "1.3"))
    assert (found.verdict, found.value) == (Verdict.FAIL, "2 studies: 1.2, 1.3")
