"""Which instance is this? Read from the first attributes of an encoded data set or of a file.

Reading stops after Series Instance UID (0020,000E), so the pixels are never touched.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from dicomnode.dicom_files.attributes import AttributeReader
from dicomnode.dicom_files.file_meta import read_file_meta
from dicomnode.dicom_files.headers import PYDICOM_QUIET, UNREADABLE, raise_if_of_the_disk
from dicomnode.dicom_files.quick_identity import (
    ACCESSION_NUMBER,
    MODALITY,
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    quick_identity,
)
from dicomnode.errors import DataError
from dicomnode.version import VERSION
from storage.direct_io import whole_blocks
from storage.instances import StoredFile
from storage.records import StoredInstance

IMPLEMENTATION_CLASS_UID = UID("2.25.213092364938302270716553187436180529611")
IMPLEMENTATION_VERSION_NAME = f"DICOMNODE_{VERSION}"
_PROVENANCE_CREATOR = UID("2.25.281216354187320153829170355410972463880")
_SERIES_INSTANCE_UID = 0x0020000E
_META_START = 128 + 4 + 12  # preamble, prefix, and the element that tells the group's length
_INFLATED_HEAD_BYTES = 1 << 20
_LONGEST_HEAD_BYTES = 16 << 20  # where the series is not named by then, it is refused
_NAMES = ("SOPClassUID", "SOPInstanceUID", "PatientID", "StudyInstanceUID", "SeriesInstanceUID")
_LONGEST_NAME_BYTES = 1 << 16  # values above it are passed over
_Stop = Callable[[BaseTag, str | None, int], bool]
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


@dataclass(frozen=True)
class Identity:
    """UIDs of an instance and what the queue shows of it.

    `digest`: whose instance it is, to be compared: of Study Instance UID and Patient ID, as a
    Series Instance UID that came from a vendor's export or after a de-identification may stand
    for more than one patient's slices. `patient_id`: for the audit trail of a site that wants it
    there; it stands in no row, no log and no text of this record.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    accession_number: str
    modality: str
    digest: str
    patient_id: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True)
class Provenance:
    """Who brought an instance; kept in its file, so that a lost index can be made again.

    Source and Receiving Application Entity Title (0002,0016), (0002,0018) and Private
    Information (0002,0102), PS3.10 section 7.1. `priority`: that of the C-STORE request, as order
    of work: 0 high, 1 medium, 2 low.
    """

    association_id: str
    calling_ae_title: str
    called_ae_title: str
    priority: int = 1


def stored_instance(
    identity: Identity,
    provenance: Provenance,
    transfer_syntax: str,
    stored: StoredFile,
    received_at: datetime,
) -> StoredInstance:
    """The record of an instance that this node keeps."""
    return StoredInstance(
        sop_instance_uid=identity.sop_instance_uid,
        sop_class_uid=identity.sop_class_uid,
        series_instance_uid=identity.series_instance_uid,
        study_instance_uid=identity.study_instance_uid,
        transfer_syntax_uid=str(transfer_syntax),
        accession_number=identity.accession_number,
        modality=identity.modality,
        path=stored.path,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        association_id=provenance.association_id,
        calling_ae_title=provenance.calling_ae_title,
        received_at=received_at,
        priority=provenance.priority,
        identity_digest=identity.digest,
        node_id=stored.node_id,
        object_name=stored.object_name,
        object_offset=stored.object_offset,
    )


def identify(data_set: bytes | memoryview, transfer_syntax: UID) -> Identity:
    """Identity of an encoded data set (without file meta information).

    Raises:
        DataError: it cannot be read up to Series Instance UID, or a UID is absent or no UID.
    """
    if transfer_syntax == DeflatedExplicitVRLittleEndian:
        data_set = _inflated_head(data_set)
    if transfer_syntax != ExplicitVRBigEndian:
        implicit = transfer_syntax == ImplicitVRLittleEndian
        if (found := quick_identity(data_set, implicit)) is not None:
            return _quick(found)
    return _identity(BytesIO(data_set[:_LONGEST_HEAD_BYTES]), transfer_syntax)


def _quick(found: dict[int, str]) -> Identity:
    return Identity(
        sop_class_uid=found[SOP_CLASS_UID],
        sop_instance_uid=found[SOP_INSTANCE_UID],
        study_instance_uid=found[STUDY_INSTANCE_UID],
        series_instance_uid=found[SERIES_INSTANCE_UID],
        accession_number=found.get(ACCESSION_NUMBER, ""),
        modality=found.get(MODALITY, ""),
        digest=_digest(found[STUDY_INSTANCE_UID], found.get(PATIENT_ID, "")),
        patient_id=found.get(PATIENT_ID, ""),
    )


def identify_file(path: Path) -> tuple[Identity, FileMetaDataset]:
    """Identity and file meta information of a Part 10 file.

    Raises:
        DataError: no DICOM file, or as for `identify`.
        OSError: the file cannot be opened or read.
    """
    with path.open("rb") as file:
        meta = _meta(file)
        syntax = UID(AttributeReader(meta).uid("TransferSyntaxUID"))
        if syntax == DeflatedExplicitVRLittleEndian:
            return identify(file.read(), syntax), meta
        return _identity(file, syntax), meta


def file_parts(content: bytes) -> tuple[UID, memoryview]:
    """Transfer syntax and encoded data set of a Part 10 file.

    Raises:
        DataError: it is none.
    """
    file = BytesIO(content)
    syntax = AttributeReader(_meta(file)).uid("TransferSyntaxUID")
    return UID(syntax), memoryview(content)[file.tell() :]


def _meta(file: BinaryIO) -> FileMetaDataset:
    """File meta information; the file then stands where the data set begins."""
    try:
        with PYDICOM_QUIET:
            return read_file_meta(file)[0]
    except UNREADABLE as error:
        raise_if_of_the_disk(error)
        raise DataError("dicom_file", f"cannot be read: {type(error).__name__}") from error


def _inflated_head(data_set: bytes | memoryview) -> bytes:
    deflated = data_set[:_INFLATED_HEAD_BYTES]  # inflating copies what it leaves
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(deflated, _INFLATED_HEAD_BYTES)
    except zlib.error as error:
        raise DataError("data_set", f"cannot be inflated: {error}") from error


def _identity(stream: BinaryIO, syntax: UID) -> Identity:
    start, stop = stream.tell(), _AfterSeries()
    head = _elements(stream, syntax, stop)
    if not (stop.in_order and all(keyword in head for keyword in _NAMES)):
        stream.seek(start)  # elements out of order: what names the instance may stand anywhere
        with suppress(DataError):  # what follows may be no data set any more
            return _identity_in(_elements(stream, syntax, None))
    return _identity_in(head)


class _AfterSeries:
    """Stops the reading behind Series Instance UID; `in_order` if the tags ascended till then."""

    def __init__(self) -> None:
        self.in_order, self._last = True, 0

    def __call__(self, tag: BaseTag, _vr: str | None, _length: int) -> bool:
        self.in_order &= tag > self._last
        self._last = tag
        return bool(tag > _SERIES_INSTANCE_UID)


def _elements(stream: BinaryIO, syntax: UID, stop: _Stop | None) -> Dataset:
    try:
        with PYDICOM_QUIET:
            return read_dataset(
                stream,
                # what is not known is Explicit VR Little Endian around its pixels (PS3.5 A.4)
                is_implicit_VR=syntax == ImplicitVRLittleEndian,
                is_little_endian=syntax != ExplicitVRBigEndian,
                stop_when=stop,
                defer_size=_LONGEST_NAME_BYTES,
            )
    except UNREADABLE as error:
        raise_if_of_the_disk(error)
        raise DataError("data_set", f"cannot be parsed: {type(error).__name__}") from error


def _identity_in(head: Dataset) -> Identity:
    try:
        with PYDICOM_QUIET:
            study = _uid(head, "StudyInstanceUID")
            return Identity(
                sop_class_uid=_uid(head, "SOPClassUID"),
                sop_instance_uid=_uid(head, "SOPInstanceUID"),
                study_instance_uid=study,
                series_instance_uid=_uid(head, "SeriesInstanceUID"),
                accession_number=_text(head, "AccessionNumber"),
                modality=_text(head, "Modality"),
                digest=_digest(study, _patient_id(head)),
                patient_id=_patient_id(head),
            )
    except UNREADABLE as error:
        raise DataError("data_set", f"cannot be parsed: {type(error).__name__}") from error


def _digest(study_instance_uid: str, patient_id: str) -> str:
    """An empty Patient ID is one too; padding on either side is none of it (PS3.5 6.2, LO)."""
    return hashlib.sha256(
        f"{study_instance_uid}\\{patient_id}".encode("utf-8", "backslashreplace")
    ).hexdigest()


def _patient_id(head: Dataset) -> str:
    value = head.get("PatientID")
    return "" if value is None else str(value).strip(" \0")


def _text(head: Dataset, keyword: str) -> str:
    value = head.get(keyword)
    text = "" if value is None else str(value).strip(" \0")
    return "".join(c for c in text if c.isprintable())[:64]


def _uid(head: Dataset, keyword: str) -> str:
    """A UID as PS3.5 section 9.1 has it; leading zeros of components are let pass."""
    value = head.get(keyword)
    text = "" if value is None else str(value).strip(" \0")
    if len(text) > 64 or not _UID.fullmatch(text):
        raise DataError(keyword, "absent or no UID")
    return text


def data_set_sha256(path: Path) -> str:
    """SHA-256 (hex) of what follows the file meta information, as it was when it was received.

    Raises:
        as `identify_file`.
    """
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        _meta(stream)
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


FILE_HEAD_ROOM = 4096
"""Length of the head of a data set that grows in a file: more than any head needs."""

_USUAL_HEAD = 1024


def head_length(size: int) -> int:
    """Of the head of a data set of `size` bytes, so that its file is quickly written."""
    return whole_blocks(_USUAL_HEAD, size + size % 2)


def file_head(
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax: str,
    provenance: Provenance,
    length: int = 0,
) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 section 7.1) for a received data set.

    Made at least `length` bytes long, an even number, by NULs behind Private Information.
    """
    before, after = _meta_parts(sop_class_uid, transfer_syntax, provenance)
    elements = before + _element(0x0003, b"UI", sop_instance_uid.encode("ascii")) + after
    padding = bytes(max(0, length - _META_START - len(elements)))
    if padding:
        own = _private_information(provenance)
        own += b"\0" * (len(own) % 2)
        elements = elements[: -len(own) - 12] + _element(0x0102, b"OB", own + padding)
    group_length = _element(0x0000, b"UL", len(elements).to_bytes(4, "little"))
    return bytes(128) + b"DICM" + group_length + elements


@lru_cache(maxsize=1024)
def _meta_parts(
    sop_class_uid: str, transfer_syntax: str, provenance: Provenance
) -> tuple[bytes, bytes]:
    """The elements before and after Media Storage SOP Instance UID: one pair an association."""
    before = _element(0x0001, b"OB", b"\0\1")
    before += _element(0x0002, b"UI", sop_class_uid.encode("ascii"))
    after = _element(0x0010, b"UI", transfer_syntax.encode("ascii"))
    after += _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID.encode("ascii"))
    after += _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii"))
    after += _element(0x0016, b"AE", _ae_title(provenance.calling_ae_title))
    after += _element(0x0018, b"AE", _ae_title(provenance.called_ae_title))
    after += _element(0x0100, b"UI", _PROVENANCE_CREATOR.encode("ascii"))
    after += _element(0x0102, b"OB", _private_information(provenance))
    return before, after


def _private_information(provenance: Provenance) -> bytes:
    """The association and the priority; a former release wrote the association alone."""
    return f"{provenance.association_id} {provenance.priority}".encode("ascii")


def _ae_title(title: str) -> bytes:
    return title.encode("ascii", "replace")


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    """An element of group 0002 in Explicit VR Little Endian, of even length (PS3.5 7.1.2)."""
    if len(value) % 2:
        value += b"\0" if vr in (b"UI", b"OB") else b" "
    tag = (0x0002).to_bytes(2, "little") + number.to_bytes(2, "little")
    if vr == b"OB":
        return tag + vr + b"\0\0" + len(value).to_bytes(4, "little") + value
    return tag + vr + len(value).to_bytes(2, "little") + value


_PRIORITIES = {"0", "1", "2"}


def provenance_of(meta: FileMetaDataset) -> Provenance:
    """Read back what `file_head` wrote; empty where another program wrote the file."""
    try:
        with PYDICOM_QUIET:
            ours = meta.get("PrivateInformationCreatorUID") == _PROVENANCE_CREATOR
            own = bytes(meta.PrivateInformation).rstrip(b"\0").decode("ascii") if ours else ""
            association_id, _, priority = own.partition(" ")
            return Provenance(
                association_id,
                str(meta.get("SourceApplicationEntityTitle", "")),
                str(meta.get("ReceivingApplicationEntityTitle", "")),
                int(priority) if priority in _PRIORITIES else 1,
            )
    except UNREADABLE:
        return Provenance("", "", "")
