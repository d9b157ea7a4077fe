"""More peers than places: they wait, and those that cannot wait are told why."""

from __future__ import annotations

import socket
import threading

import pytest
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from dicomnode.config.destinations import Destination
from dicomnode.config.sections import ReceiveSettings
from dicomnode.network.associations import associated, echo, requestor
from dicomnode.receive.serving import most_threads
from support.receiver import Receiver
from support.wait import PATIENCE_SECONDS, wait_for


@pytest.fixture
def receiver_settings() -> ReceiveSettings:
    return ReceiveSettings(
        processes=1,
        maximum_associations=2,
        waiting_associations=1,
        waiting_seconds=2.0,
        acse_timeout_seconds=3.0,
    )


@pytest.fixture
def peer(receiver: Receiver) -> Destination:
    return receiver.peer


def verifying() -> AE:
    return requestor("TESTER", [build_context(Verification)], 20)


def knock(peer: Destination) -> Association:
    """An association, in whichever state it ended up."""
    return verifying().associate(peer.address, peer.port, ae_title=peer.ae_title)


def test_a_peer_beyond_the_limit_waits_for_a_place(peer: Destination) -> None:
    with associated(verifying(), peer) as first, associated(verifying(), peer):
        served = threading.Event()

        def third() -> None:
            with associated(verifying(), peer):
                served.set()

        waiting = threading.Thread(target=third)
        waiting.start()
        assert not served.wait(0.5)
        first.release()
        assert served.wait(PATIENCE_SECONDS)
        waiting.join()


def test_who_cannot_get_a_place_is_rejected_with_the_right_reason(peer: Destination) -> None:
    """Rejected-transient, local-limit-exceeded (PS3.8 table 9-21): the peer may try again."""
    with associated(verifying(), peer), associated(verifying(), peer):
        late = knock(peer)
        assert late.is_rejected
        answer = late.acceptor.primitive
        assert answer is not None
        assert (answer.result, answer.result_source, answer.diagnostic) == (2, 3, 2)
    echo(peer, "TESTER")


def test_bare_connections_take_no_place(peer: Destination) -> None:
    """Load balancers connect and say nothing, every second."""
    bare = [socket.create_connection(("127.0.0.1", peer.port)) for _ in range(30)]
    with associated(verifying(), peer), associated(verifying(), peer):
        pass
    for connection in bare:
        connection.close()
    before = threading.active_count()
    for _ in range(50):
        socket.create_connection(("127.0.0.1", peer.port)).close()
    echo(peer, "TESTER")
    wait_for(lambda: threading.active_count() <= before, "their threads have ended")


def test_a_flood_of_silent_connections_is_cut_off_and_ends(
    peer: Destination, receiver_settings: ReceiveSettings, caplog: pytest.LogCaptureFixture
) -> None:
    with associated(verifying(), peer) as inside:
        flood: list[socket.socket] = []

        def is_told_of() -> bool:  # a slow receiver ends the first before the last have come
            if len(flood) < 900:
                flood.extend(socket.create_connection(("127.0.0.1", peer.port)) for _ in range(50))
            return "too many are open" in caplog.text

        wait_for(is_told_of, "the flood is told of")
        assert threading.active_count() <= most_threads(receiver_settings) + 10
        assert inside.send_c_echo().Status == 0x0000
        for connection in flood:
            connection.close()
        wait_for(lambda: threading.active_count() < 20, "their threads have ended")
    echo(peer, "TESTER", timeout=PATIENCE_SECONDS)  # after what is left of the flood


def test_an_association_that_is_aborted_gives_its_place_back(peer: Destination) -> None:
    for _ in range(6):
        with associated(verifying(), peer) as association:
            association.abort()
    with associated(verifying(), peer), associated(verifying(), peer):
        pass
