from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dicomnode.decisions.result_options import SegmentationKind, SrClass
from dicomnode.results.build import ResultObject, encode
from dicomnode.results.documents.text import report_as_text
from dicomnode.results.report.report import structured_report
from inference.findings import Training
from support.region_samples import COVID, FLU, region, regions
from support.result_samples import (
    CLASS_NAMES,
    MODEL,
    SERIES_UID,
    SLICES,
    context,
    dciodvfy,
    findings,
    options,
    source,
    with_settings,
)
from support.tools import needed

PEAK = 7


@pytest.fixture(scope="module")
def report() -> ResultObject:
    return structured_report(context())


def items(node: Dataset) -> Iterator[Dataset]:
    for child in node.get("ContentSequence") or ():
        yield child
        yield from items(child)


def named(node: Dataset, meaning: str) -> list[Dataset]:
    return [i for i in items(node) if i.ConceptNameCodeSequence[0].CodeMeaning == meaning]


def summary_of(result: ResultObject) -> list[str]:
    return str(named(result.data_set, "Summary")[0].TextValue).splitlines()


@pytest.mark.parametrize(
    ("sr_class", "uid"),
    [
        (SrClass.ENHANCED, "1.2.840.10008.5.1.4.1.1.88.22"),
        (SrClass.COMPREHENSIVE, "1.2.840.10008.5.1.4.1.1.88.33"),
        (SrClass.COMPREHENSIVE_3D, "1.2.840.10008.5.1.4.1.1.88.34"),
    ],
)
def test_every_class_is_valid(sr_class: SrClass, uid: str, tmp_path: Path) -> None:
    result = structured_report(with_settings(sr_class=sr_class))
    errors, warnings = dciodvfy(result, tmp_path)
    assert result.sop_class_uid == uid
    assert errors == []
    assert [w for w in warnings if "99COVNET" not in w] == []  # private codes are declared


def test_classes_have_uids_of_their_own() -> None:
    uids = {structured_report(with_settings(sr_class=c)).sop_instance_uid for c in SrClass}
    assert len(uids) == len(SrClass)


def test_the_answer_comes_first(report: ResultObject) -> None:
    contents = [i for i in report.data_set.ContentSequence if i.RelationshipType == "CONTAINS"]
    assert [i.ConceptNameCodeSequence[0].CodeMeaning for i in contents] == [
        "Summary",
        "Image Library",
        "Imaging Measurements",
        "Qualitative Evaluations",
    ]


def test_summary_in_plain_words(report: ResultObject) -> None:
    lines = summary_of(report)
    assert lines[0] == "UNTRAINED WEIGHTS – no clinical meaning"
    assert lines[1] == "Most probable: community-acquired pneumonia"
    text = "\n".join(lines)
    for part in (
        "COVID-19 12.5 %, community-acquired pneumonia 62.5 %, non-pneumonia 25.0 %",
        "Research only – not for primary diagnosis",
        "CT slice 8/12 (image 5), z -82.5 mm",
        "Valid for non-contrast chest CT, slice thickness and spacing at most 3 mm",
        "11 slices with lung of 12 slices",
        "association released, no gap in 12 slices",
        "COVNet 0.1.0, weights abababababababab",
        "Note: Rescale Type is absent",
    ):
        assert part in text


def test_weights_trained_on_patients_bear_no_warning() -> None:
    model = replace(MODEL, training=Training.PATIENTS)
    result = structured_report(context(findings=findings(model)))
    assert summary_of(result)[0].startswith("Most probable")
    assert "UNTRAINED" not in result.data_set.SeriesDescription


@pytest.mark.parametrize(
    ("training", "prefix"),
    [
        (Training.PATIENTS, "Probability"),
        (Training.UNTRAINED, "UNTRAINED probability"),
        (Training.DEMONSTRATION, "DEMONSTRATION probability"),
    ],
)
def test_probabilities_are_numbers_with_names_of_their_own(training: Training, prefix: str) -> None:
    """A viewer draws name and number over the CT without the rest of the report."""
    report = structured_report(context(findings=findings(replace(MODEL, training=training))))
    named = {
        i.ConceptNameCodeSequence[0].CodeValue: i
        for i in items(report.data_set)
        if i.ValueType == "NUM" and "robability" in i.ConceptNameCodeSequence[0].CodeMeaning
    }
    numbers = {
        i.ConceptNameCodeSequence[0].CodeMeaning: i.MeasuredValueSequence[0] for i in named.values()
    }
    assert [float(v.NumericValue) for v in numbers.values()] == [12.5, 62.5, 25.0]
    assert list(numbers) == [f"{prefix} of {name}" for name in CLASS_NAMES]
    assert all(len(value) <= 16 for value in named)
    assert len(named) == 3
    units = {v.MeasurementUnitsCodeSequence[0].CodeValue for v in numbers.values()}
    assert units == {"%"}


def test_the_region_is_the_box_of_the_lungs_on_the_peak_slice(report: ResultObject) -> None:
    (region,) = [i for i in items(report.data_set) if i.ValueType == "SCOORD"]
    assert list(region.GraphicData) == [8, 10, 72, 10, 72, 50, 8, 50, 8, 10]
    image = region.ContentSequence[0].ReferencedSOPSequence[0]
    assert image.ReferencedSOPInstanceUID == f"{SERIES_UID}.{PEAK + 1}"


def test_the_image_library_gives_position_and_orientation(report: ResultObject) -> None:
    images = [
        i for i in items(named(report.data_set, "Image Library")[0]) if i.ValueType == "IMAGE"
    ]
    assert len(images) == 10
    first = images[0]
    z = named(first, "Image Position (Patient) Z")[0].MeasuredValueSequence[0].NumericValue
    index = int(first.ReferencedSOPSequence[0].ReferencedSOPInstanceUID.rsplit(".")[-1]) - 1
    assert float(z) == -100.0 + 2.5 * index
    cosine = named(report.data_set, "Image Orientation (Patient) Column Y")[0]
    assert float(cosine.MeasuredValueSequence[0].NumericValue) == 1.0


def test_all_analysed_slices_are_evidence(report: ResultObject) -> None:
    (study,) = report.data_set.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    uids = {i.ReferencedSOPInstanceUID for i in series.ReferencedSOPSequence}
    assert uids == {f"{SERIES_UID}.{i + 1}" for i in range(SLICES)}
    assert series.SeriesInstanceUID == SERIES_UID


@pytest.mark.parametrize("kind", [*SegmentationKind])
def test_whatever_the_content_refers_to_is_evidence(kind: SegmentationKind) -> None:
    found = regions(region(COVID, 0.75), region(FLU, 0.6))
    tree = structured_report(context(regions=found, settings=options(segmentation=kind)))
    (study,) = tree.data_set.CurrentRequestedProcedureEvidenceSequence
    evidence = {
        (instance.ReferencedSOPInstanceUID, instance.ReferencedSOPClassUID)
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    named_in_it = {
        (instance.ReferencedSOPInstanceUID, instance.ReferencedSOPClassUID)
        for item in items(tree.data_set)
        for instance in item.get("ReferencedSOPSequence") or ()
    }
    assert len(named_in_it) > 1
    assert named_in_it <= evidence


def test_it_is_complete_but_nobody_has_verified_it(report: ResultObject) -> None:
    data_set = report.data_set
    assert data_set.CompletionFlag == "COMPLETE"
    assert data_set.VerificationFlag == "UNVERIFIED"
    assert data_set.PreliminaryFlag == "PRELIMINARY"


def test_times_are_those_of_the_analysis_in_the_zone_of_the_source(report: ResultObject) -> None:
    data_set = report.data_set  # 23:30:15 UTC is 00:30:15 of the next day at +0100
    assert (data_set.ContentDate, data_set.ContentTime) == ("20260302", "003015")
    assert (data_set.InstanceCreationDate, data_set.SeriesTime) == ("20260302", "003015")
    assert data_set.TimezoneOffsetFromUTC == "+0100"


def test_without_a_zone_the_time_is_as_given() -> None:
    sources = [source(i) for i in range(SLICES)]
    for header in sources:
        del header.TimezoneOffsetFromUTC
    data_set = structured_report(context(sources=sources)).data_set
    assert data_set.ContentTime == "233015"
    assert "TimezoneOffsetFromUTC" not in data_set


def test_who_made_it_and_from_which_scanner(report: ResultObject) -> None:
    data_set = report.data_set
    assert (data_set.Manufacturer, data_set.DeviceUID) == ("Example maker", "2.25.4711")
    assert data_set.InstitutionName == "Example hospital"
    assert data_set.ContributingEquipmentSequence[0].Manufacturer == "Scanner maker"
    assert named(data_set, "Device Observer UID")[0].UID == "2.25.4711"


def test_dsrdump_reads_it(report: ResultObject, tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(encode(report))
    run = subprocess.run([needed("dsrdump", "dcmtk"), "+Pl", path], capture_output=True, check=True)
    text = run.stdout.decode()
    assert "UNTRAINED WEIGHTS – no clinical meaning" in text
    assert '"UNTRAINED probability of COVID-19")="12.5" (%,UCUM,"Percent")' in text
    complaints = run.stderr.decode().splitlines()  # DCMTK cannot check the lengths of UTF-8 text
    assert [c for c in complaints if "ISO_IR 192" not in c] == []


def test_dsr2html_shows_the_answer_before_the_images(report: ResultObject, tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(encode(report))
    run = subprocess.run([needed("dsr2html", "dcmtk"), path], capture_output=True, check=True)
    html = run.stdout.decode()
    assert 0 < html.index("Most probable") < html.index("Image Library")


def test_as_text(report: ResultObject) -> None:
    text = report_as_text(report.data_set)
    lines = text.splitlines()
    assert lines[0] == "Imaging Measurement Report"
    assert "      UNTRAINED probability of community-acquired pneumonia = 62.5 %" in lines
    assert "      Finding Site = Lung" in lines
    assert "    UNTRAINED WEIGHTS – no clinical meaning" in lines
    assert "      Image Region = POLYLINE (8, 10) (72, 10) (72, 50) (8, 50) (8, 10)" in lines
    assert lines[-1] == "Status: COMPLETE, UNVERIFIED, PRELIMINARY"
    assert "Doe" not in text


def test_text_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="no Structured Report"):
        report_as_text(source(0))


def test_text_of_a_number_without_value() -> None:
    number = Dataset()
    number.ValueType = "NUM"
    number.MeasuredValueSequence = []
    assert report_as_text(number).startswith("NUM = no value")
