"""A stand-in PACS for the demo: Storage SCP and C-ECHO on loopback, keeping what it gets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pynetdicom import evt

from dicomnode.config.destinations import Peer
from dicomnode.network.associations import (
    SUCCESS,
    accept_any_storage,
    accept_verification,
    application_entity,
    listen,
)
from dicomnode.network.listeners import bind_listener


class StandInPacs:
    """Writes each instance to `folder/NNN.dcm` and remembers which it got."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self.received: dict[str, Path] = {}  # by SOP Instance UID

    def on_store(self, event: evt.Event) -> int:
        uid = str(event.file_meta.MediaStorageSOPInstanceUID)
        with self._lock:
            path = self.received.get(uid, self._folder / f"{len(self.received) + 1:03d}.dcm")
            path.write_bytes(event.encoded_dataset())
            self.received[uid] = path
        return SUCCESS


@contextmanager
def stand_in_pacs(folder: Path, ae_title: str = "DEMOPACS") -> Iterator[tuple[StandInPacs, Peer]]:
    """Run it on a free port of the loopback interface."""
    folder.mkdir(parents=True, exist_ok=True)
    pacs = StandInPacs(folder)
    ae = application_entity(ae_title)
    accept_verification(ae)
    accept_any_storage()
    listener = bind_listener(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listen(ae, listener, {evt.EVT_C_STORE: pacs.on_store})
    try:
        yield pacs, Peer(name="pacs", ae_title=ae_title, address="127.0.0.1", port=port)
    finally:
        ae.shutdown()
