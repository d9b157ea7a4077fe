"""What runs on a host of a cluster: one worker, in a folder of its own, that never outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from dicomnode.placement.host import Host, Order, free_folder
from support.sources import ROOT
from support.wait import wait_for

WORKER = f"""#!{sys.executable}
import json, os, sys, threading
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from dicomnode.lifecycle import block_stop_signals, stop_on_request
block_stop_signals()
stop = stop_on_request()
folder = Path(os.environ["DICOMNODE_NODE__DATA_DIRECTORY"])
told = {{"pid": os.getpid(), "arguments": sys.argv[1:],
         "workers": os.environ["DICOMNODE_INFERENCE__WORKERS"]}}
(folder / "part").write_text(json.dumps(told))
(folder / "part").rename(folder / "told")
if "--until-empty" not in sys.argv:
    stop.wait()
    (folder / "stopped").touch()
"""
"""Stops as the processes of a node do."""

KILLED = """
import sys
from dicomnode.placement.host import Host, Order
Host(Order(sys.argv[1], ("worker",), sys.argv[2])).wait()
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "dicomnode"
    path.write_text(WORKER)
    path.chmod(0o755)
    return str(path)


def told(folder: Path) -> dict[str, object]:
    wait_for((folder / "told").exists, "the worker begins")
    return dict(json.loads((folder / "told").read_text()))


def runs(pid: object) -> bool:
    with suppress(ProcessLookupError):
        os.kill(int(str(pid)), 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    return False


def test_it_starts_what_it_is_told_and_stops_it(program: str, tmp_path: Path) -> None:
    host = Host(Order(program, ("worker", "--config", "x.toml"), str(tmp_path / "scratch")))
    began = told(tmp_path / "scratch" / "1")
    assert began["arguments"] == ["worker", "--config", "x.toml"]
    assert (began["workers"], began["pid"]) == ("1", host.where()[1])
    host.stop()
    assert host.wait() == 0
    assert (tmp_path / "scratch" / "1" / "stopped").exists()
    host.stop()  # once more, of one that has ended


def test_its_end_is_told_by_its_status(program: str, tmp_path: Path) -> None:
    assert Host(Order(program, ("--until-empty",), str(tmp_path))).wait() == 0
    assert Host(Order("/bin/false", (), str(tmp_path))).wait() == 1
    with pytest.raises(OSError, match="no-such-program"):
        Host(Order("/no-such-program", (), str(tmp_path)))


def test_it_starts_the_dicomnode_of_its_own_installation(tmp_path: Path) -> None:
    assert Host(Order("", ("--version",), str(tmp_path))).wait() == 0


def test_two_on_a_host_have_a_folder_each_and_the_next_takes_what_is_free(
    program: str, tmp_path: Path
) -> None:
    hosts = [Host(Order(program, (), str(tmp_path / "scratch"))) for _ in range(2)]
    for number in "12":
        told(tmp_path / "scratch" / number)
    hosts[0].stop()
    hosts[0].wait()
    assert free_folder(tmp_path / "scratch")[0].name == "1"
    hosts[1].stop()
    hosts[1].wait()


def test_a_worker_ends_with_who_started_it_however_that_ended(program: str, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    host = subprocess.Popen([sys.executable, "-c", KILLED, program, str(scratch)], cwd=ROOT)
    worker = told(scratch / "1")["pid"]
    folder, lock = free_folder(scratch)
    assert folder.name == "2"
    os.close(lock)
    host.send_signal(signal.SIGKILL)
    host.wait()
    wait_for(lambda: not runs(worker), "the worker ends")
    assert (scratch / "1" / "stopped").exists(), "it could hand its job back"
    wait_for(lambda: free_folder(scratch)[0].name == "1", "its folder is free again")


def test_one_that_nobody_asks_for_any_more_ends(program: str, tmp_path: Path) -> None:
    host = Host(Order(program, (), str(tmp_path / "scratch")), unasked_seconds=2.0)
    told(tmp_path / "scratch" / "1")
    began = time.monotonic()

    def kept_for_longer() -> bool:
        host.keep()
        return time.monotonic() - began > 3.0

    wait_for(kept_for_longer, "it is asked for")
    assert runs(host.where()[1])
    assert host.wait() == 0
    assert (tmp_path / "scratch" / "1" / "stopped").exists()
