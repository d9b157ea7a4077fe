"""Both methods give on the device what they give on the CPU, in float32 and as they are used."""

from __future__ import annotations

import torch
from torch import Tensor

from gpu.setting import CPU, IDENTITY, Setting, as_drawn, at_most, noise
from inference.backends.device import Device
from inference.backends.precision import Precision
from inference.covnet.engine import Engine
from inference.covnet.gradcam import activation_maps
from inference.covnet.network import Evidence
from inference.covnet.openvino_backend import TOLERANCE
from inference.covnet.torch_backend import TorchBackend
from inference.findings import Findings
from inference.location_attention.engine import RegionEngine
from inference.location_attention.network import CLASSES
from inference.location_attention.preprocess import RegionPreprocessing
from inference.location_attention.torch_backend import HALF_TOLERANCE, TorchRegions
from inference.networks.unet import Unet
from inference.progress import no_progress
from inference.regions import VoxelBox
from support.blob_network import blob_network

HALF_COVNET = 5e-3
"""Of a probability, and of a heatmap's value, of COVNet in half precision."""
SWAPPED = 0.02
"""Part of COVNet's channels whose maximum may lie in another slice, in half precision."""
FOUND_ALIKE = 0.9
"""Part of the candidates that half precision must find too: others lie at the threshold."""


def covnet(setting: Setting, half: bool) -> str:
    images = noise(setting.slices, 1, setting.size, setting.size)
    wanted = TorchBackend(setting.covnet(), CPU, setting.size).evidence(images, no_progress)
    precision: Precision | None = None if half else "f32"
    backend = TorchBackend(setting.covnet(), setting.device, setting.size, precision)
    got = backend.evidence(images, no_progress)
    limit = HALF_COVNET if half else TOLERANCE
    told = [at_most("probability", _probabilities_apart(setting, got, wanted), limit)]
    told.append(at_most("heat", _heat_apart(setting, got, wanted), limit))
    swapped = float((got.peak_slice != wanted.peak_slice).float().mean())
    told.append(at_most("channels elsewhere", swapped, SWAPPED if half else SWAPPED / 10))
    return ", ".join(told)


def _probabilities_apart(setting: Setting, got: Evidence, wanted: Evidence) -> float:
    linear = setting.covnet().fc
    one, other = (torch.softmax(linear(each.features).double(), 0) for each in (got, wanted))
    return float((one - other).abs().max())


def _heat_apart(setting: Setting, got: Evidence, wanted: Evidence) -> float:
    """Of the channels whose maxima lie in the same slices: others are ties."""
    same = got.peak_slice == wanted.peak_slice
    weights = setting.covnet().fc.weight[0] * same
    one, other = (activation_maps(each, weights) for each in (got, wanted))
    return float((one - other).abs().max() / other.max())


def regions(setting: Setting, half: bool) -> str:
    grid = noise(*setting.grid)[None, None]
    number, size = setting.patches
    images, distances = noise(number, 1, size, size, seed=2), noise(number, seed=3)
    apart = {}
    backends = TorchRegions(setting.regions(), CPU, size), _region_backend(setting, half, size)
    wanted, got = (_region_outputs(each, grid, images, distances) for each in backends)
    for name in wanted:
        apart[name] = float((got[name].cpu().double() - wanted[name].double()).abs().max())
    limit = HALF_TOLERANCE if half else TOLERANCE
    return ", ".join(at_most(name, value, limit) for name, value in apart.items())


def _region_backend(setting: Setting, half: bool, size: int) -> TorchRegions:
    precision: Precision | None = None if half else "f32"
    return TorchRegions(setting.regions(), setting.device, size, precision)


def _region_outputs(
    backend: TorchRegions, grid: Tensor, images: Tensor, distances: Tensor
) -> dict[str, Tensor]:
    """As probabilities, and offsets."""
    context = backend.context(grid)
    lesion = backend.lesion(grid, context.half, context.quarter)
    return {
        "proposal": torch.sigmoid(context.objectness.float()),
        "offset": context.offsets.float(),
        "lesion": torch.sigmoid(lesion),
        "class": torch.softmax(backend.logits(images, distances), 1),
    }


def lungs(setting: Setting) -> str:
    """The U-net of the lungs computes in float32 everywhere."""
    torch.manual_seed(0)
    network = Unet(3).eval().requires_grad_(False)
    network.fold()
    image = noise(1, 1, 256, 256)
    with torch.inference_mode():
        wanted = torch.softmax(network(image), 1)
        got = torch.softmax(network.to(setting.device)(image.to(setting.device)).cpu(), 1)
    return at_most("probability", float((got - wanted).abs().max()), TOLERANCE)


def volume(setting: Setting) -> str:
    """The whole of both methods on one volume, on the CPU and twice on the device.

    The candidates are those of a network that finds what is bright: of a seed, all would tie.
    """
    drawn = setting.chest(26 if setting.small else 65)
    devices: tuple[Device, ...] = ("cpu", setting.device_name, setting.device_name)
    covnet = [
        Engine.load(setting.covnet_bundle(), device, backend="torch").analyse(
            drawn.volume(), as_drawn(drawn).mask
        )
        for device in devices
    ]
    regions = [
        RegionEngine.load(
            blob_network(), IDENTITY, CLASSES, RegionPreprocessing(), device, backend="torch"
        ).analyse(drawn.volume(), drawn.lungs)
        for device in devices
    ]
    return f"{_whole_covnet(covnet)}; {_whole_regions(regions)}"


def _whole_covnet(found: list[Findings]) -> str:
    wanted, got, again = found
    apart = max(abs(a - b) for a, b in zip(got.answer.scores, wanted.answer.scores, strict=True))
    for one, other in zip(got.heat or (), again.heat or (), strict=True):
        assert (one.cam == other.cam).all(), "heat differs between two runs on the device"
    assert got.answer.scores == again.answer.scores, "probabilities differ between two runs"
    assert len(got.ranked) == len(wanted.ranked)
    told = at_most("COVNet: probability", apart, HALF_COVNET)
    shares = sum(
        abs(a.share - b.share) for a, b in zip(got.heat or (), wanted.heat or (), strict=True)
    )
    return told + ", " + at_most("shares of the slices", shares / 2, 0.05)


def _whole_regions(found: list[Findings]) -> str:
    wanted, got, again = found
    assert got.candidates == again.candidates, "regions differ between two runs on the device"
    assert wanted.candidates, "the volume has no candidate"
    there = {region.box for region in got.candidates}
    alike = sum(any(_near(box, other.box) for box in there) for other in wanted.candidates)
    part = alike / len(wanted.candidates)
    assert part >= FOUND_ALIKE, f"{alike} of {len(wanted.candidates)} regions found on the device"
    return f"{alike} of {len(wanted.candidates)} regions alike, the same bits twice"


def _near(one: VoxelBox, other: VoxelBox) -> bool:
    """Within a voxel."""
    ends = zip(
        (*one.slices, *one.rows, *one.columns),
        (*other.slices, *other.rows, *other.columns),
        strict=True,
    )
    return all(abs(a - b) <= 1 for a, b in ends)
