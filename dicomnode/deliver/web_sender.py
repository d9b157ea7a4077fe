"""Sends result objects to a DICOMweb server, STOW-RS (PS3.18 section 10.5).

One request for each object: what a server does with one then says nothing of another.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit

from dicomnode.clock import Clock
from dicomnode.config.destinations import WebDestination
from dicomnode.decisions.delivery.outcome import Ending, Outcome
from dicomnode.decisions.delivery.stow_response import read_instances, read_report
from dicomnode.decisions.delivery.stow_status import (
    holds_for_all,
    leaves_open,
    listed_there,
    stow_outcome,
    wait_of,
)
from dicomnode.deliver.dicom_sender import UNCOMPRESSED, uncompressed
from dicomnode.deliver.sender import NoneTakenError, Sender, outcome_of
from dicomnode.errors import ConfigurationError, PeerCause, PeerError
from dicomnode.network.web_connection import Answer, WebConnection

_ACCEPTED = "application/dicom+json, application/dicom+xml;q=0.5"
_OF_ALL = {PeerCause.UNREACHABLE, PeerCause.TLS, PeerCause.NO_HTTP}
"""There is nobody to talk to, whatever the object is."""

_CHUNK_BYTES = 1 << 17


class WebSender:
    """One session with one server."""

    def __init__(
        self, destination: WebDestination, connection: WebConnection, clock: Clock
    ) -> None:
        self._destination = destination
        self._connection = connection
        self._clock = clock
        self._as_they_are = {*UNCOMPRESSED, *((JPEGBaseline8Bit,) * destination.compressed)}

    def send(self, path: Path) -> Outcome:
        """As `Sender.send`; a file that goes as it is never lies in memory as a whole."""
        header = pydicom.dcmread(path, stop_before_pixels=True)
        as_it_is = header.file_meta.TransferSyntaxUID in self._as_they_are
        with _opened(path) if as_it_is else _decoded(path) as (file, size):
            try:
                answer = self._stow(file, size)
            except _FileError as error:
                raise error.fault from None
            except PeerError as error:
                if error.cause not in _OF_ALL:
                    raise
                raise NoneTakenError(outcome_of(error), error.cause) from error
        wait = wait_of(answer.retry_after, self._clock.now())
        uid, report = str(header.SOPInstanceUID), read_report(answer.body)
        outcome = stow_outcome(answer.status, uid, report, wait)
        if outcome.ending is Ending.AGAIN and holds_for_all(answer.status):
            raise NoneTakenError(outcome, PeerCause.STATUS)
        if leaves_open(answer.status, uid, report) and self._lists(header):
            return listed_there(outcome)
        return outcome

    def _lists(self, header: Dataset) -> bool:
        """Whether the server says, when asked, that it has the object (QIDO-RS, PS3.18 10.6)."""
        uid = str(header.SOPInstanceUID)
        series = f"/studies/{header.StudyInstanceUID}/series/{header.SeriesInstanceUID}"
        headers = {"Accept": "application/dicom+json", **self._authorization()}
        try:
            answer = self._connection.request(
                "GET", f"{series}/instances?SOPInstanceUID={uid}", headers
            )
        except PeerError:
            return False
        return answer.status == HTTPStatus.OK and uid in read_instances(answer.body)

    def _stow(self, file: BinaryIO, size: int) -> Answer:
        boundary = uuid4().hex
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Content-Length": str(len(head) + size + len(tail)),
            "Accept": _ACCEPTED,
            **self._authorization(),
        }
        return self._connection.request("POST", "/studies", headers, _multipart(head, file, tail))

    def _authorization(self) -> dict[str, str]:
        if self._destination.credentials is None:
            return {}
        with _set_up(self._destination):
            return {"Authorization": self._destination.credentials.authorization()}


@contextmanager
def web_sender(
    destination: WebDestination, timeout: float, clock: Clock | None = None
) -> Iterator[Sender]:
    """A session with a server; `timeout` in seconds bounds each wait.

    Raises:
        PeerError: a TLS file of ours cannot be used.
    """
    with _set_up(destination):
        connection = WebConnection(destination, timeout)
    try:
        yield WebSender(destination, connection, clock or Clock())
    finally:
        connection.close()


@contextmanager
def _set_up(destination: WebDestination) -> Iterator[None]:
    """A file of ours that cannot be used now: it may be put right without a restart."""
    try:
        yield
    except ConfigurationError as error:
        outcome = Outcome(Ending.AGAIN, "set-up", f"{destination.name}: {error}")
        raise NoneTakenError(outcome, PeerCause.OURS) from error


class _FileError(Exception):
    """Our file fails in the middle of a request: else it would be taken for the network's fault."""

    def __init__(self, fault: OSError) -> None:
        super().__init__()
        self.fault = fault


def _multipart(head: bytes, file: BinaryIO, tail: bytes) -> Iterator[bytes]:
    """One part (RFC 2387), a little of it at a time."""
    yield head
    while chunk := _next(file):
        yield chunk
    yield tail


def _next(file: BinaryIO) -> bytes:
    try:
        return file.read(_CHUNK_BYTES)
    except OSError as error:
        raise _FileError(error) from None


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The file and its size in bytes."""
    with path.open("rb") as file:
        yield file, os.fstat(file.fileno()).st_size


@contextmanager
def _decoded(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """A compressed or deflated file as any receiver takes it: none can be asked before."""
    file = BytesIO()
    pydicom.dcmwrite(file, uncompressed(path), enforce_file_format=True)
    size = file.tell()
    file.seek(0)
    yield file, size
