"""The data sets of storage commitment, built and read (PS3.4 sections J.3.2.1 and J.3.3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from dicomnode.dicom_files.attributes import AttributeReader
from dicomnode.errors import DataError

PUSH_MODEL = str(StorageCommitmentPushModel)
WELL_KNOWN_INSTANCE = str(StorageCommitmentPushModelInstance)

REQUEST_COMMITMENT = 1  # Action Type ID, PS3.4 table J.3.2-1
ALL_COMMITTED, FAILURES_EXIST = 1, 2  # Event Type ID, PS3.4 table J.3.3-1

UNKNOWN_REASON = 0x0110
"""Of an object that failed without a reason: processing failure."""

MOST_OBJECTS = 50_000
"""Of one request that we take; a thorax CT has up to 2,000."""

_LONGEST = 1 << 24  # bytes; of 50,000 objects there are 7 MB
_MOST_ITEMS = 2 * MOST_OBJECTS
_ITEM = b"\xfe\xff\x00\xe0"  # (FFFE,E000), little endian (PS3.5 section 7.5)

SopReference = tuple[str, str]
"""SOP Class UID and SOP Instance UID."""


@dataclass(frozen=True)
class Request:
    """What a peer asks us to commit to."""

    transaction_uid: str
    objects: tuple[SopReference, ...]


@dataclass(frozen=True)
class Report:
    """What a peer reports: SOP Instance UIDs, and of those that failed the Failure Reason."""

    transaction_uid: str
    committed: frozenset[str]
    failed: dict[str, int]


def action_information(transaction_uid: str, objects: Iterable[SopReference]) -> Dataset:
    """Of an N-ACTION request."""
    information = Dataset()
    information.TransactionUID = transaction_uid
    information.ReferencedSOPSequence = [_reference(each) for each in objects]
    return information


def event_information(
    transaction_uid: str,
    committed: Sequence[SopReference],
    failed: Sequence[tuple[SopReference, int]],
) -> Dataset:
    """Of an N-EVENT-REPORT request."""
    information = Dataset()
    information.TransactionUID = transaction_uid
    if committed:
        information.ReferencedSOPSequence = [_reference(each) for each in committed]
    if failed:
        information.FailedSOPSequence = [_reference(each, reason) for each, reason in failed]
    return information


def check_size(encoded: BytesIO | None) -> None:
    """To be asked before a data set is decoded: two million empty items fit into 16 MB, and cost
    pydicom a minute and 1.7 GB.

    Raises:
        DataError: there is none, or it is larger than any that is taken.
    """
    if encoded is None or len(encoded.getbuffer()) > _LONGEST:
        raise DataError("data set", "none, or too long")
    if encoded.getvalue().count(_ITEM) > _MOST_ITEMS:
        raise DataError("data set", "too many items", f"at most {_MOST_ITEMS}")


def read_request(information: Dataset) -> Request:
    """
    Raises:
        DataError: no Transaction UID, no object, too many, or one that is not named whole.
    """
    reader = AttributeReader(information)
    uid = _transaction(reader)
    items = reader.within("ReferencedSOPSequence")
    if not 0 < len(items) <= MOST_OBJECTS:
        raise DataError("ReferencedSOPSequence", f"{len(items)} items", f"1 to {MOST_OBJECTS}")
    objects = tuple(_object(item) for item in items)
    if not all(sop_class and instance for sop_class, instance in objects):
        raise DataError("ReferencedSOPSequence", "an item without class or instance")
    return Request(uid, objects)


def read_report(information: Dataset) -> Report:
    """What failed counts as failed, also where it stands among what is committed.

    Raises:
        DataError: no Transaction UID, or a sequence that cannot be read.
    """
    reader = AttributeReader(information)
    uid = _transaction(reader)
    failed = {_object(item)[1]: _reason(item) for item in reader.within("FailedSOPSequence")}
    committed = {_object(item)[1] for item in reader.within("ReferencedSOPSequence")}
    unread = [each for each in reader.problems if "Sequence" in each]
    if unread:
        raise DataError("report", "; ".join(unread))
    return Report(uid, frozenset(committed - failed.keys() - {""}), failed)


def _transaction(reader: AttributeReader) -> str:
    uid = reader.uid("TransactionUID")
    if not uid:
        raise DataError("TransactionUID", "none")
    return uid


def _object(item: AttributeReader) -> SopReference:
    return item.uid("ReferencedSOPClassUID"), item.uid("ReferencedSOPInstanceUID")


def _reason(item: AttributeReader) -> int:
    reason = item.integer("FailureReason")
    return UNKNOWN_REASON if reason is None else reason


def _reference(named: SopReference, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = map(UID, named)
    if reason is not None:
        item.FailureReason = reason
    return item
