"""The task `lungs`: it learns a phantom, the same each time, and its weights make a bundle."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from inference.bundles.bundle import weights_problems
from inference.errors import BundleError, NoLungsError
from inference.training.loop import BEST, End, Loop, LoopSettings
from inference.training.lungs.plan import LungPlan, LungTask, dice, lungs_plan
from inference.training.plan import Example, Options
from inference.training.scan import LoadedScan, Split
from support.labelled_scans import known_lungs, labelled, prepared

CPU = torch.device("cpu")
SMALL = (
    ("width", "4"),
    ("batch", "4"),
    ("slices", "8"),
    ("warm_up", "1"),
    ("learning_rate", "0.01"),
)


def _options(**changed: object) -> Options:
    values = {"settings": SMALL, "size": 32, "stages": "lungs:40"} | changed
    return Options(find_lungs=lambda volume: volume.hu < 0, **values)  # type: ignore[arg-type]


def _example(scan: LoadedScan) -> Example:
    return Example("one", "p", "", "signature", lambda: scan)


@pytest.fixture(scope="module")
def plan() -> LungPlan:
    return lungs_plan(_options())


@pytest.fixture(scope="module")
def task(plan: LungPlan, tmp_path_factory: pytest.TempPathFactory) -> LungTask:
    folder = tmp_path_factory.mktemp("cache")
    tensors = plan.prepare(_example(labelled({})))
    scan = prepared(folder, "one", "", tensors)
    return plan.task({Split.TRAINING: [scan], Split.VALIDATION: [scan]})


def test_it_learns_a_phantom_and_the_weights_fit_a_bundle(task: LungTask, tmp_path: Path) -> None:
    before = task.validate(task.network().eval(), task.stages[0], CPU)
    loop = Loop(task, tmp_path, LoopSettings(validate_every=40), CPU)
    assert loop.run() is End.FINISHED
    weights = load_file(tmp_path / BEST)
    assert weights_problems(weights, 3, "lungs") == ()
    network = task.network()
    task.restore(network, weights)
    after = task.validate(network.eval(), task.stages[0], CPU)
    assert after.score > before.score + 0.2
    assert after.extra["classes"] == ["background", "right lung", "left lung"]
    assert after.extra["preprocessing"]["size"] == 32


def test_a_batch_hangs_on_its_chance_alone(task: LungTask) -> None:
    (stage,) = task.stages
    one, again, other = (
        task.batch(stage, np.random.Generator(np.random.PCG64(seed))) for seed in (3, 3, 4)
    )
    assert torch.equal(one.images, again.images)
    assert torch.equal(one.labels, again.labels)
    assert not torch.equal(one.images, other.images)
    assert one.images.shape == (4, 1, 32, 32)


def test_new_networks_hang_on_the_seed_alone(task: LungTask, plan: LungPlan) -> None:
    one, again = task.network().state_dict(), task.network().state_dict()
    assert all(torch.equal(one[name], again[name]) for name in one)
    other = lungs_plan(_options(seed=1)).task({Split.TRAINING: [], Split.VALIDATION: []})
    assert not torch.equal(other.network().state_dict()["last.weight"], one["last.weight"])
    assert plan.settings.seed == 0


def test_it_starts_from_given_weights_or_refuses_them(task: LungTask, tmp_path: Path) -> None:
    weights = {name: value + 1 for name, value in task.network().state_dict().items()}
    save_file(weights, tmp_path / "init.safetensors")
    begun = lungs_plan(_options(init=tmp_path / "init.safetensors"))
    assert len(begun.settings.init) == 64
    started = begun.task({Split.TRAINING: [], Split.VALIDATION: []}).network().state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in started.items())
    save_file({"last.bias": torch.zeros(3)}, tmp_path / "other.safetensors")
    wrong = lungs_plan(_options(init=tmp_path / "other.safetensors"))
    with pytest.raises(BundleError, match=r"parameter down\.0\.0\.weight is missing"):
        wrong.task({Split.TRAINING: [], Split.VALIDATION: []}).network()


def test_a_scan_without_lungs_is_a_problem_of_preparation(plan: LungPlan) -> None:
    scan = LoadedScan(labelled({}).volume)
    with pytest.raises(NoLungsError):
        plan.prepare(_example(scan))


def test_preparation_hangs_on_what_it_uses_and_nothing_else(plan: LungPlan) -> None:
    faster = lungs_plan(_options(settings=(*SMALL, ("learning_rate", "0.1")))).preparation
    larger = lungs_plan(_options(size=48)).preparation
    assert faster == plan.preparation != larger
    assert asdict(plan.settings)["preprocessing"]["size"] == 32


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"size": 40}, "size 40 is not a multiple of 16"),
        ({"stages": "256:10"}, "the task has one, 'lungs'"),
        ({"settings": (("colour", "1"),)}, "no setting 'colour'"),
        ({"settings": (("hu_low", "900"),)}, "window 900.0 to 600.0 HU is not one"),
    ],
)
def test_options_that_cannot_be_are_refused(changed: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        lungs_plan(_options(**changed))


def test_dice_by_hand() -> None:
    one, other = torch.tensor([True, True, False]), torch.tensor([True, False, False])
    assert dice(one, other) == pytest.approx(2 / 3)
    assert dice(one & ~one, one & ~one) == 1.0
    lungs = torch.from_numpy(known_lungs(labelled({})))
    assert dice(lungs, lungs) == 1.0
