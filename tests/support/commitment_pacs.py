"""A PACS that gives storage commitment as a test wants it: late, twice, wrongly, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind as StudyRootFind,
)

from dicomnode.commitment.data_sets import event_information
from dicomnode.config.destinations import Destination, Peer
from dicomnode.network.associations import (
    Handler,
    application_entity,
    associated,
    listen,
    requestor,
)
from dicomnode.network.listeners import bind_listener
from support.wait import wait_for

RESULT_CLASSES = (
    SecondaryCaptureImageStorage,
    Comprehensive3DSRStorage,
    SegmentationStorage,
    BasicTextSRStorage,
)
"""Of all that is sent by default."""

Told = tuple[str, list[tuple[str, str]], list[tuple[tuple[str, str], int]]]
"""What a report says: Transaction UID, what is committed, and what failed."""

Script = Callable[["CommitmentPacs", str, list[tuple[str, str]]], list[Told]]
"""Which reports follow a request of that Transaction UID for these objects."""


def honest(pacs: CommitmentPacs, uid: str, objects: list[tuple[str, str]]) -> list[Told]:
    """It commits to what it holds."""
    held = [each for each in objects if each[1] in pacs.stored]
    missing = [(each, 0x0112) for each in objects if each[1] not in pacs.stored]
    return [(uid, held, missing)]


def silent(_pacs: CommitmentPacs, _uid: str, _objects: list[tuple[str, str]]) -> list[Told]:
    """The report is lost."""
    return []


@dataclass
class CommitmentPacs:
    """`stored`: data sets by SOP Instance UID. `asked`: Transaction UIDs. `answers`: to reports.

    `same`: it reports over the association that asked. `action_status`: its answer to N-ACTION;
    None: one without Status.
    """

    script: Script = honest
    same: bool = False
    action_status: int | None = 0x0000
    ae_title: str = "TESTPACS"
    node: Peer | None = None
    stored: dict[str, Dataset] = field(default_factory=dict)
    stores: int = 0
    asked: list[str] = field(default_factory=list)
    answers: list[int | None] = field(default_factory=list)
    forgets: bool = False
    """It answers 0x0000 to each C-STORE and keeps nothing."""
    hides: bool = False
    """C-FIND finds nothing."""
    find_status: int = 0x0000
    port: int = 0

    @property
    def destination(self) -> Destination:
        return Destination(
            name="pacs",
            ae_title="TESTPACS",
            address="127.0.0.1",
            port=self.port,
            storage_commitment=True,
        )

    def on_store(self, event: evt.Event) -> int:
        self.stores += 1
        if not self.forgets:
            data_set = event.dataset
            self.stored[str(data_set.SOPInstanceUID)] = data_set
        return 0x0000

    def on_find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        if self.find_status:
            yield self.find_status, None
            return
        asked = event.identifier
        for each in () if self.hides else list(self.stored.values()):
            if each.SeriesInstanceUID == asked.SeriesInstanceUID:
                match = Dataset()
                match.QueryRetrieveLevel = "IMAGE"
                match.SeriesInstanceUID = each.SeriesInstanceUID
                match.SOPInstanceUID = each.SOPInstanceUID
                yield 0xFF00, match

    def on_action(self, event: evt.Event) -> tuple[int | Dataset, None]:
        request = event.action_information
        uid = str(request.TransactionUID)
        objects = [
            (str(each.ReferencedSOPClassUID), str(each.ReferencedSOPInstanceUID))
            for each in request.ReferencedSOPSequence
        ]
        self.asked.append(uid)
        if self.action_status != 0x0000:
            answer = Dataset() if self.action_status is None else self.action_status
            return answer, None
        reports = self.script(self, uid, objects)
        threading.Thread(target=self._report, args=(event.assoc, reports), daemon=True).start()
        return 0x0000, None

    def _report(self, asking: object, reports: Sequence[Told]) -> None:
        for told in reports:
            if self.same:
                wait_for(lambda: asking._is_paused, "the request is answered")  # type: ignore[attr-defined]
                self.answers.append(send_report(asking, told))
            else:
                self.answers.append(self.report(told))

    def report(self, told: Told) -> int | None:
        """Over an association of its own, as SCP."""
        assert self.node is not None
        return report_to(self.node, told, self.ae_title)


def report_to(node: Peer, told: Told, ae_title: str, *, role: bool = True) -> int | None:
    """The status that the node answers; without `role` none is proposed."""
    ae = requestor(ae_title, [build_context(StorageCommitmentPushModel)], 20.0)
    roles = [build_role(StorageCommitmentPushModel, scp_role=True)] if role else []
    with associated(ae, node, roles=roles) as association:
        return send_report(association, told)


def send_report(association: object, told: Told, event_type: int | None = None) -> int | None:
    uid, committed, failed = told
    status, _ = association.send_n_event_report(  # type: ignore[attr-defined]
        event_information(uid, committed, failed),
        event_type or (2 if failed else 1),
        StorageCommitmentPushModel,
        StorageCommitmentPushModelInstance,
    )
    found: int | None = status.get("Status")
    return found


@contextmanager
def running_commitment_pacs(
    *,
    commitment: bool = True,
    find: bool = True,
    pacs: CommitmentPacs | None = None,
    classes: Sequence[str] = (SecondaryCaptureImageStorage,),
) -> Iterator[CommitmentPacs]:
    """Run it on the loopback interface; `commitment` and `find`: whether it accepts them."""
    pacs = CommitmentPacs() if pacs is None else pacs
    ae: AE = application_entity("TESTPACS")
    ae.add_supported_context(Verification)
    for each in classes:
        ae.add_supported_context(each)
    if commitment:
        ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    if find:
        ae.add_supported_context(StudyRootFind)
    listener = bind_listener(("127.0.0.1", 0))
    pacs.port = listener.getsockname()[1]
    handlers: dict[Any, Handler] = {
        evt.EVT_C_STORE: pacs.on_store,
        evt.EVT_C_FIND: pacs.on_find,
        evt.EVT_N_ACTION: pacs.on_action,
    }
    listen(ae, listener, handlers)
    try:
        yield pacs
    finally:
        ae.shutdown()
