"""The roles that the processes of a node play, by name; each is imported only where it runs."""

from __future__ import annotations

import argparse
import gc
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from dicomnode.audit import trail
from dicomnode.config.reading import kept_settings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.own_data import wait_for_own
from dicomnode.lifecycle import (
    RENEWAL,
    Stop,
    block_stop_signals,
    stop_on_request,
    tells_what_can_be_mended,
)
from dicomnode.logs import set_up_logging
from dicomnode.metrics.files import count_as, folder_in
from dicomnode.processes.child import owner_name, waits_for_database

log = logging.getLogger(__name__)

_MODULES = {
    "receiver": "dicomnode.receive.receiver",
    "assessor": "dicomnode.assess.assessor",
    "worker": "dicomnode.analyse.process",
    "deliverer": "dicomnode.deliver.deliverer",
    "cleaner": "dicomnode.data_directory.cleaner",
    "monitor": "dicomnode.monitor.monitor",
}


class _Role(Protocol):
    def run(self, settings: Settings, owner: str, stop: Stop) -> None: ...


def main() -> None:
    """`dicomnode role NAME --settings FILE --node-id ID`, as the supervisor calls it."""
    play_as(sys.argv[2:])


def play_as(arguments: Sequence[str]) -> None:
    """`NAME --settings FILE --node-id ID`, in this process."""
    block_stop_signals(RENEWAL)
    parser = argparse.ArgumentParser(prog="dicomnode role")
    parser.add_argument("name")
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--node-id", required=True)
    asked = parser.parse_args(arguments)
    with tells_what_can_be_mended():
        play(asked.name, kept_settings(asked.settings), asked.node_id)


def _module_of(role: str) -> _Role:
    gc.disable()  # nothing of a module is garbage: an eighth of the time to start
    module = importlib.import_module(_MODULES[role.partition("-")[0]])
    gc.enable()
    return cast("_Role", module)


def play(role: str, settings: Settings, node_id: str) -> None:
    """Be one process of a node until asked to stop. Stop signals must be blocked already."""
    set_up_logging(role, settings.log)
    count_as(role, folder_in(settings.node.data_directory))
    trail.begin(settings, role)
    stop = stop_on_request(RENEWAL)
    if waits_for_database(role):
        wait_for_own(settings, node_id, stop)
    _module_of(role).run(settings, owner_name(node_id, role, os.getpid()), stop)
    trail.end()
    log.info("stopped")
    sys.stderr.flush()
    os._exit(0)  # threads of libraries (pynetdicom, torch) must not hold up the end
