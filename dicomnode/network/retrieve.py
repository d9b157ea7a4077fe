"""C-MOVE and C-GET SCU (PS3.4 sections C.4.2 and C.4.3, Study Root): one request, to its end.

On `stop` C-CANCEL goes out (PS3.7 section 9.3.2.3), at any moment: many archives send no response
before the last. One that does not end then is left.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import build_context, build_role
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelGet as StudyRootGet,
)
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelMove as StudyRootMove,
)

from dicomnode.decisions.eligibility.attribute_rules import CT_IMAGE_CLASSES, DECODABLE
from dicomnode.decisions.pulling import Counts
from dicomnode.network.associations import not_accepted, one_line, unanswered
from dicomnode.network.find import identifier

log = logging.getLogger(__name__)

MOVE_CONTEXTS = [build_context(StudyRootMove)]
_PENDING = 0xFF00
_CANCEL_SECONDS = 10.0
_LOOK_SECONDS = 0.1
_COUNTS = ("Remaining", "Completed", "Failed", "Warning")

Told = Callable[[Counts], object]
"""Told of each response on the way."""


@dataclass(frozen=True)
class Response:
    """The last response: Status (0000,0900), counts, and Error Comment (0000,0902) in one line."""

    status: int
    counts: Counts
    comment: str


def get_contexts() -> list[PresentationContext]:
    """C-GET, and CT in each encoding that can be read, each in a context of its own: so that what
    comes is as the archive has it."""
    syntaxes = sorted(DECODABLE - {ExplicitVRLittleEndian})
    images = [
        build_context(sop_class, syntax)
        for sop_class in sorted(CT_IMAGE_CLASSES)
        for syntax in (ExplicitVRLittleEndian, *syntaxes)
    ]
    return [build_context(StudyRootGet), *images]


def get_roles() -> list[SCP_SCU_RoleSelectionNegotiation]:
    """Over the association of a C-GET we are SCP of storage (PS3.4 C.5.3)."""
    return [build_role(sop_class, scp_role=True) for sop_class in sorted(CT_IMAGE_CLASSES)]


def retrieve_key(study_uid: str, series_uid: str, sop_instance_uids: Sequence[str]) -> Dataset:
    """A whole series, or some instances of it: a list of UIDs (PS3.4 C.2.2.2.2)."""
    keys = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
    if not sop_instance_uids:
        return identifier("SERIES", **keys)
    key = identifier("IMAGE", **keys)
    key.SOPInstanceUID = list(sop_instance_uids)
    return key


class Retriever:
    """Requests on one association, one after the other: their number may be the same again."""

    def __init__(self, association: Association, destination: str, stop: threading.Event) -> None:
        """`destination`: the AE title that is sent to by C-MOVE; "" is C-GET."""
        self._association = association
        self._destination = destination
        self._model = StudyRootMove if destination else StudyRootGet
        self._asked_for = "C-MOVE" if destination else "C-GET"
        self._stop = stop
        self._message_id = 0

    def retrieve(self, key: Dataset, told: Told) -> Response:
        """Ask, and wait for the end of it.

        Raises:
            PeerError: the association broke, or there was no answer in time.
        """
        self._message_id = self._message_id % 0xFFFF + 1
        with self._cancelled_on_stop():
            for status, _failed in self._responses(key):
                code = status.get("Status")
                if code is None:
                    raise unanswered(self._association, self._asked_for)
                if code != _PENDING:
                    return Response(
                        int(code), _counts(status), one_line(status.get("ErrorComment"))
                    )
                told(_counts(status))
        raise unanswered(self._association, self._asked_for)

    def _responses(self, key: Dataset) -> Iterator[tuple[Dataset, Dataset | None]]:
        association, number = self._association, self._message_id
        try:
            if self._destination:
                yield from association.send_c_move(key, self._destination, self._model, number)
            else:
                yield from association.send_c_get(key, self._model, number)
        except RuntimeError as error:  # not established any more
            raise unanswered(association, self._asked_for) from error
        except ValueError as error:  # no accepted context
            raise not_accepted(self._asked_for, self._model) from error

    @contextmanager
    def _cancelled_on_stop(self) -> Iterator[None]:
        ended = threading.Event()
        watch = threading.Thread(target=self._watch, args=(ended,), daemon=True)
        watch.start()
        try:
            yield
        finally:
            ended.set()
            watch.join()

    def _watch(self, ended: threading.Event) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            if ended.is_set():
                return
        with suppress(RuntimeError, ValueError):  # it has just ended
            self._association.send_c_cancel(self._message_id, query_model=self._model)
        if not ended.wait(_CANCEL_SECONDS):
            log.warning("the peer goes on after C-CANCEL: the association is aborted")
            self._association.abort()
            # who waits for an answer is told by a peer's abort alone
            self._association.dimse.msg_queue.put((None, None))


def _counts(status: Dataset) -> Counts:
    return Counts(*(status.get(f"NumberOf{each}Suboperations") for each in _COUNTS))
