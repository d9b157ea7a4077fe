from __future__ import annotations

from typing import cast

import pytest
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.coding import Code

from dicomnode.results.common import codes
from dicomnode.results.common.codes import (
    analysis_name,
    code_item,
    code_of,
    confidence_name,
    noisy_or_name,
    probability_name,
    softmax_name,
)
from inference.bundles.class_codes import known_classes
from inference.findings import Training

ALL = {name: value for name, value in vars(codes).items() if isinstance(value, Code)}
CLASSES = known_classes(("COVID-19", "community-acquired pneumonia", "non-pneumonia"))
DICOM = [code for code in ALL.values() if code.scheme_designator == "DCM"]


@pytest.mark.parametrize("code", DICOM, ids=lambda code: code.meaning)
def test_a_dicom_code_means_what_the_standard_says(code: Code) -> None:
    table = cast("dict[str, dict[str, tuple[str, list[int]]]]", concepts["DCM"])
    meanings = {entry[code.value][0] for entry in table.values() if code.value in entry}
    assert code.meaning in meanings


def test_codes_fit_their_value_representation() -> None:
    names = [
        made(each, training)
        for each in CLASSES
        for training in Training
        for made in (probability_name, noisy_or_name, softmax_name, confidence_name)
    ]
    for code in (*ALL.values(), *names, *map(code_of, CLASSES)):
        assert len(code.value) <= 16
        assert len(code.meaning) <= 64


def test_the_usual_classes_keep_their_codes() -> None:
    made = {probability_name(each, Training.PATIENTS) for each in CLASSES}
    assert {each.value for each in made} == {"P_COVID19", "P_CAP", "P_NON_PNEUM"}
    assert [code_of(each).value for each in CLASSES] == ["840539006", "385093006", "NON_PNEUMONIA"]
    name = softmax_name(CLASSES[1], Training.DEMONSTRATION)
    assert name.value == "SOFT_CAP_D"
    assert name.meaning == "DEMONSTRATION softmax score of community-acquired pneumonia"


def test_each_method_that_failed_or_not_has_a_name_of_its_own() -> None:
    name = analysis_name("regions", "search for candidate regions")
    assert (name.value, name.meaning) == ("ANALYSIS_REGIONS", "AI search for candidate regions")
    assert len(analysis_name("much_longer_key", "x" * 99).value) == 16


def test_code_item() -> None:
    item = code_item(codes.LUNG)
    assert (item.CodeValue, item.CodingSchemeDesignator) == ("39607008", "SCT")
