"""A Query/Retrieve SCP that answers C-MOVE and C-GET as a test writes it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_CANCEL, C_GET, C_MOVE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind as StudyRootFind,
)
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelMove as StudyRootMove,
)

from dicomnode.config.destinations import Peer
from dicomnode.network.associations import application_entity, listen
from dicomnode.network.listeners import bind_listener
from support.wait import PATIENCE_SECONDS, wait_for

Request = C_MOVE | C_GET


class RetrieveScp:
    """`script` answers each request by `say`; `end` is set when the test is over."""

    def __init__(self) -> None:
        self.peer = Peer(name="pacs", ae_title="SCRIPTED", address="127.0.0.1", port=1)
        self.script: Callable[[RetrieveScp], object] = lambda scp: scp.say(0x0000)
        self.destinations: list[str] = []
        self.cancelled = 0
        self.end = threading.Event()
        self._served: tuple[Association, Request, int]

    def say(self, status: int, **counts: int) -> None:
        """A response; `counts` by keyword without "NumberOf" and "Suboperations"."""
        association, request, context_id = self._served
        answer = type(request)()
        answer.MessageIDBeingRespondedTo = request.MessageID
        answer.AffectedSOPClassUID = request.AffectedSOPClassUID
        answer.Status = status
        for name, count in counts.items():
            setattr(answer, f"NumberOf{name}Suboperations", count)
        association.dimse.send_msg(answer, context_id)

    def abort(self) -> None:
        self._served[0].abort(block=False)

    def silent(self) -> None:
        self.end.wait(PATIENCE_SECONDS)

    def wait_for_cancel(self) -> None:
        association, request, _context = self._served
        wait_for(lambda: request.MessageID in association.dimse.cancel_req, "C-CANCEL")
        self.cancelled += 1

    def accepted(self, event: evt.Event) -> None:
        vars(event.assoc)["_serve_request"] = partial(self._serve, event.assoc)

    def _serve(self, association: Association, request: Any, context_id: int) -> None:
        if isinstance(request, C_CANCEL):
            return
        self._served = association, request, context_id
        if isinstance(request, C_MOVE):
            self.destinations.append(str(request.MoveDestination).strip())
        self.script(self)


@contextmanager
def running_retrieve_scp(model: str = StudyRootMove) -> Iterator[RetrieveScp]:
    """On the loopback interface; `model`: what it accepts beside C-FIND."""
    ae, scp = application_entity("SCRIPTED"), RetrieveScp()
    for each in (StudyRootFind, model):
        ae.add_supported_context(each)
    listener = bind_listener(("127.0.0.1", 0))
    listen(ae, listener, {evt.EVT_ACCEPTED: scp.accepted})
    scp.peer = scp.peer.model_copy(update={"port": listener.getsockname()[1]})
    try:
        yield scp
    finally:
        scp.end.set()
        ae.shutdown()
