"""Pictures of simulated lesions for a human eye: host, painted host and truth, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dicomnode.weights.manifest import ManifestRow, read_manifest
from dicomnode.weights.scans import load_scan
from inference.arrays.components import Mask, bounding_box
from inference.arrays.patient_axes import patient_view
from inference.lungs.thresholds import segment_lungs
from inference.simulation.paint import paint
from inference.simulation.patterns import Pattern
from inference.simulation.variation import Host, vary

SIZE = 420
"""Pixels along a side of a panel."""
WINDOW_HU = (-1350.0, 150.0)
"""The usual lung window: centre -600, width 1500."""
TRUTH = (255, 140, 0)
Panel = NDArray[np.uint8]


def write_pictures(hosts: Path, folder: Path, seed: int, each: int = 2) -> tuple[Path, ...]:
    """A PNG for each pattern, `each` rows for a host: the slice with most lesion as it was, as
    painted, and with the outline of the truth.

    Raises:
        as `load_scan` and `read_manifest`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[Pattern, list[Panel]] = {pattern: [] for pattern in Pattern}
    for number, host in enumerate(_hosts(read_manifest(hosts, "lungs").rows)):
        for turn in range(each):
            own = seed + 1000 * number + turn
            varied = vary(host, own)
            for pattern, panels in rows.items():
                panels.append(_row(varied, pattern, own))
    written = []
    for pattern, panels in rows.items():
        path = folder / f"{pattern.name.lower()}.png"
        Image.fromarray(np.concatenate(panels)).save(path)
        written.append(path)
    return tuple(written)


def _hosts(rows: tuple[ManifestRow, ...]) -> Iterator[Host]:
    for row in rows:
        loaded = load_scan(row)
        lungs = segment_lungs(loaded.volume) if loaded.lungs is None else loaded.lungs
        yield Host(loaded.volume, lungs)


def _row(host: Host, pattern: Pattern, seed: int) -> Panel:
    """Panels (SIZE, 3 SIZE, 3) of one scan."""
    painted = paint(host.volume, host.lungs, pattern, seed)
    before = patient_view(host.volume, host.lungs)
    after = patient_view(painted.volume, painted.lesions > 0)
    areas = after.lungs.sum(axis=(1, 2)) if painted.marks else before.lungs.sum(axis=(1, 2))
    index = int(areas.argmax())
    box = bounding_box(before.lungs)[1:]
    lesion = after.lungs[index][box]
    was, now = (_grey(view.hu[index][box]) for view in (before, after))
    return np.concatenate([_sized(each) for each in (was, now, _outlined(now, lesion))], axis=1)


def _grey(hu: NDArray[np.int16]) -> Panel:
    low, high = WINDOW_HU
    grey = np.clip((hu - low) / (high - low), 0.0, 1.0) * 255
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1)


def _outlined(grey: Panel, lesion: Mask) -> Panel:
    inside = np.pad(lesion, 1)
    core = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    outlined = grey.copy()
    outlined[lesion & ~core] = TRUTH
    return outlined


def _sized(panel: Panel) -> Panel:
    """Fitted into a square, its shape kept."""
    factor = SIZE / max(panel.shape[:2])
    rows, columns = (max(1, round(length * factor)) for length in panel.shape[:2])
    square = np.zeros((SIZE, SIZE, 3), np.uint8)
    image = Image.fromarray(panel).resize((columns, rows), Image.Resampling.BICUBIC)
    square[:rows, :columns] = np.asarray(image)
    return square
