from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.results.build import ResultContext, ResultObject, build_results, encode
from dicomnode.results.common.patient import StudyHeader, normalised_header
from dicomnode.results.documents.note import SeriesNotAnalysed, note_objects
from dicomnode.results.documents.text_document import TextOrigin
from support.result_samples import SLICES, STUDY_UID, context, dciodvfy, source
from support.tools import needed

TYPE_2 = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)


def as_received(header: Dataset, raw: dict[str, bytes] | None = None) -> Dataset:
    """The header as it is read from a file; `raw` are the bytes of values, whatever they are."""
    buffer = BytesIO()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = CTImageStorage
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    pydicom.dcmwrite(buffer, header, enforce_file_format=True)
    received = pydicom.dcmread(BytesIO(buffer.getvalue()))
    for keyword, value in (raw or {}).items():
        tag = Tag(keyword)
        received[tag] = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
    return received


def header_with(raw: dict[str, bytes], characters: bytes = b"ISO_IR 100") -> StudyHeader:
    received = as_received(source(0), {"SpecificCharacterSet": characters, **raw})
    return normalised_header([received])


def test_a_sound_header_is_carried_over_without_repair() -> None:
    header = normalised_header([as_received(source(0))])
    identity = header.identity
    assert header.repairs == ()
    assert str(identity.PatientName) == "Doe^Jane"
    assert identity.AccessionNumber == "A-77"
    assert identity.IssuerOfPatientID == "HOSPITAL"
    assert identity.IssuerOfAccessionNumberSequence[0].LocalNamespaceEntityID == "RIS"
    assert identity.InstitutionName == "Example hospital"
    assert identity.TimezoneOffsetFromUTC == "+0100"
    assert identity.SpecificCharacterSet == "ISO_IR 192"
    assert header.frame_of_reference_uid == f"{STUDY_UID}.9"
    assert header.equipment.ManufacturerModelName == "Scanner 16"


NAMES = [
    (b"ISO_IR 100", "Müller^Jörg".encode("latin_1"), "Müller^Jörg"),
    (b"ISO_IR 192", "Ångström^Åse".encode(), "Ångström^Åse"),
    (b"ISO_IR 144", "Люкceмбypг".encode("iso8859_5"), "Люкceмбypг"),
    (b"ISO_IR 127", "قباني^لنزار".encode("iso8859_6"), "قباني^لنزار"),
    (b"ISO_IR 126", "Διονυσιος".encode("iso8859_7"), "Διονυσιος"),
    (b"GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
    (
        b"\\ISO 2022 IR 87",  # PS3.5 section H.3.1
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        b"\\ISO 2022 IR 149",  # PS3.5 section I.2
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7="
        b"\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
]


@pytest.mark.parametrize(("characters", "encoded", "name"), NAMES, ids=[n for *_, n in NAMES])
def test_names_survive(characters: bytes, encoded: bytes, name: str) -> None:
    header = header_with({"PatientName": encoded}, characters)
    assert header.repairs == ()
    assert str(header.identity.PatientName) == name


@pytest.mark.parametrize(("characters", "encoded", "name"), NAMES, ids=[n for *_, n in NAMES])
def test_names_survive_in_the_bytes_of_a_result(
    characters: bytes, encoded: bytes, name: str
) -> None:
    for content in results_for(characters, encoded).values():
        written = pydicom.dcmread(BytesIO(content))
        assert written.get_item("PatientName").value.rstrip(b" ") == name.encode()
        assert written.SpecificCharacterSet == "ISO_IR 192"


def test_dcmtk_reads_the_same_names(tmp_path: Path) -> None:
    """Another toolkit's decoder, on every kind of object."""
    for number, (characters, encoded, name) in enumerate(NAMES):
        for kind, content in results_for(characters, encoded).items():
            file = tmp_path / f"{number}-{kind}.dcm"
            file.write_bytes(content)
            assert f"[{name}]" in dcmdump(file, "PatientName")


@cache
def results_for(characters: bytes, encoded: bytes) -> dict[str, bytes]:
    """One of each kind, by kind, on CT that bears such a name."""
    raw = {"SpecificCharacterSet": characters, "PatientName": encoded}
    whole = context(sources=[as_received(source(i), raw) for i in range(SLICES)])
    return {result.kind: encode(result) for result in one_of_each_kind(whole)}


def dcmdump(file: Path, keyword: str) -> str:
    command = [needed("dcmdump", "dcmtk"), "+P", keyword, str(file)]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode()


def one_of_each_kind(whole: ResultContext) -> list[ResultObject]:
    """Report, montage, key slice, segmentation, and the note of such a study."""
    by_kind = {result.kind: result for result in build_results(whole)}
    assert list(by_kind) == ["sr", "montage", "key_slice", "seg"]
    origin = TextOrigin(whole.header, whole.analysed_at, whole.settings)
    reason = Reason("slice_thickness", 5.0, "at most 3 mm", Verdict.FAIL)
    series = SeriesNotAnalysed("1.2.3", "2", "", 12, False, "d", (reason,))
    text, _page = note_objects(origin, [series], whole_study=True, series_number=9004)
    return [*by_kind.values(), text]


@pytest.mark.parametrize(
    ("characters", "encoded"),
    [
        (b"KLINGON 1", "Müller".encode()),
        (b"KLINGON 1", "Müller".encode("latin_1")),
        (b"ISO_IR 6", "Müller".encode("latin_1")),
        (b"ISO-IR_100", "Müller".encode("latin_1")),
        (b"UTF-8", "Müller".encode()),
    ],
)
def test_wrong_character_sets_are_repaired(characters: bytes, encoded: bytes) -> None:
    header = header_with({"PatientName": encoded}, characters)
    assert str(header.identity.PatientName) == "Müller"
    assert header.repairs


def test_korean_bytes_without_escape_sequences() -> None:
    header = header_with({"PatientName": "홍길동".encode("euc_kr")}, b"\\ISO 2022 IR 149")
    assert str(header.identity.PatientName) == "홍길동"


def test_bytes_that_fit_nothing_do_not_raise() -> None:
    header = header_with({"PatientName": b"\x1b$)C\xff\xff\x1b%\x80"}, b"\\ISO 2022 IR 149")
    assert any("Patient's Name" in repair for repair in header.repairs)
    assert "\x1b" not in str(header.identity.PatientName)


def test_invalid_values_are_dropped_or_rewritten() -> None:
    header = header_with(
        {
            "PatientSex": b"F?",
            "StudyTime": b"10:15:00",
            "PatientBirthDate": b"unknown",
            "TimezoneOffsetFromUTC": b"CEST",
        }
    )
    assert header.identity.PatientSex == ""
    assert header.identity.StudyTime == "101500"
    assert header.identity.PatientBirthDate == ""
    assert "TimezoneOffsetFromUTC" not in header.identity
    assert len(header.repairs) == 4


def test_a_repair_names_no_patient() -> None:
    raw = {"PatientName": b"Secret\\Secret", "PatientID": b"Secret\x07", "PatientSex": b"Secret"}
    header = header_with(raw, b"Secret^Name")
    assert len(header.repairs) == 4
    assert not any("Secret" in repair for repair in header.repairs)


def test_absent_attributes_of_type_2_are_empty() -> None:
    bare = source(0)
    for keyword in TYPE_2:
        delattr(bare, keyword)
    identity = normalised_header([as_received(bare)]).identity
    for keyword in TYPE_2:
        assert keyword in identity
        assert not identity[keyword].value


def told_by(**values: str) -> Dataset:
    header = source(0)
    for keyword, value in values.items():
        tag, raw = Tag(keyword), value.encode()
        header[tag] = RawDataElement(tag, dictionary_VR(tag), len(raw), raw, 0, False, True)
    return header


PADDED = {"PatientID": "P-1 ", "PatientName": "Doe^Jane ", "AccessionNumber": " A-77"}
OTHER = {"PatientID": "P-1^^^RIS", "PatientName": "DOE^JANE", "AccessionNumber": "B-88"}


def test_the_identity_is_that_of_most_instances_whichever_lies_lowest() -> None:
    sources = [told_by(**OTHER), told_by(), told_by(**PADDED), told_by(**OTHER), told_by()]
    identity = normalised_header(sources).identity
    assert (str(identity.PatientName), identity.PatientID) == ("Doe^Jane", "P-1")
    assert identity.AccessionNumber == "A-77"


def test_of_identities_as_common_the_one_that_says_more_counts_then_the_first() -> None:
    bad = as_received(source(0), {"PatientBirthDate": b"??", "AccessionNumber": b"  "})
    header = normalised_header([bad, as_received(source(1))])
    assert header.identity.PatientBirthDate == "19600229"
    assert header.identity.AccessionNumber == "A-77"
    assert normalised_header([told_by(**OTHER), told_by()]).identity.AccessionNumber == "B-88"


def test_what_is_of_no_patient_comes_from_another_instance_of_the_same_study() -> None:
    first, second = told_by(StudyDate="", InstitutionName=""), told_by(StudyTime="")
    third = told_by(PatientID="P-2", StudyDescription="of another")
    identity = normalised_header([first, second, third]).identity
    assert (identity.StudyDate, identity.StudyTime) == ("20260301", "101500")
    assert identity.InstitutionName == "Example hospital"
    assert "StudyDescription" not in identity


IDENTITIES = st.fixed_dictionaries(
    {
        "PatientID": st.sampled_from(["P-1", "P-2", ""]),
        "IssuerOfPatientID": st.sampled_from(["HOSPITAL", ""]),
        "PatientName": st.sampled_from(["Doe^Jane", "DOE^JANE", "Roe^Ann", ""]),
        "PatientBirthDate": st.sampled_from(["19600229", "1960.02.29", "never", ""]),
        "PatientSex": st.sampled_from(["F", "?", ""]),
        "AccessionNumber": st.sampled_from(["A-77", "B-88", ""]),
    }
)


@settings(deadline=None, max_examples=40)
@given(st.lists(IDENTITIES, min_size=1, max_size=5))
def test_whatever_instances_say_the_patient_is_one_that_an_instance_names(
    told: list[dict[str, str]],
) -> None:
    identity = normalised_header([told_by(**each) for each in told]).identity
    alone = [normalised_header([told_by(**each)]).identity for each in told]
    keywords = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")
    assert any(
        all(identity.get(keyword) == each.get(keyword) for keyword in keywords) for each in alone
    )


def test_an_identifier_that_is_too_long_is_kept() -> None:
    header = header_with({"AccessionNumber": b"ACC-" + b"7" * 20})
    assert header.identity.AccessionNumber == "ACC-" + "7" * 20


def test_a_study_without_uid_gets_always_the_same() -> None:
    bare = source(0)
    del bare.StudyInstanceUID
    uids = {normalised_header([as_received(bare)]).study_instance_uid for _ in range(2)}
    assert len(uids) == 1
    assert uids.pop().startswith("2.25.")


def test_no_source_is_a_fault() -> None:
    with pytest.raises(ValueError, match="no sources"):
        normalised_header([])


def _without(*keywords: str) -> Callable[[Dataset], Dataset]:
    def damage(header: Dataset) -> Dataset:
        for keyword in keywords:
            delattr(header, keyword)
        return as_received(header)

    return damage


def _with(**raw: bytes) -> Callable[[Dataset], Dataset]:
    return lambda header: as_received(header, raw)


DAMAGE: dict[str, Callable[[Dataset], Dataset]] = {
    **{f"no {keyword}": _without(keyword) for keyword in TYPE_2},
    "none of type 2": _without(*TYPE_2),
    "no frame of reference": _without("FrameOfReferenceUID"),
    "no manufacturer": _without("Manufacturer"),
    "no character set": _without("SpecificCharacterSet"),
    "sex": _with(PatientSex=b"F?"),
    "time": _with(StudyTime=b"10:15:00"),
    "date": _with(StudyDate=b"01.03.26"),
    "birth date": _with(PatientBirthDate=b"1960"),
    "zone": _with(TimezoneOffsetFromUTC=b"CEST"),
    "kanji": _with(SpecificCharacterSet=b"\\ISO 2022 IR 87"),
    "hangul": _with(SpecificCharacterSet=b"\\ISO 2022 IR 149 "),
    "unknown set": _with(SpecificCharacterSet=b"KLINGON1"),
    "control characters": _with(PatientID=b"P\x1b\x07 ", StudyID=b"\x00\x00"),
    "instance number": _with(InstanceNumber=b"one "),
    "empty": _with(**dict.fromkeys(TYPE_2, b"")),
    "Japanese name": _with(SpecificCharacterSet=NAMES[6][0], PatientName=NAMES[6][1]),
    "Korean name": _with(SpecificCharacterSet=NAMES[7][0], PatientName=NAMES[7][1]),
    "Chinese name": _with(SpecificCharacterSet=NAMES[5][0], PatientName=NAMES[5][1]),
    "Cyrillic name": _with(SpecificCharacterSet=NAMES[2][0], PatientName=NAMES[2][1]),
    "Arabic name": _with(SpecificCharacterSet=NAMES[3][0], PatientName=NAMES[3][1]),
    "name in no declared set": _with(SpecificCharacterSet=b"", PatientName=NAMES[1][1]),
    "several names": _with(PatientName=b"Doe^Jane\\Roe^Ann"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_headers_give_valid_results(
    damage: Callable[[Dataset], Dataset], tmp_path: Path
) -> None:
    whole = context(sources=[damage(source(i)) for i in range(SLICES)])
    results = one_of_each_kind(whole)
    assert {str(result.data_set.PatientName) for result in results} == {name_of(whole)}
    for result in results:
        errors, _ = dciodvfy(result, tmp_path)
        assert errors == [], result.kind


def name_of(whole: ResultContext) -> str:
    return str(whole.header.identity.PatientName)


@given(
    name=st.binary(max_size=40),
    characters=st.binary(max_size=24),
    rest=st.binary(max_size=20),
)
def test_no_bytes_stop_a_header(name: bytes, characters: bytes, rest: bytes) -> None:
    raw = dict.fromkeys((*TYPE_2, "TimezoneOffsetFromUTC", "FrameOfReferenceUID"), rest)
    header = header_with({**raw, "PatientName": name}, characters)
    for keyword in TYPE_2:
        assert keyword in header.identity
    assert header.identity.StudyInstanceUID == STUDY_UID


def test_items_of_sequences_are_read_in_their_own_character_set() -> None:
    header = source(0)
    issuer = header.IssuerOfAccessionNumberSequence[0]
    for keyword, value in (
        ("SpecificCharacterSet", b"ISO_IR 144"),
        ("LocalNamespaceEntityID", "Больница".encode("iso8859_5")),
    ):
        tag = Tag(keyword)
        raw = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
        issuer[tag] = raw
    identity = normalised_header([header]).identity
    assert identity.IssuerOfAccessionNumberSequence[0].LocalNamespaceEntityID == "Больница"


def test_an_item_without_content_is_left_out() -> None:
    header = source(0)
    header.IssuerOfAccessionNumberSequence = [Dataset()]
    normalised = normalised_header([header])
    assert "IssuerOfAccessionNumberSequence" not in normalised.identity
    assert len(normalised.repairs) == 1


def test_a_removed_identity_needs_a_method() -> None:
    """De-identification Method is type 1C with Patient Identity Removed YES (PS3.3 C.7.1.1)."""
    header = source(0)
    header.PatientIdentityRemoved = "YES"
    assert normalised_header([header]).identity.DeidentificationMethod == "unknown"
    header.DeidentificationMethod = "by hand"
    assert normalised_header([header]).identity.DeidentificationMethod == "by hand"
