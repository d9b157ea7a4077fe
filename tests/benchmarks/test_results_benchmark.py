"""The benchmark of the result objects runs, and the defaults keep within their limits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parent / "results.py"


def run(*arguments: str) -> dict[str, list[str]]:
    """The rows of the table by their first cell, and the peak memory; in a process of its own."""
    command = [sys.executable, str(BENCHMARK), *arguments]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.strip("| ").split(" | ") for line in told.splitlines() if line.startswith("| ")]
    peak = next(line for line in told.splitlines() if line.startswith("peak memory of"))
    return {row[0]: row[1:] for row in rows} | {"peak": peak.split()[-2:]}


def test_a_quick_run_tells_of_every_stage() -> None:
    rows = run("--slices", "30", "--edge", "128")
    for stage in ("header of the study", "report", "montage and key slices", "segmentations"):
        assert float(rows[stage][1]) >= 0
    for stage in ("encoding: report", "encoding: segmentations", "all slices, jpeg, multi-frame"):
        assert float(rows[stage][2]) > 0
    assert float(rows["whole"][2]) < 15


@pytest.mark.slow
def test_the_defaults_keep_within_their_limits() -> None:
    """300 slices: 2 s on one core once warm, 1 GiB; images 15 MB, and segmentations, which are not
    deflated since a peer answered 0x0000 to deflated ones and lost them, a bit a pixel of a lung.
    """
    rows = run()
    assert float(rows["whole"][1]) < 2.0
    assert float(rows["encoding: montage and key slices"][2]) < 15.0
    assert float(rows["encoding: segmentations"][2]) < 2 * 300 * 512 * 512 / 8 / 1e6
    assert rows["peak"][1] == "MiB"
    assert float(rows["peak"][0]) < 1024
