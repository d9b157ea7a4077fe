"""pynetdicom's Upper Layer provider without polling and without endless waits.

Its reactor looks at the socket and at its queue a thousand times a second. Here it sleeps until
bytes come or somebody rings, and while the association thread reads P-DATA by itself
(`association`), it lends that thread the socket. States, actions and events stay
pynetdicom's (PS3.8 section 9.2).
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import ssl
import threading
import time
from typing import Any

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import AA_8, AR_5, TRANSITION_TABLE
from pynetdicom.pdu import A_ABORT_RQ
from pynetdicom.transport import AssociationSocket

from dicomnode.fast_scp.pdu import INVALID_VALUE, PDU_HEAD, with_readable_titles

log = logging.getLogger(__name__)

_LONGEST_NAP_SECONDS = 1.0  # the ARTIM timer is looked at this often
_DRAIN_SECONDS = 0.25
"""In Sta13 the peer should close; a close by us with unread bytes would take our A-ABORT back."""

_LONGEST_OTHER_PDU = 1 << 20
"""No A-ASSOCIATE-RQ comes near it: 128 presentation contexts of 38 transfer syntaxes."""

_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_READ, _WRITE = select.POLLIN, select.POLLOUT


class WakeUpEvent:
    """Wakes the thread that waits for a socket. May be set from anywhere, closed or not."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()

    def set(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        with self._lock, contextlib.suppress(BlockingIOError):
            if self._descriptor >= 0:
                os.eventfd_read(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1


class BoundedSocket(AssociationSocket):
    """An accepted connection, plain or TLS, that never blocks longer than its time-outs."""

    def __init__(
        self, assoc: Association, client_socket: socket.socket, wake_up: WakeUpEvent
    ) -> None:
        super().__init__(assoc, client_socket=client_socket)
        client_socket.setblocking(False)
        with contextlib.suppress(OSError):  # no TCP
            client_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wake_up = wake_up
        self._given_back = b""

    def give_back(self, data: bytes) -> None:
        """Let the next read begin with `data`."""
        self._given_back = data + self._given_back

    def read_into(self, view: memoryview) -> int | None:
        """Bytes read; 0 at the end of the stream; None when nothing has come yet.

        Raises:
            OSError: the connection is broken.
        """
        if self._given_back:
            size = min(len(view), len(self._given_back))
            view[:size], self._given_back = self._given_back[:size], self._given_back[size:]
            return size
        if self.socket is None:
            return 0
        try:
            return int(self.socket.recv_into(view))
        except _NOTHING_YET:
            return None

    def wait(self, seconds: float | None, events: int = _READ) -> bool:
        """Whether the socket became ready within `seconds`; the event ends the wait early."""
        connection, waiting = self.socket, select.poll()
        with contextlib.suppress(ValueError):  # closed: no descriptor
            waiting.register(self._wake_up.fileno(), _READ)
        if connection is not None and connection.fileno() >= 0:
            waiting.register(connection.fileno(), events)
        ready = dict(waiting.poll(None if seconds is None else max(0.0, seconds) * 1000))
        if ready.pop(self._wake_up.fileno(), None):
            self._wake_up.clear()
        return bool(ready)

    @property
    def ready(self) -> bool:
        """Whether there is something to read, the end of the stream included."""
        connection = self.socket
        if connection is None or not self._is_connected:
            return False
        if self._given_back or (isinstance(connection, ssl.SSLSocket) and connection.pending()):
            return True
        if connection.fileno() < 0:
            return False
        polled = select.poll()
        polled.register(connection.fileno(), _READ)
        return bool(polled.poll(0))

    def recv(self, nr_bytes: int) -> bytearray:
        """`nr_bytes`, or fewer at the end of the stream.

        Raises:
            TimeoutError: they did not come in time.
            OSError: the connection is broken.
        """
        received = bytearray(nr_bytes)
        view, got, deadline = memoryview(received), 0, self._deadline()
        while got < nr_bytes:
            count = self.read_into(view[got:])
            if count is None:
                self._await(deadline, _READ)
            elif count == 0:
                break
            else:
                got += count
        view.release()
        del received[got:]
        return received

    def send(self, bytestream: bytes) -> None:
        try:
            self.send_all(bytestream)
        except OSError:
            self.event_queue.put("Evt17")  # transport connection closed

    def send_all(self, data: bytes) -> None:
        """
        Raises:
            OSError: the connection is broken, or the peer takes nothing any more.
        """
        rest, deadline = memoryview(data), self._deadline()
        while rest:
            if self.socket is None:
                raise ConnectionAbortedError("closed")
            try:
                rest = rest[self.socket.send(rest) :]
            except ssl.SSLWantReadError:
                self._await(deadline, _READ)
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._await(deadline, _WRITE)

    def _shutdown_socket(self) -> None:
        """Close it, even where the peer was quicker and there is nothing left to shut down."""
        connection = self.socket
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _deadline(self) -> float | None:
        dul = self.assoc.dul
        waited_for = dul.network_timeout
        if dul.state_machine.current_state == "Sta2":  # the request is to come: ARTIM runs
            artim = dul.artim_timer
            waited_for = None if artim.timeout is None else artim.remaining
        return None if waited_for is None else time.monotonic() + waited_for

    def _await(self, deadline: float | None, events: int) -> None:
        nap = _LONGEST_NAP_SECONDS
        if deadline is not None:
            nap = min(nap, deadline - time.monotonic())
        if nap <= 0 or self.assoc.dul._kill_thread:
            raise TimeoutError("the peer stalls")
        self.wait(nap, events)


class TitleReadingDul(DULServiceProvider):
    """pynetdicom's Upper Layer provider of an acceptor; it reads the AE titles that peers send."""

    def _decode_pdu(self, bytestream: bytearray) -> Any:
        return super()._decode_pdu(bytearray(with_readable_titles(bytes(bytestream))))


class EventDrivenDul(TitleReadingDul):
    """The Upper Layer provider of an acceptor, for Linux."""

    socket: BoundedSocket | None

    def __init__(self, assoc: Association) -> None:
        super().__init__(assoc)
        self.wake_up = WakeUpEvent()
        self._run_loop_delay = 0.0
        self._is_lent = False
        self._settled = threading.Event()
        self._returned = threading.Event()
        self._abort_reason = 0

    # --- for the association thread ---

    def take_socket(self) -> bool:
        """Wait until the association stands; whether the caller has the socket for itself now."""
        self._settled.wait()
        return self._is_lent

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for the provider, to abort for example."""
        return bool(self.to_provider_queue.queue) or self._kill_thread

    @property
    def is_idle(self) -> bool:
        """Whether the connection has ended (Sta1); Sta13 before it ends with the ARTIM timer."""
        return str(self.state_machine.current_state) == "Sta1"

    def return_socket(self, unread: bytes = b"") -> None:
        """The socket is the provider's again; `unread` is read first."""
        if self.socket is not None:
            self.socket.give_back(unread)
        self._returned.set()

    def return_socket_after(self, event: str, reason: int = 0) -> None:
        """The socket is the provider's again, with an event of PS3.8 table 9-10.

        `reason` is that of the A-ABORT which Evt19 leads to (PS3.8 section 9.3.8).
        """
        self._abort_reason = reason
        self.event_queue.put(event)
        self._returned.set()

    def restart_idle_timer(self) -> None:
        """The peer was heard just now."""
        self._idle_timer.restart()

    # --- what pynetdicom calls ---

    def send_pdu(self, primitive: Any) -> None:
        super().send_pdu(primitive)
        self.wake_up.set()

    def kill_dul(self) -> None:
        super().kill_dul()
        self._returned.set()
        self.wake_up.set()

    def stop_dul(self) -> bool:
        if self.state_machine.current_state != "Sta1":
            return False
        self.kill_dul()
        self.join()
        return True

    def run_reactor(self) -> None:
        try:
            super().run_reactor()
        except Exception as fault:  # noqa: BLE001 - what pynetdicom cannot decode may raise any
            log.warning("association aborted: %s in what the peer sent", type(fault).__name__)
            self._break_off()
        finally:
            self._nothing_more()

    def _break_off(self) -> None:
        """As for an invalid PDU (AA-8), then without waiting for the peer to close (AR-5)."""
        if self.state_machine.current_state not in ("Sta1", "Sta13"):
            self._abort_reason = INVALID_VALUE
            AA_8(self)
            self._drain()
        self.state_machine.current_state = AR_5(self)

    def _nothing_more(self) -> None:
        """The connection has ended: whoever still waits for a request is told."""
        if not self._settled.is_set() and self.assoc.requestor.primitive is None:
            waiting: Any = self.to_user_queue
            waiting.put(None)
        self._settled.set()

    def _process_recv_primitive(self) -> bool:
        """What the user wants is dropped where the state has moved on meanwhile (table 9-10)."""
        if not self.event_queue.empty() or not super()._process_recv_primitive():
            return False
        if (self.event_queue.queue[0], self.state_machine.current_state) in TRANSITION_TABLE:
            return True
        self.event_queue.get()
        self.to_provider_queue.get()
        return False

    def _is_transport_event(self) -> bool:
        state = self.state_machine.current_state
        if not self.event_queue.empty():
            return False
        if state == "Sta6" and not self._returned.is_set():
            self._is_lent = True
            self._settled.set()
            self._returned.wait()
            return False
        if state == "Sta13":
            return self._drain()
        if state == "Sta1":
            self._nothing_more()
        if self.socket is not None and not self.socket.ready:
            self.socket.wait(_LONGEST_NAP_SECONDS)
        if self._kill_thread or self.to_provider_queue.queue:
            return False
        return bool(super()._is_transport_event())

    def _drain(self) -> bool:
        """Sta13: what still comes is read and dropped; then the connection is closed."""
        self._settled.set()
        connection = self.socket
        if connection is None or connection.socket is None:
            self.event_queue.put("Evt17")
            return True
        connection.wait(_DRAIN_SECONDS)
        try:
            count = connection.read_into(memoryview(bytearray(1 << 16)))
        except OSError:
            count = 0
        if not count:
            connection.close()
        return True

    def _read_pdu_data(self) -> None:
        """As pynetdicom does it, but a PDU of absurd length is refused before it is read."""
        connection = self.socket
        try:
            head = connection.recv(PDU_HEAD.size) if connection is not None else bytearray()
        except OSError:
            head = bytearray()
        if connection is None or len(head) < PDU_HEAD.size:
            self.event_queue.put("Evt17")  # transport connection closed
        elif PDU_HEAD.unpack(head)[1] > _LONGEST_OTHER_PDU:
            self._abort_reason = INVALID_VALUE
            self.event_queue.put("Evt19")  # invalid PDU
        else:
            connection.give_back(bytes(head))
            super()._read_pdu_data()

    def _send(self, pdu: Any) -> None:
        if isinstance(pdu, A_ABORT_RQ) and pdu.source == 2:  # service provider (PS3.8 9.3.8)
            pdu.reason_diagnostic = self._abort_reason
        super()._send(pdu)
