"""Identity of received data sets: what is read, what is refused, and that nothing else raises."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicomnode.errors import DataError
from dicomnode.identity import Provenance, file_head, identify, identify_file, provenance_of

SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


def data_set(**changes: object) -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, "1.2.3.4"
    made.AccessionNumber, made.Modality, made.PatientName = "A17", "CT", "Doe^Jane"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    made.Rows, made.PixelData = 2, b"\0" * 8
    made["PixelData"].VR = "OW"
    for keyword, value in changes.items():
        if value is None:
            del made[keyword]
        else:
            setattr(made, keyword, value)
    return made


def encoded(made: Dataset, syntax: UID) -> bytes:
    """The data set alone, as a C-STORE request carries it."""
    buffer = BytesIO()
    dcmwrite(buffer, _with_meta(made, syntax), enforce_file_format=True)
    meta_length = int.from_bytes(buffer.getvalue()[140:144], "little")
    return buffer.getvalue()[144 + meta_length :]


def _with_meta(made: Dataset, syntax: UID) -> Dataset:
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    made.file_meta.TransferSyntaxUID = syntax
    return made


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
def test_identity_is_read_in_every_encoding(syntax: UID) -> None:
    identity = identify(encoded(data_set(), syntax), syntax)
    assert identity.sop_instance_uid == "1.2.3.4"
    assert identity.series_instance_uid == "1.2.3.1"
    assert identity.study_instance_uid == "1.2.3"
    assert (identity.accession_number, identity.modality) == ("A17", "CT")


def test_a_data_set_cut_off_in_its_pixels_is_still_identified() -> None:
    whole = encoded(data_set(), ExplicitVRLittleEndian)
    assert identify(whole[:-5], ExplicitVRLittleEndian).sop_instance_uid == "1.2.3.4"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("SeriesInstanceUID", None),
        ("SOPInstanceUID", ""),
        ("StudyInstanceUID", ""),
        ("SeriesInstanceUID", "../../etc/passwd"),
        ("SeriesInstanceUID", ".."),
        ("SeriesInstanceUID", "1.2." + "3" * 61),
    ],
)
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_a_missing_or_impossible_uid_is_refused_by_name(keyword: str, value: str | None) -> None:
    made = encoded(data_set(**{keyword: value}), ExplicitVRLittleEndian)
    with pytest.raises(DataError, match=keyword):
        identify(made, ExplicitVRLittleEndian)


@settings(max_examples=300)
@given(st.binary(max_size=400), st.sampled_from(SYNTAXES))
def test_any_bytes_give_an_identity_or_a_data_error(noise: bytes, syntax: UID) -> None:
    try:
        identify(noise, syntax)
    except DataError as error:
        assert error.rule


@settings(max_examples=200)
@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=8), st.sampled_from(SYNTAXES[:3]))
def test_a_damaged_data_set_gives_an_identity_or_a_data_error(
    at: int, noise: bytes, syntax: UID
) -> None:
    whole = bytearray(encoded(data_set(), syntax))
    at %= len(whole)
    whole[at : at + len(noise)] = noise
    try:
        identify(bytes(whole), syntax)
    except DataError as error:
        assert error.rule


def test_a_stored_file_gives_back_who_brought_it(tmp_path: Path) -> None:
    provenance = Provenance("a" * 32, "SCANNER", "DICOMNODE")
    head = file_head(CTImageStorage, "1.2.3.4", ExplicitVRLittleEndian, provenance)
    path = tmp_path / "x.dcm"
    path.write_bytes(head + encoded(data_set(), ExplicitVRLittleEndian))
    identity, meta = identify_file(path)
    assert identity.series_instance_uid == "1.2.3.1"
    assert provenance_of(meta) == provenance
    assert pydicom.dcmread(path).PatientName == "Doe^Jane"


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 200, b"\0" * 128 + b"DICM"])
def test_a_file_that_is_no_dicom_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(content)
    with pytest.raises(DataError, match="dicom_file"):
        identify_file(path)
