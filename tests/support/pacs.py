"""A PACS for tests: a Storage SCP that keeps what it gets and can be held up or made to refuse."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from dicomnode.config.destinations import Destination
from dicomnode.deliver.dicom_sender import UNCOMPRESSED
from dicomnode.network.associations import application_entity, listen
from dicomnode.network.listeners import bind_listener
from support.wait import PATIENCE_SECONDS


class Pacs:
    """What it received, in order; `hold_after` makes it wait before answering that many."""

    def __init__(self, ae: AE) -> None:
        self._ae = ae
        self.destination = Destination(name="none", ae_title="NONE", address="", port=1)
        self.received: list[Dataset] = []
        self.hold_after: int | None = None
        self.holding = threading.Event()
        self.go_on = threading.Event()
        self.refuse_next = 0

    def close(self) -> None:
        """Stop listening: the port is free for another."""
        self.go_on.set()
        self._ae.shutdown()

    def begin(self) -> None:
        """Forget what came before: another test begins."""
        self.received.clear()
        self.hold_after = None
        self.holding.clear()
        self.go_on.clear()

    def on_store(self, event: evt.Event) -> int:
        if self.hold_after is not None and len(self.received) >= self.hold_after:
            self.hold_after = None
            self.holding.set()
            self.go_on.wait(PATIENCE_SECONDS)
        if self.refuse_next > 0:
            self.refuse_next -= 1
            return 0xA700
        data_set = event.dataset
        data_set.file_meta = event.file_meta
        self.received.append(data_set)
        return 0x0000

    def by_uid(self) -> dict[str, Dataset]:
        """The last data set of each SOP Instance UID."""
        return {str(each.SOPInstanceUID): each for each in self.received}


@contextmanager
def running_pacs(
    port: int = 0, syntaxes: Sequence[str] = UNCOMPRESSED, refused: str = ""
) -> Iterator[Pacs]:
    """Run it on the loopback interface; `pacs.destination` says where.

    `refused`: a SOP class that it does not accept.
    """
    ae = application_entity("TESTPACS")
    ae.add_supported_context(Verification)
    for context in AllStoragePresentationContexts:
        if context.abstract_syntax != refused:
            ae.add_supported_context(str(context.abstract_syntax), list(syntaxes))
    pacs = Pacs(ae)
    listener = bind_listener(("127.0.0.1", port))
    port = listener.getsockname()[1]
    listen(ae, listener, {evt.EVT_C_STORE: pacs.on_store})
    pacs.destination = Destination(name="pacs", ae_title="TESTPACS", address="127.0.0.1", port=port)
    try:
        yield pacs
    finally:
        pacs.close()
