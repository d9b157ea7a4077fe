"""A Secondary Capture of the least that a PACS files it by."""

from __future__ import annotations

from io import BytesIO

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from support.storage_samples import STUDY


def secondary_capture(uid: str, study: str = STUDY) -> bytes:
    """A Part 10 file, of the result series of `storage_samples.result`."""
    data_set = Dataset()
    data_set.SOPClassUID, data_set.SOPInstanceUID = UID(SecondaryCaptureImageStorage), UID(uid)
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = UID(study), UID("2.25.99")
    data_set.PatientID = data_set.PatientName = "TEST"
    data_set.Modality = "OT"
    meta = data_set.file_meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    meta.MediaStorageSOPInstanceUID = UID(uid)
    content = BytesIO()
    pydicom.dcmwrite(content, data_set, enforce_file_format=True)
    return content.getvalue()
