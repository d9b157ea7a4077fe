"""Whose the drawn chest is called, so that nobody takes it for a patient, and its CT instances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from dicomnode.synthetic.chest import PIXEL_MM, SIDE, SLICES, DrawnChest
from dicomnode.synthetic.spacing import SPACING_MM
from dicomnode.version import MANUFACTURER, PRODUCT_NAME

NOT_A_PATIENT = "NOT A PATIENT"
"""Stands in the name, and in the descriptions of study and series; burned into each slice, too."""


@dataclass(frozen=True)
class SyntheticPatient:
    """`purpose`: one word in capitals, which begins its name and its ID. New UIDs at each call."""

    purpose: str
    drawn_at: datetime
    study_instance_uid: str
    series_instance_uid: str

    @classmethod
    def new(cls, purpose: str, now: datetime) -> SyntheticPatient:
        return cls(purpose, now, str(generate_uid(None)), str(generate_uid(None)))

    @property
    def patient_id(self) -> str:
        return f"{self.purpose}-{self.drawn_at:%Y%m%d-%H%M%S}"

    def headers(self, slices: int = SLICES, spacing_mm: float = SPACING_MM) -> list[Dataset]:
        """Of each slice from the lowest on, without its pixels."""
        return [self._header(number, spacing_mm) for number in range(slices)]

    def instances(self, chest: DrawnChest) -> Iterator[Dataset]:
        """CT images with their file meta information."""
        headers = self.headers(len(chest.volume.hu), chest.spacing_mm)
        for header, hu in zip(headers, chest.volume.hu, strict=True):
            header.PixelData = hu.tobytes()
            header.file_meta = FileMetaDataset()
            header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            yield header

    def _header(self, number: int, spacing_mm: float) -> Dataset:
        header = Dataset()
        header.SpecificCharacterSet = "ISO_IR 192"
        self._say_whose(header)
        header.SOPClassUID = CTImageStorage
        header.SOPInstanceUID = f"{self.series_instance_uid}.{number + 1}"
        header.SeriesInstanceUID = self.series_instance_uid
        header.FrameOfReferenceUID = f"{self.series_instance_uid}.0"
        header.PositionReferenceIndicator = ""
        header.Modality, header.SeriesNumber, header.InstanceNumber = "CT", 1, number + 1
        header.AcquisitionNumber = 1
        header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        _place(header, number, spacing_mm)
        _describe_pixels(header)
        return header

    def _say_whose(self, header: Dataset) -> None:
        what = f"{self.purpose}, {NOT_A_PATIENT}"
        header.PatientName = f"{self.purpose}^{NOT_A_PATIENT}"
        header.PatientID = self.patient_id
        header.PatientBirthDate, header.PatientSex = "", "O"
        header.StudyInstanceUID = self.study_instance_uid
        header.StudyID, header.AccessionNumber = self.purpose[:16], self.purpose[:16]
        header.ReferringPhysicianName = ""
        header.StudyDescription = header.SeriesDescription = what
        header.InstitutionName = NOT_A_PATIENT
        header.Manufacturer = f"drawn by {MANUFACTURER}"
        header.ManufacturerModelName = f"{PRODUCT_NAME} {self.purpose.lower()}"
        for name in ("Study", "Series", "Acquisition", "Content"):
            setattr(header, f"{name}Date", self.drawn_at.strftime("%Y%m%d"))
            setattr(header, f"{name}Time", self.drawn_at.strftime("%H%M%S"))


def _place(header: Dataset, number: int, spacing_mm: float) -> None:
    """As `chest._affine` has it."""
    corner = -(SIDE - 1) / 2 * PIXEL_MM
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.ImagePositionPatient = [f"{corner:.4f}", f"{corner:.4f}", f"{number * spacing_mm:.4f}"]
    header.SliceThickness = spacing_mm
    header.PixelSpacing = [PIXEL_MM, PIXEL_MM]
    header.KVP = 120
    header.BodyPartExamined, header.PatientPosition = "CHEST", "HFS"


def _describe_pixels(header: Dataset) -> None:
    header.Rows = header.Columns = SIDE
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.PixelRepresentation = 1
    header.RescaleSlope, header.RescaleIntercept, header.RescaleType = 1, 0, "HU"
    header.BurnedInAnnotation = "NO"  # no letter on it tells whose it is
