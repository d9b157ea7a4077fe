"""Batches, threads, kernels of the processor: the numbers are the same, or as near as is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NEEDS = {
    "AVX2": {"avx2", "fma"},
    "AVX512_CORE": {"avx512f", "avx512bw", "avx512vl", "avx512dq"},
    "AVX512_CORE_AMX": {"amx_tile", "amx_bf16"},
}
"""Of oneDNN, which computes for torch and, in a build of its own that heeds the same variable, for
OpenVINO; flags of proc(5)."""
ATEN = {"AVX2": "avx2"}


def _flags() -> set[str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return {flag for line in lines if line.startswith("flags") for flag in line.split()[2:]}


@pytest.mark.parametrize("kernels", NEEDS)
def test_the_numbers_do_not_turn_on_batches_and_threads(kernels: str) -> None:
    missing = sorted(NEEDS[kernels] - _flags())
    if missing:
        pytest.skip(f"this processor has no {', '.join(missing)}")
    chosen = {"ONEDNN_MAX_CPU_ISA": kernels, "ATEN_CPU_CAPABILITY": ATEN.get(kernels, "avx512")}
    chosen["OMP_WAIT_POLICY"] = "passive"  # beside other work, spinning takes the others' time
    path = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    done = subprocess.run(
        [sys.executable, "-m", "support.same_numbers"],
        env=os.environ | chosen | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
