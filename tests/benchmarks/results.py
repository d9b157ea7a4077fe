"""How long the result objects of one series take to build, stage by stage, on one core.

`python tests/benchmarks/results.py` prints CPU seconds and bytes of each stage for 300 slices of
512 x 512, first in a fresh process and then warm, and the peak memory; then the options that are
off by default. `--slices` and `--edge` take other sizes. Nothing is kept.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from dicomnode.decisions.result_options import AllSlices  # noqa: E402
from dicomnode.results.build import ResultContext, ResultObject, encode  # noqa: E402
from dicomnode.results.pictures.all_slices import all_slices  # noqa: E402
from dicomnode.results.pictures.capture import secondary_captures  # noqa: E402
from dicomnode.results.report.report import structured_report  # noqa: E402
from dicomnode.results.segmentation.segmentation import segmentations  # noqa: E402
from inference.findings import FoundLungs, RowColumnBox, SliceActivation  # noqa: E402
from support.chest_volume import HEIGHT_MM, WIDTH_MM, chest  # noqa: E402
from support.result_samples import SAMPLE, context, options, source  # noqa: E402

Made = TypeVar("Made")


@dataclass(frozen=True)
class Stage:
    """CPU seconds of this process, and bytes of what it made."""

    name: str
    seconds: float
    size_bytes: int = 0


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    with one_core():
        sample = large_context(options.slices, options.edge)
        print(f"{options.slices} slices of {options.edge} x {options.edge}, one core")
        print("| stage | CPU s, first | CPU s, warm | MB |\n|---|---|---|---|")
        first, warm = stages(replace(sample)), stages(replace(sample))
        for cold, again in zip(first, warm, strict=True):
            _row(cold.name, f"{cold.seconds:.2f}", again)
        whole = Stage("whole", total(warm), sum(each.size_bytes for each in warm))
        _row("whole", f"{total(first):.2f}", whole)
        print(f"peak memory of the process: {peak_mib():.0f} MiB")
        for name, stage in option_stages(sample):
            _row(name, "", stage)
        print(f"peak memory with these: {peak_mib():.0f} MiB")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--edge", type=int, default=512)
    return parser.parse_args(arguments)


def _row(name: str, first: str, stage: Stage) -> None:
    print(f"| {name} | {first} | {stage.seconds:.2f} | {stage.size_bytes / 1e6:.3f} |")


@contextmanager
def one_core() -> Iterator[None]:
    """This process on the first of its cores."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def peak_mib() -> float:
    """Of this process since it began."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def total(measured: Sequence[Stage]) -> float:
    return sum(each.seconds for each in measured)


def large_context(slices: int, edge: int) -> ResultContext:
    """A chest of ellipsoids with activations on every slice of lung; nothing of it is cached."""
    pixel_mm = WIDTH_MM / edge
    drawn = chest((HEIGHT_MM / slices, pixel_mm, pixel_mm))
    missing = edge - drawn.hu.shape[1]
    hu = np.pad(drawn.hu, ((0, 0), (0, missing), (0, 0)), constant_values=-1000)
    lungs = np.pad(drawn.lungs, ((0, 0), (0, missing), (0, 0)))
    found = replace(SAMPLE, heat=_activations(lungs))
    volume = replace(drawn.volume(), hu=hu)
    sources = [source(index) for index in range(slices)]
    return context(sources=sources, volume=volume, findings=found, lungs=FoundLungs(lungs))


def _activations(lungs: np.ndarray) -> tuple[SliceActivation, ...]:
    random = np.random.default_rng(0)
    with_lung = np.flatnonzero(lungs.any(axis=(1, 2)))
    shares = random.dirichlet(np.ones(len(with_lung)))
    box = RowColumnBox(0, 0, *lungs.shape[1:])
    return tuple(
        SliceActivation(int(index), box, random.random((7, 7), np.float32), float(share))
        for index, share in zip(with_lung, shares, strict=True)
    )


def stages(sample: ResultContext) -> list[Stage]:
    """What `build_results` does for the defaults, part by part, and the encoding of each."""
    header = _measured("header of the study", lambda: sample.header)[0]
    measured, made = [header], []
    parts: dict[str, Callable[[ResultContext], tuple[ResultObject, ...]]] = {
        "report": lambda context: (structured_report(context),),
        "montage and key slices": secondary_captures,
        "segmentations": segmentations,
    }
    for name, build in parts.items():
        stage, objects = _measured(name, partial(build, sample))
        made.append((name, objects))
        measured.append(stage)
    for name, objects in made:
        stage, size = _measured(f"encoding: {name}", partial(_encoded_bytes, objects))
        measured.append(replace(stage, size_bytes=size))
    return measured


def _encoded_bytes(objects: Sequence[ResultObject]) -> int:
    return sum(len(encode(each)) for each in objects)


def option_stages(sample: ResultContext) -> Iterator[tuple[str, Stage]]:
    """Built and encoded, one object after the other."""
    for encoding, multi_frame in ((AllSlices.JPEG, False), (AllSlices.JPEG, True)):
        settings = options(sample.settings, all_slices=encoding, multi_frame=multi_frame)
        changed = replace(sample, settings=settings)
        name = f"all slices, {encoding.value}" + (", multi-frame" if multi_frame else "")
        stage, size = _measured(name, partial(_all_bytes, changed))
        yield name, replace(stage, size_bytes=size)


def _all_bytes(sample: ResultContext) -> int:
    return _encoded_bytes(all_slices(sample))


def _measured(name: str, work: Callable[[], Made]) -> tuple[Stage, Made]:
    begun = time.process_time()
    made = work()
    return Stage(name, time.process_time() - begun), made


if __name__ == "__main__":
    main()
