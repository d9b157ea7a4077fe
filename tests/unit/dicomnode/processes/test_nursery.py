"""The nursery: what is forked of it, and what it may have imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.sources import ROOT

FORKED = """
import os, signal, time
from dicomnode.lifecycle import RENEWAL, block_stop_signals
from dicomnode.processes.nursery import Forked, Nursery

signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # as some that start a node have it
block_stop_signals(RENEWAL)
nursery = Nursery.begun()
assert not nursery.start(["receiver-1"], {}), "it is not ready"
while not nursery.settled(receives=True):
    time.sleep(0.01)
refused = nursery.start(["receiver-1", "--no-such-option"], {})
assert refused.wait(60) == 2
ended = nursery.start(["receiver-1", "--settings", "no-such-file", "--node-id", "1"], {})
assert ended.wait(60) == 1
assert ended.poll() == 1
killed = nursery.start(["receiver-1", "--settings", "/dev/stdin", "--node-id", "1"], {})
killed.kill()
assert killed.wait(60) in (-9, 1)
while not nursery.settled(receives=False):
    time.sleep(0.01)
refused = nursery.start(["monitor", "--no-such-option"], {})
assert refused.wait(60) == 2
os.kill(nursery._process.pid, 9)
assert nursery.start(["receiver-1"], {}) is None
assert nursery.settled(receives=False)
nursery.close()
"""

BEYOND = """
import importlib, os, sys
from dicomnode.processes.nursery import FOR_OTHERS, FOR_RECEIVERS
from dicomnode.processes.roles import _MODULES

for each in FOR_RECEIVERS + FOR_OTHERS:
    importlib.import_module(each)
absent = {"torch", "openvino", "SimpleITK", "typer", "rich", "dicomnode.metrics.counters"}
assert not absent & set(sys.modules)
known = set(sys.modules)
for each in _MODULES.values():
    importlib.import_module(each)
print(*(set(sys.modules) - known))
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, that may be forked."""
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_what_is_forked_is_ours_and_ends_as_any_other() -> None:
    done = run(FORKED)
    assert done.returncode == 0, done.stderr
    assert "arguments are required: --settings, --node-id" in done.stderr
    assert "FileNotFoundError" in done.stderr
    assert "is gone: they start by themselves" in done.stderr


def test_what_the_supervisor_gives_up_before_it_knows_it_never_begins() -> None:
    """A role whose supervisor heard nothing of it would run beside its successor."""
    program = FORKED.partition("refused =")[0] + (
        "import json, socket\n"
        "going, go = os.pipe()\n"
        'asked = json.dumps([["receiver-1", "--no-such-option"], {}]).encode()\n'
        "socket.send_fds(nursery._way, [asked], [going])\n"
        "os.close(go)\n"
        "assert Forked(int(nursery._way.recv(100))).wait(60) == 0\n"
        "nursery.close()\n"
    )
    done = run(program)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def beyond() -> list[str]:
    done = run(BEYOND)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_roles_import_little_that_the_nursery_has_not(beyond: list[str]) -> None:
    """Nothing that computes, nothing of the command line, no counter: it knows no role yet."""
    assert [each for each in beyond if not each.startswith(("dicomnode.", "storage."))] == []
    assert len(beyond) < 40, beyond
