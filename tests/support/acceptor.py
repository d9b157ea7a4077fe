"""An acceptor with the door and, if asked for, TLS; without storage or database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from dicomnode.decisions.arrival.admission import AdmissionPolicy
from dicomnode.fast_scp.association import PlainRequestHandler
from dicomnode.network.associations import application_entity
from dicomnode.network.tls_acceptor import ServerTls, TlsHandshakes
from dicomnode.receive.access import AssociationGate
from dicomnode.receive.refusals import Refusals
from dicomnode.tls import TlsPolicy
from support.wait import wait_for

ANYBODY = AdmissionPolicy(called_ae_titles=("DICOMNODE",), allow_any=True)


@dataclass
class Acceptor:
    """`stored` holds the data sets of the C-STORE requests, encoded."""

    ae: AE
    gate: AssociationGate
    tls: ServerTls | None
    port: int
    stored: list[bytes]

    def has_parted(self) -> bool:
        """Whether the connections of all who were rejected are closed."""
        return not any(each.is_rejected for each in self.ae.active_associations)


@contextmanager
def running_acceptor(
    admission: AdmissionPolicy = ANYBODY,
    tls: TlsPolicy | None = None,
    refusals: Refusals | None = None,
) -> Iterator[Acceptor]:
    """It answers C-ECHO and C-STORE of CT instances with 0x0000, as DICOMNODE."""
    noted = () if refusals is None else (refusals.note_association,)
    gate, stored = AssociationGate(admission, *noted), list[bytes]()
    ae = application_entity("DICOMNODE")
    ae.acse_timeout = ae.network_timeout = 10
    ae.add_supported_context(Verification)
    ae.add_supported_context(CTImageStorage)

    def store(event: evt.Event) -> int:
        stored.append(event.encoded_dataset(include_meta=False))
        return 0x0000

    server = ae.make_server(
        ("127.0.0.1", 0),
        evt_handlers=[(evt.EVT_REQUESTED, gate.on_requested), (evt.EVT_C_STORE, store)],
        server_class=ThreadedAssociationServer if tls is None else TlsHandshakes,
        request_handler=PlainRequestHandler,
    )
    accepted = None
    if isinstance(server, TlsHandshakes):
        assert tls is not None
        server.tls = accepted = ServerTls(tls)
    assert server.socket is not None
    server.socket.listen(128)  # pynetdicom's own 5 make bursts of connects wait for seconds
    ae._servers.append(server)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    acceptor = Acceptor(ae, gate, accepted, int(server.server_address[1]), stored)
    try:
        yield acceptor
        # else pynetdicom aborts what has just been rejected, which its state machine forbids
        wait_for(acceptor.has_parted, "no rejected association is left")
    finally:
        ae.shutdown()
