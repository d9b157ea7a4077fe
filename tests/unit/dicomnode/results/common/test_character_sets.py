from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicomnode.results.common.character_sets import (
    CharacterSet,
    character_set_of,
    raw_keyword,
    raw_text,
    raw_value,
)


def with_terms(terms: bytes) -> Dataset:
    data_set = Dataset()
    tag = Tag("SpecificCharacterSet")
    data_set[tag] = RawDataElement(tag, "CS", len(terms), terms, 0, False, True)
    return data_set


@pytest.mark.parametrize(
    ("terms", "encodings"),
    [
        (b"", ("iso8859",)),
        (b"ISO_IR 100", ("latin_1",)),
        (b"ISO_IR 192 ", ("UTF8",)),
        (b"\\ISO 2022 IR 87", ("iso8859", "iso2022_jp")),
        (b"ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 159", None),
        (b"GB18030", ("GB18030",)),
        (b"ISO_IR 100\0", ("latin_1",)),
    ],
)
def test_defined_terms(terms: bytes, encodings: tuple[str, ...] | None) -> None:
    found = character_set_of(with_terms(terms))
    assert found.problems == ()
    assert found.encodings == (encodings or ("shift_jis", "iso2022_jp", "iso2022_jp_2"))


@pytest.mark.parametrize(
    ("terms", "encoding"),
    [
        (b"ISO-IR 144", "iso_ir_144"),
        (b"ISO_IR_144", "iso_ir_144"),
        (b"iso_ir 144", "iso_ir_144"),
        (b"ISO IR 144", "iso_ir_144"),
        (b"ISO2022 IR 100", "latin_1"),
        (b"UTF-8", "UTF8"),
        (b"utf8", "UTF8"),
    ],
)
def test_misspelt_terms_are_understood_and_told(terms: bytes, encoding: str) -> None:
    found = character_set_of(with_terms(terms))
    assert found.encodings == (encoding,)
    assert len(found.problems) == 1


def test_an_unknown_term_leaves_the_others() -> None:
    found = character_set_of(with_terms(b"KLINGON\\ISO 2022 IR 149"))
    assert found.encodings == ("euc_kr",)
    assert "KLINGON" in found.problems[0]


def test_what_may_be_a_name_is_not_quoted() -> None:
    (problem,) = character_set_of(with_terms(b"Doe^Jane")).problems
    assert "Doe" not in problem


def test_an_item_inherits_the_character_set() -> None:
    outer = character_set_of(with_terms(b"ISO_IR 144"))
    assert character_set_of(Dataset(), outer) is outer
    assert character_set_of(with_terms(b"ISO_IR 192"), outer).encodings == ("UTF8",)


def test_the_default_repertoire_has_no_eighth_bit() -> None:
    """Where it comes all the same, UTF-8 is tried, then Latin-1, and it is told."""
    default = character_set_of(Dataset())
    assert default.decode(b"Mueller", "PN") == ("Mueller", True)
    assert default.decode("Müller".encode(), "PN") == ("Müller", False)
    assert default.decode("Müller".encode("latin_1"), "PN") == ("Müller", False)


def test_a_code_extension_ends_at_a_delimiter_of_the_name() -> None:
    """PS3.5 section 6.1.2.5.3: ^ and = go back to the first character set."""
    korean = CharacterSet(("iso8859", "euc_kr"))
    encoded = b"\x1b$)C\xc8\xab^Gildong=\x1b$)C\xc8\xab"
    assert korean.decode(encoded, "PN") == ("홍^Gildong=홍", True)


def test_an_undeclared_escape_sequence_is_told() -> None:
    text, fits = CharacterSet(("latin_1",)).decode(b"\x1b$)C\xc8\xab", "LO")
    assert not fits
    assert text


@given(st.binary(max_size=80), st.binary(max_size=40), st.sampled_from(["PN", "LO", "SH"]))
def test_no_bytes_raise(value: bytes, terms: bytes, vr: str) -> None:
    text, fits = character_set_of(with_terms(terms)).decode(value, vr)
    assert isinstance(text, str)
    assert fits or any(byte > 0x7F or byte == 0x1B for byte in value)


def test_raw_values_of_received_and_of_built_elements() -> None:
    data_set = with_terms(b"ISO_IR 100")
    data_set.ImageType = ["ORIGINAL", "PRIMARY"]
    data_set.PatientName = "Doe^Jane"
    data_set.StudyID = None
    assert raw_value(data_set, Tag("SpecificCharacterSet")) == b"ISO_IR 100"
    assert raw_text(data_set, Tag("ImageType")) == "ORIGINAL\\PRIMARY"
    assert raw_keyword(data_set, "PatientName") == "Doe^Jane"
    assert raw_keyword(data_set, "StudyID") == ""
    assert raw_keyword(data_set, "PatientID") == ""
    with pytest.raises(KeyError):
        raw_keyword(data_set, "NoSuchKeyword")
