from __future__ import annotations

from typing import cast

import pytest
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.coding import Code

from dicomnode.errors import ConfigurationError
from dicomnode.results.common import codes
from dicomnode.results.common.codes import class_codes, code_item

ALL = {name: value for name, value in vars(codes).items() if isinstance(value, Code)}
DICOM = [code for code in ALL.values() if code.scheme_designator == "DCM"]


@pytest.mark.parametrize("code", DICOM, ids=lambda code: code.meaning)
def test_a_dicom_code_means_what_the_standard_says(code: Code) -> None:
    table = cast("dict[str, dict[str, tuple[str, list[int]]]]", concepts["DCM"])
    meanings = {entry[code.value][0] for entry in table.values() if code.value in entry}
    assert code.meaning in meanings


def test_codes_fit_their_value_representation() -> None:
    classes = [class_codes(n) for n in ("COVID-19", "CAP", "non-pneumonia")]
    private = [c for k in classes for c in (k.finding, k.probability)]
    for code in (*ALL.values(), *private):
        assert len(code.value) <= 16
        assert len(code.meaning) <= 64


@pytest.mark.parametrize("name", ["COVID-19", "covid19", "COVID_19"])
def test_class_names_of_cards_are_understood(name: str) -> None:
    assert class_codes(name).finding.value == "840539006"


def test_each_probability_has_its_own_name() -> None:
    names = {class_codes(n).probability for n in ("COVID-19", "CAP", "non-pneumonia")}
    assert len(names) == 3


def test_a_class_without_code_is_named() -> None:
    with pytest.raises(ConfigurationError, match="tuberculosis"):
        class_codes("tuberculosis")


def test_code_item() -> None:
    item = code_item(codes.LUNG)
    assert (item.CodeValue, item.CodingSchemeDesignator) == ("39607008", "SCT")
