"""Lungs against reference masks, as a table: Dice, volumes, seconds.

`python tests/benchmarks/lungs.py IMAGE MASK [--bundle FOLDER]` with images that SimpleITK reads
(MetaImage, NIfTI). The mask's grid may be finer than the image's: it is brought to it by nearest
neighbours. Without a bundle the table has the classical method alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from inference.bundles.bundle import load_bundle  # noqa: E402
from inference.lungs.network import LungNetwork  # noqa: E402
from inference.lungs.sides import lung_sides  # noqa: E402
from inference.lungs.thresholds import segment_lungs  # noqa: E402
from inference.regions import Side  # noqa: E402
from inference.volume import AIR_HU, CtVolume  # noqa: E402
from support.chest_volume import dice  # noqa: E402

Segment = Callable[[CtVolume], NDArray[np.uint8]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("mask", type=Path)
    parser.add_argument("--bundle", type=Path, help="folder of a bundle for lungs")
    options = parser.parse_args()
    volume, truth = read(options.image, options.mask)
    ways: list[tuple[str, Segment]] = [("classical", classical)]
    if options.bundle is not None:
        ways.append(("U-net", LungNetwork.load(load_bundle(options.bundle), "cpu").segment))
    print(f"{volume.hu.shape} voxels of {np.round(volume.spacing_mm, 2)} mm; "
          f"reference {truth.sum() * volume.voxel_ml:.0f} ml")  # fmt: skip
    print("| method | Dice | volume, ml | right, ml | left, ml | s |")
    print("|---|---|---|---|---|---|")
    for name, segment in ways:
        begun = time.perf_counter()
        sides = segment(volume)
        seconds = time.perf_counter() - begun
        right, left = ((sides == side).sum() * volume.voxel_ml for side in Side)
        print(f"| {name} | {dice(sides > 0, truth):.3f} | {right + left:.0f} | {right:.0f} | "
              f"{left:.0f} | {seconds:.2f} |")  # fmt: skip


def classical(volume: CtVolume) -> NDArray[np.uint8]:
    return lung_sides(volume, segment_lungs(volume))


def read(image_file: Path, mask_file: Path) -> tuple[CtVolume, NDArray[np.bool_]]:
    """The image as a volume, and the mask on its grid."""
    itk: Any = import_module("SimpleITK")
    image = itk.ReadImage(str(image_file))
    mask = itk.Resample(itk.ReadImage(str(mask_file)), image, itk.Transform(), 1)  # 1: nearest
    hu = np.clip(itk.GetArrayFromImage(image), AIR_HU, 32767).astype(np.int16)
    directions = np.array(image.GetDirection()).reshape(3, 3)[:, ::-1]  # of slices, rows, columns
    affine = np.eye(4)
    affine[:3, :3] = directions * np.array(image.GetSpacing())[::-1]
    affine[:3, 3] = image.GetOrigin()
    return CtVolume(hu, affine), itk.GetArrayFromImage(mask) > 0


if __name__ == "__main__":
    main()
