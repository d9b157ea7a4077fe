"""The quick reader says what pydicom says, or nothing."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite, write_file_meta_info
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

import dicomnode.dicom_files.quick_identity as quick_identity_module
from dicomnode.dicom_files.identity import (
    FILE_HEAD_ROOM,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    Provenance,
    _identity,
    file_head,
    identify,
    provenance_of,
)
from dicomnode.dicom_files.quick_identity import quick_identity
from dicomnode.errors import DataError
from support.data import CT

FILES = [*sorted(CT.rglob("*.dcm"))[::10], *sorted((CT.parent / "transfer_syntaxes").glob("*.dcm"))]


def nested(undefined: bool) -> Dataset:
    """Sequences in sequences before the UIDs, as scanners send them."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, "1.2.3.4"
    inner, item = Dataset(), Dataset()
    inner.CodeValue = "121322"
    item.ReferencedSOPInstanceUID, item.PurposeOfReferenceCodeSequence = "1.9", Sequence([inner])
    made.ReferencedImageSequence = Sequence([item, item])
    made.AccessionNumber, made.Modality, made.PatientName = "A17", "CT", "Doe^Jane"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.Rows = "1.2.3", "1.2.3.1", 2
    made.PatientID = "7"
    for sequence in (made["ReferencedImageSequence"], item["PurposeOfReferenceCodeSequence"]):
        sequence.is_undefined_length = undefined
    item.is_undefined_length_sequence_item = undefined
    return made


def encoded(made: Dataset, syntax: UID) -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, made, implicit_vr=syntax.is_implicit_VR, little_endian=True)
    return buffer.getvalue()


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_real_instances_are_identified_as_by_pydicom(file: Path) -> None:
    content = file.read_bytes()
    data_set = content[144 + int.from_bytes(content[140:144], "little") :]
    syntax = pydicom.dcmread(file, stop_before_pixels=True).file_meta.TransferSyntaxUID
    quick = syntax not in (ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
    if quick:
        assert quick_identity(data_set, syntax == ImplicitVRLittleEndian) is not None
    if syntax != DeflatedExplicitVRLittleEndian:
        assert identify(data_set, syntax) == _identity(BytesIO(data_set), syntax)


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_sequences_are_stepped_over(syntax: UID, undefined: bool) -> None:
    data_set = encoded(nested(undefined), syntax)
    assert quick_identity(data_set, syntax.is_implicit_VR) is not None
    assert identify(data_set, syntax) == _identity(BytesIO(data_set), syntax)


@settings(max_examples=400, deadline=None)
@given(
    st.integers(0, 10_000),
    st.binary(min_size=1, max_size=4),
    st.sampled_from([ImplicitVRLittleEndian, ExplicitVRLittleEndian]),
    st.booleans(),
)
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_a_damaged_data_set_is_read_as_pydicom_reads_it_or_not_at_all(
    at: int, noise: bytes, syntax: UID, undefined: bool
) -> None:
    whole = bytearray(encoded(nested(undefined), syntax))
    at %= len(whole)
    whole[at : at + len(noise)] = noise
    if quick_identity(bytes(whole), syntax.is_implicit_VR) is None:
        return
    try:
        by_pydicom = _identity(BytesIO(whole), syntax)
    except DataError:
        return  # what pydicom gives up on (a VR that does not fit) may still name its instance
    assert identify(bytes(whole), syntax) == by_pydicom


@settings(max_examples=500, deadline=None)
@given(
    st.integers(0, 10_000),
    st.binary(max_size=4),
    st.integers(0, 400),
    st.sampled_from([ImplicitVRLittleEndian, ExplicitVRLittleEndian]),
)
def test_what_was_read_before_changes_nothing(
    at: int, other: bytes, short: int, syntax: UID
) -> None:
    """An association brings slice after slice of one layout, which is looked at once."""
    whole, implicit = encoded(nested(True), syntax), syntax.is_implicit_VR
    at %= len(whole)
    changed = (whole[:at] + other + whole[at + len(other) :])[: len(whole) - short]
    vars(quick_identity_module._SEEN).clear()
    afresh = quick_identity(changed, implicit)
    vars(quick_identity_module._SEEN).clear()
    assert quick_identity(whole, implicit) is not None
    assert quick_identity(changed, implicit) == afresh


def test_the_next_slice_is_read_at_the_same_places(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = nested(False), nested(False)
    second.SOPInstanceUID, second.AccessionNumber = "1.2.3.9", "B17"
    quick_identity(encoded(first, ExplicitVRLittleEndian), False)
    monkeypatch.setattr(quick_identity_module, "_Reader", None)
    found = quick_identity(encoded(second, ExplicitVRLittleEndian), False)
    assert found is not None
    assert (found[0x00080018], found[0x00080050]) == ("1.2.3.9", "B17")


def test_a_header_of_very_many_elements_is_read_each_time() -> None:
    made, many = nested(True), Dataset()
    many.ReferencedSOPInstanceUID = "1.9"
    made.ReferencedImageSequence = Sequence([many] * 2000)
    made["ReferencedImageSequence"].is_undefined_length = True
    for number in "47":
        made.SOPInstanceUID = f"1.2.3.{number}"
        found = quick_identity(encoded(made, ExplicitVRLittleEndian), False)
        assert found is not None
        assert found[0x00080018] == f"1.2.3.{number}"


@settings(max_examples=300)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_end_in_an_answer(noise: bytes, implicit: bool) -> None:
    assert quick_identity(noise, implicit) is None


@given(
    st.from_regex(r"[12]\.[1-9][0-9]{0,20}(\.[1-9][0-9]{0,9}){0,3}", fullmatch=True),
    st.from_regex(r"[A-Z][A-Z0-9_ ]{0,14}[A-Z0-9]", fullmatch=True),
)
def test_the_file_head_is_what_pydicom_writes(uid: str, title: str) -> None:
    provenance = Provenance("a1" * 16, title, "DICOMNODE")
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, UID(uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    meta.SourceApplicationEntityTitle, meta.ReceivingApplicationEntityTitle = title, "DICOMNODE"
    meta.PrivateInformationCreatorUID = UID("2.25.281216354187320153829170355410972463880")
    meta.PrivateInformation = b"a1" * 16 + b" 1"
    written = BytesIO()
    write_file_meta_info(written, meta)  # type: ignore[arg-type]
    made = file_head(CTImageStorage, uid, ExplicitVRLittleEndian, provenance)
    assert made == bytes(128) + b"DICM" + written.getvalue()


@pytest.mark.parametrize("priority", [0, 1, 2])
@pytest.mark.parametrize("association_id", ["b" * 32, "odd", ""])
def test_a_head_of_a_wanted_length_reads_like_any_other(association_id: str, priority: int) -> None:
    provenance = Provenance(association_id, "SCANNER 1", "NODE", priority)
    made = file_head(
        CTImageStorage, "1.2.3", ExplicitVRLittleEndian, provenance, length=FILE_HEAD_ROOM
    )
    assert len(made) == FILE_HEAD_ROOM
    read = pydicom.dcmread(BytesIO(made + encoded(nested(False), ExplicitVRLittleEndian)))
    assert provenance_of(read.file_meta) == provenance
    assert read.Rows == 2


@given(
    st.permutations(range(10)), st.sampled_from([ImplicitVRLittleEndian, ExplicitVRLittleEndian])
)
def test_elements_out_of_order_name_the_same_instance(order: list[int], syntax: UID) -> None:
    """Patient ID and Accession Number, too, wherever they stand (PS3.5 7.1 wants them in order)."""
    made = nested(True)
    assert len(made) == 10
    elements = [encoded(Dataset({element.tag: element}), syntax) for element in made]
    wanted = identify(encoded(made, syntax), syntax)
    assert identify(b"".join(elements[each] for each in order), syntax) == wanted


def test_a_data_set_without_patient_id_is_looked_through_and_then_has_none() -> None:
    made = nested(True)
    del made.PatientID
    for behind in (b"", b"no data set any more"):
        data_set = encoded(made, ExplicitVRLittleEndian) + behind
        assert quick_identity(data_set, implicit=False) is None
        assert identify(data_set, ExplicitVRLittleEndian).sop_instance_uid == "1.2.3.4"
