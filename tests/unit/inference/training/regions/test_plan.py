"""The task `regions`: both stages on phantoms, resumed after a stop, to weights of a bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from inference.bundles.bundle import weights_problems
from inference.bundles.tasks import NO_INFECTION
from inference.errors import LesionTruthError
from inference.training.loop import BEST, End, Loop, LoopSettings
from inference.training.plan import Example, Options, PreparedScan
from inference.training.regions.classifier_learning import ClassifierLearning, PatchBatch
from inference.training.regions.plan import RegionPlan, RegionTask, regions_plan
from inference.training.regions.segmenter_learning import RegionBatch
from inference.training.regions.settings import CLASSIFIER, SEGMENTER, region_settings
from inference.training.scan import LoadedScan, Split
from support.labelled_scans import COVID, FLU, IRRELEVANT, SETTINGS, drawn_chest, labelled, prepared

CPU = torch.device("cpu")
SMALL = (
    ("grid_slice_mm", "8"),
    ("grid_pixel_mm", "5"),
    ("width", "1"),
    ("patch_width", "4"),
    ("pieces", "1"),
    ("piece_slices", "16"),
    ("piece_pixels", "32"),
    ("patches", "8"),
    ("warm_up", "1"),
)
SCANS = {
    COVID: labelled({(0.0, 30.0, -70.0, 30.0): COVID}),
    FLU: labelled({(30.0, 0.0, 60.0, 22.0): FLU, (0.0, 0.0, -80.0, 18.0): IRRELEVANT}, hu=0),
    NO_INFECTION: labelled({}),
}


def _options(**changed: object) -> Options:
    lungs = drawn_chest().lungs
    values = {"settings": SMALL, "size": 32, "stages": "segmenter:3,classifier:4"} | changed
    return Options(find_lungs=lambda _: lungs, **values)  # type: ignore[arg-type]


def _example(scan: LoadedScan, label: str) -> Example:
    return Example(label[:5], "p", label, "signature", lambda: scan)


@pytest.fixture(scope="module")
def plan() -> RegionPlan:
    return regions_plan(_options())


@pytest.fixture(scope="module")
def scans(plan: RegionPlan, tmp_path_factory: pytest.TempPathFactory) -> list[PreparedScan]:
    folder = tmp_path_factory.mktemp("cache")
    return [
        prepared(folder, label[:5], label, plan.prepare(_example(scan, label)))
        for label, scan in SCANS.items()
    ]


@pytest.fixture
def new_task(plan: RegionPlan, scans: list[PreparedScan]) -> Callable[[], RegionTask]:
    return lambda: plan.task({Split.TRAINING: scans, Split.VALIDATION: scans})


def _steps(number: int) -> Callable[[], bool]:
    """Asks for a stop after so many steps."""
    left = iter(range(number - 1))
    return lambda: next(left, None) is None


@pytest.mark.parametrize("stop_after", [2, 5])
def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(
    new_task: Callable[[], RegionTask], tmp_path: Path, stop_after: int
) -> None:
    settings = LoopSettings(validate_every=2)
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    for folder in (whole, halved):
        folder.mkdir()
    assert Loop(new_task(), whole, settings, CPU).run() is End.FINISHED
    stop = _steps(stop_after)
    assert Loop(new_task(), halved, settings, CPU, stop=stop).run() is End.STOPPED
    assert Loop(new_task(), halved, settings, CPU).run() is End.FINISHED
    one, other = load_file(whole / BEST), load_file(halved / BEST)
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert weights_problems(one, 3, "regions") == ()
    for name in ("curves.csv", "best.json"):
        assert (whole / name).read_bytes() == (halved / name).read_bytes()


def test_each_stage_trains_its_own_network(new_task: Callable[[], RegionTask]) -> None:
    task = new_task()
    network = task.network()
    for stage in task.stages:
        mine = {id(each) for each in task.trained(network, stage)}
        own = network.get_submodule(stage.name).parameters()
        assert mine == {id(each) for each in own}
    assert [stage.name for stage in task.stages] == [SEGMENTER, CLASSIFIER]


def test_the_losses_of_a_piece_fall_when_it_is_learned(new_task: Callable[[], RegionTask]) -> None:
    task = new_task()
    network, stage = task.network(), task.stages[0]
    drawn = (task.batch(stage, np.random.Generator(np.random.PCG64(at))) for at in range(20))
    batch = next(b for b in drawn if isinstance(b, RegionBatch) and b.truth.any())
    optimiser = torch.optim.Adam(task.trained(network, stage), lr=1e-2)
    losses = []
    for _ in range(25):
        found = task.loss(network, batch, CPU)
        parts = [part.detach() for part in found.parts.values()]
        assert float(found.total.detach()) == pytest.approx(float(sum(parts)))
        optimiser.zero_grad()
        found.total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append((float(parts[0]), float(found.total.detach())))
    (voxel, total), (last_voxel, last_total) = losses[0], losses[-1]
    assert last_voxel < 0.85 * voxel
    assert last_total < total


def test_the_last_validation_gives_threshold_and_temperature(
    new_task: Callable[[], RegionTask],
) -> None:
    task = new_task()
    network = task.network().eval()
    with torch.no_grad():
        first = task.validate(network, task.stages[0], CPU)
        last = task.validate(network, task.stages[1], CPU)
    assert set(first.figures) == {"loss", "voxel", "objectness", "offsets"}
    assert first.score == -first.figures["loss"]
    assert {"patch accuracy", "region accuracy", "case accuracy"} < set(last.figures)
    assert last.extra["temperature"] >= 1
    assert len(last.extra["biases"]) == 3
    assert last.extra["preprocessing"]["patch_size"] == 32
    assert 0.05 <= last.extra["preprocessing"]["score_threshold"] <= 1


def test_mined_patches_are_kept_for_the_same_segmenter(
    new_task: Callable[[], RegionTask], scans: list[PreparedScan]
) -> None:
    def files() -> dict[str, int]:
        found = scans[0].file.parent.glob(f"{scans[0].scan}-patches-*")
        return {path.name: path.stat().st_mtime_ns for path in found}

    def mined() -> dict[str, int]:
        task = new_task()
        task.network()
        task.batch(task.stages[1], np.random.Generator(np.random.PCG64(0)))
        return files()

    first = mined()
    assert first
    assert mined() == first
    task = new_task()
    with torch.no_grad():
        next(task.trained(task.network(), task.stages[0])).add_(1.0)  # type: ignore[call-overload]
    task.batch(task.stages[1], np.random.Generator(np.random.PCG64(0)))
    assert len(files()) == len(first) + 1


class _Reader(nn.Module):
    """Reads the class off the patch: the value of its first pixel."""

    def forward(self, values: Tensor, _distances: Tensor) -> Tensor:
        classes = torch.round(values[:, 0, 0, 0] * 255 / 100).long()
        return torch.nn.functional.one_hot(classes, 3).float() * 9


def _patches(
    folder: Path, scan: str, label: str, classes: list[int], scores: list[float] | None = None
) -> PreparedScan:
    """The first region alone was proposed, unless `scores` says otherwise."""
    first = [0.9] + [-1.0] * (len(classes) - 1)
    values = torch.tensor(classes).repeat_interleave(3)[:, None, None] * 100
    tensors = {
        "values": values.expand(-1, 32, 32).to(torch.uint8),
        "distances": torch.zeros(3 * len(classes)),
        "classes": torch.tensor(classes),
        "scores": torch.tensor(scores or first),
        "found": torch.zeros(0),
    }
    return prepared(folder, scan, label, tensors)


@pytest.fixture
def learning(tmp_path: Path) -> ClassifierLearning:
    scans = [
        _patches(tmp_path, "a", COVID, [0, 2, 2, 2, 2, 2]),
        _patches(tmp_path, "b", FLU, [1, 2, 2, 2, 2, 2]),
        _patches(tmp_path, "c", NO_INFECTION, [2, 2]),
    ]
    settings = replace(region_settings(_options()), patches=600)
    return ClassifierLearning(scans, scans, settings, threshold=0.5)


def test_the_pneumonias_come_three_times_as_often_as_they_are_many(
    learning: ClassifierLearning,
) -> None:
    """Xu et al. 2020, section 2.4: of 1, 1 and 12 regions, 3, 3 and 12 in 18 patches."""
    batch = learning.draw(np.random.Generator(np.random.PCG64(0)))
    assert isinstance(batch, PatchBatch)
    shares = torch.bincount(batch.classes, minlength=3) / 600
    assert shares.tolist() == pytest.approx([3 / 18, 3 / 18, 12 / 18], abs=0.05)
    assert batch.values.shape == (600, 1, 32, 32)
    assert 0 <= float(batch.values.min()) <= float(batch.values.max()) <= 1


def test_a_classifier_that_is_always_right_is_right_by_patch_region_and_case(
    learning: ClassifierLearning,
) -> None:
    result = learning.validate(_Reader(), CPU)
    assert result.score == -result.figures["loss"] > -0.01
    right = ("patch accuracy", "region accuracy", "case accuracy")
    assert [result.figures[name] for name in right] == [1.0, 1.0, 1.0]


def test_a_case_is_judged_by_what_was_proposed_alone(tmp_path: Path) -> None:
    """The infection is there as a lesion, but the segmenter proposed lung."""
    scans = [_patches(tmp_path, "a", COVID, [2, 0, 0])]
    settings = region_settings(_options())
    result = ClassifierLearning(scans, scans, settings, 0.5).validate(_Reader(), CPU)
    assert result.figures["region accuracy"] == 1.0
    assert result.figures["case accuracy"] == 0.0


class _Biased(_Reader):
    """As _Reader, with a leaning to the first class that hides the others."""

    def forward(self, values: Tensor, distances: Tensor) -> Tensor:
        return super().forward(values, distances) + torch.tensor([9.5, 0.0, 0.0])


def test_a_leaning_to_a_class_is_taken_back_by_what_was_proposed(tmp_path: Path) -> None:
    classes = {COVID: [0, 2, 2], FLU: [1, 2, 2], NO_INFECTION: [2, 2, 2]}
    scans = [_patches(tmp_path, f"{at}", *each) for at, each in enumerate(classes.items())]
    result = ClassifierLearning(scans, scans, region_settings(_options()), 0.5).validate(
        _Biased(), CPU
    )
    assert result.extra["biases"][0] < min(result.extra["biases"][1:])
    assert result.figures["region accuracy"] == result.figures["case accuracy"] == 1.0


def test_the_threshold_is_the_lowest_at_which_most_cases_are_right(tmp_path: Path) -> None:
    """A weak proposal in a healthy lung means an infection; true ones have a score of 0.9."""
    scans = [
        _patches(tmp_path, "a", COVID, [0, 2], scores=[0.9, -1.0]),
        _patches(tmp_path, "b", FLU, [1, 2], scores=[0.9, 0.85]),
        _patches(tmp_path, "c", NO_INFECTION, [0, 2], scores=[0.7, -1.0]),
    ]
    learning = ClassifierLearning(scans, scans, region_settings(_options()), 0.5)
    result = learning.validate(_Reader(), CPU)
    assert result.extra["score_threshold"] == 0.71
    assert result.figures["case accuracy"] == 1.0
    assert result.figures["candidates"] == 1.0


def test_problems_of_the_data_are_told_before_anything_starts(plan: RegionPlan) -> None:
    covid = [_example(SCANS[COVID], COVID)]
    told = plan.problems({Split.TRAINING: covid, Split.VALIDATION: covid})
    assert list(told) == [f"no scan of {FLU} for {part}" for part in ("training", "validation")]
    with pytest.raises(LesionTruthError, match="no lesion of it is known"):
        plan.prepare(_example(SCANS[NO_INFECTION], COVID))


def test_the_settings_reach_preparation_and_stages(plan: RegionPlan) -> None:
    assert plan.settings.preprocessing == SETTINGS
    assert [stage.steps for stage in plan.settings.schedule] == [3, 4]
    assert regions_plan(_options(lungs_from="abc")).preparation != plan.preparation


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"stages": "lungs:10"}, r"stages \['lungs'\] are neither"),
        ({"size": 40}, "patch_size 40 is not a multiple of 32"),
        ({"settings": (("piece_pixels", "40"),)}, "piece_pixels 40 is not a multiple of 16"),
        ({"settings": (("tile", "40"),)}, "no setting 'tile'"),
    ],
)
def test_options_that_cannot_be_are_refused(changed: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        regions_plan(_options(**changed))
