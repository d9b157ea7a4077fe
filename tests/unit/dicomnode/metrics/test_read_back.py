"""What the page reads of the counters."""

from __future__ import annotations

import subprocess
import sys
from math import inf
from pathlib import Path

from dicomnode.metrics.read_back import Counted, StageTimes, read_back
from support.sources import ROOT

_COUNT = """
import sys, pathlib
from dicomnode.metrics.files import count_as
count_as("worker-1", pathlib.Path(sys.argv[1]))
from dicomnode.metrics.counters import MODEL_INFO, STAGE_SECONDS
MODEL_INFO.labels("covnet", "1.0", "patients").set(1)
for seconds in (4, 4, 4, 9, 100000):
    STAGE_SECONDS.labels("total").observe(seconds)
STAGE_SECONDS.labels("queue")
"""


def test_times_are_the_limits_of_buckets(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _COUNT, str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=300)
    counted = read_back(tmp_path)
    assert counted.stages == {"total": StageTimes(5, 5.0, inf)}
    assert counted.models == (("covnet", "1.0", "patients"),)


def test_where_nobody_counts_there_is_nothing(tmp_path: Path) -> None:
    assert read_back(tmp_path / "gone") == read_back(tmp_path) == Counted()
