"""Sends the DICOM files of a folder to a peer, as they are encoded (C-STORE SCU)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pydicom
from pynetdicom import build_context

from dicomnode.config.destinations import Peer
from dicomnode.errors import PeerCause, PeerError
from dicomnode.network.associations import SUCCESS, associated, c_store, requestor

_TIMEOUT_SECONDS = 60.0


def send_files(files: Sequence[Path], peer: Peer, calling_ae_title: str) -> Iterator[Path]:
    """Send each file over one association; yields it when the peer has answered 0x0000.

    Raises:
        PeerError: there is no association, no answer, or a failure; why (see `PeerCause`).
    """
    wanted = dict.fromkeys(_context_of(file) for file in files)
    contexts = [build_context(sop_class, syntax) for sop_class, syntax in wanted]
    ae = requestor(calling_ae_title, contexts, _TIMEOUT_SECONDS)
    with associated(ae, peer) as association:
        for file in files:
            status = c_store(association, file)
            if status != SUCCESS:
                text = f"{peer.name} answered 0x{status:04X} to C-STORE"
                raise PeerError(text, PeerCause.STATUS)
            yield file


def _context_of(file: Path) -> tuple[str, str]:
    meta = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=[]).file_meta
    return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
