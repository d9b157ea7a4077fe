"""Reading headers: real files, and everything that may stand in an attribute."""

from __future__ import annotations

import threading
import warnings
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.dicom_files.headers import (
    _BY_KEYWORD,
    PYDICOM_QUIET,
    read_header,
    read_header_file,
    read_source,
    read_with_pixels,
)
from dicomnode.errors import DataError
from support.ct_headers import DATA
from support.dicom_files import EXPLICIT_LITTLE, data_set, dicom_file
from support.wait import PATIENCE_SECONDS

SLICES = sorted((DATA / "transfer_syntaxes").glob("*.dcm"))


@pytest.mark.parametrize("path", SLICES, ids=lambda path: path.stem)
def test_a_real_slice_in_each_transfer_syntax(path: Path) -> None:
    header = read_header_file(path)
    named = dcmread(path, stop_before_pixels=True)
    assert header.sop_instance_uid == str(named.SOPInstanceUID)
    assert header.transfer_syntax_uid == str(named.file_meta.TransferSyntaxUID)
    assert header.image_position_patient == (-161.399994, -148.800003, 4.7)
    assert header.image_orientation_patient == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    assert header.pixel_spacing == (0.675781, 0.675781)
    assert (header.slice_thickness, header.rows, header.columns) == (5.0, 512, 512)
    assert header.has_pixel_data
    assert header.problems == ()


def test_source_has_everything_but_the_pixels() -> None:
    source = read_source(SLICES[0])
    assert source.Modality == "CT"
    assert "PixelData" not in source


def test_a_data_set_built_in_memory() -> None:
    built = Dataset()
    built.SOPInstanceUID = "1.2.3"
    built.PixelSpacing = [0.5, "0.25"]
    built.Rows = 512
    built.ContrastBolusAgentSequence = [Dataset()]
    header = read_header(built)
    assert header.pixel_spacing == (0.5, 0.25)
    assert header.rows == 512
    assert header.contrast_bolus_agent_sequence
    assert not header.has_pixel_data
    assert header.transfer_syntax_uid == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"2.5 ", 2.5),
        (b"+2.5E0", 2.5),
        (b"  3\x00", 3.0),
        (b"", None),
        (b"  ", None),
    ],
)
def test_usable_or_empty_numbers_are_no_problem(
    tmp_path: Path, value: bytes, expected: float | None
) -> None:
    header = read_header_file(dicom_file(tmp_path, {"SliceThickness": value}))
    assert header.slice_thickness == expected
    assert header.problems == ()


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"5\\5", '"5\\5" has 2 values, not 1'),
        (b"1e9", '"1e9" is outside 0.01 to 100'),
        (b"-3", '"-3" is outside 0.01 to 100'),
        (b"0 ", '"0" is outside 0.01 to 100'),
        (b"nan ", '"nan" is not a finite decimal number'),
        (b"1e999 ", '"1e999" is not a finite decimal number'),
        (b"2,5 ", '"2,5" is not a finite decimal number'),
        (b"1_0 ", "a text of 3 characters is not a finite decimal number"),
        (b"DOE^JANE", "a text of 8 characters is not a finite decimal number"),
        (b"\xff\xfe", "a text of 2 characters is not a finite decimal number"),
    ],
)
def test_unusable_numbers_are_named_but_never_a_text(
    tmp_path: Path, value: bytes, problem: str
) -> None:
    header = read_header_file(dicom_file(tmp_path, {"SliceThickness": value}))
    assert header.slice_thickness is None
    assert header.problems == (f"SliceThickness: {problem}",)


@pytest.mark.parametrize(
    ("keyword", "value", "problem"),
    [
        ("ImagePositionPatient", b"0\\0\\NaN ", '"0\\0\\NaN" is not'),
        ("ImagePositionPatient", b"0\\0 ", "has 2 values, not 3"),
        ("ImageOrientationPatient", b"1\\0\\0\\0\\5\\0", "outside -1.01 to 1.01"),
        ("PixelSpacing", b"0.5 ", "has 1 values, not 2"),
        ("PixelSpacing", b"0.5\\", "is not a finite decimal number"),
        ("Rows", b"\x00\x00", '"0" is outside 1 to 65535'),
        ("Rows", b"\x02", "1 bytes are no whole value"),
        ("InstanceNumber", b"1.5 ", "is not a whole number"),
        ("NumberOfFrames", b"-1", "outside 1 to 65535"),
        ("SeriesInstanceUID", b"DOE^JANE", "is not a UID"),
        ("StudyInstanceUID", b"1." * 40 + b"1 ", "is not a UID"),
    ],
)
def test_problem_of(tmp_path: Path, keyword: str, value: bytes, problem: str) -> None:
    (found,) = read_header_file(dicom_file(tmp_path, {keyword: value})).problems
    assert found.startswith(f"{keyword}: ")
    assert problem in found
    assert "DOE" not in found


@pytest.mark.parametrize(
    ("character_set", "agent", "expected"),
    [
        (b"GB18030", "平扫".encode("gb18030"), "平扫"),
        (b"\\ISO 2022 IR 87", "造影なし".encode("iso2022_jp"), "造影なし"),
        (b"ISO_IR 192", "平扫".encode(), "平扫"),
        (b"ISO_IR 100", "Präparat".encode("latin-1"), "Präparat"),
        (b"NO SUCH TERM", b"CE\xe4", "CEä"),
        (b"\xff\xff", b"\xe4", "ä"),
    ],
)
def test_text_in_any_character_set(
    tmp_path: Path, character_set: bytes, agent: bytes, expected: str
) -> None:
    changes: dict[str, bytes | None] = {
        "SpecificCharacterSet": character_set,
        "ContrastBolusAgent": agent,
    }
    assert read_header_file(dicom_file(tmp_path, changes)).contrast_bolus_agent == expected


def test_pixel_data_absent_empty_or_cut_short(tmp_path: Path) -> None:
    for value in (None, b""):
        header = read_header_file(dicom_file(tmp_path, {"PixelData": value}))
        assert not header.has_pixel_data
        assert header.problems == ()
    path = dicom_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    header = read_header_file(path)
    assert not header.has_pixel_data
    assert header.problems == ("PixelData: the file ends 5 bytes before its end",)


def test_an_offset_table_before_the_pixels_does_not_hide_them(tmp_path: Path) -> None:
    path = dicom_file(tmp_path, {"ExtendedOffsetTable": bytes(8)})
    assert read_header_file(path).has_pixel_data
    assert len(read_with_pixels(path)[1]) == 12


def test_float_pixel_data_are_no_ct_pixels(tmp_path: Path) -> None:
    path = dicom_file(tmp_path, {"PixelData": None, "FloatPixelData": bytes(24)})
    assert not read_header_file(path).has_pixel_data
    assert read_with_pixels(path)[1] == b""


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7\n" * 50, b"\x00" * 5000, b"DICM" * 99])
def test_what_is_no_dicom(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_header_file(path)
    assert caught.value.rule == "dicom_file"


def test_a_missing_file_is_not_the_datas_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_header_file(tmp_path / "absent.dcm")


def test_a_bare_data_set_is_read_when_it_names_an_instance(tmp_path: Path) -> None:
    path = tmp_path / "bare"
    path.write_bytes(data_set())
    header = read_header_file(path)
    assert header.sop_instance_uid == "1.2.3.4"
    assert header.transfer_syntax_uid == EXPLICIT_LITTLE.decode()
    path.write_bytes(data_set({"SOPInstanceUID": None}))
    with pytest.raises(DataError, match="no SOP Class UID and SOP Instance UID"):
        read_header_file(path)


def test_a_file_that_ends_anywhere_in_the_header_is_refused_or_lacks_its_pixels(
    tmp_path: Path,
) -> None:
    whole = dicom_file(tmp_path).read_bytes()
    path = tmp_path / "cut.dcm"
    refused = 0
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            assert not read_header_file(path).has_pixel_data
        except DataError as error:
            assert error.rule == "dicom_file"
            refused += 1
    assert refused > len(whole) / 2


@given(st.binary(max_size=40), st.integers(0, 2000), st.integers(0, 40))
@example(b"\xff\xff\xff\xff", 300, 4)
@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_bytes_raise_anything_but_data_error(
    tmp_path: Path, inserted: bytes, place: int, removed: int
) -> None:
    whole = dicom_file(tmp_path).read_bytes()
    place %= len(whole)
    path = tmp_path / "changed.dcm"
    path.write_bytes(whole[:place] + inserted + whole[place + removed :])
    try:
        header = read_header_file(path)
    except DataError as error:
        assert error.rule == "dicom_file"
    else:
        assert header.sop_instance_uid


def test_quiet_in_several_threads_gives_the_filters_back() -> None:
    before = list(warnings.filters)
    together, first_left = threading.Barrier(2), threading.Event()

    def enter_first_and_leave_first() -> None:
        with PYDICOM_QUIET:
            together.wait(PATIENCE_SECONDS)
        first_left.set()

    thread = threading.Thread(target=enter_first_and_leave_first)
    thread.start()
    with PYDICOM_QUIET:
        together.wait(PATIENCE_SECONDS)
        assert first_left.wait(PATIENCE_SECONDS)
        warnings.warn("not shown while one is still inside", stacklevel=1)
    thread.join(PATIENCE_SECONDS)
    assert list(warnings.filters) == before


def test_counts_that_headers_announce() -> None:
    built = Dataset()
    built.SOPInstanceUID = "1.2.3"
    built.NumberOfSeriesRelatedInstances = "64"
    built.ImagesInAcquisition = 128
    built.ConcatenationUID = "1.2.9"
    built.InConcatenationTotalNumber = 3
    header = read_header(built)
    assert (header.number_of_series_related_instances, header.images_in_acquisition) == (64, 128)
    assert (header.concatenation_uid, header.in_concatenation_total_number) == ("1.2.9", 3)
    assert read_header(Dataset()).images_in_acquisition is None


@pytest.mark.parametrize("value", [b"0 ", b"-5", b"1e9 ", b"many", b"5\\5 "])
def test_a_count_that_is_none_is_a_problem(tmp_path: Path, value: bytes) -> None:
    header = read_header_file(dicom_file(tmp_path, {"ImagesInAcquisition": value}))
    assert header.images_in_acquisition is None
    assert any(problem.startswith("ImagesInAcquisition") for problem in header.problems)


def test_what_bears_no_keyword_of_an_attribute_is_read_in_a_line_of_its_own() -> None:
    """A field that is meant to bear one, and does not, would never be read."""
    named = {name for name, _, _ in _BY_KEYWORD}
    assert {each.name for each in fields(InstanceHeader)} - named == {
        *("transfer_syntax_uid", "patient", "made_here", "image_type", "number_of_frames"),
        *("frame_number", "image_orientation_patient", "acquisition_number", "acquisition_time"),
        *("temporal_position", "cardiac_phase", "contrast_phase", "volume_technique", "labels"),
        *("contrast_bolus_agent_sequence", "contrast_told", "descriptions", "multi_energy"),
        *("energy_kev", "real_world_units", "phantom_signs", "has_pixel_data"),
        *("pixel_data_sha256", "problems"),
    }
