"""Which presentation contexts are accepted: every class and every transfer syntax of PS3.6."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID, CTImageStorage
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.sop_class import _STORAGE_CLASSES

from dicomnode.decisions.arrival.negotiation import ContextResult, judge_storage_context
from dicomnode.decisions.eligibility.attribute_rules import DECODABLE
from dicomnode.fast_scp.pdu import with_readable_titles
from dicomnode.fast_scp.storage_classes import is_storage_class
from support.raw_peer import associate_rq_of, release_rq

KNOWN_SYNTAXES = [uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"]
JPEG_XL = "1.2.840.10008.1.2.4.110"
NO_ENCODING_OF_OURS = ["1.2.840.113619.5.2", "1.2.840.10008.1.2.6.2", "1.2.840.10008.1.2.4.95"]

syntaxes = st.sampled_from([*KNOWN_SYNTAXES, JPEG_XL, *NO_ENCODING_OF_OURS])


@given(st.lists(syntaxes, min_size=1, max_size=8))
def test_the_first_that_can_be_decoded_wins(proposed: list[str]) -> None:
    answer = judge_storage_context(True, proposed)
    assert answer.transfer_syntax in proposed
    decodable = [syntax for syntax in proposed if syntax in DECODABLE]
    if decodable:
        assert answer.result is ContextResult.ACCEPTED
        assert answer.transfer_syntax == decodable[0]
    elif answer.result is ContextResult.ACCEPTED:
        assert answer.transfer_syntax not in NO_ENCODING_OF_OURS


@given(st.lists(syntaxes, min_size=1))
def test_what_is_no_storage_is_refused_in_any_syntax(proposed: list[str]) -> None:
    answer = judge_storage_context(False, proposed)
    assert answer.result is ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED


def test_every_syntax_of_the_standard_has_its_answer() -> None:
    """Those refused alone: MIME, XML, flows of video, deflated JPIP, and Papyrus."""
    refused = {
        UID(syntax).name
        for syntax in KNOWN_SYNTAXES
        if judge_storage_context(True, [syntax]).result is not ContextResult.ACCEPTED
    }
    assert refused == {
        "RFC 2557 MIME encapsulation",
        "XML Encoding",
        "SMPTE ST 2110-20 Uncompressed Progressive Active Video",
        "SMPTE ST 2110-20 Uncompressed Interlaced Active Video",
        "SMPTE ST 2110-30 PCM Digital Audio",
        "JPIP Referenced Deflate",
        "JPIP HTJ2K Referenced Deflate",
        "Papyrus 3 Implicit VR Little Endian",
    }


def test_every_storage_class_is_one() -> None:
    assert not [uid for uid in _STORAGE_CLASSES.values() if not is_storage_class(uid)]


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.1.1.6",  # Ultrasound Image Storage, retired
        "1.2.840.10008.5.1.1.27",  # Stored Print Storage, retired, among the print classes
        "1.2.840.10008.5.1.4.34.1",  # RT Beams Delivery Instruction Storage, trial
        "1.2.840.10008.5.1.4.1.1.501.1",  # DICOS CT
        "1.2.840.10008.5.1.4.1.1.999.7",  # not yet named
        "1.2.840.113619.4.26",  # private
        "2.25.1",
    ],
)
def test_retired_private_and_new_storage_classes_are_some(uid: str) -> None:
    assert is_storage_class(uid)


@pytest.mark.parametrize(
    "entry", [e for e in UID_dictionary.items() if e[1][1] != "SOP Class"], ids=lambda e: str(e[0])
)
def test_what_is_no_sop_class_is_no_storage(entry: tuple[str, tuple[str, ...]]) -> None:
    assert not is_storage_class(entry[0])


def test_no_class_whose_name_is_not_storage_is_one() -> None:
    named = {uid: e[0] for uid, e in UID_dictionary.items() if e[1] == "SOP Class"}
    others = {uid for uid, name in named.items() if "Storage" not in name or "Commit" in name}
    assert len(others) > 80
    assert not [uid for uid in others if is_storage_class(uid)]


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_pynetdicom_reads_any_title_after_us(calling: bytes, called: bytes) -> None:
    request = associate_rq_of(
        (CTImageStorage, ["1.2.840.10008.1.2"]), calling=calling, called=called
    )
    pdu = A_ASSOCIATE_RQ()
    pdu.decode(with_readable_titles(request))
    assert pdu.to_primitive().calling_ae_title


def test_other_pdus_and_short_ones_are_left_as_they_are() -> None:
    assert with_readable_titles(release_rq()) == release_rq()
    assert with_readable_titles(b"\1\0\0\0\0\0") == b"\1\0\0\0\0\0"
