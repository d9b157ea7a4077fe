"""What to change where a destination takes no objects of a SOP class."""

from __future__ import annotations

import pytest
from pydicom.uid import (
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    CTImageStorage,
    EnhancedSRStorage,
    KeyObjectSelectionDocumentStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from dicomnode.decisions.delivery.class_advice import class_advice
from dicomnode.results.common.uids import LabelMapSegmentationStorage


@pytest.mark.parametrize(
    ("sop_class", "key"),
    [
        (Comprehensive3DSRStorage, "sr_class"),
        (ComprehensiveSRStorage, "sr_class"),
        (EnhancedSRStorage, "sr_class"),
        (BasicTextSRStorage, "note"),
        (KeyObjectSelectionDocumentStorage, "rejection_notes"),
        (SegmentationStorage, 'segmentation = "off"'),
        (LabelMapSegmentationStorage, 'segmentation = "binary"'),
        (MultiFrameTrueColorSecondaryCaptureImageStorage, "multi_frame"),
    ],
)
def test_the_key_that_chooses_the_class_is_named(sop_class: str, key: str) -> None:
    assert class_advice(sop_class).startswith(f"set {key}")


@pytest.mark.parametrize("sop_class", [SecondaryCaptureImageStorage, CTImageStorage, ""])
def test_where_no_key_would_help_the_other_side_has_to_accept_it(sop_class: str) -> None:
    assert class_advice(sop_class) == "have the class accepted there"
