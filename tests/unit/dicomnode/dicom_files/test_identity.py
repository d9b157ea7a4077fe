"""Identity of received data sets: what is read, what is refused, and that nothing else raises."""

from __future__ import annotations

import errno
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

from dicomnode.dicom_files.identity import (
    Provenance,
    file_head,
    identify,
    identify_file,
    provenance_of,
)
from dicomnode.errors import DataError

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
    meta.PrivateInformation = b"a" * 32  # as a former release wrote it
    assert provenance_of(meta) == provenance
    meta.PrivateInformation = b"a" * 32 + b" x"
    assert provenance_of(meta) == provenance
    assert pydicom.dcmread(path).PatientName == "Doe^Jane"


@pytest.mark.parametrize("function", ["read_file_meta_info", "read_dataset"])
def test_a_fault_of_the_disk_is_none_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    provenance = Provenance("a" * 32, "SCANNER", "DICOMNODE")
    path = tmp_path / "x.dcm"
    head = file_head(CTImageStorage, "1.2.3.4", ExplicitVRLittleEndian, provenance)
    path.write_bytes(head + encoded(data_set(), ExplicitVRLittleEndian))

    def broken(*_arguments: object, **_named: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(f"pydicom.filereader.{function}", broken)
    monkeypatch.setattr("dicomnode.dicom_files.identity.read_dataset", broken)
    with pytest.raises(OSError, match="Input/output"):
        identify_file(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 200, b"\0" * 128 + b"DICM"])
def test_a_file_that_is_no_dicom_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(content)
    with pytest.raises(DataError, match="dicom_file"):
        identify_file(path)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
def test_whose_it_is_does_not_hang_on_encoding_or_padding(syntax: UID) -> None:
    plain = identify(
        encoded(data_set(PatientID="P1"), ImplicitVRLittleEndian), ImplicitVRLittleEndian
    )
    found = identify(encoded(data_set(PatientID=" P1 "), syntax), syntax)
    assert found.digest == plain.digest
    assert "P1" not in repr(found)


@pytest.mark.parametrize("changes", [{"PatientID": "P2"}, {"PatientID": ""}, {}])
def test_another_or_no_patient_id_is_another_identity(changes: dict[str, str]) -> None:
    syntax = ExplicitVRLittleEndian
    first = identify(encoded(data_set(PatientID="P1"), syntax), syntax)
    other = data_set(**changes)
    assert identify(encoded(other, syntax), syntax).digest != first.digest


def test_another_study_is_another_identity() -> None:
    syntax = ExplicitVRLittleEndian
    first, other = (
        identify(encoded(data_set(StudyInstanceUID=uid), syntax), syntax) for uid in ("1.2", "1.3")
    )
    assert first.digest != other.digest


def test_a_patient_id_in_another_character_set_is_read_from_a_file_alike(tmp_path: Path) -> None:
    made = data_set(SpecificCharacterSet="ISO_IR 100", PatientID="ÄÖ-1")
    path = tmp_path / "x.dcm"
    dcmwrite(path, _with_meta(made, ExplicitVRLittleEndian), enforce_file_format=True)
    sent = identify(encoded(made, ExplicitVRLittleEndian), ExplicitVRLittleEndian)
    assert identify_file(path)[0].digest == sent.digest
