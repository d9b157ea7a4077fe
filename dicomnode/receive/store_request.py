"""A C-STORE request beside its data set: who sent it, whether it fits, and how it is answered."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pynetdicom.association import Association as DicomAssociation

from dicomnode.dicom_files.identity import Identity, Provenance
from dicomnode.errors import DataError
from dicomnode.fast_scp.association import StoreRequest
from storage.records import Association

_PRIORITY_ORDER = {1: 0, 0: 1, 2: 2}  # Priority (0000,0700): HIGH 1, MEDIUM 0, LOW 2


def called_ae_title_of(assoc: DicomAssociation) -> str:
    primitive = assoc.requestor.primitive
    return "" if primitive is None else str(primitive.called_ae_title)


def check_command(identity: Identity, request: StoreRequest) -> None:
    """The data set must be the instance that the command names (PS3.4 B.2.3, 0xA900)."""
    if request.sop_instance_uid != identity.sop_instance_uid:
        raise DataError("command", "SOP Instance UID is not that of the data set")
    if {request.sop_class_uid, request.abstract_syntax} != {identity.sop_class_uid}:
        raise DataError("command", "SOP Class UID is not that of the data set")


def status_of(code: int, comment: str) -> Dataset:
    answer = Dataset()
    answer.Status = code
    answer.ErrorComment = comment[:64]  # (0000,0902) is LO
    return answer


def request_provenance(request: StoreRequest, association: Association) -> Provenance:
    return Provenance(
        association.association_id,
        association.calling_ae_title,
        association.called_ae_title,
        _order(request),
    )


def _order(request: StoreRequest) -> int:
    return _PRIORITY_ORDER.get(request.priority, 1)
