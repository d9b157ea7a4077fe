from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from inference.backends.batches import in_batches, with_less_room
from inference.backends.precision import Precision
from inference.covnet.network import Covnet
from inference.covnet.torch_backend import TorchBackend
from inference.progress import no_progress

CPU = torch.device("cpu")


class SmallDevice:
    """Room for so many images at once; what it was asked for."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.asked: list[int] = []

    def run(self, batch: Tensor) -> Tensor:
        self.asked.append(len(batch))
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return batch * 2


def test_the_features_are_joined_in_float32_whatever_the_precision() -> None:
    """In bfloat16 as on a GPU; PyTorch emulates it on a CPU."""
    torch.manual_seed(3)
    network = Covnet().eval().requires_grad_(False)
    network.fold()
    images = torch.rand(2, 1, 32, 32)
    precisions: tuple[Precision, ...] = ("f32", "bf16")
    made = [TorchBackend(deepcopy(network), CPU, 32, each) for each in precisions]
    wanted, found = (each.evidence(images, no_progress).features for each in made)
    assert [each.precision for each in made] == ["f32", "bf16"]
    assert found.dtype == torch.float32
    assert 0 < float((found - wanted).abs().max()) < 0.05 * float(wanted.max())


@pytest.mark.parametrize("room", [1, 3, 8, 100])
def test_a_batch_without_room_is_halved_and_nothing_is_lost(room: int) -> None:
    device = SmallDevice(room)
    images = torch.arange(21.0).reshape(21, 1, 1, 1)
    found = torch.cat(list(in_batches(device.run, images, 8, no_progress)))
    assert torch.equal(found, images * 2)


def test_the_smaller_batch_is_kept_for_the_rest() -> None:
    device = SmallDevice(3)
    list(in_batches(device.run, torch.zeros(10, 1, 1, 1), 8, no_progress))
    assert device.asked == [8, 4, 2, 2, 2, 2, 2]


def test_no_room_for_one_image_is_the_callers_error() -> None:
    device = SmallDevice(0)
    with pytest.raises(torch.OutOfMemoryError):
        list(in_batches(device.run, torch.zeros(4, 1, 1, 1), 4, no_progress))
    assert device.asked == [4, 2, 1, 1]


def test_another_error_is_not_tried_again() -> None:
    def run(batch: Tensor) -> Tensor:
        raise RuntimeError(f"no kernel for {len(batch)}")

    with pytest.raises(RuntimeError, match="no kernel for 4"):
        list(in_batches(run, torch.zeros(4, 1, 1, 1), 4, no_progress))


def test_progress_counts_what_was_done_not_what_was_tried() -> None:
    told: list[tuple[str, int, int]] = []
    images = torch.zeros(5, 1, 1, 1)
    list(in_batches(SmallDevice(2).run, images, 4, lambda *step: told.append(step)))
    assert [done for _, done, _ in told] == [0, 0, 2, 4, 5]
    assert {total for _, _, total in told} == {5}


def test_the_last_batch_is_filled_up_and_what_fills_it_is_left_out() -> None:
    device = SmallDevice(100)
    images = torch.arange(9.0).reshape(9, 1, 1, 1)
    found = torch.cat(list(in_batches(device.run, images, 8, no_progress)))
    assert device.asked == [8, 8]
    assert torch.equal(found, images * 2)


@pytest.mark.parametrize(("room", "asked"), [(100, [70]), (40, [70, 35]), (9, [70, 35, 17, 9])])
def test_a_size_without_room_is_halved_down_to_the_least(room: int, asked: list[int]) -> None:
    device = SmallDevice(room)
    found = with_less_room(lambda size: device.run(torch.zeros(size, 1)), 70, 9)
    assert device.asked == asked
    assert len(found) == asked[-1]


def test_no_room_for_the_least_is_the_callers_error() -> None:
    device = SmallDevice(8)
    with pytest.raises(torch.OutOfMemoryError):
        with_less_room(lambda size: device.run(torch.zeros(size, 1)), 70, 9)
    assert device.asked == [70, 35, 17, 9]
