"""How COVNet is trained: every number in one place, written into the run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import log
from typing import NamedTuple

from inference.covnet.preprocess import Preprocessing
from inference.training.augment import Augmentation
from inference.training.plan import Options, parse_stages, with_values
from inference.training.task import Stage

MAP_STRIDE = 8
"""Pixels of the largest images for one cell of the kept lesion maps."""


SLICES = 48
"""Of one scan in one step at most, where a stage does not say."""
_STAGE = re.compile(r"(\d+)(?:x(\d+))?")


class CovnetStage(NamedTuple):
    """A part of the training.

    With one slice of each of many scans in a step the network learns soonest, and BatchNorm sees
    many scans at once; then it must learn what the maximum over many slices of one scan makes of
    them, as in use.
    """

    size: int
    """Edge of the images in pixels."""
    slices: int
    """Of one scan in one step at most; an eighth of it at least."""
    steps: int

    @property
    def name(self) -> str:
        return f"{self.size}x{self.slices}"

    @property
    def fewest(self) -> int:
        """Slices of one scan in one step at least."""
        return max(1, self.slices // 8)


STAGES: tuple[CovnetStage, ...] = (
    CovnetStage(128, 1, 1000),
    CovnetStage(224, 1, 600),
    CovnetStage(224, 32, 250),
)
"""Most is learned where a step is cheap."""


@dataclass(frozen=True)
class CovnetSettings:
    """Li et al. 2020 name the network, the loss and Adam; the rest is ours."""

    seed: int = 0
    stages: tuple[CovnetStage, ...] = STAGES
    learning_rate: float = 2e-4
    """Of stages of single slices; the others, whose steps have few scans, have half of it."""
    head_rate: float = 0.3
    """Factor of the learning rate for the last layer: its 2048 inputs rise and fall together, so
    that a step of all its weights is a leap of the logits."""
    warm_up: float = 0.05
    """Part of a stage over which the learning rate rises."""
    slices_per_step: int = 32
    slice_weight: float = 0.5
    """Of the loss of single slices, where it is known which of them show lesions."""
    map_weight: float = 0.5
    """Of the loss of single cells of the class activation maps, likewise."""
    heat_weight: float = 0.5
    """Of the loss of the heatmap of a scan with several slices, likewise."""
    label_smoothing: float = 0.05
    validation_slices: int = 96
    """Of one scan at most, spread over it."""
    init: str = ""
    """SHA-256 of the weights started from; "" for weights drawn from the seed."""
    lungs: str = "classical"
    """How the lungs are found."""
    given_lungs: float = 0.5
    """Part of the scans that keep the lungs the manifest gives, where it does: the classical method
    leaves consolidation at the pleura out, a network takes it in; both are met in use."""
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    """With the edge of the last stage."""
    augmentation: Augmentation = field(default_factory=Augmentation)

    @property
    def cells(self) -> int:
        """Edge of the kept lesion maps: a quarter of what the network's last maps see apart."""
        return max(stage.size for stage in self.stages) // MAP_STRIDE

    def usual_bags(self, stage: CovnetStage) -> float:
        """Bags of a step, by the mean of a log-uniform number of slices."""
        few, most = stage.fewest, stage.slices
        mean = (most - few) / log(most / few) if most > few else most
        return max(1.0, self.slices_per_step / mean)

    def stage(self, name: str) -> CovnetStage:
        """The stage of that name."""
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def schedule(self) -> tuple[Stage, ...]:
        """The stages as the loop takes them.

        All but the last hand on their last weights: how good a network of single slices is for
        whole scans says little of what it has learned of slices.
        """
        return tuple(
            Stage(
                stage.name,
                stage.steps,
                self.learning_rate if stage.slices == 1 else self.learning_rate / 2,
                round(self.warm_up * stage.steps),
                hands_on_best=False,
            )
            for stage in self.stages
        )


def covnet_settings(options: Options, init_digest: str = "") -> CovnetSettings:
    """
    Raises:
        ValueError: the options are wrong; says what is.
    """
    stages = STAGES if options.size is None else (CovnetStage(options.size, 1, 2000),)
    if options.stages is not None:
        stages = tuple(_stage(name, steps) for name, steps in parse_stages(options.stages))
    size = options.size or stages[-1].size
    if stages[-1].size != size:
        raise ValueError(f"the last stage has size {stages[-1].size}, not {size}")
    made = CovnetSettings(
        seed=options.seed,
        stages=stages,
        init=init_digest,
        lungs=options.lungs_from,
        preprocessing=Preprocessing(size=size),
    )
    return with_values(made, options.settings)


def _stage(name: str, steps: int) -> CovnetStage:
    found = _STAGE.fullmatch(name)
    size, slices = (int(found[1]), int(found[2] or SLICES)) if found else (0, 1)
    if problems := Preprocessing(size=size).problems():
        raise ValueError(f"stage {name!r}: {problems[0]}")
    if slices < 1:
        raise ValueError(f"stage {name!r}: no slices")
    return CovnetStage(size, slices, steps)
