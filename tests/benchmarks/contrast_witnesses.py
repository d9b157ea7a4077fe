"""What the three contrast witnesses say of real series.

`python tests/benchmarks/contrast_witnesses.py FOLDER`: FOLDER holds one folder a case, unpacked.
DICOM series are parted into stacks as the node does it, `*.nii.gz` and `*.mha` are read by
SimpleITK and have no attributes. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK

from dicomnode.assess.assessment import assess_files
from dicomnode.decisions.contrast.contrast import ContrastWitness
from dicomnode.decisions.contrast.decision import ContrastDecision
from dicomnode.decisions.contrast.pixels import pixel_witness
from dicomnode.decisions.eligibility.candidate import Candidate, EligibilityPolicy, candidates
from dicomnode.decisions.eligibility.chest import ChestPolicy, judge_chest
from dicomnode.decisions.eligibility.contrast_rules import judge_contrast
from dicomnode.decisions.reasons import Verdict
from dicomnode.dicom_files.folder import read_folder
from dicomnode.dicom_files.volume import load_volume
from dicomnode.errors import DataError
from inference.errors import NoLungsError
from inference.lungs.blood_pool import measure_blood_pool
from inference.lungs.extent import measure_extent
from inference.lungs.thresholds import segment_lungs
from inference.volume import AIR_HU, CtVolume

LEAST_SLICES = 2


@dataclass(frozen=True)
class Pixels:
    """What the pixels of one stack gave; `seconds` of the pixel witness alone."""

    witness: ContrastWitness | None
    seconds: float | None
    chest: str


@dataclass(frozen=True)
class Row:
    name: str
    slices: int
    contrast: ContrastDecision
    pixels: Pixels

    def __str__(self) -> str:
        told = {reason.rule: reason for reason in self.contrast.reasons}
        pixels = told["contrast_pixels"].value if "contrast_pixels" in told else "not measured"
        seconds = "" if self.pixels.seconds is None else f"{self.pixels.seconds:.3f}"
        final = f"**{self.contrast.verdict}**, {self.contrast.final.verdict}"
        said = [told[f"contrast_{name}"].value for name in ("attributes", "text")]
        cells = [self.name, self.slices, *said, pixels, final, seconds, self.pixels.chest]
        return f"| {' | '.join(map(str, cells))} |"


HEAD = (
    "| series | slices | attributes | text | pixels | contrast | s | chest |\n"
    "|---|---|---|---|---|---|---|---|"
)


def rows(folder: Path) -> Iterator[Row]:
    """One for each stack of each DICOM series, then one for each volume of another format."""
    policy = EligibilityPolicy()
    for case in sorted(path for path in folder.iterdir() if path.is_dir()):
        for files in read_folder(case).files.values():
            yield from _dicom_rows(_name(case, files), files, policy)
        for path in sorted((*case.rglob("*ct*.nii.gz"), *case.rglob("*_small.mha"))):
            volume = _read_volume(path)
            pixels = _measured(volume)
            contrast = judge_contrast((), policy, pixels.witness)
            yield Row(f"{case.name}/{path.name}", len(volume.hu), contrast, pixels)


def _dicom_rows(name: str, files: list[Path], policy: EligibilityPolicy) -> Iterator[Row]:
    assessment = assess_files(files, policy)
    for each in candidates(assessment.headers, policy):
        pixels = _stack_pixels(each, assessment.files)
        contrast = judge_contrast(each.slices, policy, pixels.witness)
        told = f"{name}, {each.name}" if each.name else name
        yield Row(told, len(each.slices), contrast, pixels)


def _name(case: Path, files: list[Path]) -> str:
    """The case, and the file where a folder holds several series."""
    return case.name if len(files) > 1 else str(files[0].relative_to(case.parent).with_suffix(""))


def _stack_pixels(series: Candidate, files: dict[str, Path]) -> Pixels:
    if len(series.slices) < LEAST_SLICES:
        return Pixels(None, None, "too few slices")
    paths = sorted({files[header.sop_instance_uid] for header in series.slices})
    try:
        return _measured(load_volume(paths, series.stack))
    except DataError as error:
        return Pixels(None, None, f"not read: {error.rule}")


def _measured(volume: CtVolume) -> Pixels:
    try:
        lungs = segment_lungs(volume)
    except NoLungsError as error:
        return Pixels(None, None, f"no: {error.found:.0f} ml of lung")
    measured = measure_blood_pool(volume, lungs)
    reasons = judge_chest(measure_extent(volume, lungs), ChestPolicy())
    told = [f"{each.rule} {each.value}" for each in reasons if each.verdict is not Verdict.PASS]
    failed = any(each.verdict is Verdict.FAIL for each in reasons)
    chest = ("no: " if failed else "yes") + (", but " if told and not failed else "")
    return Pixels(pixel_witness(measured), measured.seconds, chest + "; ".join(told))


def _read_volume(path: Path) -> CtVolume:
    """A volume of another format; its directions and spacing are in LPS mm as DICOM's are."""
    image: Any = SimpleITK.ReadImage(str(path))
    hu = np.clip(SimpleITK.GetArrayFromImage(image), AIR_HU, 3071).astype(np.int16)
    directions = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = directions[:, ::-1], image.GetOrigin()
    return CtVolume(hu, affine)


def _thin_series(slices: int) -> str:
    """Seconds for so many slices of 512 x 512, on the lungs of a drawn chest."""
    from support.chest_volume import chest

    drawn = chest((260.0 / slices, 0.7, 0.7))
    hu = np.full((slices, 512, 512), AIR_HU, np.int16)
    lungs = np.zeros(hu.shape, np.bool_)
    rows_drawn, columns_drawn = (min(512, size) for size in drawn.hu.shape[1:])
    part = (slice(None), slice(rows_drawn), slice(columns_drawn))
    hu[part] = drawn.hu[:slices, :rows_drawn, :columns_drawn]
    lungs[part] = drawn.lungs[:slices, :rows_drawn, :columns_drawn]
    volume = CtVolume(hu, drawn.volume().affine)
    begun = time.perf_counter()
    measure_extent(volume, lungs)
    extent = time.perf_counter() - begun
    blood = measure_blood_pool(volume, lungs).seconds
    return f"{slices} slices of 512 x 512: blood pool {blood:.3f} s, lung extent {extent:.3f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="one folder for each case")
    folder = parser.parse_args().folder
    print(HEAD)
    for row in rows(folder):
        print(row, flush=True)
    print()
    print(_thin_series(300))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
