"""Reading headers: from a file or a data set to an `InstanceHeader`, whatever is in it.

Elements are taken as they were received and parsed here: pydicom's own conversion raises or warns
on values that hospitals send every day. What cannot be used becomes None and a sentence.
"""

from __future__ import annotations

import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from itertools import islice
from os import SEEK_CUR
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from pydicom import dcmread
from pydicom.datadict import keyword_dict
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.patient_attributes import PatientAttributes
from dicomnode.decisions.stack.attributes import LABELS
from dicomnode.dicom_files import nested_attributes as nested
from dicomnode.dicom_files.attributes import AttributeReader
from dicomnode.dicom_files.file_meta import read_data_set
from dicomnode.dicom_files.functional_groups import (
    described_frames,
    frame_data_sets,
    is_multi_frame_ct,
)
from dicomnode.dicom_files.pixel_element import (
    PIXEL_DATA,
    UNDEFINED_LENGTH,
    PixelElement,
    add_what_follows,
)
from dicomnode.errors import DataError
from dicomnode.version import MANUFACTURER

NATIVE_SYNTAXES = frozenset(
    {
        "",  # not told by the file, and not to be guessed
        str(ImplicitVRLittleEndian),
        str(ExplicitVRLittleEndian),
        str(DeflatedExplicitVRLittleEndian),
        str(ExplicitVRBigEndian),
    }
)
"""Transfer syntaxes in which Pixel Data are the pixels themselves (PS3.5 A.1 to A.3, A.5)."""

UNREADABLE = (
    InvalidDicomError,
    BytesLengthException,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom raises on bytes that are no DICOM."""


class _PydicomQuiet:
    """Context in which pydicom does not tell of bad data: we name it ourselves, without values.

    Python's warning filters are shared by all threads, so the first thread in sets them aside and
    the last one out restores them (`warnings.catch_warnings` alone would mix them up).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._caught = warnings.catch_warnings()
        self._log = logging.getLogger("pydicom")
        self._level = self._log.level

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
                self._level = self._log.level
                self._log.setLevel(logging.CRITICAL)
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._log.setLevel(self._level)
                self._caught.__exit__(kind, error, trace)


PYDICOM_QUIET = _PydicomQuiet()


_READ = {
    "str": AttributeReader.text,
    "int | None": AttributeReader.integer,
    "float | None": AttributeReader.number,
    "tuple[float, float] | None": AttributeReader.pair,
    "Vector | None": AttributeReader.vector,
}
"""How a field of `InstanceHeader` is read, by its type; a UID by `uid`."""
_OTHERWISE = {"transfer_syntax_uid", "acquisition_number", "acquisition_time"}
"""Fields that bear a keyword, and are read in another way all the same."""


def _by_keyword() -> Iterator[tuple[str, str, Callable[[AttributeReader, str], Any]]]:
    """Field, keyword and reading, of each field that bears the keyword of an attribute."""
    keywords = {keyword.lower(): keyword for keyword in keyword_dict}
    for each in fields(InstanceHeader):
        keyword = keywords.get(each.name.replace("_", ""))
        read = _READ.get(str(each.type))
        if keyword and read and each.name not in _OTHERWISE:
            is_uid = each.name.endswith("_uid") and each.name != "irradiation_event_uid"
            yield each.name, keyword, AttributeReader.uid if is_uid else read


_BY_KEYWORD = tuple(_by_keyword())


def read_header(data_set: Dataset) -> InstanceHeader:
    """Header of a data set; never raises on bad values (see `InstanceHeader.problems`)."""
    read = AttributeReader(data_set)
    plain = {name: by_type(read, keyword) for name, keyword, by_type in _BY_KEYWORD}
    number = read.integer("FrameAcquisitionNumber")
    return InstanceHeader(
        **plain,
        transfer_syntax_uid=transfer_syntax_of(data_set),
        patient=_patient(read),
        made_here=read.text("Manufacturer") == MANUFACTURER,
        image_type=read.texts("FrameType") or read.texts("ImageType"),
        number_of_frames=read.integer("NumberOfFrames") or 1,
        image_orientation_patient=read.two_vectors("ImageOrientationPatient"),
        acquisition_number=read.integer("AcquisitionNumber") if number is None else number,
        acquisition_time=_first_text(
            read, "FrameAcquisitionDateTime", "AcquisitionDateTime", "AcquisitionTime"
        ),
        temporal_position=_first_text(read, "TemporalPositionIndex", "TemporalPositionIdentifier"),
        cardiac_phase=read.text("NominalPercentageOfCardiacPhase"),
        contrast_phase=read.text("ContrastBolusAgentPhase"),
        volume_technique=read.text("VolumeBasedCalculationTechnique"),
        labels=tuple((each, text) for each in LABELS if (text := read.text(each))),
        contrast_bolus_agent_sequence=read.has_items("ContrastBolusAgentSequence"),
        contrast_told=nested.contrast_told(read),
        descriptions=nested.descriptions(read),
        multi_energy=read.text("MultienergyCTAcquisition").upper() == "YES",
        energy_kev=nested.energy_kev(read),
        real_world_units=nested.real_world_units(read),
        phantom_signs=nested.told_of_phantoms(read),
        has_pixel_data="PixelData" in data_set,
        problems=tuple(read.problems),
    )


def _patient(read: AttributeReader) -> PatientAttributes:
    return PatientAttributes(
        patient_id=read.text("PatientID"),
        issuer_of_patient_id=read.text("IssuerOfPatientID"),
        patient_name=read.text("PatientName"),
        patient_birth_date=read.text("PatientBirthDate"),
        patient_sex=read.text("PatientSex"),
        accession_number=read.text("AccessionNumber"),
    )


def _first_text(read: AttributeReader, *keywords: str) -> str:
    return next(filter(None, map(read.text, keywords)), "")


def read_frames(data_set: Dataset) -> list[tuple[InstanceHeader, Dataset]]:
    """One header for each slice that an instance holds, with the data set that it was read from:
    its frames, or the instance itself.

    A multi-frame CT (PS3.3 A.38.1, A.70) has one for each frame that its functional groups
    describe; with none, or another Number of Frames, a problem tells. Never raises on bad values.
    """
    whole = read_header(data_set)
    if not is_multi_frame_ct(data_set):
        return [(whole, data_set)]
    frames = list(islice(frame_data_sets(data_set), whole.number_of_frames))
    described = described_frames(data_set)
    problems: tuple[str, ...] = ()
    if described != whole.number_of_frames:
        text = f"{described} items for {whole.number_of_frames} frames"
        problems = (f"PerFrameFunctionalGroupsSequence: {text}",)
    if not frames:
        return [(replace(whole, problems=whole.problems + problems), data_set)]
    return [(_frame_header(f, n, whole, problems), f) for n, f in enumerate(frames, start=1)]


def _frame_header(
    frame: Dataset, number: int, whole: InstanceHeader, problems: tuple[str, ...]
) -> InstanceHeader:
    header = read_header(frame)
    return replace(
        header,
        frame_number=number,
        number_of_frames=whole.number_of_frames,
        has_pixel_data=whole.has_pixel_data,
        problems=header.problems + problems,
    )


def read_header_file(path: Path) -> InstanceHeader:
    """Header of a DICOM file (PS3.10 section 7, or a bare data set); its pixels are not read.

    `has_pixel_data` is false, and a problem says so, when the file ends before its Pixel Data do.

    Raises:
        DataError: `dicom_file`: no DICOM, it ends within the header, or names no SOP instance.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file, PYDICOM_QUIET:
        data_set, pixels = _read_before_pixels(file)
        header = read_header(data_set)
        return _with_pixels((header,), *_look_at_pixels(file, data_set, pixels))[0]


def read_headers_file(path: Path) -> tuple[InstanceHeader, ...]:
    """Headers of all slices, as `read_frames`; of their pixels, as `read_header_file`.

    Raises:
        as `read_header_file`.
    """
    return tuple(header for header, _ in read_headers_and_sources(path))


def read_headers_and_sources(path: Path) -> list[tuple[InstanceHeader, Dataset]]:
    """As `read_headers_file`; each with all attributes before the pixels.

    Raises:
        as `read_header_file`.
    """
    with path.open("rb") as file, PYDICOM_QUIET:
        data_set, pixels = _read_before_pixels(file)
        headers, sources = zip(*read_frames(data_set), strict=True)
        looked_at = _with_pixels(headers, *_look_at_pixels(file, data_set, pixels))
        return list(zip(looked_at, sources, strict=True))


def _look_at_pixels(
    file: BinaryIO, data_set: Dataset, pixels: PixelElement
) -> tuple[bool, str | None]:
    """Whether Pixel Data are there and whole, and what is wrong with them."""
    problem = _of_wrong_length(data_set, pixels)
    if problem is None and not _is_deflated(data_set):
        problem = _cut_short(file, pixels)
    return pixels.claimed_length > 0 and problem is None, problem


def _of_wrong_length(data_set: Dataset, pixels: PixelElement) -> str | None:
    """Uncompressed Pixel Data too short for their frames; what is too long is padding."""
    if pixels.claimed_length == 0 or transfer_syntax_of(data_set) not in NATIVE_SYNTAXES:
        return None
    if pixels.encapsulated:
        return "PixelData: fragments, though the transfer syntax is an uncompressed one"
    read = AttributeReader(data_set)
    size = 1
    for keyword in ("Rows", "Columns", "BitsAllocated"):
        size *= read.integer(keyword) or 0
    wanted = (size * (read.integer("NumberOfFrames") or 1) + 7) // 8
    if pixels.claimed_length >= wanted:
        return None
    return f"PixelData: {pixels.claimed_length} bytes, {wanted} are needed"


def _with_pixels(
    headers: tuple[InstanceHeader, ...], present: bool, problem: str | None
) -> tuple[InstanceHeader, ...]:
    more = () if problem is None else (problem,)
    return tuple(
        replace(each, has_pixel_data=present, problems=each.problems + more) for each in headers
    )


def read_source(path: Path) -> Dataset:
    """All attributes before the pixels, for building results.

    Raises:
        as `read_header_file`.
    """
    with path.open("rb") as file, PYDICOM_QUIET:
        return _read_before_pixels(file)[0]


def read_with_pixels(path: Path) -> tuple[Dataset, bytes]:
    """All attributes before the pixels, and the value of Pixel Data as it stands in the file.

    The value is b"" when there is none, and shorter than claimed when cut short: decoding says so.

    Raises:
        as `read_header_file`.
    """
    with path.open("rb") as file, PYDICOM_QUIET:
        data_set, pixels = _read_before_pixels(file)
        if pixels.claimed_length == 0:
            return data_set, b""
        if _is_deflated(data_set):
            return data_set, dcmread(path)[PIXEL_DATA].value
        file.seek(pixels.header_length, SEEK_CUR)
        return data_set, file.read(-1 if pixels.encapsulated else pixels.claimed_length)


def transfer_syntax_of(data_set: Dataset) -> str:
    """Transfer Syntax UID of the file meta, or of the encoding a bare data set was read in."""
    meta = getattr(data_set, "file_meta", None)
    if meta is not None and (uid := AttributeReader(meta).uid("TransferSyntaxUID")):
        return uid
    implicit, little = data_set.original_encoding
    if little is None:
        return ""
    if implicit:
        return str(ImplicitVRLittleEndian)
    return str(ExplicitVRLittleEndian if little else ExplicitVRBigEndian)


def _is_deflated(data_set: Dataset) -> bool:
    """Whether positions in the file are not those in the data set (PS3.5 A.5)."""
    return transfer_syntax_of(data_set) == DeflatedExplicitVRLittleEndian


def _read_before_pixels(file: BinaryIO) -> tuple[Dataset, PixelElement]:
    """The data set, and how Pixel Data is announced; the file then stands before that element."""
    pixels = PixelElement()
    data_set = _parse(file, pixels)
    if pixels.met and not _is_deflated(data_set):
        try:
            add_what_follows(file, data_set, pixels)
        except UNREADABLE as error:  # padding
            raise_if_of_the_disk(error)
    if not _is_named(data_set):
        raise DataError("dicom_file", "no SOP Class UID and SOP Instance UID: no DICOM instance")
    _check_whole(data_set)
    return data_set, pixels


def _cut_short(file: BinaryIO, pixels: PixelElement) -> str | None:
    """What is missing of Pixel Data at the end of the file."""
    if pixels.claimed_length == 0:
        return None
    return f"PixelData: {end}" if isinstance(end := pixels.end(file), str) else None


def raise_if_of_the_disk(error: BaseException) -> None:
    """Raise an OSError that is no fault of the data: pydicom's own bear no number."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def _parse(file: BinaryIO, pixels: PixelElement) -> Dataset:
    """The data set before the pixels, with or without preamble and file meta."""
    try:
        return read_data_set(file, pixels)
    except UNREADABLE as error:
        raise_if_of_the_disk(error)
        # the text of the error may quote the data, so only its kind is told
        raise DataError("dicom_file", f"not readable as DICOM ({type(error).__name__})") from error


def _is_named(data_set: Dataset) -> bool:
    return all(AttributeReader(data_set).uid(each) for each in ("SOPInstanceUID", "SOPClassUID"))


def _check_whole(data_set: Dataset) -> None:
    """
    Raises:
        DataError: the file ended within the value of an element.
    """
    for element in data_set.values():  # as they were read, nothing is converted
        length = getattr(element, "length", UNDEFINED_LENGTH)
        if length != UNDEFINED_LENGTH and len(element.value or b"") < length:
            raise DataError("dicom_file", f"the file ends within {element.tag}")
