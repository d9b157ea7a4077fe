"""The benchmark of the delivery runs and tells of every object."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parent / "deliver.py"


def test_a_quick_run_tells_how_long_it_took_after_an_outage() -> None:
    command = [sys.executable, str(BENCHMARK), "--only", "outage", "--series", "2"]
    command += ["--outage", "20", "--scale", "20"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    code, outage, scale, objects, seconds, tried = told.splitlines()[-1].strip("| ").split(" | ")
    assert (code, outage, scale, objects) == ("now", "20", "20 x", "4")
    assert float(seconds) > 0
    assert int(tried.removesuffix(" times")) >= 1
