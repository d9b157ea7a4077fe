"""Runs every check, prints a table, and fails when one fails."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial

import torch

from gpu import equality, learning, memory, stages
from gpu.setting import CPU, Setting, SkippedError, do_without_simpleitk

Check = Callable[[Setting], str]
LIMIT_SECONDS = 360

CHECKS: dict[str, Check] = {
    "COVNet, float32": partial(equality.covnet, half=False),
    "COVNet, as used": partial(equality.covnet, half=True),
    "location attention, float32": partial(equality.regions, half=False),
    "location attention, as used": partial(equality.regions, half=True),
    "U-net of the lungs": equality.lungs,
    "a volume, heat and regions": equality.volume,
    "out of memory, batches": memory.smaller_batches,
    "out of memory, tiles": memory.smaller_tiles,
    "out of memory, no room": memory.no_room,
    "training, covnet": partial(learning.step, task="covnet"),
    "training, lungs": partial(learning.step, task="lungs"),
    "training, regions": partial(learning.step, task="regions"),
    "stages of a series": stages.table,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bash tests/gpu.sh", description=__doc__)
    parser.add_argument("--cpu", action="store_true", help="a rehearsal with small sizes")
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="checks with these in their name"
    )
    options = parser.parse_args()
    checks = {name: check for name, check in CHECKS.items() if options.only in name}
    setting = _setting(options.cpu)
    if setting is None:
        print(f"no GPU for torch {torch.__version__}: bash tests/gpu.sh --cpu rehearses")
        return 2
    if not checks:
        print(f"no check has {options.only!r} in its name: {', '.join(CHECKS)}")
        return 2
    print(f"{setting.name}, torch {torch.__version__}, Python {sys.version.split()[0]}", flush=True)
    if told := do_without_simpleitk():
        print(told, flush=True)
    began = time.perf_counter()
    ends = [_end(name, check, setting) for name, check in checks.items()]
    seconds = time.perf_counter() - began
    counts = {end: ends.count(end) for end in ("ok", "SKIPPED", "FAILED")}
    print(", ".join(f"{count} {end}" for end, count in counts.items()) + f" in {seconds:.0f} s")
    if seconds > LIMIT_SECONDS:
        print(f"longer than {LIMIT_SECONDS} s")
    return int(counts["FAILED"] > 0)


def _setting(rehearse: bool) -> Setting | None:
    if rehearse:
        return Setting(CPU, small=True)
    return Setting(torch.device("cuda"), small=False) if torch.cuda.is_available() else None


def _end(name: str, check: Check, setting: Setting) -> str:
    """Makes one check and tells of it; whatever goes wrong in it is a failure of that check."""
    began = time.perf_counter()
    try:
        end, told = "ok", check(setting)
    except SkippedError as reason:
        end, told = "SKIPPED", str(reason)
    except Exception:  # noqa: BLE001 - a check that breaks must not hide those after it
        end, told = "FAILED", traceback.format_exc()
    seconds = time.perf_counter() - began
    print(f"{end:7} {seconds:6.1f} s  {name}: {told}", flush=True)
    if setting.device.type == "cuda":
        torch.cuda.empty_cache()
    return end


if __name__ == "__main__":
    sys.exit(main())
