from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from dicomnode.dicom_files.identity import IMPLEMENTATION_CLASS_UID
from dicomnode.results.common.context import ResultContext
from dicomnode.results.common.modules import (
    Place,
    complete,
    local_time,
    series_description,
    training_mark,
)
from inference.findings import ModelIdentity, Training
from support.result_kinds import every_kind
from support.result_samples import MODEL, SLICES, context, findings, options, source

WHOLE = context()
WHOLE_FINDINGS = findings()


def made_by(model: ModelIdentity) -> ResultContext:
    """The phantom with findings of another model."""
    return context(findings=replace(WHOLE_FINDINGS, model=model))


PLACE = Place(SecondaryCaptureImageStorage, 9002, 3, "OT", "a series")


def with_headers(**values: str | None) -> ResultContext:
    """The phantom whose headers have these values; None: the attribute is absent."""
    sources = [source(i) for i in range(SLICES)]
    for header in sources:
        for keyword, value in values.items():
            if value is None:
                delattr(header, keyword)
            else:
                setattr(header, keyword, value)
    return context(sources=sources)


def test_shared_modules_replace_what_stood_there() -> None:
    data_set = Dataset()
    data_set.PatientName = "Other^Name"
    data_set.InstanceCreationTime = "000000.123"
    complete(data_set, PLACE, context())
    assert str(data_set.PatientName) == "Doe^Jane"
    assert data_set.InstanceCreationTime == "003015"
    assert (data_set.SeriesNumber, data_set.InstanceNumber) == (9002, 3)
    assert data_set.SpecificCharacterSet == "ISO_IR 192"
    assert data_set.StudyInstanceUID == source(0).StudyInstanceUID


def test_file_meta_information() -> None:
    meta = complete(Dataset(), PLACE, context()).file_meta
    assert meta.MediaStorageSOPClassUID == SecondaryCaptureImageStorage
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID


@pytest.mark.parametrize(
    ("offset", "expected"),
    [("+0100", "2026-03-02T00:30:15"), ("-0330", "2026-03-01T20:00:15"), ("+0000", None)],
)
def test_the_zone_of_the_source_rules(offset: str, expected: str | None) -> None:
    moment = local_time(with_headers(TimezoneOffsetFromUTC=offset))
    assert moment.replace(tzinfo=None) == datetime.fromisoformat(expected or "2026-03-01T23:30:15")


def test_the_institution_of_the_source_goes_before_that_of_the_site() -> None:
    settings = options(institution_name="The site")
    named = replace(context(), settings=settings)
    unnamed = replace(with_headers(InstitutionName=None), settings=settings)
    assert complete(Dataset(), PLACE, named).InstitutionName == "Example hospital"
    assert complete(Dataset(), PLACE, unnamed).InstitutionName == "The site"


def test_a_scanner_without_manufacturer_is_no_contributor() -> None:
    """Manufacturer is type 1 in the Contributing Equipment Sequence."""
    assert "ContributingEquipmentSequence" in complete(Dataset(), PLACE, context())
    bare = complete(Dataset(), PLACE, with_headers(Manufacturer=None))
    assert "ContributingEquipmentSequence" not in bare


def test_series_description_names_what_and_whose() -> None:
    assert series_description("heatmaps", context()) == (
        "UNTRAINED AI heatmaps (COVNet 0.1.0), research only"
    )


@given(
    name=st.text(max_size=100),
    version=st.text(max_size=40),
    training=st.sampled_from(Training),
    what=st.sampled_from(["chest CT report", "heatmaps", "all slices"]),
)
def test_no_length_of_a_model_costs_a_description_its_warnings(
    name: str, version: str, training: Training, what: str
) -> None:
    model = replace(MODEL, name=name, version=version, training=training)
    told = series_description(what, made_by(model))
    assert len(told) <= 64
    assert told.startswith(f"{training_mark(training)}AI {what}")
    assert told.endswith(", research only")
    assert told.isascii()
    assert told.isprintable()
    assert "\\" not in told
    assert "  " not in told
    if "(" not in name + version:
        assert " ()," not in told  # no empty brackets but the model's own


def test_of_a_model_with_a_long_name_the_version_is_told() -> None:
    model = replace(MODEL, name="A model with a rather long name", version="2.13.1")
    assert series_description("heatmaps", made_by(model)) == (
        "UNTRAINED AI heatmaps (A model with a rat 2.13.1), research only"
    )
    strange = replace(MODEL, name="Lunge\\Größe\n2", training=Training.PATIENTS)
    assert series_description("heatmaps", made_by(strange)) == (
        "AI heatmaps (Lunge Gr??e 2 0.1.0), research only"
    )


def test_every_kind_says_what_it_is_within_64_characters() -> None:
    for kind, each in every_kind().items():
        told = str(each.data_set.SeriesDescription)
        assert len(told) <= 64
        assert told.isascii()
        assert told.endswith(", research only"), kind


def test_slices_as_others_refer_to_them() -> None:
    slices = context().slices
    assert [s.index for s in slices] == list(range(SLICES))
    assert slices[0].instance_number == SLICES
    assert slices[0].sop_instance_uid == source(0).SOPInstanceUID
    assert with_headers(InstanceNumber=None).slices[0].instance_number is None


def test_key_slices_are_the_largest_shares_in_falling_order() -> None:
    whole = context()
    shares = [
        key.activation.share for key in whole.slices_shown(whole.with_heat[0]) if key.activation
    ]
    assert len(shares) == 10
    assert shares == sorted(shares, reverse=True)


def test_an_activation_outside_the_volume_is_a_fault() -> None:
    found = findings()
    outside = replace((found.heat or ())[0], slice_index=SLICES)
    with pytest.raises(ValueError, match="outside the volume"):
        context(findings=replace(found, heat=(outside,)))
