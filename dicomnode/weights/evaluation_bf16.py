"""What bfloat16 changes in the scans of an evaluation: each is computed by both, one beside the
other, and what float32 says is what is evaluated.

Only where the machine computes in bfloat16 itself: an emulation proves nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dicomnode.config.settings import Settings
from dicomnode.methods.bundles import load_for, load_lung_finder, load_method
from inference.backends.precision import AskedPrecision, EngineName, described
from inference.bundles.proof import PrecisionProof
from inference.bundles.tasks import LUNGS
from inference.errors import NetworkOutputError, NoLungsError, VolumeError
from inference.evaluation.report.document import Block, Notice, Table
from inference.findings import Findings, SliceActivation
from inference.lungs.sides import Sides
from inference.volume import CtVolume


@dataclass(frozen=True)
class Change:
    """In one scan; of lungs, `score` is 1 less the Dice of both masks, a voxel's side included."""

    score: float
    other_class: bool = False
    heat_moved_mm: float = 0.0
    heat_correlation: float = 1.0


_ALL_OF_IT = Change(1.0, other_class=True)
"""bfloat16 came to no answer where float32 did."""


class Trial:
    """A method, or a network for lungs, in bfloat16 beside one in float32, which answers."""

    def __init__(self, other: Any) -> None:
        """`other`: in bfloat16."""
        self._other = self._reference = other
        self.changes: list[Change] = []

    @classmethod
    def load(cls, settings: Settings, task: str, folder: Path) -> Trial:
        """`folder`: of the bundle; for lungs it is the one that the settings name.

        Raises:
            BundleError: the bundle cannot be loaded.
            DeviceError: the machine does not compute in bfloat16 itself.
        """
        asking = computing_in(settings, "bf16")
        if task == LUNGS:
            return cls(load_lung_finder(asking, unproven=True).network)
        return cls(load_method(load_for(folder, task), asking, unproven=True))

    def watch(self, reference: Any) -> Trial:
        """What is asked in place of `reference`, and asks it."""
        self._reference = reference
        return self

    def analyse(self, volume: CtVolume, lungs: NDArray[np.bool_]) -> Findings:
        found: Findings = self._reference.analyse(volume, lungs)
        compute = partial(self._other.analyse, volume, lungs)
        self.changes.append(method_change(volume, found, compute))
        return found

    def segment(self, volume: CtVolume) -> Sides:
        found: Sides = self._reference.segment(volume)
        self.changes.append(lung_change(found, partial(self._other.segment, volume)))
        return found

    def proof(self, data: str) -> PrecisionProof | None:
        """`data`: which scans they were, in words. None where none could be analysed."""
        if not self.changes:
            return None
        engine = engine_of(self._other)
        version, processor = described(engine)
        scores = [each.score for each in self.changes]
        return PrecisionProof(
            engine=cast("Any", engine),
            version=version,
            processor=processor,
            native=True,
            data=data,
            cases=len(scores),
            largest_change=max(scores),
            mean_change=float(np.mean(scores)),
            classes_changed=sum(each.other_class for each in self.changes),
            heat_moved_mm=max(each.heat_moved_mm for each in self.changes),
            heat_correlation=min(each.heat_correlation for each in self.changes),
        )


def computing_in(settings: Settings, precision: AskedPrecision) -> Settings:
    """The same settings with this precision."""
    inference = settings.inference.model_copy(update={"precision": precision})
    return settings.model_copy(update={"inference": inference})


def lung_change(found: Sides, compute: Callable[[], Sides]) -> Change:
    """From lungs that were found to those that `compute` finds."""
    try:
        other = compute()
    except NoLungsError:
        return _ALL_OF_IT
    common = np.count_nonzero((found == other) & (found > 0))
    return Change(1 - 2 * common / (np.count_nonzero(found) + np.count_nonzero(other)))


def method_change(volume: CtVolume, found: Findings, compute: Callable[[], Findings]) -> Change:
    """From an answer to that which `compute` gives of the same volume."""
    try:
        other = compute()
    except (NoLungsError, NetworkOutputError, VolumeError):
        return _ALL_OF_IT
    scores = np.abs(np.subtract(found.answer.scores, other.answer.scores))
    score, other_class = float(scores.max()), found.answer.outcome != other.answer.outcome
    if not (found.heat and other.heat):
        return Change(score, other_class)
    peaks = (np.array(_hottest_lps(volume, each)) for each in (found.heat, other.heat))
    moved_mm = float(np.linalg.norm(np.subtract(*peaks)))
    return Change(score, other_class, moved_mm, _correlation(found.heat, other.heat))


def _hottest_lps(volume: CtVolume, heat: Sequence[SliceActivation]) -> tuple[float, float, float]:
    """The middle of the hottest cell."""
    hottest = max(heat, key=lambda each: float(each.cam.max()))
    row, column = np.unravel_index(int(hottest.cam.argmax()), hottest.cam.shape)
    (rows, columns), box = hottest.cam.shape, hottest.box
    down = box.top + (int(row) + 0.5) * (box.bottom - box.top) / rows - 0.5
    across = box.left + (int(column) + 0.5) * (box.right - box.left) / columns - 0.5
    return volume.to_lps((hottest.slice_index, down, across))


def _correlation(found: Sequence[SliceActivation], other: Sequence[SliceActivation]) -> float:
    one, two = (np.concatenate([each.cam.ravel() for each in some]) for some in (found, other))
    if not (one.std() and two.std()):  # no heat at all
        return float(np.array_equal(one, two))
    return min(float(np.corrcoef(one, two)[0, 1]), 1.0)


def engine_of(computing: object) -> EngineName:
    """On which engine a loaded method or network computes."""
    on_gpu = getattr(computing, "device", "cpu") == "cuda"
    return "cuda" if on_gpu else cast("EngineName", getattr(computing, "backend", "torch"))


def precision_blocks(proof: PrecisionProof, tolerance: float, task: str) -> list[Block]:
    """What a report says of it."""
    what = "1 - Dice" if task == LUNGS else "change of a scan's scores"
    rows = (
        ("Engine", f"{proof.engine} {proof.version}, {proof.processor}"),
        ("Scans", str(proof.cases)),
        (f"Largest {what}", f"{proof.largest_change:.5f} (tolerated: {tolerance:g})"),
        (f"Mean {what}", f"{proof.mean_change:.5f}"),
        ("Scans called otherwise", str(proof.classes_changed)),
        ("Maximum of the heat moved at most", f"{proof.heat_moved_mm:.1f} mm"),
        ("Least correlation of heatmaps", f"{proof.heat_correlation:.4f}"),
    )
    kept = rows[:5] if task == LUNGS else rows
    short = proof.shortfalls(tolerance)
    verdict = f"bf16 is not used with this proof: {'; '.join(short)}." if short else ""
    return [*([Notice(verdict)] if verdict else []), Table(("bf16 against f32", ""), kept)]
