"""The monitor runs its loops side by side, and needs no database for it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.monitor import loops, monitor
from dicomnode.monitor.loops import Loop, Station
from support.wait import PATIENCE_SECONDS


def test_each_loop_goes_on_beside_the_others_and_after_its_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "_FAULT_SECONDS", 0.01)
    stop, looks, both = threading.Event(), [0], threading.Barrier(2, timeout=PATIENCE_SECONDS)

    def failing(_station: Station) -> Loop:
        def look() -> None:
            looks[0] += 1
            if looks[0] == 1:
                raise RuntimeError("the first fails")
            if looks[0] == 2:
                both.wait()

        return Loop("failing", look, 0.01)

    def staying(station: Station) -> Loop:
        def stay() -> None:
            both.wait()
            assert station.node_id == "node"
            station.stop.set()

        return Loop("staying", stay, 0.01)

    monkeypatch.setattr(monitor, "LOOPS", (failing, staying))
    settings = Settings(node=NodeSettings(data_directory=tmp_path))
    monitor.run(settings, "node/monitor/1/", stop)
    assert looks[0] >= 2
    assert list(tmp_path.iterdir()) == []


def test_the_monitor_loads_neither_networks_nor_dicom() -> None:
    """It is small, and starts at once."""
    heavy = "{'torch', 'pydicom', 'pynetdicom', 'highdicom', 'numpy'}"
    code = f"import sys, dicomnode.monitor.monitor; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
