"""COVNet's joining of slices and its Grad-CAM, against autograd, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from inference.covnet.gradcam import activation_maps, slice_shares
from inference.covnet.network import CLASSES, Covnet, Evidence, gather, join
from inference.networks.resnet import FEATURES
from inference.ties import TIE


@pytest.fixture(scope="module")
def network() -> Covnet:
    torch.manual_seed(0)
    return Covnet().double().eval()


@pytest.fixture(scope="module")
def slices() -> Tensor:
    return torch.rand(5, 1, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def evidence(network: Covnet, slices: Tensor) -> Evidence:
    with torch.no_grad():
        return gather(network, iter([slices[:2], slices[2:4], slices[4:]]))


def _evidence(peak_slice: list[int], maps: Tensor, slices: int) -> Evidence:
    return Evidence(maps.mean(dim=(1, 2)), torch.tensor(peak_slice), maps, slices)


def test_batches_do_not_change_the_logits(
    network: Covnet, slices: Tensor, evidence: Evidence
) -> None:
    with torch.no_grad():
        whole = network(slices)
        assert torch.allclose(network.logits(evidence.features), whole, rtol=1e-10)
    assert len(whole) == len(CLASSES)
    assert evidence.slices == 5


def test_the_order_of_the_slices_does_not_change_the_logits(
    network: Covnet, slices: Tensor
) -> None:
    with torch.no_grad():
        assert torch.allclose(network(slices.flip(0)), network(slices), rtol=1e-10)


def test_one_channel_counts_as_three_equal_ones(network: Covnet, slices: Tensor) -> None:
    with torch.no_grad():
        assert torch.equal(network(slices[:1].repeat(1, 3, 1, 1)), network(slices[:1]))


def test_no_slices_is_an_error(network: Covnet) -> None:
    with pytest.raises(ValueError, match="no slices"):
        gather(network, iter(()))


def test_the_first_of_equal_slices_has_the_maxima(network: Covnet, slices: Tensor) -> None:
    twins = slices[:1].repeat(4, 1, 1, 1)
    with torch.no_grad():
        joined = gather(network, iter([twins[:1], twins[1:2], twins[2:]]))
    assert int(joined.peak_slice.max()) == 0


def _maps(*averages: float) -> Tensor:
    """One value a slice, the same in every channel but the last, which is 1."""
    maps = torch.tensor(averages)[:, None, None, None].repeat(1, FEATURES, 2, 2)
    maps[:, -1] = 1.0
    return maps


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
def test_a_slice_that_is_higher_by_rounding_takes_nothing_from_an_earlier_one(batch: int) -> None:
    steps = [0.0, 0.6, 1.2, 1.8, 2.4]  # of twice the tie: its part of the average and of the mean
    maps = _maps(*(1.0 + 2 * TIE * step for step in steps))
    joined = join(torch.split(maps, batch))
    assert joined.peak_slice[0] == 4  # the third takes it from the first, the fifth from the third
    assert joined.peak_slice[-1] == 0
    assert torch.equal(joined.features, maps.mean(dim=(2, 3)).amax(dim=0))
    assert torch.equal(joined.peak_maps[0], maps[4, 0])
    close = join(torch.split(_maps(1.0, 1.0 + TIE, 1.0 - TIE), batch))
    assert int(close.peak_slice.max()) == 0
    assert float(close.features[0]) == float(torch.tensor(1.0 + TIE))


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_a_slice_that_is_no_number_is_not_left_out(broken: int) -> None:
    maps = _maps(1.0, 2.0, 3.0)
    maps[broken, 7] = torch.nan
    assert _nan(join([maps])) == _nan(join(torch.split(maps, 1))) == [7]


def _nan(joined: Evidence) -> list[int]:
    return joined.features.isnan().nonzero().ravel().tolist()


@pytest.mark.parametrize("wanted", range(len(CLASSES)))
def test_the_closed_form_is_grad_cam_by_autograd(
    network: Covnet, slices: Tensor, evidence: Evidence, wanted: int
) -> None:
    with torch.no_grad():
        maps = network.feature_maps(slices)
    maps.requires_grad_(True)
    logit = network.logits(maps.mean(dim=(2, 3)).amax(dim=0))[wanted]
    (gradient,) = torch.autograd.grad(logit, maps)
    alpha = gradient.mean(dim=(2, 3), keepdim=True)  # equation 1
    by_autograd = torch.relu((alpha * maps).sum(dim=1)).detach()  # equation 2
    closed = activation_maps(evidence, network.fc.weight[wanted].detach())
    assert torch.allclose(closed, by_autograd, rtol=1e-10, atol=1e-15)
    assert float(closed.max()) > 0


def test_a_slice_without_maxima_has_no_activation_and_no_share() -> None:
    maps = torch.rand(4, 2, 2, dtype=torch.float64) + 0.1
    joined = _evidence([0, 2, 2, 0], maps, slices=3)
    weights = torch.ones(4, dtype=torch.float64)
    assert float(activation_maps(joined, weights)[1].max()) == 0.0
    assert float(slice_shares(joined, weights)[1]) == 0.0


def test_shares_are_the_parts_of_the_positive_evidence() -> None:
    maps = torch.ones(3, 1, 1, dtype=torch.float64) * torch.tensor([1.0, 2.0, 5.0])[:, None, None]
    joined = _evidence([0, 1, 1], maps, slices=2)
    weights = torch.tensor([3.0, 0.5, -9.0], dtype=torch.float64)
    assert slice_shares(joined, weights).tolist() == [0.75, 0.25]


def test_without_positive_evidence_the_slices_share_equally() -> None:
    maps = torch.ones(2, 1, 1, dtype=torch.float64)
    joined = _evidence([0, 1], maps, slices=4)
    weights = torch.tensor([-1.0, -2.0], dtype=torch.float64)
    assert slice_shares(joined, weights).tolist() == [0.25] * 4
    assert float(activation_maps(joined, weights).max()) == 0.0
