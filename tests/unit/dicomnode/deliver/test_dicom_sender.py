"""In which transfer syntaxes results are offered."""

from __future__ import annotations

from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from dicomnode.deliver.dicom_sender import proposed_contexts

CLASSES = (SecondaryCaptureImageStorage, SegmentationStorage)


def offered(*, compressed: bool) -> list[tuple[str, str]]:
    contexts = proposed_contexts(CLASSES, compressed=compressed)
    assert all(len(each.transfer_syntax) == 1 for each in contexts)
    return [(str(each.abstract_syntax), each.transfer_syntax[0]) for each in contexts]


def test_each_class_is_offered_in_a_context_for_each_syntax_explicit_first() -> None:
    assert offered(compressed=False) == [
        (each, syntax)
        for each in CLASSES
        for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    ]


def test_compressed_pictures_are_offered_where_a_site_asks_for_them() -> None:
    more = set(offered(compressed=True)) - set(offered(compressed=False))
    assert more == {(SecondaryCaptureImageStorage, JPEGBaseline8Bit)}
