"""How a receiver serves, as it is configured: its Application Entity, its limits, its sockets."""

from __future__ import annotations

import os
import socket

from pynetdicom import AE

from dicomnode.config.sections import ReceiveSettings
from dicomnode.lifecycle import LISTENER
from dicomnode.network.associations import (
    accept_storage_commitment,
    accept_verification,
    application_entity,
)
from dicomnode.network.listeners import bind_listener
from dicomnode.receive.access import Note, no_note
from dicomnode.receive.waiting_room import WaitingRoom

_NO_LIMIT = 1_000_000

_THREADS_OF_SILENT_PEERS = 256
"""Two for each connection that has asked for no association; with more, new ones are closed."""


def storage_ae(ae_title: str, settings: ReceiveSettings) -> AE:
    """An Application Entity that accepts C-ECHO and storage commitment as it is.

    Every storage SOP class too, private ones as well, once `accept_any_storage` was called.
    """
    ae = application_entity(ae_title)
    ae.maximum_associations = _NO_LIMIT  # the waiting room's business
    ae.maximum_pdu_size = settings.maximum_pdu_length
    ae.network_timeout = settings.network_timeout_seconds
    ae.acse_timeout = settings.acse_timeout_seconds
    accept_verification(ae)
    accept_storage_commitment(ae)
    return ae


def _served(settings: ReceiveSettings) -> int:
    """The limit of associations, shared out evenly among the receiver processes."""
    return -(-settings.maximum_associations // settings.processes)


def waiting_room(settings: ReceiveSettings, note: Note = no_note) -> WaitingRoom:
    """For the associations of one receiver process."""
    waiting, seconds = settings.waiting_associations, settings.waiting_seconds
    return WaitingRoom(_served(settings), waiting, seconds, note)


def most_threads(settings: ReceiveSettings) -> int:
    """Two for each association that is served or waits, and some for who says nothing."""
    return 2 * (_served(settings) + settings.waiting_associations) + _THREADS_OF_SILENT_PEERS


def listeners_of(settings: ReceiveSettings) -> list[socket.socket]:
    """The supervisor's listening sockets, which outlive this process; else some of our own.

    One for each of `settings.ports`.

    Raises:
        ConfigurationError: the address cannot be bound.
    """
    inherited = os.environ.get(LISTENER)
    if inherited is not None:
        return [socket.socket(fileno=int(each)) for each in inherited.split(",")]
    return [bind_listener((settings.address, port)) for port in settings.ports]
