"""A Storage SCP that does with the first object what a test wants, and takes the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from dicomnode.config.destinations import Destination
from dicomnode.network.associations import application_entity, listen
from dicomnode.network.listeners import bind_listener


@dataclass
class ScriptedPacs:
    """`answer`: to the first C-STORE. `at_data`: what happens at each PDU with data instead."""

    destination: Destination
    answer: Callable[[evt.Event], Dataset | int] = lambda _event: 0x0000
    at_data: Callable[[evt.Event], object] | None = None
    received: list[str] = field(default_factory=list)
    associations: int = 0

    def on_store(self, event: evt.Event) -> Dataset | int:
        self.received.append(str(event.file_meta.MediaStorageSOPInstanceUID))
        return self.answer(event) if len(self.received) == 1 else 0x0000

    def on_pdu(self, event: evt.Event) -> None:
        if self.at_data and isinstance(event.pdu, P_DATA_TF):
            self.at_data(event)

    def on_accepted(self, _event: evt.Event) -> None:
        self.associations += 1

    def behaves(self) -> None:
        """From now on everything is taken."""
        self.answer, self.at_data = (lambda _event: 0x0000), None


@contextmanager
def scripted_pacs(*classes: str) -> Iterator[ScriptedPacs]:
    """Run it on the loopback interface; it accepts these SOP classes."""
    ae = application_entity("TESTPACS")
    for each in (Verification, *classes):
        ae.add_supported_context(each)
    listener = bind_listener(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    place = Destination(name="PACS", ae_title="TESTPACS", address="127.0.0.1", port=port)
    pacs = ScriptedPacs(place)
    handlers = {
        evt.EVT_C_STORE: pacs.on_store,
        evt.EVT_PDU_RECV: pacs.on_pdu,
        evt.EVT_ACCEPTED: pacs.on_accepted,
    }
    listen(ae, listener, handlers)
    try:
        yield pacs
    finally:
        ae.shutdown()
