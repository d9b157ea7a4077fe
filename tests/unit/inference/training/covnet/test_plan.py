"""COVNet's training data and task, on chest phantoms with drawn lesions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference.arrays.components import Mask
from inference.covnet.network import CLASSES, Covnet
from inference.covnet.preprocess import prepare
from inference.errors import LesionTruthError
from inference.lungs.thresholds import segment_lungs
from inference.training.augment import Augmentation
from inference.training.cache import prepare_all
from inference.training.covnet.data import NEGATIVE, UNSURE, draw_bags, prepare_scan
from inference.training.covnet.losses import bag_maxima
from inference.training.covnet.norms import norms
from inference.training.covnet.plan import CovnetPlan, CovnetTask, covnet_plan
from inference.training.covnet.settings import CovnetStage
from inference.training.plan import Example, FindLungs, Options
from inference.training.scan import LoadedScan, Split
from support.labelled_scans import Ball, drawn_chest, labelled
from support.orientations import AXIAL, Stored, stored, turned

COVID, CAP, NONE = CLASSES
LEFT: Ball = (20.0, 0.0, 70.0, 30.0)
RIGHT: Ball = (-30.0, 10.0, -75.0, 30.0)
CPU = torch.device("cpu")
PLAIN = Augmentation(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def true_lungs(_volume: object) -> Mask:
    return drawn_chest().lungs


def plan(stages: str = "32:4", find_lungs: FindLungs = true_lungs, **settings: Any) -> CovnetPlan:
    values = tuple((name, str(value)) for name, value in settings.items())
    return covnet_plan(Options(find_lungs=find_lungs, stages=stages, settings=values))


def example(name: str, label: str, scan: LoadedScan) -> Example:
    return Example(name, f"patient {name}", label, "0", lambda: scan)


def cases() -> list[Example]:
    return [
        example("covid", COVID, labelled({LEFT: COVID, RIGHT: COVID})),
        example("cap", CAP, labelled({LEFT: CAP}, hu=20)),
        example("nodule", NONE, labelled({RIGHT: NONE})),
        example("clean", NONE, labelled({}, masks=False)),
    ]


def task(folder: Path, made: CovnetPlan, chosen: Sequence[Example]) -> CovnetTask:
    prepared = prepare_all(chosen, made, folder)
    assert prepared is not None
    return made.task({Split.TRAINING: prepared, Split.VALIDATION: prepared})


@pytest.fixture(scope="module")
def covnet_task(tmp_path_factory: pytest.TempPathFactory) -> CovnetTask:
    return task(tmp_path_factory.mktemp("cache"), plan(slices_per_step=24), cases())


def test_the_kept_images_are_those_of_the_preparation_at_inference(tmp_path: Path) -> None:
    """Same function, same slices: equal to the half precision that they are kept in."""
    made = plan("32:3,64:2", segment_lungs, given_lungs=0.0)
    scan = labelled({LEFT: COVID})
    prepared = prepare_all([example("a", COVID, scan)], made, tmp_path)
    assert prepared is not None
    (kept,) = prepared
    lungs = segment_lungs(scan.volume)
    for size in (32, 64):
        settings = replace(made.settings.preprocessing, size=size)
        inferred = prepare(scan.volume, lungs, settings)
        assert torch.equal(kept.tensor(f"images_{size}"), inferred.images.half())
    assert kept.tensor("images_64").float().sub(inferred.images).abs().max() < 2**-11


def test_lesion_maps_cover_the_lesions_however_the_volume_is_stored() -> None:
    made = plan("64:1").settings
    scan = labelled({LEFT: COVID, RIGHT: NONE})
    assert scan.lesions is not None
    expected = prepare_scan(scan, COVID, drawn_chest().lungs, made)["lesions"]
    assert expected.shape[1:] == (3, 8, 8)
    assert expected[:, 0].any()
    assert not expected[:, 1].any()
    assert not expected[:, 0, :, :4].any()  # columns go to the left: the right lung is at first
    assert not expected[:, 2, :, 4:].any()
    for how in AXIAL:
        masks = turned(drawn_chest().lungs, how), turned(scan.lesions, how)
        other = LoadedScan(stored(scan.volume, how), *masks, scan.boxes)
        found = prepare_scan(other, COVID, masks[0], made)["lesions"]
        same_order = found if _slices_up(how) else found.flip(0)
        assert (same_order.int() - expected.int()).abs().max() <= 2


def _slices_up(how: Stored) -> bool:
    return not how.flipped[0]


def test_the_part_that_shows_lesions_is_that_of_the_mask() -> None:
    """A ball of 30 mm is 28 cm2 in its middle slice, of the box about the lungs."""
    scan = labelled({LEFT: CAP})
    shown = prepare_scan(scan, CAP, drawn_chest().lungs, plan("64:1").settings)["shown"]
    assert scan.lesions is not None
    prepared = prepare(scan.volume, drawn_chest().lungs, plan("64:1").settings.preprocessing)
    box = prepared.box
    area = (box.bottom - box.top) * (box.right - box.left)
    truth = [np.count_nonzero(scan.lesions[index]) / area for index in prepared.slice_indices]
    assert shown[:, 1].tolist() == pytest.approx(truth, rel=0.1, abs=2e-3)
    assert not shown[:, [0, 2]].any()


def test_what_is_not_known_of_lesions_is_not_guessed(tmp_path: Path) -> None:
    made = plan(given_lungs=1.0)
    positive = example("covid", COVID, labelled({LEFT: COVID}, boxes=False, masks=False))
    negative = example("clean", NONE, labelled({}, masks=False))
    covid, clean = _scans(task(tmp_path, made, [positive, negative]))
    assert not covid.known
    assert covid.telling is None
    assert set(covid.slice_labels.tolist()) == {UNSURE}
    assert clean.known
    assert clean.telling == ()
    assert set(clean.slice_labels.tolist()) == {NEGATIVE}


def _scans(made: CovnetTask) -> list[Any]:
    return [scan for scans in made.by_class.values() for scan in scans]


def test_slices_are_labelled_by_what_they_show(covnet_task: CovnetTask) -> None:
    """A ball of 30 mm on slices 10 mm apart: 6 show it, its tips may be unsure."""
    (cap,) = covnet_task.by_class[1]
    labels = Counter(cap.slice_labels.tolist())
    assert 5 <= labels[1] <= 7
    assert labels[UNSURE] <= 2
    assert labels[NEGATIVE] == cap.slices - labels[1] - labels[UNSURE]
    assert cap.telling is not None
    assert [cap.slice_labels[index] for index in cap.telling] == [1] * labels[1]


def test_a_lesion_of_an_unknown_class_is_refused() -> None:
    scan = labelled({LEFT: "influenza"})
    with pytest.raises(LesionTruthError, match="boxes: unknown class 'influenza'"):
        prepare_scan(scan, COVID, drawn_chest().lungs, plan().settings)


def test_without_boxes_all_lesions_are_of_the_scans_class() -> None:
    scan = labelled({LEFT: CAP, RIGHT: CAP}, boxes=False)
    settings = plan("64:1").settings
    maps = prepare_scan(scan, COVID, drawn_chest().lungs, settings)["lesions"]
    assert maps[:, 0].any()
    assert not maps[:, 1:].any()


def test_classes_come_equally_often_whatever_their_number_of_scans(
    covnet_task: CovnetTask,
) -> None:
    """Two of the four scans are of one class."""
    settings = covnet_task.settings
    labels: Counter[int] = Counter()
    for seed in range(300):
        random = np.random.Generator(np.random.PCG64(seed))
        drawn = draw_bags(covnet_task.by_class, settings.stages[0], settings, random)
        labels.update(drawn.labels.tolist())
    shares = np.array([labels[c] for c in range(3)]) / labels.total()
    assert shares == pytest.approx([1 / 3] * 3, abs=0.05)


def test_a_bag_of_a_class_shows_it(covnet_task: CovnetTask) -> None:
    for seed in range(60):
        random = np.random.Generator(np.random.PCG64(seed))
        bags = covnet_task.batch(covnet_task.stages[0], random)
        assert len(bags.images) == len(bags.bag) == len(bags.lesions) == len(bags.slice_labels)
        for number, label in enumerate(bags.labels.tolist()):
            shown = bags.slice_labels[bags.bag == number]
            assert label == NEGATIVE or (shown == label).any()
            assert set(shown.tolist()) <= {label, NEGATIVE, UNSURE}


def test_the_maxima_of_bags_are_what_the_network_makes_of_each_scan() -> None:
    network = Covnet(3).eval()
    images = torch.rand((7, 1, 32, 32), generator=torch.Generator().manual_seed(1))
    bag = torch.tensor([0, 0, 0, 1, 1, 2, 2])
    with torch.no_grad():
        together = network.logits(
            bag_maxima(network.feature_maps(images).mean(dim=(2, 3)), torch.bincount(bag).tolist())
        )
        apart = torch.stack([network(images[bag == number]) for number in range(3)])
    assert torch.allclose(together, apart, atol=1e-4)


def test_the_head_says_nothing_at_first_to_what_is_common_to_all_features(
    covnet_task: CovnetTask,
) -> None:
    head = covnet_task.network().fc
    with torch.no_grad():
        assert head(torch.full((2048,), 3.0)).abs().max() < 1e-3
        assert float(head.weight.std()) == pytest.approx(0.02, rel=0.05)
    rates = {name: factor for name, factor in _rates(covnet_task).items() if factor != 1.0}
    assert rates == {"fc.weight": 0.3, "fc.bias": 0.3}


def _rates(made: CovnetTask) -> dict[str, float]:
    network = made.network()
    names = {parameter: name for name, parameter in network.named_parameters()}
    trained = [each for each in made.trained(network, made.stages[0]) if isinstance(each, tuple)]
    return {names[parameter]: factor for parameter, factor in trained}


def test_norms_follow_the_first_stage_and_then_keep_a_mean_over_many_batches(
    tmp_path: Path,
) -> None:
    made = task(tmp_path, plan("32x1:3,32x8:2", slices_per_step=8), cases())
    network, (first, second) = made.network(), made.stages
    norm = next(norms(network))
    assert norm.running_mean is not None
    network.train()
    made.begin_step(network, first, 0)
    assert norm.training
    assert not norm.running_mean.any()
    made.begin_step(network, second, 0)
    assert not any(norm.training for norm in norms(network))
    kept = norm.running_mean.clone()
    assert kept.any()
    network.train()
    made.begin_step(network, second, 1)
    made.loss(network, made.batch(second, np.random.default_rng(0)), CPU)
    assert torch.equal(norm.running_mean, kept)


@pytest.mark.parametrize(("stage", "most"), [("32x1:1", 1), ("32x8:1", 8)])
def test_a_stage_says_how_many_slices_of_a_scan_are_in_a_step(
    tmp_path: Path, stage: str, most: int
) -> None:
    made = task(tmp_path, plan(stage, slices_per_step=24), cases())
    counts: Counter[int] = Counter()
    for seed in range(60):
        bags = made.batch(made.stages[0], np.random.default_rng(seed))
        counts.update(torch.bincount(bags.bag).tolist())
        assert len(bags.images) <= 24
    assert min(counts) >= 1
    assert max(counts) == most


def test_a_scan_whose_lesions_are_not_known_is_never_shown_by_a_few_slices(tmp_path: Path) -> None:
    unknown = example("covid", COVID, labelled({LEFT: COVID}, boxes=False, masks=False))
    made = task(tmp_path, plan("32x1:1", slices_per_step=8, given_lungs=1.0), [unknown])
    bags = made.batch(made.stages[0], np.random.default_rng(0))
    assert torch.bincount(bags.bag).tolist() == [8]


@pytest.mark.long
def test_a_few_steps_lower_the_losses_of_scans_and_slices(covnet_task: CovnetTask) -> None:
    """On one batch, without augmentation; BatchNorm by the batch. Images of 32 pixels have one
    cell, of which no lesion fills enough: their maps have nothing to learn."""
    made, (stage,) = covnet_task, covnet_task.stages
    network = made.network().train()
    bags = draw_bags(
        made.by_class,
        CovnetStage(32, 10, 1),
        replace(made.settings, augmentation=PLAIN, slices_per_step=40),
        np.random.default_rng(4),
    )
    assert set(bags.labels.tolist()) == {0, 1, 2}
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    parts = []
    for _ in range(10):
        losses = made.loss(network, bags, CPU)
        parts.append({name: float(part.detach()) for name, part in losses.parts.items()})
        optimiser.zero_grad()
        losses.total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert len(parts[0]) == 4
    for name in ("loss of scans", "loss of slices"):
        assert parts[-1][name] < 0.7 * parts[0][name], name
    assert stage.name == "32x48"


def test_single_slices_have_no_heat_of_their_own(covnet_task: CovnetTask) -> None:
    made = covnet_task
    bags = draw_bags(made.by_class, CovnetStage(32, 1, 1), made.settings, np.random.default_rng(0))
    parts = made.loss(made.network().train(), bags, CPU).parts
    assert list(parts) == ["loss of scans", "loss of slices", "loss of maps"]


def test_validation_tells_how_good_it_is_and_what_the_weights_need(
    covnet_task: CovnetTask,
) -> None:
    network, (stage,) = covnet_task.network().eval(), covnet_task.stages
    result = covnet_task.validate(network, stage, CPU)
    assert result.extra["classes"] == list(CLASSES)
    assert result.extra["preprocessing"]["size"] == 32
    assert result.score == -result.figures["calibrated cross-entropy"]
    assert result.figures["calibrated cross-entropy"] <= result.figures["cross-entropy"] + 1e-6
    assert {f"AUC {name}" for name in CLASSES} < result.figures.keys()
    assert 0 <= result.figures["evidence on lesions"] <= 1


def test_a_class_without_a_training_scan_is_told() -> None:
    data = {Split.TRAINING: cases()[1:], Split.VALIDATION: cases()}
    assert plan().problems(data) == ["no training scan of class 'COVID-19'"]
    assert plan().problems({Split.TRAINING: cases()}) == []
