"""What is encoded here is what pydicom writes."""

from __future__ import annotations

from copy import deepcopy

import pytest
from pydicom.dataset import Dataset

from dicomnode.results.common.encoding import (
    element,
    encode_sequences,
    encoded,
    references,
    sequence,
    set_sequence,
)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ReferencedSOPInstanceUID", "1.2.34"),
        ("ReferencedSOPInstanceUID", "1.2.345"),
        ("SeriesInstanceUID", ""),
        ("ReferencedFrameNumber", "7"),
        ("ImagePositionPatient", "-1.5\\2\\1e-05"),
    ],
)
def test_an_element(keyword: str, value: str) -> None:
    data_set = Dataset()
    setattr(data_set, keyword, value.split("\\") if "\\" in value else value)
    assert element(keyword, value) == encoded(data_set)


def test_a_sequence_of_references() -> None:
    classes = {"1.2.3.4": "1.2.840.10008.5.1.4.1.1.2", "1.2.3.45": "1.2.840.10008.5.1.4.1.1.2.1"}
    data_set = Dataset()
    data_set.ReferencedInstanceSequence = [Dataset() for _ in classes]
    for item, (uid, sop_class) in zip(
        data_set.ReferencedInstanceSequence, classes.items(), strict=True
    ):
        item.ReferencedSOPInstanceUID, item.ReferencedSOPClassUID = uid, sop_class
    assert sequence("ReferencedInstanceSequence", references(classes)) == encoded(data_set)


def test_an_encoded_sequence_is_read_item_by_item() -> None:
    data_set = Dataset()
    set_sequence(data_set, "ReferencedInstanceSequence", references({"1.2.3": "1.2.4"}))
    (item,) = data_set.ReferencedInstanceSequence
    assert (item.ReferencedSOPInstanceUID, item.ReferencedSOPClassUID) == ("1.2.3", "1.2.4")


def test_sequences_that_are_encoded_early_are_the_same_bytes_and_the_same_text() -> None:
    data_set = Dataset()
    data_set.SpecificCharacterSet = "ISO_IR 192"
    data_set.PatientName = "山田^太郎"
    inner, item = Dataset(), Dataset()
    inner.CodeMeaning = "Lungenflügel"
    item.CodeMeaning, item.EquivalentCodeSequence = "肺", [inner]
    data_set.ContentSequence, data_set.PerformedProcedureCodeSequence = [item], []
    at_once = encoded(deepcopy(data_set))
    encode_sequences(data_set)
    assert data_set.get_item("ContentSequence").is_raw
    assert encoded(data_set) == at_once
    (read,) = data_set.ContentSequence
    assert (read.CodeMeaning, read.EquivalentCodeSequence[0].CodeMeaning) == ("肺", "Lungenflügel")
    assert encoded(data_set) == at_once
