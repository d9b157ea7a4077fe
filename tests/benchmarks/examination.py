"""How long a whole examination takes, stage by stage, in this build and in the one of before.

    python tests/benchmarks/examination.py --before ../dicomnode-of-before --rounds 3

The series is the synthetic patient's chest with its painted lesions, drawn anew at 512 x 512, noisy
as a scanner's is, and compressed by DCMTK's dcmcjpeg (JPEG Lossless, or `--syntax raw`). Both
builds analyse it in turn by the three demonstration bundles, each in a process that has analysed it
once already; told are medians, and whether the findings and the objects are the same.

`--isa avx2` leaves the newer instructions of the processor (AVX-512, AMX) aside in both, `--isa
no-amx`, or `--mask-amx`, AMX alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
TREE = HERE.parents[2]
LIMIT_SECONDS = 3600
"""For one process, all its rounds."""

_MASKS = {
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "no-amx": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"},
}
"""ONEDNN_MAX_CPU_ISA acts on the oneDNN of both engines, that of torch and that of OpenVINO;
ATEN_CPU_CAPABILITY on torch's own kernels, of which none has AMX."""


def main() -> None:
    options = _options()
    if options.measure:
        sys.path[:0] = [str(options.tree), str(options.tree / "tests")]
        inference = {"engine": options.engine}
        if options.precision:
            inference["precision"] = options.precision
        print(json.dumps(_measured(options.measure, inference)))
        return
    trees = ({"before": options.before} if options.before else {}) | {"now": TREE}
    with tempfile.TemporaryDirectory() as folder:
        series = options.series or Path(folder) / "in"
        if not options.series:
            _write(series, options.slices, options.syntax)
        rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in trees}
        for _ in range(options.rounds):
            for name, tree in trees.items():
                rounds[name].append(_in_a_process(tree, series, options))
    _print(rounds, len(list(series.iterdir())) if options.series else options.slices)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", type=Path, help="an older checkout")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slices", type=int, default=248)
    parser.add_argument("--syntax", choices=["jpeg-lossless", "raw"], default="jpeg-lossless")
    parser.add_argument("--series", type=Path, help="a folder with a CT series, in place of ours")
    parser.add_argument("--engine", choices=["auto", "openvino", "torch"], default="auto")
    parser.add_argument(
        "--precision", choices=["auto", "f32"], help="of this build; the older one knows f32 alone"
    )
    parser.add_argument("--isa", choices=sorted(_MASKS), help="use no newer instructions")
    parser.add_argument(
        "--mask-amx",
        dest="isa",
        action="store_const",
        const="no-amx",
        help="the same without AMX: ONEDNN_MAX_CPU_ISA, which OpenVINO and torch both heed",
    )
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--tree", type=Path, default=TREE, help=argparse.SUPPRESS)
    return parser.parse_args()


def _in_a_process(tree: Path, series: Path, options: argparse.Namespace) -> dict[str, Any]:
    masked = _MASKS[options.isa] if options.isa else {}
    done = subprocess.run(
        [
            *(sys.executable, str(HERE), "--tree", str(tree.resolve())),
            *("--measure", str(series), "--engine", options.engine),
            *(("--precision", options.precision) if options.precision and tree == TREE else ()),
        ],
        capture_output=True,
        check=False,
        text=True,
        timeout=LIMIT_SECONDS,
        env=os.environ | masked,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{tree.name}: {found['whole']:.1f} s", file=sys.stderr, flush=True)
    return found


def _measured(series: Path, inference: dict[str, str]) -> dict[str, Any]:
    """One warm analysis of `series`, by the build that is first on the path."""
    from dicomnode.config.settings import Settings
    from dicomnode.methods import bundles
    from dicomnode.offline import process

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.model_validate(
            {
                "node": {"data_directory": folder},
                "inference": {"allow_demonstration_model": True} | inference,
                "eligibility": {"max_slice_thickness_mm": 10.0, "max_slice_spacing_mm": 10.0},
            }
        )
        engines = bundles.load_engines(settings)
        vars(process)["load_engines"] = lambda _settings: engines  # a node loads them once
        process.process_folder(series, Path(folder) / "warm", settings)
        began, cpu = time.perf_counter(), _cpu_seconds()
        outcomes = process.process_folder(series, Path(folder) / "out", settings)
        whole, cpu = time.perf_counter() - began, _cpu_seconds() - cpu
        analysed = [each for each in outcomes if each.state == "analysed"]
        if len(analysed) != 1:
            reasons = "; ".join(str(reason) for each in outcomes for reason in each.reasons)
            raise SystemExit(f"not one series was analysed: {reasons}")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {
            "seconds": analysed[0].seconds,
            "whole": whole,
            "cpu": cpu,
            "peak": peak,
            "answers": _answers(analysed[0].findings),
            "objects": _names(Path(folder) / "out"),
        }


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _answers(findings: Any) -> list[dict[str, float]]:
    """Score by class, of each method."""
    return [each["scores"] for each in findings]


def _names(out: Path) -> list[str]:
    """UIDs, which are derived from all that an object holds but its times."""
    import pydicom

    read = (pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(out.rglob("*.dcm")))
    return [str(each.SOPInstanceUID) for each in read]


def _print(rounds: dict[str, list[dict[str, Any]]], slices: int) -> None:
    import torch

    print(f"one examination, {slices} slices, {torch.get_num_threads()} threads, {processor()}")
    names = list(rounds)
    stages = list(dict.fromkeys(key for name in names for key in rounds[name][0]["seconds"]))
    ratio = len(names) == 2
    print("| stage | " + " | ".join(f"{name}, s" for name in names) + " | ratio |" * ratio)
    print("|---|" + "---|" * (len(names) + ratio))
    rows = {key: [_median(rounds[name], "seconds", key) for name in names] for key in stages}
    rows |= {key: [_median(rounds[name], key) for name in names] for key in ("whole", "cpu")}
    for key, values in rows.items():
        told = f"| {key} | " + " | ".join(f"{value:.2f}" for value in values)
        print(told + (f" | {values[0] / values[1]:.2f} |" if ratio and values[1] else " |"))
    for name in names:
        first = rounds[name][0]
        print(f"{name}: peak {_median(rounds[name], 'peak'):.0f} MiB; {first['answers']}")
    if ratio:
        before, now = (rounds[name][0]["objects"] for name in names)
        same = len(set(before) & set(now))
        print(f"objects: {len(before)} before, {len(now)} now, {same} the same but for their times")


def _median(rounds: Sequence[dict[str, Any]], key: str, stage: str | None = None) -> float:
    found = (each[key] if stage is None else each[key].get(stage, 0.0) for each in rounds)
    return float(statistics.median(found))


def processor() -> str:
    """Its name, and which of the wider instructions it has."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "?")
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    wide = [each for each in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if each in flags]
    return f"{name} ({', '.join(wide)})"


def _write(folder: Path, slices: int, syntax: str) -> None:
    """The drawn chest at 512 x 512 with noise, in `slices` slices of the same height in all."""
    sys.path[:0] = [str(TREE), str(TREE / "tests")]
    from benchmarks.series import write_drawn_chest
    from support.tools import needed

    write_drawn_chest(folder, slices, 512)
    if syntax == "jpeg-lossless":
        for path in folder.iterdir():
            subprocess.run([needed("dcmcjpeg", "dcmtk"), "+e1", path, path], check=True)


if __name__ == "__main__":
    main()
