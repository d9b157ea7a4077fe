"""Attributes within sequences: from a file to the pairs of a header, and to the decision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicomnode.decisions.contrast.contrast import Contrast, attribute_witness
from dicomnode.decisions.contrast.text import text_witness
from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy, judge_eligibility
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.dicom_files.headers import read_header_file, read_headers_file
from dicomnode.dicom_files.nested_attributes import snake_case
from support.multi_frame import write_multi_frame

SYNTAXES = [
    *(ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian),
    DeflatedExplicitVRLittleEndian,
]
NAME = "Ångström^Erika"


def item(**values: Any) -> Dataset:
    """An item of a sequence; a list of data sets is a sequence within it."""
    made = Dataset()
    for keyword, value in values.items():
        is_sequence = isinstance(value, list) and value and isinstance(value[0], Dataset)
        setattr(made, keyword, Sequence(value) if is_sequence else value)
    return made


def code(meaning: str, value: str = "1") -> list[Dataset]:
    return [item(CodeValue=value, CodingSchemeDesignator="99X", CodeMeaning=meaning)]


def read(folder: Path, syntax: UID = ExplicitVRLittleEndian, **values: Any) -> InstanceHeader:
    """The header of a file with these attributes, as it is read from the disk."""
    data_set = item(SOPClassUID=CTImageStorage, SOPInstanceUID="1.2.3", **values)
    data_set.SpecificCharacterSet = data_set.get("SpecificCharacterSet", "ISO_IR 100")
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = syntax
    path = folder / "1.dcm"
    data_set.save_as(path, enforce_file_format=True)
    return read_header_file(path)


def test_names_are_keywords_in_snake_case() -> None:
    names = {snake_case(each) for each in ("LUTLabel", "KVP", "MultienergyCTProcessingSequence")}
    assert names == {"lut_label", "kvp", "multienergy_ct_processing_sequence"}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_request_tells_of_contrast(tmp_path: Path, syntax: UID) -> None:
    request = item(
        RequestedProcedureDescription="CT Thorax",
        ScheduledProcedureStepDescription="TDM thoracique injecté",
        ScheduledProtocolCodeSequence=code("CT chest w contrast"),
        RequestedProcedureCodeSequence=code("CT Thorax mit KM"),
        ReasonForTheRequestedProcedure="r/o PE",
        ReasonForRequestedProcedureCodeSequence=code("Embolism"),
    )
    header = read(tmp_path, syntax, RequestAttributesSequence=[item(), request])
    assert header.problems == ()
    assert dict(header.descriptions) == {
        "requested_procedure_description": "CT Thorax",
        "scheduled_procedure_step_description": "TDM thoracique injecté",
        "scheduled_protocol_code_sequence": "CT chest w contrast",
        "requested_procedure_code_sequence": "CT Thorax mit KM",
        "reason_for_the_requested_procedure": "r/o PE",
        "reason_for_requested_procedure_code_sequence": "Embolism",
    }
    witness = text_witness([header])
    assert witness.verdict is Contrast.YES
    assert "Scheduled Procedure Step Description says 'injecté'" in witness.evidence


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ProcedureCodeSequence", code("CT angiography of chest")),
        ("PerformedProtocolCodeSequence", code("Thorax with contrast")),
        ("RequestedProcedureCodeSequence", code("CT chest W contrast IV")),
        ("ReasonForRequestedProcedureCodeSequence", code("CT with contrast")),
        ("SeriesDescriptionCodeSequence", code("arterial phase")),
        ("AcquisitionProtocolName", "CTPA"),
        ("AcquisitionProtocolDescription", "after injection of contrast"),
        ("RequestedContrastAgent", "Xenetix 350"),
        ("ReasonForTheRequestedProcedure", "nodule, with contrast"),
        ("RequestAttributesSequence", [item(RequestedProcedureDescription="胸部造影")]),
    ],
)
def test_contrast_told_in_one_place_only(tmp_path: Path, keyword: str, value: Any) -> None:
    header = read(tmp_path, SpecificCharacterSet="ISO_IR 192", **{keyword: value})
    assert text_witness([header]).verdict is Contrast.YES
    assert read(tmp_path).descriptions == ()


def test_an_item_has_the_character_set_of_the_data_set_around_it(tmp_path: Path) -> None:
    request = [item(RequestedProcedureDescription="КТ ОГК с контрастом")]
    for term in ("ISO_IR 144", "ISO_IR 192"):
        header = read(tmp_path, SpecificCharacterSet=term, RequestAttributesSequence=request)
        assert dict(header.descriptions) == {
            "requested_procedure_description": "КТ ОГК с контрастом"
        }


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ({"ContrastBolusTotalDose": "40"}, "yes"),
        ({"ContrastBolusTotalDose": "0.000000"}, "unknown"),
        ({"ContrastBolusVolume": "0.000000", "ContrastFlowRate": "0.0"}, "unknown"),
        ({"ContrastBolusStopTime": "101500"}, "yes"),
        ({"ContrastFlowDuration": ["0", "25"]}, "yes"),
        ({"ContrastFlowDuration": ["0", "0.0"]}, "unknown"),
        ({"ContrastBolusIngredient": "IODINE"}, "yes"),
        ({"ContrastBolusIngredientCodeSequence": code("Iodine")}, "yes"),
        ({"ContrastBolusAgentSequence": code("Iohexol")}, "yes"),
        ({"ContrastBolusAgentSequence": code("No contrast agent given")}, "no"),
        ({"ContrastBolusAgentSequence": [item()]}, "unknown"),
        ({"ContrastBolusAgentSequence": [item(ContrastBolusAgentNumber=1)]}, "yes"),
        ({"ContrastBolusAgent": "NO CONTRAST GIVEN"}, "no"),
    ],
)
def test_what_the_contrast_attributes_of_a_file_say(
    tmp_path: Path, values: dict[str, Any], verdict: str
) -> None:
    assert attribute_witness([read(tmp_path, **values)]).verdict == verdict


def test_units_energy_and_labels(tmp_path: Path) -> None:
    units = item(MeasurementUnitsCodeSequence=code("Hounsfield unit", "[hnsf'U]"), LUTLabel="VNC")
    header = read(
        tmp_path,
        RealWorldValueMappingSequence=[units, item(LUTExplanation="as acquired")],
        MultienergyCTAcquisition="YES",
        MultienergyCTProcessingSequence=[
            item(MultienergyCTCharacteristicsSequence=[item(MonoenergeticEnergyEquivalent=55.0)])
        ],
    )
    assert header.real_world_units == ("[hnsf'U]",)
    assert dict(header.descriptions) == {"lut_label": "VNC", "lut_explanation": "as acquired"}
    assert (header.multi_energy, header.energy_kev) == (True, 55.0)
    assert read(tmp_path, MonoenergeticEnergyEquivalent=70.0).energy_kev == 70.0
    assert read(tmp_path).energy_kev is None


def test_signs_of_a_phantom_never_hold_the_name(tmp_path: Path) -> None:
    header = read(tmp_path, PatientName="ACR^PHANTOM", PatientID="QA", QualityControlImage="YES")
    assert header.phantom_signs == ("Patient's Name", "Patient ID", "Quality Control Image")
    header = read(
        tmp_path,
        PatientName=NAME,
        PatientID="QA123",
        # said of each patient's scan: the dose is that in such a phantom
        CTDIPhantomTypeCodeSequence=code("IEC Body Dosimetry Phantom", "113691"),
    )
    assert header.phantom_signs == ()
    assert "Erika" not in repr(header)
    assert "QA123" not in repr(header)
    subject = read(tmp_path, QualityControlSubject="YES")
    assert subject.phantom_signs == ("Quality Control Subject",)


def change_groups(folder: Path, **groups: Any) -> tuple[InstanceHeader, ...]:
    """The frames of a chest, with more functional groups for the first half of them."""
    path = write_multi_frame(folder, 12)
    data_set = dcmread(path)
    agents = item(ContrastBolusAgentNumber=1, ContrastBolusVolume="80")
    if "ContrastBolusUsageSequence" in groups:
        data_set.ContrastBolusAgentSequence = Sequence([agents])
    for own in data_set.PerFrameFunctionalGroupsSequence[:6]:
        for keyword, value in groups.items():
            setattr(own, keyword, Sequence(value))
    data_set.save_as(path, enforce_file_format=True)
    return read_headers_file(path)


@pytest.mark.parametrize("value", ["MAT_REMOVED", "EFF_ATOMIC_NUM"])
def test_frames_that_are_maps_are_none_as_acquired(tmp_path: Path, value: str) -> None:
    frame_type = [item(FrameType=["DERIVED", "PRIMARY", "AXIAL", value])]
    headers = change_groups(tmp_path, CTImageFrameTypeSequence=frame_type)
    decision = judge_eligibility(headers, EligibilityPolicy(min_slices=2))
    assert {h.frame_number for h in decision.stack.headers} == set(range(7, 13))
    (told,) = [str(reason.value) for reason in decision.reasons if reason.rule == "stacks"]
    assert "map or virtual image" in told


def test_the_use_of_an_agent_is_told_for_each_frame(tmp_path: Path) -> None:
    for administered, verdict in {"NO": "no", "YES": "yes"}.items():
        usage = item(ContrastBolusAgentNumber=1, ContrastBolusAgentAdministered=administered)
        headers = change_groups(tmp_path / administered, ContrastBolusUsageSequence=[usage])
        assert {attribute_witness([h]).verdict for h in headers[:6]} == {verdict}
        assert {attribute_witness([h]).verdict for h in headers[6:]} == {Contrast.YES}


def test_units_and_energies_are_those_of_each_frame(tmp_path: Path) -> None:
    headers = change_groups(
        tmp_path,
        RealWorldValueMappingSequence=[item(MeasurementUnitsCodeSequence=code("", "mg/cm3"))],
        MultienergyCTCharacteristicsSequence=[item(MonoenergeticEnergyEquivalent=40.0)],
    )
    assert {(h.real_world_units, h.energy_kev) for h in headers[:6]} == {(("mg/cm3",), 40.0)}
    assert {(h.real_world_units, h.energy_kev) for h in headers[6:]} == {((), None)}
