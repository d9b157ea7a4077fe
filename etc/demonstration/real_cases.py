"""Makes a manifest of real CT: single slices of patients with COVID-19, and CT without infection.

    python etc/demonstration/real_cases.py --positive SLICES --negative FOLDER... --out OUT
    dicomnode model evaluate --bundle BUNDLE --manifest OUT/real.csv --out REPORT --split all --real

`--positive`: a folder with a folder for each patient, of axial CT slices (DICOM) anywhere below an
`axial` folder; `--negative`: folders of one CT series each, or NIfTI files, of patients without
infection. Of each, the whole scan and some single slices become rows: a slice alone has no
neighbours to be judged by, so that slices are to be compared with slices. A single slice is
repeated to a slab of 30 mm, so that it has a volume of lung; COVNet's maximum over equal slices is
that of one.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from dicomnode.errors import DataError
from dicomnode.weights.nifti import write_nifti
from dicomnode.weights.scans import read_ct
from inference.errors import NoLungsError
from inference.lungs.thresholds import segment_lungs
from inference.volume import CtVolume

Slice = NDArray[Any]
"""HU (rows, columns)."""
Spacing = tuple[float, float]
"""mm between rows and between columns."""
THICKNESS_MM, REPEATS = 5.0, 6
SLICES = 6
"""Single slices taken of each series without infection, spread over those with much lung."""
MUCH_LUNG = 0.5
"""Of the slice with the most."""
COLUMNS = ("scan", "patient", "path", "label")


def main() -> None:
    options = _options()
    out: Path = options.out
    out.mkdir(parents=True)
    rows = [
        (name, patient, write_slab(out / f"{name}.nii.gz", hu, spacing), "COVID-19")
        for name, patient, hu, spacing in positive_slices(options.positive)
    ]
    for path in options.negative:
        name = path.name.partition(".")[0]
        rows.append((name, name, path.resolve(), "non-pneumonia"))
        for number, (hu, spacing) in enumerate(negative_slices(path), start=1):
            scan = f"{name}-slice{number}"
            rows.append(
                (scan, name, write_slab(out / f"{scan}.nii.gz", hu, spacing), "non-pneumonia")
            )
    with (out / "real.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    print(f"{len(rows)} rows in {out / 'real.csv'}")


def positive_slices(folder: Path) -> Iterator[tuple[str, str, Slice, Spacing]]:
    """Name, patient, HU (rows, columns) and pixel spacing of each axial slice."""
    for number, patient in enumerate(sorted(path for path in folder.iterdir() if path.is_dir()), 1):
        for position, path in enumerate(sorted(patient.glob("axial/*.dcm")), start=1):
            data_set = pydicom.dcmread(path)
            stored = data_set.pixel_array.astype(np.float32)
            hu = stored * float(data_set.RescaleSlope) + float(data_set.RescaleIntercept)
            spacing = (float(data_set.PixelSpacing[0]), float(data_set.PixelSpacing[1]))
            yield f"covid{number}-{position}", f"covid{number}", hu, spacing


def negative_slices(path: Path) -> Iterator[tuple[Slice, Spacing]]:
    """HU and pixel spacing of some slices of a series, the same way up as those above."""
    volume = read_ct(path)
    try:
        lung = segment_lungs(volume).sum(axis=(1, 2))
    except (NoLungsError, DataError):
        return
    usable = np.nonzero(lung >= MUCH_LUNG * lung.max())[0]
    for index in np.linspace(0, len(usable) - 1, SLICES).round().astype(int):
        yield _upright(volume, int(usable[index])), volume.spacing_mm[1:]


def _upright(volume: CtVolume, index: int) -> Slice:
    """The slice with rows to the back and columns to the left of the patient."""
    hu: Slice = volume.hu[index]
    down, right = volume.affine[1, 1], volume.affine[0, 2]
    return hu[:: 1 if down > 0 else -1, :: 1 if right > 0 else -1]


def write_slab(path: Path, hu: Slice, spacing: Spacing) -> Path:
    """The slice as often as makes 30 mm, from air upwards."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = THICKNESS_MM, *spacing, 1.0
    clipped = np.clip(hu, -1024, 3071).astype(np.int16)
    write_nifti(path, np.repeat(clipped[None], REPEATS, axis=0), affine)
    return path.resolve()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--positive", type=Path, required=True)
    parser.add_argument("--negative", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
