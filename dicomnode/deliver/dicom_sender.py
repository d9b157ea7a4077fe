"""Sends result objects over one association, C-STORE SCU (PS3.4 annex B)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from dicomnode.config.destinations import Destination
from dicomnode.decisions.delivery.outcome import Outcome
from dicomnode.decisions.delivery.store_status import store_outcome
from dicomnode.deliver.sender import Sender, outcome_of
from dicomnode.errors import PeerCause, PeerError
from dicomnode.network.associations import associated, c_store_answer, requestor

UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
"""Proposed in a context each, so that it is known whether the peer takes either."""

COMPRESSED = {
    str(SecondaryCaptureImageStorage): JPEGBaseline8Bit,
    str(MultiFrameTrueColorSecondaryCaptureImageStorage): JPEGBaseline8Bit,
}
"""In which transfer syntax else files of these classes may be: a site asks for it by destination.

Deflated is not, though files of older versions are: there are peers that accept it, answer 0x0000
and lose the pixels.
"""


_OF_THE_OBJECT = (PeerCause.NOT_ACCEPTED, PeerCause.OURS, PeerCause.STATUS)
"""Causes that say nothing about the association: it carries the next object."""


def proposed_contexts(
    sop_classes: Iterable[str], *, compressed: bool = False
) -> list[PresentationContext]:
    """Each SOP class in each transfer syntax that it can be sent in, Explicit VR first.

    `compressed`: also in that in which its files may be.
    """
    return [
        build_context(sop_class, syntax)
        for sop_class in sop_classes
        for syntax in (*UNCOMPRESSED, *((COMPRESSED.get(sop_class),) if compressed else ()))
        if syntax is not None
    ]


class DicomSender:
    """One association with one destination."""

    def __init__(self, association: Association) -> None:
        self._association = association

    def send(self, path: Path) -> Outcome:
        """As `Sender.send`."""
        try:
            return send_instance(self._association, path)
        except PeerError as error:
            if error.cause not in _OF_THE_OBJECT:
                raise
            refused = error.cause is PeerCause.NOT_ACCEPTED
            return outcome_of(error, _sop_class_of(path) if refused else "")


@contextmanager
def dicom_sender(
    destination: Destination, ae_title: str, sop_classes: Sequence[str], timeout: float
) -> Iterator[Sender]:
    """An association for objects of these classes; `timeout` in seconds bounds each wait.

    Raises:
        PeerError: there is no association, and why (see `PeerCause`).
    """
    contexts = proposed_contexts(sop_classes, compressed=destination.compressed)
    ae = requestor(ae_title, contexts, timeout)
    with associated(ae, destination) as association:
        yield DicomSender(association)


def send_instance(association: Association, path: Path) -> Outcome:
    """Send one Part 10 file, as its bytes are or in another encoding accepted.

    Deflated files, which older versions wrote, are inflated, and JPEG is decoded for a peer that
    does not take it; none is compressed here. Decoded pixels keep their UID: they are what any
    viewer would see of it.

    Raises:
        PeerError: no context was accepted, or the association broke.
    """
    meta = _meta(path)
    accepted = {
        context.transfer_syntax[0]
        for context in association.accepted_contexts
        if context.abstract_syntax == meta.MediaStorageSOPClassUID
    }
    as_it_is = meta.TransferSyntaxUID in accepted
    answer = c_store_answer(association, path if as_it_is else uncompressed(path))
    return store_outcome(answer.status, answer.comment)


def _meta(path: Path) -> FileMetaDataset:
    return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[]).file_meta


def _sop_class_of(path: Path) -> str:
    return str(_meta(path).MediaStorageSOPClassUID)


def uncompressed(path: Path) -> pydicom.FileDataset:
    """The data set of any of our files, to be encoded as the peer takes it."""
    data_set = pydicom.dcmread(path)
    if data_set.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    elif data_set.file_meta.TransferSyntaxUID == JPEGBaseline8Bit:
        data_set.decompress(generate_instance_uid=False)
    return data_set
