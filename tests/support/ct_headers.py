"""Headers for the tests: a synthetic thin-slice chest CT, and the real ones of tests/data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from dicomnode.decisions.eligibility.attribute_rules import CT_IMAGE_STORAGE
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.dicom_files.headers import read_frames

DATA = Path(__file__).parents[1] / "data"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def ct_header(number: int = 1, z: float = 0.0, **changes: Any) -> InstanceHeader:
    """One axial slice of a non-contrast thin-slice chest CT at height `z` (mm)."""
    header = InstanceHeader(
        sop_instance_uid=f"1.2.3.{number}",
        sop_class_uid=CT_IMAGE_STORAGE,
        series_instance_uid="1.2.3",
        study_instance_uid="1.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        modality="CT",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        instance_number=number,
        rows=512,
        columns=512,
        samples_per_pixel=1,
        pixel_spacing=(0.7, 0.7),
        slice_thickness=2.0,
        image_position_patient=(-180.0, -170.0, z),
        image_orientation_patient=AXIAL,
        frame_of_reference_uid="1.2.4",
        rescale_slope=1.0,
        rescale_intercept=-1024.0,
        has_pixel_data=True,
    )
    return replace(header, **changes)


def ct_series(count: int = 60, spacing: float = 2.0, **changes: Any) -> list[InstanceHeader]:
    """`count` slices, the first at the head, as most scanners number them."""
    return [ct_header(i + 1, z=(count - i) * spacing, **changes) for i in range(count)]


def real_series(case: str) -> dict[str, list[InstanceHeader]]:
    """The series of tests/data/headers/`case`.json by name ("" when there is only one)."""
    described = json.loads((DATA / "headers" / f"{case}.json").read_text())
    return {
        series["name"]: [
            header
            for own in series["instances"]
            for header, _ in read_frames(Dataset.from_json(series["common"] | own))
        ]
        for series in described["series"]
    }
