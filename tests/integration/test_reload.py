"""A running node takes over a changed configuration, and loses no association."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pynetdicom import build_context

from dicomnode.data_directory.holding import keep_settings
from dicomnode.decisions.arrival.admission import AdmissionPolicy, Peer
from dicomnode.errors import PeerError
from dicomnode.network.associations import SUCCESS, associated, c_store, echo, requestor
from storage.instances import InstanceFiles
from support.command import dicomnode
from support.node import Node, sop_instance_uids
from support.phantom import write_series
from support.receiver_process import Receivers
from support.restarts import StorescuLoop
from support.wait import wait_for

OTHERS_ONLY = AdmissionPolicy(peers=(Peer("CT1", ("127.0.0.0/8",)),))


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[Receivers]:
    found = Receivers(tmp_path)
    found.start_all()
    yield found
    found.close()


def test_who_may_send_changes_while_an_association_goes_on(
    receivers: Receivers, tmp_path: Path
) -> None:
    first, second = write_series(tmp_path / "series", slices=2)
    head = pydicom.dcmread(first, stop_before_pixels=True)
    context = build_context(head.SOPClassUID, head.file_meta.TransferSyntaxUID)
    with associated(requestor("TESTER", [context], 20), receivers.node.peer) as association:
        assert c_store(association, first) == SUCCESS
        admission = receivers.settings.receive.model_copy(update={"admission": OTHERS_ONLY})
        keep_settings(receivers.settings.model_copy(update={"receive": admission}))
        for process in receivers.processes.values():
            process.send_signal(signal.SIGHUP)
        wait_for(
            lambda: receivers.log.count("configuration is taken over") == len(receivers.pids),
            "all receivers have taken it over",
        )
        with pytest.raises(PeerError, match="not recognized"):
            echo(receivers.node.peer, "TESTER")
        echo(receivers.node.peer, "CT1")
        assert c_store(association, second) == SUCCESS
    assert len(list(receivers.files.iter_paths())) == 2


@pytest.mark.long
def test_a_node_that_receives_takes_over_each_change_and_loses_nothing(
    tmp_path: Path, shared_models: Path
) -> None:
    node = Node(tmp_path / "node", models=shared_models)
    text = node.config.read_text()
    node.start()
    receiving = [node.pid("receiver-1"), node.pid("receiver-2")]
    deliverer = node.pid("deliverer")
    senders = StorescuLoop(node.port, tmp_path / "sent")
    senders.start()
    try:
        for days in (10.0, 20.0, 30.0):
            node.config.write_text(f"{text}\n[retention]\nskipped_days = {days}\n")
            done = dicomnode("config", "reload", "--config", str(node.config))
            assert (done.returncode, done.stderr) == (0, "")
            assert "taken over: retention.skipped_days" in done.stdout
            senders.wait_for_another()
        node.config.write_text(text.replace(f"port = {node.port}", "port = 104"))
        done = dicomnode("config", "reload", "--config", str(node.config))
        assert done.returncode == 2
        assert "receive.port: holds only from a restart on" in done.stderr
        node.config.write_text(f"{text}\n[retention]\nskiped_days = 1.0\n")
        assert dicomnode("config", "reload", "--config", str(node.config)).returncode == 2
        assert node.process is not None
        node.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "nothing is changed" in node.log, "a wrong file is told in the log too")
    finally:
        senders.stop()
        node.config.write_text(text)
    try:
        check_what_became(node, senders, receiving, deliverer)
    finally:
        node.close()
    done = dicomnode("config", "reload", "--config", str(node.config))
    assert done.returncode == 2
    assert "no node runs on the data directory" in done.stderr


def check_what_became(
    node: Node, senders: StorescuLoop, receiving: list[int], deliverer: int
) -> None:
    """All that was answered is there; the receivers are those that began, the others are not."""
    assert senders.failures == []
    assert [node.pid("receiver-1"), node.pid("receiver-2")] == receiving
    assert node.pid("deliverer") != deliverer
    files = InstanceFiles(node.settings.instances)
    assert senders.answered
    assert senders.answered <= sop_instance_uids(
        [files.open_path(each) for each in files.iter_paths()]
    )
