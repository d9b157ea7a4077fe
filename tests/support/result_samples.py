"""A small CT series with findings that the tests of results build from, and their oracles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from dicomnode.decisions.method_failure import MethodFailure
from dicomnode.results.build import ResultContext, ResultObject, ResultSettings, encode
from inference.bundles.class_codes import known_classes
from inference.covnet.engine import Engine
from inference.findings import (
    Answer,
    Findings,
    FoundLungs,
    ModelIdentity,
    RowColumnBox,
    SliceActivation,
    Training,
)
from inference.volume import CtVolume
from support.validators import dciodvfy_lines

SLICES, ROWS, COLUMNS = 12, 60, 80
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
STUDY_UID = "1.2.826.0.1.3680043.10.777.1"
SERIES_UID = f"{STUDY_UID}.2"
CLASS_NAMES = ("COVID-19", "community-acquired pneumonia", "non-pneumonia")
SETTINGS = ResultSettings(
    manufacturer="Example maker",
    product_name="dicomnode",
    software_version="0.1.0",
    device_serial_number="0001",
    device_uid="2.25.4711",
    ae_title="DICOMNODE",
)
MODEL = ModelIdentity("COVNet", "0.1.0", "ab" * 32, Training.UNTRAINED)


def affine_of(
    orientation: tuple[float, ...] = AXIAL, step_mm: float = 2.5, pixel_mm: float = 0.75
) -> NDArray[np.float64]:
    """Affine of a stack whose normal is row × column direction (PS3.3 C.7.6.2.1.1)."""
    along_row, along_column = np.array(orientation[:3]), np.array(orientation[3:])
    affine = np.eye(4)
    affine[:3, 0] = np.cross(along_row, along_column) * step_mm
    affine[:3, 1] = along_column * pixel_mm
    affine[:3, 2] = along_row * pixel_mm
    affine[:3, 3] = (-30.0, -20.0, -100.0)
    return affine


def source(index: int) -> Dataset:
    """Header of one slice, without damage."""
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 100"
    header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID = f"{SERIES_UID}.{index + 1}"
    header.StudyInstanceUID = STUDY_UID
    header.SeriesInstanceUID = SERIES_UID
    header.FrameOfReferenceUID = f"{STUDY_UID}.9"
    header.Modality = "CT"
    header.Manufacturer = "Scanner maker"
    header.ManufacturerModelName = "Scanner 16"
    header.InstitutionName = "Example hospital"
    header.PatientName = "Doe^Jane"
    header.PatientID = "P-1"
    header.IssuerOfPatientID = "HOSPITAL"
    header.PatientBirthDate = "19600229"
    header.PatientSex = "F"
    header.StudyDate = "20260301"
    header.StudyTime = "101500"
    header.StudyID = "S1"
    header.AccessionNumber = "A-77"
    header.ReferringPhysicianName = "Roe^Richard"
    header.TimezoneOffsetFromUTC = "+0100"
    issuer = Dataset()
    issuer.LocalNamespaceEntityID = "RIS"
    header.IssuerOfAccessionNumberSequence = [issuer]
    header.InstanceNumber = str(SLICES - index)  # the stack runs against the numbers
    return header


def lungs() -> NDArray[np.bool_]:
    """Two lungs: bool (slices, rows, columns)."""
    both = np.zeros((SLICES, ROWS, COLUMNS), np.bool_)
    both[1:, 10:50, 8:36] = True
    both[1:, 12:48, 44:72] = True
    return both


def findings(model: ModelIdentity = MODEL) -> Findings:
    """The evidence lies in the first rows and columns and is largest on slice 7."""
    box = RowColumnBox(10, 8, 50, 72)
    cam = np.zeros((7, 7), np.float32)
    cam[1, 1] = 1.0
    shares = np.exp(-(((np.arange(1, SLICES) - 7) / 2.0) ** 2))
    shares /= shares.sum()
    activations = tuple(
        SliceActivation(i, box, cam, float(s)) for i, s in enumerate(shares, start=1)
    )
    answer = Answer.of_probabilities(known_classes(CLASS_NAMES), (0.125, 0.625, 0.25))
    return Findings(Engine.title, model, answer, {}, activations)


SAMPLE = findings()


def volume(affine: NDArray[np.float64] | None = None) -> CtVolume:
    hu = np.where(lungs(), -850, 40).astype(np.int16)
    return CtVolume(hu, affine_of() if affine is None else affine)


def context(
    *,
    findings: Findings | None = SAMPLE,
    regions: Findings | None = None,
    failures: Sequence[MethodFailure] = (),
    **changes: Any,
) -> ResultContext:
    """The context of the phantom: what the classification came to, then the search for regions.

    `changes` replace its fields.
    """
    failed = {each.method: each for each in failures}
    pairs = ((findings, "lungs"), (regions, "regions"))
    outcomes = [found or failed.pop(key, None) for found, key in pairs] + [*failed.values()]
    fields: dict[str, Any] = {
        "sources": [source(i) for i in range(SLICES)],
        "volume": volume(),
        "outcomes": [each for each in outcomes if each is not None],
        "lungs": FoundLungs(lungs()),
        "analysed_at": datetime(2026, 3, 1, 23, 30, 15, tzinfo=UTC),
        "input_digest": "ab" * 32,
        "completeness": "association released, no gap in 12 slices.",
        "conditions": "non-contrast chest CT, slice thickness and spacing at most 3 mm",
        "settings": SETTINGS,
        "notes": ("Rescale Type is absent",),
    }
    return ResultContext(**(fields | changes))


def options(settings: ResultSettings = SETTINGS, **changes: Any) -> ResultSettings:
    """With other options."""
    return replace(settings, options=replace(settings.options, **changes))


def with_settings(**changes: Any) -> ResultContext:
    return context(settings=options(**changes))


def dciodvfy(result: ResultObject, folder: Path) -> tuple[list[str], list[str]]:
    """Errors and warnings of the validator for one object."""
    path = folder / "object.dcm"
    path.write_bytes(encode(result))
    lines = dciodvfy_lines(path)
    errors = [line for line in lines if line.startswith("Error")]
    return errors, [line for line in lines if line.startswith("Warning")]
