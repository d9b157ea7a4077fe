"""`dicomnode model train`: a manifest of labelled scans becomes weights."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dicomnode.errors import ConfigurationError, DataError, ManifestError
from dicomnode.version import VERSION
from dicomnode.weights.manifest import Manifest, ManifestRow, read_manifest
from dicomnode.weights.scans import load_scan
from dicomnode.weights.train_view import TrainView
from inference.backends.device import Device, choose_device
from inference.bundles.bundle import load_bundle
from inference.bundles.tasks import TASKS
from inference.errors import InferenceError
from inference.training.cache import PreparationError, code_digest, prepare_all
from inference.training.loop import End, Loop, LoopSettings
from inference.training.plan import Example, FindLungs, Options, Plan, PreparedScan, with_values
from inference.training.run import open_run, update_run
from inference.training.scan import Split
from inference.training.split import draw_splits

_LEARNING = (Split.TRAINING, Split.VALIDATION)

Examples = Mapping[Split, list[Example]]


@dataclass(frozen=True)
class TrainRequest:
    """What is asked for on the command line.

    `lungs`: folder of the bundle that finds the lungs in use; None is the classical method.
    `minutes`: after which the run stops, to be gone on with. `settings`, `loop`: values of the
    task's settings and of the loop's, by name.
    """

    task: str
    manifest: Path
    out: Path
    seed: int = 0
    init: Path | None = None
    lungs: Path | None = None
    size: int | None = None
    stages: str | None = None
    minutes: float | None = None
    device: Device = "auto"
    settings: tuple[tuple[str, str], ...] = ()
    loop: tuple[tuple[str, str], ...] = ()


def train(request: TrainRequest, view: TrainView, stop: Callable[[], bool]) -> End:
    """Begin the run, or go on with it where the folder holds the same one.

    Raises:
        ManifestError: the manifest, or any of its scans, cannot be trained on.
        ConfigurationError: the options are not right.
        InferenceError: the folder holds another run, the device is not there, a loss diverged.
    """
    began = time.monotonic()
    trained = [name for name, task in TASKS.items() if task.plan]
    if request.task not in trained:
        raise ConfigurationError(
            f"no task {request.task!r}: one of {', '.join(trained)} is trained"
        )
    manifest = read_manifest(request.manifest, request.task)
    try:
        plan = _plan(request)
        loop = with_values(LoopSettings(seed=request.seed), request.loop)
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"train: {error}") from error
    examples = _examples(manifest, request.seed)
    if problems := _problems(plan, examples):
        raise ManifestError(manifest.path.name, tuple(problems))
    again = open_run(request.out, _record(plan, loop, manifest, examples))
    view.begins(request.out, again, examples)

    def ends() -> bool:
        late = request.minutes is not None and time.monotonic() - began > 60 * request.minutes
        return late or stop()

    end = _train(plan, loop, examples, request, view, ends)
    update_run(request.out, {"state": end.value, "versions": _versions()})
    return end


def _train(
    plan: Plan,
    settings: LoopSettings,
    examples: Examples,
    request: TrainRequest,
    view: TrainView,
    stop: Callable[[], bool],
) -> End:
    data = _prepare(plan, examples, request, view, stop)
    if data is None:
        return End.STOPPED
    task = plan.task(data)
    loop = Loop(task, request.out, settings, choose_device(request.device), stop=stop, view=view)
    with view.training(task.stages):
        end = loop.run()
    update_run(request.out, {"stages": loop.progress()})
    return end


def _plan(request: TrainRequest) -> Plan:
    find_lungs, lungs_from = _lungs(request)
    options = Options(
        find_lungs=find_lungs,
        lungs_from=lungs_from,
        seed=request.seed,
        size=request.size,
        stages=request.stages,
        init=request.init,
        settings=request.settings,
    )
    plan: Plan = TASKS[request.task].training_plan(options)
    return plan


def _lungs(request: TrainRequest) -> tuple[FindLungs, str]:
    """How lungs are found in use, and what names that way."""
    if request.lungs is None:
        from inference.lungs.thresholds import segment_lungs

        return segment_lungs, "classical"
    from inference.lungs.network import LungNetwork

    bundle = load_bundle(request.lungs)
    network = LungNetwork.load(bundle, request.device)
    return lambda volume: network.segment(volume) > 0, bundle.card.weights_sha256


def _examples(manifest: Manifest, seed: int) -> Examples:
    given = {row.patient: row.split for row in manifest.rows}
    splits = draw_splits(given, seed)
    examples: dict[Split, list[Example]] = {split: [] for split in Split}
    for row in manifest.rows:
        load = partial(load_scan, row)
        example = Example(row.scan, row.patient, row.label, _signature(row), load)
        examples[splits[row.patient]].append(example)
    return examples


def _problems(plan: Plan, examples: Examples) -> list[str]:
    found = [f"no patient for {split}" for split in _LEARNING if not examples[split]]
    return found or list(plan.problems(examples))


def _signature(row: ManifestRow) -> str:
    """Of a scan's files: names, sizes, times of change. A digest of terabytes would take hours."""
    files = sorted(row.path.rglob("*")) if row.path.is_dir() else [row.path]
    files += [file for file in (row.lungs, row.lesions, row.boxes) if file is not None]
    digest = hashlib.sha256()
    for file in files:
        stat = file.stat()
        digest.update(f"{file.name}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def _prepare(
    plan: Plan,
    examples: Examples,
    request: TrainRequest,
    view: TrainView,
    stop: Callable[[], bool],
) -> dict[Split, list[PreparedScan]] | None:
    """The scans that are learned from; those of the test are not touched. None when stopped."""
    wanted = [example for split in _LEARNING for example in examples[split]]
    refused = (InferenceError, DataError, ManifestError, OSError)
    try:
        with view.preparing() as on_progress:
            cache = request.out / "cache"
            prepared = prepare_all(
                wanted, plan, cache, progress=on_progress, refused=refused, stop=stop
            )
    except PreparationError as error:
        raise ManifestError(request.manifest.name, error.problems) from error
    if prepared is None:
        return None
    by_scan = {each.scan: each for each in prepared}
    return {split: [by_scan[each.scan] for each in examples[split]] for split in _LEARNING} | {
        Split.TEST: []
    }


def _record(
    plan: Plan, loop: LoopSettings, manifest: Manifest, examples: Examples
) -> dict[str, Any]:
    patients: dict[str, dict[str, list[str]]] = {split.value: {} for split in Split}
    for split, some in examples.items():
        for each in some:
            patients[split.value].setdefault(each.patient, []).append(each.scan)
    return {
        "task": plan.name,
        "manifest": {"name": manifest.path.name, "sha256": manifest.sha256},
        "simulated": manifest.simulated,
        "settings": asdict(plan.settings),
        "loop": asdict(loop),
        "patients": patients,
        "state": "begun",
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    """What computed it: not part of what makes a run the same."""
    import numpy as np
    import torch

    return {
        "dicomnode": VERSION,
        "inference_sha256": code_digest(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
    }
