"""COVNet's losses and where its last maps look."""

from __future__ import annotations

import pytest
import torch

from inference.networks.resnet import FEATURES, ResNet18
from inference.training.covnet.data import NEGATIVE, UNSURE
from inference.training.covnet.losses import (
    MAP_OFFSET,
    heat_loss,
    map_loss,
    map_targets,
    on_last_maps,
    scan_loss,
    slice_loss,
)


def test_a_bag_weighs_the_same_alone_and_among_many() -> None:
    one = scan_loss(torch.zeros((1, 3)), torch.tensor([0]), 2.0, 0.0)
    four = scan_loss(torch.zeros((4, 3)), torch.tensor([0, 1, 2, 0]), 2.0, 0.0)
    assert float(one) == pytest.approx(1.0986 / 2, abs=1e-4)
    assert float(four) == pytest.approx(4 * float(one))


def test_smoothed_labels_do_not_reward_certainty() -> None:
    sure, surer = (torch.tensor([[scale, 0.0, 0.0]]) for scale in (5.0, 50.0))
    label = torch.tensor([0])
    assert scan_loss(surer, label, 1.0, 0.0) < scan_loss(sure, label, 1.0, 0.0)
    assert scan_loss(surer, label, 1.0, 0.1) > scan_loss(sure, label, 1.0, 0.1)


def test_few_slices_with_lesions_weigh_as_much_as_many_without() -> None:
    logits = torch.zeros((10, 3))
    logits[:, NEGATIVE] = 3.0
    labels = torch.tensor([0] + [NEGATIVE] * 8 + [UNSURE])
    wrong, right = 3.095, 0.095
    assert float(slice_loss(logits, labels)) == pytest.approx((wrong + right) / 2, abs=1e-3)


def test_nothing_known_is_no_loss_but_keeps_the_gradient() -> None:
    logits = torch.randn((4, 3), requires_grad=True)
    loss = slice_loss(logits, torch.full((4,), UNSURE))
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def lesions() -> torch.Tensor:
    """Two slices, 3 classes, 16 x 16 finer cells: COVID-19 in a corner, something else in another;
    nothing known of the second slice."""
    maps = torch.zeros((2, 3, 16, 16))
    maps[0, 0, 2:6, 2:6] = 1.0
    maps[0, 2, 10:14, 10:14] = 1.0
    return maps


def test_cells_are_those_of_own_lesions_of_others_of_none_or_unsure() -> None:
    targets = map_targets(lesions(), torch.tensor([True, False]), (4, 4))
    assert targets.own.nonzero().tolist() == [[0, 0, 1, 1]]
    assert targets.other.nonzero().tolist() == [[0, 0, 3, 3], [0, 1, 1, 1], [0, 1, 3, 3]]
    assert int(targets.none[0, 0].sum()) == 14
    assert not targets.none[1].any()


def test_evidence_on_lesions_of_its_class_and_nowhere_else_is_the_least_loss() -> None:
    targets = map_targets(lesions(), torch.tensor([True, True]), (4, 4))
    evidence = torch.full((2, 2, 4, 4), MAP_OFFSET)
    even = float(map_loss(evidence, targets))
    assert even == pytest.approx(0.693, abs=1e-3)
    evidence[targets.own] += 5.0
    evidence[~targets.own] -= 5.0
    assert float(map_loss(evidence, targets)) == pytest.approx(0.0067, abs=1e-3)
    evidence[targets.other] += 10.0  # another class's lesion counts as much as all healthy cells
    assert float(map_loss(evidence, targets)) == pytest.approx(5.007 / 4 + 0.005, abs=1e-3)


def test_one_healthy_cell_that_deceives_is_not_lost_among_many() -> None:
    healthy = torch.zeros((40, 3, 16, 16))
    targets = map_targets(healthy, torch.ones(40, dtype=torch.bool), (4, 4))
    evidence = torch.full((40, 2, 4, 4), MAP_OFFSET - 5.0)
    quiet = float(map_loss(evidence, targets))
    evidence[3, 0, 2, 2] += 10.0  # of 1,280; the hardest part are 26
    spread, hardest = 5.0 / 1280, 5.0 / 26
    assert float(map_loss(evidence, targets)) - quiet == pytest.approx((spread + hardest) / 2, 1e-2)


def test_unsure_cells_are_in_no_group() -> None:
    faint = torch.zeros((1, 3, 4, 4))
    faint[:, 0] = 0.05
    targets = map_targets(faint, torch.tensor([True]), (1, 1))
    assert not targets.own.any()
    assert not targets.other.any()
    assert not targets.none[:, 0].any()
    assert float(map_loss(torch.zeros((1, 2, 1, 1)), targets)) == 0.0


def test_a_last_cell_stands_for_the_place_that_it_sees() -> None:
    """The input pixels that move cell (2, 2) of a ResNet's last maps lie about (64, 64), the
    cell's corner: its middle would be (80, 80)."""
    torch.manual_seed(0)
    network = ResNet18(2).eval()
    image = torch.randn((1, 3, 128, 128), requires_grad=True)
    network.feature_maps(image)[0, :, 2, 2].sum().backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    weight = image.grad.abs().sum(dim=(0, 1))
    middles = [(weight.sum(dim=d) * torch.arange(128)).sum() / weight.sum() for d in (1, 0)]
    assert [float(middle) for middle in middles] == pytest.approx([64, 64], abs=3)
    seen = torch.zeros((1, 1, 16, 16))
    seen[0, 0, 7:9, 7:9] = 1.0  # of 8 pixels each: 56 to 72
    assert on_last_maps(seen, (4, 4)).nonzero().tolist() == [[0, 0, 2, 2]]


def test_finer_cells_of_another_number_are_brought_to_four_a_cell() -> None:
    """Maps are kept for the largest images; a stage of smaller ones has fewer last cells."""
    maps = torch.rand((2, 3, 28, 28), generator=torch.Generator().manual_seed(0))
    small = on_last_maps(maps, (4, 4))
    assert small.shape == (2, 3, 4, 4)
    assert float(small[..., 1:, 1:].mean()) == pytest.approx(0.5, abs=0.02)


def _heated(places: dict[tuple[int, int, int], float]) -> torch.Tensor:
    """Maps (2 slices, features, 2, 2) of one channel that says anything."""
    maps = torch.zeros((2, FEATURES, 2, 2))
    for (at, row, column), value in places.items():
        maps[at, 5, row, column] = value
    return maps


def _own(label: int) -> torch.Tensor:
    """A lesion of the class at one cell of the first slice."""
    own = torch.zeros((2, NEGATIVE, 2, 2), dtype=torch.bool)
    own[0, label, 1, 1] = True
    return own


WEIGHTS = torch.zeros((NEGATIVE + 1, FEATURES))
WEIGHTS[1, 5] = 100.0


def test_heat_on_the_lesion_alone_costs_nothing() -> None:
    maps = _heated({(0, 1, 1): 1.0})
    assert float(heat_loss([maps], [1], [_own(1)], WEIGHTS)) == pytest.approx(0.0, abs=0.01)


def test_the_heat_that_counts_is_that_of_the_strongest_slice_of_a_channel() -> None:
    """A quarter of it on the lesion; the weaker slice is not drawn, and costs nothing."""
    maps = _heated({(0, 1, 1): 1.0, (0, 0, 0): 3.0, (1, 0, 1): 2.0})
    assert float(heat_loss([maps], [1], [_own(1)], WEIGHTS)) == pytest.approx(1.386, abs=0.01)


def test_scans_without_a_lesion_of_their_class_have_no_heat_to_place() -> None:
    maps = _heated({(0, 0, 0): 1.0}).requires_grad_()
    weights = WEIGHTS.clone().requires_grad_()
    loss = heat_loss([maps, maps], [NEGATIVE, 1], [_own(1), _own(0)], weights)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0.0
    assert weights.grad is not None
