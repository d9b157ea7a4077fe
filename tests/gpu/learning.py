"""One step of each training task in mixed precision, validated, kept and gone on from."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from gpu.setting import Setting, SkippedError

if TYPE_CHECKING:
    from inference.training.plan import Example, Options, Plan

SMALL = {
    "covnet": {"slices_per_step": "4", "validation_slices": "8"},
    "lungs": {"width": "4", "batch": "2"},
    "regions": {"width": "1", "patch_width": "4", "pieces": "1", "piece_slices": "16"}
    | {"piece_pixels": "32", "patches": "8", "grid_slice_mm": "8", "grid_pixel_mm": "5"},
}
STAGES = {
    "covnet": "{size}x1:1,{size}x4:1",
    "lungs": "lungs:2",
    "regions": "segmenter:1,classifier:1",
}


def step(setting: Setting, task: str) -> str:
    if find_spec("safetensors") is None:
        raise SkippedError("the package safetensors is not installed")
    from inference.training.covnet.plan import covnet_plan
    from inference.training.lungs.plan import lungs_plan
    from inference.training.regions.plan import regions_plan
    from support.labelled_scans import drawn_chest

    plans = {"covnet": covnet_plan, "lungs": lungs_plan, "regions": regions_plan}
    new: Callable[[Options], Plan] = plans[task]  # type: ignore[assignment]
    lungs = drawn_chest().lungs
    with tempfile.TemporaryDirectory() as folder:
        return _trained(setting, new(_options(setting, task, lambda _: lungs)), Path(folder))


def _options(setting: Setting, task: str, find_lungs: Callable[[object], object]) -> Options:
    from inference.training.plan import Options

    size = {"covnet": None, "lungs": 64 if setting.small else 256}.get(task, 32)
    return Options(
        find_lungs=find_lungs,  # type: ignore[arg-type]
        stages=STAGES[task].format(size=64 if setting.small else 224),
        size=size,
        settings=tuple(SMALL[task].items()) if setting.small else (),
    )


def _trained(setting: Setting, plan: Plan, folder: Path) -> str:
    from inference.training.cache import prepare_all
    from inference.training.loop import BEST_CARD, CURVES, End, Loop, LoopSettings
    from inference.training.scan import Split

    scans = prepare_all(_scans(plan.name), plan, folder)
    assert scans is not None
    task = plan.task({Split.TRAINING: scans, Split.VALIDATION: scans})
    run = folder / "run"
    run.mkdir()
    if setting.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    loop = Loop(task, run, LoopSettings(), setting.device)
    assert loop.run() is End.FINISHED, "the run did not finish"
    assert (run / BEST_CARD).exists(), "no weights were kept"
    assert "nan" not in (run / CURVES).read_text(), "a loss is not finite"
    precision = str(loop._half or torch.float32).removeprefix("torch.")
    if setting.device.type != "cuda":
        return precision
    return f"{precision}, {torch.cuda.max_memory_reserved() / 2**30:.1f} GiB"


def _scans(task: str) -> list[Example]:
    from inference.bundles.tasks import NO_INFECTION
    from inference.covnet.network import CLASSES
    from inference.location_attention.network import CLASSES as REGION_CLASSES
    from inference.training.plan import Example
    from support.labelled_scans import Ball, labelled

    at: list[Ball] = [(0.0, 30.0, -70.0, 30.0), (20.0, 0.0, 70.0, 30.0), (0.0, 0.0, -70.0, 25.0)]
    labels = (*REGION_CLASSES[:-1], NO_INFECTION) if task == "regions" else CLASSES
    kinds = REGION_CLASSES if task == "regions" else CLASSES
    return [
        Example(f"scan{index}", f"p{index}", label, "0", partial(labelled, {ball: kind}))
        for index, (label, kind, ball) in enumerate(zip(labels, kinds, at, strict=True))
    ]
