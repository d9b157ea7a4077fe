"""How an acceptor of pynetdicom negotiates here: storage classes alone, in what can be read.

pynetdicom's unrestricted storage accepts whatever it does not know as some other service, in the
transfer syntax that is named first. Its judgement is put right before the answer goes out.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, cast

from pynetdicom import AE
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_ECHO, C_STORE, N_EVENT_REPORT
from pynetdicom.pdu_primitives import A_ASSOCIATE, AsynchronousOperationsWindowNegotiation
from pynetdicom.presentation import PresentationContext

from dicomnode.decisions.arrival.negotiation import (
    ContextResult,
    judge_operations_window,
    judge_storage_context,
)
from dicomnode.fast_scp.storage_classes import is_storage_class
from dicomnode.fast_scp.upper_layer import TitleReadingDul

log = logging.getLogger(__name__)

_SERVED = (C_STORE, C_ECHO)
_LONGEST_DATA_SET = 1 << 25  # bytes; a request for storage commitment of 50,000 objects has 7 MB


class StorageAcse(ACSE):
    """The association control of an acceptor."""

    def send_accept(self) -> None:
        """Answer as `judge_storage_context` has it, but for the classes that the AE names."""
        request = cast("A_ASSOCIATE", self.requestor.primitive)
        proposed = {
            (context.context_id, context.abstract_syntax): context.transfer_syntax
            for context in request.presentation_context_definition_list
        }
        named = {context.abstract_syntax for context in self.acceptor.supported_contexts}
        accepted = self.assoc._accepted_cx
        for number, context in list(accepted.items()):
            if context.abstract_syntax not in named:
                _judge(context, [str(each) for each in proposed[number, context.abstract_syntax]])
            if context.result != ContextResult.ACCEPTED:
                self.assoc._rejected_cx.append(accepted.pop(number))
        super().send_accept()

    def _check_async_ops(self) -> AsynchronousOperationsWindowNegotiation:
        """The answer to a window other than 1, 1 (PS3.7 D.3.3.3); pynetdicom knows none but that.

        Requests are served in order, each answered before the next is looked at: how many wait
        meanwhile is the same to both paths. Of ours (N-EVENT-REPORT) one is open at a time.
        """
        window = AsynchronousOperationsWindowNegotiation()
        proposed, _performed = self.requestor.asynchronous_operations
        window.maximum_number_operations_invoked = judge_operations_window(proposed)
        return window


def _judge(context: PresentationContext, proposed: list[str]) -> None:
    abstract_syntax = str(context.abstract_syntax)
    answer = judge_storage_context(is_storage_class(abstract_syntax), proposed)
    context.result, context.transfer_syntax = answer.result.value, [answer.transfer_syntax]
    if answer.result is not ContextResult.ACCEPTED:
        log.info("%s not accepted: %s", abstract_syntax, answer.result.name.lower())


class _WholeMessages(DIMSEServiceProvider):
    """Sends messages of several threads one after the other: their fragments must not mingle.

    Of what is no C-STORE no more is held in memory than any of these messages has.
    """

    def __init__(self, assoc: Association) -> None:
        super().__init__(assoc)
        self._sending = threading.Lock()

    def send_msg(self, primitive: Any, context_id: int) -> None:
        with self._sending:
            super().send_msg(primitive, context_id)

    def receive_primitive(self, primitive: Any) -> None:
        super().receive_primitive(primitive)
        begun = self.message
        if begun is None or isinstance(begun, C_STORE_RQ) or begun.data_set is None:
            return
        if begun.data_set.tell() > _LONGEST_DATA_SET:
            log.warning(
                "association with %s aborted: endless data set", self.assoc.remote["address"]
            )
            self.message = None
            self.dul.event_queue.put("Evt19")


class StorageAssociation(Association):
    """An accepted connection, for storage and what the AE names beside it.

    `answered`: the status of each answer to an N-EVENT-REPORT of ours, by Message ID. Whoever sent
    it does not wait: the peer may say something else first. `served`: requests that were not fast.
    """

    def __init__(self, ae: AE) -> None:
        super().__init__(ae, MODE_ACCEPTOR)
        self.acse = StorageAcse(self)
        self.dimse: DIMSEServiceProvider = _WholeMessages(self)
        self.answered: dict[int, int] = {}
        self.served = 0

    def _serve_request(self, msg: Any, context_id: int) -> None:
        """Abort at once for another service on a storage context.

        pynetdicom takes it for storage, fails in its answer, or leaves the peer without one.
        """
        if isinstance(msg, N_EVENT_REPORT) and msg.MessageIDBeingRespondedTo is not None:
            status = msg.Status
            self.answered[msg.MessageIDBeingRespondedTo] = -1 if status is None else status
            return
        self.served += 1
        context = self._accepted_cx.get(context_id)
        named = {each.abstract_syntax for each in self.acceptor.supported_contexts}
        if context is None or context.abstract_syntax in named or isinstance(msg, _SERVED):
            super()._serve_request(msg, context_id)
            return
        log.warning(
            "association with %s aborted: %s is not served on %s",
            self.requestor.address,
            msg.msg_type,
            context.abstract_syntax,
        )
        self.abort()


class PlainAssociation(StorageAssociation):
    """One whose messages pynetdicom reads itself."""

    def __init__(self, ae: AE) -> None:
        super().__init__(ae)
        self.dul: TitleReadingDul = TitleReadingDul(self)
        self.acse_timeout, self.network_timeout = ae.acse_timeout, ae.network_timeout
