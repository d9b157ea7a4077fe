"""What an analysis found: plain values that results are built from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from inference.progress import Progress
from inference.regions import CandidateRegion
from inference.score_meaning import ScoreMeaning
from inference.ties import first_of_highest
from inference.volume import CtVolume


class Training(StrEnum):
    """What the weights were trained on; everything but PATIENTS is named in every result."""

    UNTRAINED = "untrained"
    DEMONSTRATION = "demonstration"
    PATIENTS = "patients"


class IntendedUse(StrEnum):
    """What a bundle is meant for, the least first; below RESEARCH it is named in every result."""

    NONE = "none"
    DEMONSTRATION = "demonstration"
    RESEARCH = "research"
    CLINICAL = "clinical"

    @property
    def rank(self) -> int:
        """0 for the least."""
        return list(IntendedUse).index(self)


_TRAINING_WARNINGS = {
    Training.UNTRAINED: "UNTRAINED WEIGHTS – no clinical meaning",
    Training.DEMONSTRATION: "DEMONSTRATION – trained on simulated lesions, no clinical meaning",
}
_USE_WARNINGS = {
    IntendedUse.NONE: "NO INTENDED USE DECLARED – neither clinical nor research use",
    IntendedUse.DEMONSTRATION: "DEMONSTRATION – neither clinical nor research use",
}


REFERENCE = "f32"
"""The precision that all others are measured by."""


@dataclass(frozen=True)
class ModelIdentity:
    """The bundle that made the findings, as its card names it.

    `use`: what it is meant for here, the least of what its card and the site declare. Every
    result says of itself that it is for research only: that needs no further warning.
    `precision`: of its convolutions, here.
    """

    name: str
    version: str
    weights_sha256: str
    training: Training
    use: IntendedUse = IntendedUse.RESEARCH
    precision: str = REFERENCE

    def computed_in(self, precision: str) -> ModelIdentity:
        """The same, of a network that is loaded."""
        return replace(self, precision=precision)

    @property
    def otherwise(self) -> tuple[str, ...]:
        """The precision, where it is not that of the reference, for a place that names the model:
        what float32 gives says nothing of it."""
        return () if self.precision == REFERENCE else (f"precision {self.precision}",)

    @property
    def parameters(self) -> tuple[str, ...]:
        """What else must be known of it, to know what it is."""
        weights, training = f"weights SHA-256 {self.weights_sha256}", f"training {self.training}"
        return weights, training, *self.otherwise

    @property
    def warning(self) -> str | None:
        """The sentence that must stand wherever a person reads a result.

        None for weights trained on patients in clinical or research use.
        """
        return _TRAINING_WARNINGS.get(self.training) or _USE_WARNINGS.get(self.use)


PRIVATE_SCHEME = "99COVNET"
"""Coding scheme designator of the codes that this product makes itself (PS3.16 section 8)."""
_CODE_LIMITS = {"name": 31, "value": 16, "scheme": 16, "meaning": 64}
"""Characters that a code can hold (PS3.5 section 6.2: SH, SH, LO); "DEMONSTRATION region
confidence, " stands before the name."""
_CODE_TEXT = r"(?!\s)[^\\\x00-\x1f\x7f]+(?<!\s)"
_SHORT = "[A-Z0-9_]{1,9}"


@dataclass(frozen=True)
class FindingClass:
    """A class that a method tells apart, as results name and code it.

    `name`: in text; `value`, `scheme`, `meaning`: its code; `short`: what stands for it in the
    codes of its scores (`P_COVID19`).
    """

    name: str
    value: str
    scheme: str
    meaning: str
    short: str

    def problems(self) -> tuple[str, ...]:
        """What cannot be written; empty when nothing is wrong."""
        parts = ((part, str(getattr(self, part)), most) for part, most in _CODE_LIMITS.items())
        found = [
            f"{part} {text!r} is not text of 1 to {most} characters, without backslash, control "
            "characters or a space at either end"
            for part, text, most in parts
            if len(text) > most or not re.fullmatch(_CODE_TEXT, text)
        ]
        if not re.fullmatch(_SHORT, self.short):
            found.append(f"short {self.short!r} is not {_SHORT}")
        return tuple(f"code of {self.name!r}: {each}" for each in found)


@dataclass(frozen=True)
class RowColumnBox:
    """Half-open box of pixels: rows [top, bottom), columns [left, right)."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True, eq=False)
class SliceActivation:
    """Grad-CAM of one analysed slice for the winning class.

    `cam`: float32 (h, w) on the network's own grid over `box`, 1.0 = the maximum of the series.
    `share`: the slice's part in the positive evidence for the class; sums to 1 over the slices.
    `offset`: how far, in cells of the grid, what a cell has seen lies before the cell's own middle
    (rows, columns).
    """

    slice_index: int
    box: RowColumnBox
    cam: NDArray[np.float32]
    share: float
    offset: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class FoundLungs:
    """Both lungs of a volume, which every method looks at: bool (slices, rows, columns).

    `model`: the network that found them, None for the classical method. `classical_dice`: Dice of
    its mask and the classical one, from 0 to 1; None when there is only one of them (the classical
    method finds no lungs, or is the one that was used).
    """

    mask: NDArray[np.bool_]
    model: ModelIdentity | None = None
    classical_dice: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What a method says of the whole volume.

    `scores`: of each class, from 0 to 1, as `meaning` says. `winner`: index of the class that is
    the answer; None when it is none of them, which `none` then names. `confidences`: noisy-or
    scores that sum to 1, where more than one is above 0 (Xu et al. 2020, equation 2).
    `irrelevant`: what a region is called that is of none of the classes.
    """

    classes: tuple[FindingClass, ...]
    scores: tuple[float, ...]
    meaning: ScoreMeaning
    winner: int | None
    none: FindingClass | None = None
    irrelevant: str = ""
    confidences: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.classes) != len(self.scores):
            raise ValueError(f"{len(self.scores)} scores for {len(self.classes)} classes")
        if self.winner is None and self.none is None:
            raise ValueError("an answer is one of the classes, or has a name for none of them")

    @classmethod
    def of_probabilities(
        cls, classes: tuple[FindingClass, ...], probabilities: tuple[float, ...]
    ) -> Answer:
        """The class with the highest probability, the first in a tie."""
        winner = first_of_highest(probabilities)
        return cls(classes, probabilities, ScoreMeaning.PROBABILITY, winner)

    @property
    def outcome(self) -> FindingClass:
        """The class that is the answer, or what stands for none."""
        if self.winner is not None:
            return self.classes[self.winner]
        return cast("FindingClass", self.none)  # __post_init__ saw to it

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return tuple(each.name for each in self.classes)

    @property
    def region_names(self) -> tuple[str, ...]:
        """What a region can be voted, by class index."""
        return (*self.names, self.irrelevant)


@dataclass(frozen=True)
class MethodTitle:
    """What results call a method.

    `key`: at most seven small letters, in codes and in JSON, no other method's; `words`: for a
    sentence. `by`: how it came to its answer, beside other answers; `qualifier`: the same behind
    the names of its lines, empty for lines that need none.

    Raises:
        ValueError: no code can be made of the key.
    """

    key: str
    words: str
    by: str
    qualifier: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch("[a-z]{1,7}", self.key):
            raise ValueError(f"the key {self.key!r} of a method is not one to seven small letters")

    @property
    def heading(self) -> str:
        """The qualifier as a heading: "Regions" for "by regions"."""
        return self.qualifier.removeprefix("by ").capitalize()


@dataclass(frozen=True, eq=False)
class Findings:
    """What one method found in one volume.

    `seconds`: by stage. `heat`: Grad-CAM by slice, one for each analysed slice, in slice order;
    None where the method gives none. `regions`: candidates, the highest score first; None where
    the method looks for none.

    Raises:
        ValueError: there is heat of no slice (such a volume has no lung), or a noisy-or of no
            regions.
    """

    title: MethodTitle
    model: ModelIdentity
    answer: Answer
    seconds: Mapping[str, float]
    heat: tuple[SliceActivation, ...] | None = None
    regions: tuple[CandidateRegion, ...] | None = None

    def __post_init__(self) -> None:
        if self.heat == ():
            raise ValueError("findings without a slice: such a series is not analysed, but skipped")
        if self.regions is None and self.answer.meaning is ScoreMeaning.NOISY_OR:
            raise ValueError("noisy-or joins regions, and this method looks for none")

    @property
    def ranked(self) -> tuple[SliceActivation, ...]:
        """The heat, the slice with the largest share in the decision first."""
        return tuple(sorted(self.heat or (), key=lambda each: (-each.share, each.slice_index)))

    @property
    def candidates(self) -> tuple[CandidateRegion, ...]:
        """The regions; none where the method looks for none."""
        return self.regions or ()

    @property
    def infections(self) -> tuple[CandidateRegion, ...]:
        """The regions voted one of the classes, the highest confidence first."""
        classes = len(self.answer.classes)
        found = (each for each in self.candidates if each.vote.class_index < classes)
        return tuple(sorted(found, key=lambda each: -each.vote.confidence))


class Method(Protocol):
    """A model that answers on a volume: what the node needs of it, whatever it computes."""

    @property
    def title(self) -> MethodTitle:
        """What results call it."""
        ...

    @property
    def identity(self) -> ModelIdentity:
        """The bundle it was made of."""
        ...

    def analyse(
        self, volume: CtVolume, lungs: NDArray[np.bool_], progress: Progress | None = None
    ) -> Findings:
        """`lungs`: bool, of the volume's shape. The same volume gives the same findings.

        Raises:
            NoLungsError: there is too little lung.
            VolumeError: the volume's geometry is no chest's.
            NetworkOutputError: the network gives numbers that are no scores.
        """
        ...


@runtime_checkable
class Foreseeing(Protocol):
    """A method that can compute ahead of `analyse`."""

    def foresee(
        self, volume: CtVolume, lungs: NDArray[np.bool_], progress: Progress | None = None
    ) -> None:
        """Compute and keep what the whole volume will need, of one whose slices still come.

        Raises:
            InferenceError: of such a volume there is nothing to compute yet.
        """
        ...
